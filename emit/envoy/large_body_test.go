//go:build linux

package envoy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// TestLargeBodies sends bodies many times as large as what is kept of a
// connection, through everything that holds a request back, copies it, or looks
// at it: what waits has to wait, and nothing is cut.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	serveAsked(t, client, server)
	prog := newProgram()
	const size = 3 << 20
	rows := []struct {
		name    string
		sides   ir.Side
		actions func() []*ir.Action
		arrive  int // how often the whole body
	}{
		{"nothing", both, func() []*ir.Action { return nil }, 1},
		{"fault", both, func() []*ir.Action { return []*ir.Action{act("fault", args{"delay": dur(300 * time.Millisecond)})} }, 1},
		{"ext_authz", both, func() []*ir.Action {
			return []*ir.Action{act("ext_authz", args{"address": str("guard.test:19998")})}
		}, 1},
		{"rate_limit", both, func() []*ir.Action {
			return []*ir.Action{act("rate_limit", args{"rate": rate(1000, time.Second), "global": boolean(true)})}
		}, 1},
		{"max_body", both, func() []*ir.Action { return []*ir.Action{act("max_body", args{"size": num(size)})} }, 1},
		{"bandwidth_limit", both, func() []*ir.Action { return []*ir.Action{act("bandwidth_limit", args{"limit": num(8 << 20)})} }, 1},
		{"retry", ir.Egress, func() []*ir.Action { return []*ir.Action{act("retry", nil)} }, 1},
		{"mirror", ir.Egress, func() []*ir.Action { return []*ir.Action{act("mirror", args{"version": str("v2")})} }, 2},
	}
	type place struct {
		name   string
		port   int
		app    *app
		arrive int
	}
	var places []place
	port := 28600
	for _, row := range rows {
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			if row.sides&side == 0 {
				continue
			}
			var list []policy
			if a := row.actions(); a != nil {
				list = []policy{do("p", a...)}
			}
			prog.call(port, "http", side, list...)
			places = append(places, place{row.name + "/" + side.String(), port, serve(t, server, port, graph.HTTP), row.arrive})
			port++
		}
	}
	runAll(t, client, server, prog)
	for _, p := range places {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/h2=%t", p.name, h2), func(t *testing.T) {
				a := httpRequest{n: client, address: fmt.Sprintf("%s:%d", serverIP, p.port), path: "/", method: "POST", body: strings.Repeat("x", size), h2: h2}.do()
				if a.status != 200 || len(a.seen.Body) != size {
					t.Fatalf("%d, %v: %d bytes come back", a.status, a.err, len(a.seen.Body))
				}
				whole := func() (n int) {
					for _, line := range p.app.arrivals() {
						if strings.HasSuffix(line, fmt.Sprintf(" %d", size)) {
							n++
						}
					}
					return n
				}
				want := p.arrive
				if h2 {
					want *= 2
				}
				becomes(t, "the whole body is at the app, as often as it should", func() bool { return whole() == want })
			})
		}
	}
}
