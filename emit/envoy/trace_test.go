//go:build linux

package envoy

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

const (
	collectorAt = "collector.test:19998"
	sampledBy   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampledBy = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// TestTracing sends requests through ADMs that trace, gives Envoy the time to
// hand in its spans (every five seconds), and looks at what the collector got. Each
// case has a control without the policies, of which the collector must hear
// nothing.
func TestTracing(t *testing.T) {
	tagged := func(name string) *ir.Action { return act("tag", args{"name": str(name), "value": str("50%")}) }
	group := func(name string) policy {
		return policy{name: name, when: headerIs("x-group", name), reads: betaReads, actions: []*ir.Action{act("tag", args{"name": str("beta"), "value": str(name)})}}
	}
	all := do("p", act("trace", nil))
	rare := do("p", act("trace", args{"share": float(1e-6)}))
	var traced []*tracing
	for _, c := range []*tracing{
		{name: "every request", proto: "http", side: both, policies: []policy{all}, probe: times(2, traceparent()), want: "2 spans: trace.- 200, trace.- 200"},
		{name: "a share", proto: "http", side: both, policies: []policy{do("p", act("trace", args{"share": float(0.5)}))}, probe: times(60, traceparent()), want: "about half"},
		{name: "a request that is traced", proto: "http", side: both, policies: []policy{rare}, probe: traceparent("traceparent", sampledBy), want: "1 spans: 0af7.b7ad 200"},
		{name: "a request that is not to be traced", proto: "http", side: both, policies: []policy{all}, probe: traceparent("traceparent", unsampledBy), want: "0 spans"},
		{name: "calls", proto: "grpc", side: both, policies: []policy{all}, probe: times(2, rpc("x")), want: "2 spans: trace.- 200, trace.- 200"},
		{name: "a refusal", proto: "http", side: both, policies: []policy{all, do("q", act("deny", nil))}, probe: web("/"), want: "1 spans: trace.- 403"},
		{name: "tags", proto: "http", side: both, policies: []policy{all, do("q", tagged("all")), {name: "r", when: beta, reads: betaReads, actions: []*ir.Action{tagged("beta")}}},
			probe: each(web("/"), web("/", "x-group", "beta")), want: "2 spans: trace.- 200 all=50%, trace.- 200 all=50% beta=50%"},
		{name: "one tag of two policies", proto: "http", side: both, policies: []policy{all, group("one"), group("two")},
			probe: each(web("/"), web("/", "x-group", "one"), web("/", "x-group", "two")), want: "3 spans: trace.- 200, trace.- 200 beta=one, trace.- 200 beta=two"},
		{name: "attempts", proto: "http", side: ir.Egress, policies: []policy{all, do("q", act("retry", args{"attempts": num(3)})), do("r", tagged("all"))},
			probe: web("/flaky/3"), want: "3 spans: trace.- 200 all=50%, trace.- 503 all=50%, trace.- 503 all=50%"},
		{name: "ids", proto: "http", side: both, policies: []policy{all},
			probe: func(t *testing.T, p probe) string {
				if got := each(appSaw("x-request-id"), appSaw("x-request-id", "x-request-id", "mine"))(t, p); got != "[] | [mine]" {
					t.Errorf("the app saw the ids %s", got)
				}
				return ""
			}, want: "2 spans: trace.- 200, trace.- 200"},
	} {
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			if c.side&side != 0 {
				one := *c
				one.side = side
				traced = append(traced, &one)
			}
		}
	}
	client, server := newPair(t)
	prog := newProgram()
	for i, c := range traced {
		for k, policies := range [][]policy{c.policies, nil} {
			c.port[k] = 22000 + 2*i + k
			prog.call(c.port[k], c.proto, c.side, copyPolicies(policies)...)
			c.app[k] = serve(t, server, c.port[k], c.proto.Plane())
		}
	}
	serveDNS(t, client)
	serveDNS(t, server)
	spans := collect(t, server)
	l := prog.layout()
	files := emitted(t, l)
	for _, a := range l.ADMs {
		c := configurationOf(files, a.Dir)
		validate(t, c)
		n := map[bool]*namespace{true: server, false: client}[a == prog.server]
		runADM(t, n, a, c)
	}
	for _, c := range traced {
		for k := range c.port {
			c.got[k] = c.probe(t, probe{n: client, server: server, address: fmt.Sprintf("%s:%d", serverIP, c.port[k]), side: c.side, app: c.app[k]})
		}
	}
	// A flush may come late on a busy machine; what must not come has six seconds.
	missing := func(c *tracing) bool {
		n, _ := strconv.Atoi(strings.Split(c.want, " ")[0])
		return len(spans.named(fmt.Sprintf("server:%d", c.port[0]))) < n
	}
	for start := time.Now(); time.Since(start) < 6*time.Second || time.Since(start) < 20*time.Second && slices.ContainsFunc(traced, missing); {
		time.Sleep(100 * time.Millisecond)
	}
	for _, c := range traced {
		t.Run(fmt.Sprintf("%s/%s/%s", c.name, c.proto, c.side), func(t *testing.T) {
			c.check(t, spans.named(fmt.Sprintf("server:%d", c.port[0])))
			if list := spans.named(fmt.Sprintf("server:%d", c.port[1])); len(list) > 0 || strings.Contains(c.got[1], "trace") {
				t.Errorf("control: %d spans, %s", len(list), c.got[1])
			}
		})
	}
}

