//go:build linux

package envoy

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
)

// gRPC's own xDS client and server read what is emitted as a second
// implementation: what becomes of calls there, through Envoy, and in the
// interpreter is the same.

// A reading is a policy on grpc that gRPC knows all of.
type reading struct {
	name string
	text string // what stands in the policy after its `on`
	side ir.Side
	asks []ask
	// chance says that pods or codes are drawn, with the share of each; then
	// the interpreter is not asked.
	chance map[string]float64
	pods   bool // which pods are reached is told
	timed  bool // whether it took as long as late is told
	// Another text in the file, with which the outcome must be another.
	old, new string
}

// An ask is a number of calls, one after the other, for what grpcApp does at a
// service's name.
type ask struct {
	service string
	n       int
	header  string // a value of x-user
}

const late = 900 * time.Millisecond

func readings() []reading {
	list := []reading{
		{name: "deny", text: `deny()`, side: ir.Ingress, asks: []ask{{"x", 2, ""}}, old: "action: DENY", new: "action: ALLOW"},
		{name: "allow that never holds", text: `when { source.service == "nobody" }  allow()`, side: ir.Ingress, asks: []ask{{"x", 1, ""}}, old: "action: DENY", new: "action: LOG"},
		{name: "fault delay", text: `fault(delay: 1s)`, side: ir.Egress, asks: []ask{{"x", 1, ""}}, timed: true, old: "fixed_delay: 1s", new: "fixed_delay: 0.001s"},
		{name: "fault of a share", text: `fault(abort: 503, share: 30%)`, side: ir.Egress, asks: []ask{{"x", 400, ""}},
			chance: map[string]float64{"Unavailable": 0.3, "OK": 0.7}, old: "numerator: 30", new: "numerator: 70"},
		{name: "timeout", text: `timeout(1s)`, side: ir.Egress, asks: []ask{{"slow/2500", 1, ""}, {"x", 1, ""}}, old: "timeout: 1s", new: "timeout: 20s"},
		{name: "route", text: `route(version: "v2")`, side: ir.Egress, asks: []ask{{"x", 5, ""}}, pods: true, old: "address: server-v2-", new: "address: server-v1-"},
		{name: "split", text: `split({"v1": 80%, "v2": 20%})`, side: ir.Egress, asks: []ask{{"x", 400, ""}}, pods: true,
			chance: map[string]float64{"OK v1": 0.8, "OK v2": 0.2}, old: "weight: 800000", new: "weight: 50000"},
		{name: "split to one", text: `split({"v1": 100%, "v2": 0%})`, side: ir.Egress, asks: []ask{{"x", 20, ""}}, pods: true, old: "address: server-v1-", new: "address: server-v2-"},
		{name: "lb round_robin", text: `lb(policy: round_robin)`, side: ir.Egress, asks: []ask{{"x", 40, ""}}, pods: true,
			chance: map[string]float64{"OK -": 0.25, "OK v1": 0.25, "OK v2": 0.25, "OK p4": 0.25}, old: "address: server-admc-pods", new: "address: server-v2-admc"},
		{name: "lb least_request", text: `lb(policy: least_request)`, side: ir.Egress, asks: []ask{{"x", 400, ""}}, pods: true,
			chance: map[string]float64{"OK -": 0.25, "OK v1": 0.25, "OK v2": 0.25, "OK p4": 0.25}, old: "address: server-admc-pods", new: "address: server-v1-admc"},
		{name: "retry", text: `retry(attempts: 3)`, side: ir.Egress, asks: []ask{{"flaky/1", 1, ""}, {"flaky/3", 1, ""}, {"flaky/9", 1, ""}, {"code/13", 1, ""}},
			old: "num_retries: 3", new: "num_retries: 1"},
	}
	for _, code := range []struct {
		number int
		name   string
	}{{1, "cancelled"}, {4, "deadline-exceeded"}, {13, "internal"}, {8, "resource-exhausted"}, {14, "unavailable"}} {
		list = append(list, reading{name: "retry on " + code.name, text: fmt.Sprintf("retry(attempts: 2, on: [%q])", code.name), side: ir.Egress,
			asks: []ask{{fmt.Sprint("code/", code.number), 1, ""}, {"code/7", 1, ""}}, old: "retry_on: " + code.name, new: "retry_on: reset"})
	}
	for _, abort := range []int{400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599} {
		list = append(list, reading{name: fmt.Sprint("fault ", abort), text: fmt.Sprintf("fault(abort: %d)", abort), side: ir.Egress,
			asks: []ask{{"x", 1, ""}}, old: fmt.Sprint("http_status: ", abort), new: "http_status: " + map[bool]string{true: "404", false: "403"}[abort == 403]})
	}
	var byKey []ask
	for i := range 40 {
		byKey = append(byKey, ask{"x", 2, fmt.Sprint("user-", i)})
	}
	return append(list, reading{name: "lb by header", text: `lb(policy: ring_hash, key: "header:x-user")`, side: ir.Egress, asks: byKey, pods: true,
		old: "header_name: x-user", new: "header_name: x-none"})
}

