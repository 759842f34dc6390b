//go:build linux

package envoy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// Placement invariance: wherever the obligations of a program may be placed, the
// same requests have the same outcomes, and those are what the interpreter says.
// Each placement of a program has a port of one receiver, so that two proxies hold
// hundreds of them, with files emitted from the program's text by the real checker.

// A trial is a program on one call, with the requests that it is tried with.
type trial struct {
	text     string // PORT is the port
	proto    graph.Protocol
	requests []attempted
	// unforeseen: the interpreter doesn't know what hangs on the network or on
	// chance, so that only the placements are held to each other.
	unforeseen bool
	anyPod     bool // which pod is reached is chance
	cells      []*cell
	foreseen   []string // nil: unforeseen
}

// A cell is one placement of a trial, on a port of its own.
type cell struct {
	port     int
	where    string // such as "p_a=ingress p_b=egress"
	assigned []solver.Assigned
	program  *ir.Program
	graph    *graph.Graph
	app      *witness
	got      []string
}

// checked is the program of a trial on a port.
func (x *trial) checked(port int) (*graph.Graph, *ir.Program, *diag.Bag) {
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("graph.yaml", fmt.Appendf(nil, `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: pair, namespace: test}
services:
  client: {}
  server: {ports: [{port: %d, protocol: %s}], versions: [v1, v2]}
calls:
  - {from: client, to: server}
`, port, x.proto)), bag)
	f := syntax.Parse(diag.NewSource("pair.adm", []byte(strings.ReplaceAll(x.text, "PORT", fmt.Sprint(port)))), bag)
	if bag.HasErrors() {
		return nil, nil, bag
	}
	return g, lang.Check([]*syntax.File{f}, g, bag), bag
}

// placements gives every assignment of sides that the program's rows allow.
func placements(p *ir.Program) [][]solver.Assigned {
	var out [][]solver.Assigned
	at := map[*ir.Obligation]ir.Side{}
	var place func(i int)
	place = func(i int) {
		if i == len(p.Obligations) {
			for _, r := range p.Rows {
				if r.Kind == ir.Forbid && at[r.P]&r.PSide != 0 && at[r.Q]&r.QSide != 0 || r.Kind == ir.Same && at[r.P] != at[r.Q] {
					return
				}
			}
			var list []solver.Assigned
			for _, o := range p.Obligations {
				list = append(list, solver.Assigned{Obligation: o, Side: at[o], Reason: "free"})
			}
			out = append(out, list)
			return
		}
		o := p.Obligations[i]
		sides := []ir.Side{ir.Ingress, ir.Egress}
		if o.Both {
			sides = []ir.Side{both}
		}
		for _, s := range sides {
			if o.May&s == s {
				at[o] = s
				place(i + 1)
			}
		}
	}
	place(0)
	return out
}

// spread gives a trial a cell for each of its placements, most at the most, from
// the port on; the next free port is returned. An error of the checker leaves the
// trial without cells.
func (x *trial) spread(port, most int) int {
	_, p, bag := x.checked(port)
	if bag.HasErrors() {
		return port
	}
	n := len(placements(p))
	for i := range min(n, most) {
		g, p, _ := x.checked(port)
		c := &cell{port: port, graph: g, program: p, assigned: placements(p)[i*n/min(n, most)]}
		var where []string
		for _, a := range c.assigned {
			where = append(where, fmt.Sprintf("%s at %s", a.Obligation.Policy.Name, a.Side))
		}
		c.where = strings.Join(where, ", ")
		x.cells = append(x.cells, c)
		port++
	}
	return port
}