type tracing struct {
	name     string
	proto    graph.Protocol
	side     ir.Side
	policies []policy
	probe    func(*testing.T, probe) string
	want     string
	port     [2]int
	app      [2]*app
	got      [2]string
}

func (c *tracing) check(t *testing.T, list []spanSeen) {
	var out, ids []string
	for _, s := range list {
		if want := map[ir.Side]uint64{ir.Ingress: 2, ir.Egress: 3}[c.side]; s.kind != want { // server, client
			t.Errorf("a span of kind %d, want %d", s.kind, want)
		}
		id := "trace"
		if strings.HasPrefix(sampledBy, "00-"+s.trace) {
			id = s.trace[:4]
		}
		parent := "-"
		if s.parent != "" {
			parent = s.parent[:4]
		}
		text := id + "." + parent + " " + s.tags["http.status_code"]
		for _, tag := range []string{"all", "beta"} {
			if v, ok := s.tags[tag]; ok {
				text += " " + tag + "=" + v
			}
		}
		out = append(out, text)
		ids = append(ids, "[00-"+s.trace+"-"+s.span+"-01]")
	}
	slices.Sort(out)
	got := fmt.Sprintf("%d spans", len(list))
	if len(list) > 0 {
		got += ": " + strings.Join(out, ", ")
	}
	if c.want == "about half" {
		if len(list) < 15 || len(list) > 45 {
			t.Errorf("%d spans", len(list))
		}
	} else if got != c.want {
		t.Errorf("got %s, want %s", got, c.want)
	}
	// What the app was told is what the collector was.
	for _, id := range ids {
		if strings.Contains(c.got[0], "[00-") && !strings.Contains(c.got[0], id) {
			t.Errorf("the app was not told of %s: %s", id, c.got[0])
		}
	}
	if sampled := strings.Count(c.got[0], "-01]"); strings.Contains(c.got[0], "[00-") && sampled != len(list) {
		t.Errorf("the app was told of %d spans, the collector of %d", sampled, len(list))
	}
}

// traceparent is the context that the app got.
func traceparent(header ...string) func(*testing.T, probe) string {
	return appSaw("traceparent", append([]string{"x-a", "b"}, header...)...)
}

// A collector takes OTLP over gRPC (opentelemetry/proto/collector/trace/v1) and
// keeps what the tests look at.
type collector struct {
	mu    sync.Mutex
	spans []spanSeen
}

type spanSeen struct {
	trace, span, parent, name string
	kind                      uint64
	tags                      map[string]string
}

func (c *collector) named(name string) []spanSeen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s spanSeen) bool { return s.name != name })
}

// rawCodec leaves messages as they come.
type rawCodec struct{}

func (rawCodec) Name() string                    { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = slices.Clone(b); return nil }

func collect(t *testing.T, n *namespace) *collector {
	_, port, _ := net.SplitHostPort(collectorAt)
	l := n.listen(t, "0.0.0.0:"+port)
	c := &collector{}
	srv := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		for {
			var request []byte
			if err := s.RecvMsg(&request); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			c.take(request)
			reply := []byte{}
			if err := s.SendMsg(&reply); err != nil {
				return err
			}
		}
	}))
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	return c
}

// take reads an ExportTraceServiceRequest: resource_spans, scope_spans, spans.
func (c *collector) take(request []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range fields(request)[1] {
		for _, scope := range fields(resource)[2] {
			for _, span := range fields(scope)[2] {
				f := fields(span)
				s := spanSeen{trace: hexOf(f[1]), span: hexOf(f[2]), parent: hexOf(f[4]), tags: map[string]string{}}
				if len(f[5]) > 0 {
					s.name = string(f[5][0])
				}
				if len(f[6]) > 0 {
					s.kind, _ = protowire.ConsumeVarint(f[6][0])
				}
				for _, attribute := range f[9] {
					a := fields(attribute)
					if len(a[2]) > 0 && len(fields(a[2][0])[1]) > 0 {
						s.tags[string(a[1][0])] = string(fields(a[2][0])[1][0])
					}
				}
				c.spans = append(c.spans, s)
			}
		}
	}
}

// fields of a message by number: bytes as they are, a varint still encoded.
func fields(b []byte) map[protowire.Number][][]byte {
	out := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return out
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 {
			return out
		}
		value := b[:n]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(b)
		}
		out[number] = append(out[number], value)
		b = b[n:]
	}
	return out
}

func hexOf(values [][]byte) string {
	if len(values) == 0 {
		return ""
	}
	return hex.EncodeToString(values[0])
}