// program of a reading on a port, and its one placement.
func (r *reading) trial() *trial {
	at := "@egress"
	if r.side == ir.Ingress {
		at = "@ingress"
	}
	return &trial{proto: "grpc", text: at + " policy p { on client -> server  " + r.text + " }"}
}

// placed is the trial with its placement.
func (r *reading) placed(t *testing.T, port int) *trial {
	t.Helper()
	x := r.trial()
	if x.spread(port, 1); len(x.cells) != 1 {
		t.Fatalf("%s: %d placements", x.text, len(x.cells))
	}
	return x
}

// TestReadByGRPC runs each reading through Envoy, through gRPC's xDS client or
// server, and through the interpreter.
func TestReadByGRPC(t *testing.T) {
	client, server := newPair(t)
	alone := newNamespace(t, "x") // where a gRPC server listens at the address of the listener
	serveDNS(t, client)
	list := readings()
	var trials []*trial
	var apps []*app
	for i, r := range list {
		x := r.placed(t, 20000+i)
		trials = append(trials, x)
		apps = append(apps, serve(t, server, x.cells[0].port, graph.GRPC))
	}
	runLayout(t, map[string]*namespace{"client": client, "server": server}, together(trials))
	for i, r := range list {
		t.Run(r.name, func(t *testing.T) {
			c := trials[i].cells[0]
			byEnvoy := r.outcome(t, connectGRPC(t, client, fmt.Sprintf("%s:%d", serverIP, c.port)), apps[i])
			file := string(r.file(t, trials[i]))
			read := func(file string) string {
				if r.side == ir.Ingress {
					return r.atServer(t, alone, file, c.port)
				}
				return r.outcome(t, dialXDS(t, server, file, c.port, fmt.Sprintf("egress_server_%d", c.port)), apps[i])
			}
			byGRPC := read(file)
			if byEnvoy != byGRPC {
				t.Errorf("Envoy: %s\ngRPC:  %s", byEnvoy, byGRPC)
			}
			if r.foreseeable() {
				if want := r.foreseen(c); byEnvoy != want {
					t.Errorf("Envoy: %s\nthe interpreter: %s", byEnvoy, want)
				}
			}
			altered := strings.ReplaceAll(file, r.old, r.new)
			if altered == file {
				t.Fatalf("the file has no %q", r.old)
			}
			if got := read(altered); got == byEnvoy {
				t.Errorf("the same with %q in place of %q: %s", r.new, r.old, got)
			}
		})
	}
}

// file is what is emitted for the reading alone, as one text.
func (r *reading) file(t *testing.T, x *trial) []byte {
	t.Helper()
	l := together([]*trial{x})
	return render("merged", configurationOf(emitted(t, l), l.ADMs[0].Dir).merged(t))
}

// foreseeable: the interpreter says nothing of what is drawn by the proxy, and of
// which of several pods it is.
func (r *reading) foreseeable() bool { return r.chance == nil && !strings.HasPrefix(r.text, "lb(") }

