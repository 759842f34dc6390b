//go:build linux

package envoy

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A row is one effect of policies, seen by a client of the real Envoy with the
// emitted file. It is looked for on each side, on a port with the policies and
// on one where an ADM without policies stands in the way: the answer there is
// the control, and must differ.
type row struct {
	name     string
	proto    graph.Protocol
	sides    ir.Side
	policies []policy
	probe    func(t *testing.T, p probe) string
	want     string
	control  string
	port     portState
}

// How the receiver's port is, instead of served: silent, without even a refusal;
// closed; or refusing at the pod v1.
type portState uint8

const (
	served portState = iota
	silent
	closed
	refusingAtV1
)

// A probe is where to look.
type probe struct {
	n       *namespace
	server  *namespace
	address string
	side    ir.Side
	app     *app
	id      string        // of the request, where the probe gives one
	log     func() string // what the ADM printed about this port
}

const both = ir.Ingress | ir.Egress

func TestEnforcement(t *testing.T) {
	enforce(t, slices.Concat(rows, wrapped, observed, apart, pathRows, chosen, copied, hedged, ejected))
}

// TestAnswers is the same for the actions that answer, limit and change bodies,
// beside services that some of them ask.
func TestAnswers(t *testing.T) { enforce(t, answers) }

func enforce(t *testing.T, rows []row) {
	client, server := newPair(t)
	prog := newProgram()
	type place struct {
		row  *row
		side ir.Side
		port [2]int // with the policies; without
		app  [2]*app
	}
	var places []*place
	next := 20000
	for _, r := range rows {
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			if r.sides&side == 0 {
				continue
			}
			p := &place{row: &r, side: side}
			for k, policies := range [][]policy{r.policies, nil} {
				p.port[k] = next
				next++
				prog.call(p.port[k], r.proto, side, copyPolicies(policies)...)
				if r.port == silent {
					run(t, "", "ip", "netns", "exec", server.name, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", fmt.Sprint(p.port[k]), "-j", "DROP")
				}
				if r.port == refusingAtV1 {
					run(t, "", "ip", "netns", "exec", server.name, "iptables", "-A", "INPUT", "-d", v1IP, "-p", "tcp", "--dport", fmt.Sprint(p.port[k]), "-j", "REJECT", "--reject-with", "tcp-reset")
				}
				p.app[k] = &app{}
				if r.port != closed {
					p.app[k] = serve(t, server, p.port[k], r.proto.Plane())
				}
			}
			places = append(places, p)
		}
	}
	serveAsked(t, client, server)
	l := prog.layout()
	files := emitted(t, l)
	logs := map[string]*output{}
	for _, a := range l.ADMs {
		c := configurationOf(files, a.Dir)
		validate(t, c)
		n := client
		if a == prog.server {
			n = server
		}
		logs[a.Service.Name] = runADM(t, n, a, c)
	}
	for _, p := range places {
		t.Run(fmt.Sprintf("%s/%s/%s", p.row.name, p.row.proto, p.side), func(t *testing.T) {
			t.Parallel()
			for k, want := range []string{p.row.want, p.row.control} {
				out := logs[map[ir.Side]string{ir.Ingress: "server", ir.Egress: "client"}[p.side]]
				port := fmt.Sprint(p.port[k])
				got := p.row.probe(t, probe{
					n: client, server: server, address: serverIP + ":" + port, side: p.side, app: p.app[k], id: "id",
					log: func() string { return linesWith(out, port) },
				})
				if got != want {
					t.Errorf("%s: got %q, want %q", []string{"policy", "control"}[k], got, want)
				}
			}
			if p.row.want == p.row.control {
				t.Error("this row can't fail: the control is the same")
			}
		})
	}
}

func linesWith(o *output, port string) string {
	var out []string
	for _, line := range strings.Split(o.String(), "\n") {
		if strings.Contains(line, port) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// copyPolicies gives each place its own actions, so that ranks aren't shared.
func copyPolicies(list []policy) []policy {
	out := make([]policy, len(list))
	for i, p := range list {
		out[i] = p
		out[i].actions = nil
		for _, a := range p.actions {
			c := *a
			out[i].actions = append(out[i].actions, &c)
		}
	}
	return out
}

// Probes. Each gives what a person would note down.

// web makes one HTTP/1 request: "status body" for a refusal, "status" and the
// version for an answer of the app.
func web(path string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: path, header: pairs(header)}.do()
		return summary(a)
	}
}

// sending posts a body of that many bytes.
func sending(size int, path string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		return summary(httpRequest{n: p.n, address: p.address, method: "POST", path: path, body: strings.Repeat("x", size)}.do())
	}
}

func summary(a httpAnswer) string {
	if a.err != nil {
		return "error " + a.err.Error()
	}
	if a.seen.Proto != "" {
		return fmt.Sprintf("%d app", a.status)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.body))
}

func pairs(list []string) map[string][]string {
	m := map[string][]string{}
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = append(m[list[i]], list[i+1])
	}
	return m
}

// each joins what several probes see.
func each(probes ...func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		var out []string
		for _, f := range probes {
			out = append(out, f(t, p))
		}
		return strings.Join(out, " | ")
	}
}

func times(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	list := make([]func(*testing.T, probe) string, n)
	for i := range list {
		list[i] = f
	}
	return each(list...)
}

// appSaw is a request header as the app got it.
func appSaw(name string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: "/", header: pairs(header)}.do()
		return fmt.Sprint(a.seen.Header[http.CanonicalHeaderKey(name)])
	}
}

// clientSaw is a response header as the client got it.
func clientSaw(name, path string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: path, header: pairs(header)}.do()
		return fmt.Sprint(a.status, a.header[http.CanonicalHeaderKey(name)])
	}
}

// rpc is one gRPC call: its status code and message.
func rpc(service string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		_, err := grpcCall(t, p, service, header...)
		s, _ := status.FromError(err)
		return strings.TrimSpace(s.Code().String() + " " + s.Message())
	}
}

func grpcCall(t *testing.T, p probe, service string, header ...string) (metadata.MD, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, header...)
	var md metadata.MD
	_, err := dialGRPC(t, p.n, p.address).Check(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.Header(&md))
	return md, err
}

// greeting connects, reads the server's first line and has one echoed.
func greeting(t *testing.T, p probe) string {
	return greet(p.n.dial(context.Background(), p.address))
}

func greet(c net.Conn, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	first, err := r.ReadString('\n')
	if err != nil {
		return "closed"
	}
	fmt.Fprintf(c, "a\n")
	second, err := r.ReadString('\n')
	if err != nil {
		second = "closed"
	}
	return strings.TrimSpace(first) + ", " + strings.TrimSpace(second)
}

// reached counts the connections or requests that came to the app.
func reached(f func(*testing.T, probe) string, what func(*app) int64) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		before := what(p.app)
		got := f(t, p)
		return fmt.Sprintf("%s; %d reached the app", got, what(p.app)-before)
	}
}

func connections(a *app) int64 { return a.accepted.Load() }
func requests(a *app) int64    { return a.requests.Load() }