// layout lays the cells of all trials out on one ADM at either end.
func (p *program) cells(trials []*trial) *layout.Layout {
	for _, x := range trials {
		for _, c := range x.cells {
			l := layout.New(c.graph, c.program, &solver.Placement{ADMs: []string{"client", "server"}, Assigned: c.assigned}, "")
			for i, adm := range []*layout.ADM{p.client, p.server} {
				for _, listener := range l.ADMs[i].Listeners {
					listener.Port = layout.FirstPort + len(adm.Listeners)
					adm.Listeners = append(adm.Listeners, listener)
				}
			}
		}
	}
	return p.layout()
}

// invariant runs trials, each at so many placements at the most, and holds them to
// each other and to the interpreter.
func invariant(t *testing.T, trials []*trial, most int) {
	client, server := newPair(t)
	serveDNS(t, client)
	serveDNS(t, server)
	serveGuard(t, server)
	prog := newProgram()
	port := 20000
	for _, x := range trials {
		port = x.spread(port, most)
	}
	l := prog.cells(trials)
	for _, x := range trials {
		x.foresee(t)
		for _, c := range x.cells {
			c.app = bearWitness(t, server, c.port, x.proto.Plane())
		}
	}
	logs := map[*namespace]*output{}
	for service, p := range runLayout(t, client, server, prog, l) {
		logs[map[string]*namespace{"client": client, "server": server}[service]] = p.stdout
	}
	var all []*cell
	var wait sync.WaitGroup
	room := make(chan bool, 8)
	begin, sent := time.Now(), 0
	for _, x := range trials {
		for _, c := range x.cells {
			all = append(all, c)
			sent += len(x.requests)
			room <- true
			wait.Go(func() {
				c.got = x.ask(client, c)
				<-room
			})
		}
	}
	wait.Wait()
	t.Logf("%d requests to %d placements of %d programs in %s", sent, len(all), len(trials), time.Since(begin).Round(time.Millisecond))
	time.Sleep(500 * time.Millisecond) // logs are flushed, copies have arrived
	counted := counters(client, server, l)
	for _, x := range trials {
		for _, c := range x.cells {
			for i, r := range x.requests {
				c.got[i] += c.app.told(r.id, x.anyPod)
			}
			c.got = append(c.got, watched(c.port, logs, counted))
		}
		x.judge(t)
	}
}

// judge compares the placements of a trial with each other and with what was
// foreseen.
func (x *trial) judge(t *testing.T) {
	for _, c := range x.cells {
		for i, got := range c.got {
			what := "what was logged and counted"
			if i < len(x.requests) {
				what = x.requests[i].String()
			}
			if first := x.cells[0]; got != first.got[i] {
				t.Errorf("%s\n%s:\n  %s\n  %s\n  %s\n  %s", x.text, what, first.where, first.got[i], c.where, got)
				return
			}
			if i < len(x.foreseen) {
				told := foreseeable(got)
				if i == len(x.requests) {
					told = tally(got)
				}
				if told != x.foreseen[i] {
					t.Errorf("%s\n%s\n  %s\n  %s\n  the interpreter says\n  %s", x.text, what, c.where, told, x.foreseen[i])
					return
				}
			}
		}
	}
}

// watched is what was logged and counted of a port: log lines without times, and
// the counters.
func watched(port int, logs map[*namespace]*output, counted []string) string {
	var out []string
	for _, o := range logs {
		out = append(out, o.lines(port)...)
	}
	for _, line := range counted {
		if strings.Contains(line, fmt.Sprintf("_%d{", port)) {
			out = append(out, strings.ReplaceAll(line, fmt.Sprint(port), "PORT"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// counters are the metrics of all ADMs.
func counters(client, server *namespace, l *layout.Layout) []string {
	var out []string
	for _, a := range l.ADMs {
		n := client
		if a.Service.Name == "server" {
			n = server
		}
		_, body := get(n, fmt.Sprintf("127.0.0.1:%d", a.ReadyPort), layout.MetricsPath)
		for _, line := range strings.Split(body, "\n") {
			if strings.HasPrefix(line, "envoy_admc_") {
				out = append(out, line)
			}
		}
	}
	return out
}