// dialXDS gives a client that has its routes, clusters and addresses from an
// emitted file, and connects from a namespace.
func dialXDS(t *testing.T, n *namespace, file string, port int, listener string) *grpc.ClientConn {
	t.Helper()
	bootstrap := serveADS(t, asResources(t, []byte(file), ir.Egress, port))
	builder, err := xds.NewXDSResolverWithConfigForTesting(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+listener, grpc.WithResolvers(builder), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return n.dialFrom(ctx, serverIP, addr) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// atServer is the outcome at a gRPC server that has its filters from an emitted
// file.
func (r *reading) atServer(t *testing.T, n *namespace, file string, port int) string {
	t.Helper()
	resources := asResources(t, []byte(file), ir.Ingress, port)
	bootstrap := serveADS(t, resources)
	mode := make(chan xds.ServingModeChangeArgs, 8)
	srv, err := xds.NewGRPCServer(xds.BootstrapContentsForTesting(bootstrap),
		xds.ServingModeCallback(func(_ net.Addr, to xds.ServingModeChangeArgs) { mode <- to }))
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop()
	app := &app{}
	healthpb.RegisterHealthServer(srv, &grpcApp{app: app})
	listeners := resources["type.googleapis.com/envoy.config.listener.v3.Listener"]
	at := slices.Collect(maps.Keys(listeners))[0]
	l := n.listen(t, at)
	go srv.Serve(l)
	select {
	case to := <-mode:
		if to.Mode != connectivity.ServingModeServing {
			return to.Err.Error()
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server has no listener after 20 s")
	}
	conn, err := grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return n.dial(ctx, addr) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return r.outcome(t, conn, app)
}

// outcome is what becomes of the calls over a connection: for each ask the codes,
// with the pods where they count, and how many calls reached the receiver.
func (r *reading) outcome(t *testing.T, conn *grpc.ClientConn, app *app) string {
	t.Helper()
	r.settle(t, conn)
	var out []string
	for _, a := range r.asks {
		before := time.Now()
		app.requests.Store(0)
		seen := map[string]int{}
		for range a.n {
			code, pod := check(conn, a)
			what := code.String()
			if r.pods {
				what += " " + pod
			}
			seen[what]++
		}
		if r.chance != nil {
			out = append(out, r.shares(seen, a.n))
			continue
		}
		told := counts(seen)
		if r.timed && time.Since(before) > late {
			told += ", late"
		}
		out = append(out, fmt.Sprintf("%s: %s, %d reached", a.service, told, app.requests.Load()))
	}
	return strings.Join(out, "; ")
}

// settle waits until the connection stands, and where pods are chosen from until
// each has been chosen, if it ever is.
func (r *reading) settle(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	want := 1
	for what := range r.chance {
		if strings.Contains(what, " ") {
			want = len(r.chance)
		}
	}
	seen := map[string]bool{}
	for i := 0; i < 1000 && len(seen) < want; i++ {
		code, pod := check(conn, ask{service: "x"})
		seen[code.String()+" "+pod] = true
	}
}

// check makes one call, and gives the pod that answered it.
func check(conn *grpc.ClientConn, a ask) (codes.Code, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if a.header != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-user", a.header)
	}
	var md metadata.MD
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: a.service}, grpc.Header(&md))
	return status.Code(err), strings.Join(md["x-pod"], ",")
}

// shares tells what was seen as what was to be expected, where it is that within
// five standard deviations.
func (r *reading) shares(seen map[string]int, n int) string {
	total := 0
	for what, share := range r.chance {
		far := 5 * math.Sqrt(float64(n)*share*(1-share))
		if math.Abs(float64(seen[what])-float64(n)*share) > far {
			return "not as drawn: " + counts(seen)
		}
		total += seen[what]
	}
	if total != n {
		return "not as drawn: " + counts(seen)
	}
	return "as drawn"
}

func counts(seen map[string]int) string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, fmt.Sprintf("%s x%d", what, seen[what]))
	}
	return strings.Join(out, ", ")
}

// foreseen is the outcome by the interpreter.
func (r *reading) foreseen(c *cell) string {
	in, now := lang.NewInterp(c.program), time.Duration(0)
	var out []string
	for _, a := range r.asks {
		seen, reached, took := map[string]int{}, 0, time.Duration(0)
		for range a.n {
			pod := ""
			receiver := func(to lang.Arrival) lang.Answer {
				reached++
				pod = to.Version
				verb, arg, _ := strings.Cut(a.service, "/")
				n, _ := strconv.Atoi(arg)
				switch {
				case verb == "slow":
					return lang.Answer{Delay: time.Duration(n) * time.Millisecond}
				case verb == "flaky" && reached < n:
					return lang.Answer{Status: int(codes.Unavailable)}
				case verb == "code":
					return lang.Answer{Status: n}
				}
				return lang.Answer{}
			}
			res := in.Run(&lang.Request{Call: c.graph.Calls[0], Method: "POST", Path: "/grpc.health.v1.Health/Check", Headers: lang.Headers{}, Receiver: receiver, At: now})[0]
			now += res.Took + time.Millisecond
			took += res.Took
			what := codes.Code(res.Status).String()
			if r.pods {
				what += " " + pod
			}
			seen[what]++
		}
		told := counts(seen)
		if r.timed && took > late {
			told += ", late"
		}
		out = append(out, fmt.Sprintf("%s: %s, %d reached", a.service, told, reached))
	}
	return strings.Join(out, "; ")
}
