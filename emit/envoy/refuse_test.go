package envoy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/emit"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// TestRefused: what has no exact configuration is an error, and no file.
func TestRefused(t *testing.T) {
	var many []policy
	for i := range 4 { // 5 x 5 x 5 combinations
		for _, a := range []*ir.Action{act("timeout", args{"after": dur(time.Second)}), act("retry", nil), act("route", args{"version": str("v1")})} {
			name := fmt.Sprintf("x-%s-%d", a.Name(), i)
			many = append(many, policy{name: name, when: headerIs(name, "1"), actions: []*ir.Action{a}})
		}
	}
	var streams []policy
	for i := range maxConditions + 1 {
		streams = append(streams, policy{name: fmt.Sprint("p", i), when: lit(true), actions: []*ir.Action{act("deny", nil)}})
	}
	list := &exprpb.Expr{ExprKind: &exprpb.Expr_StructExpr{StructExpr: &exprpb.Expr_CreateStruct{}}}
	for _, c := range []struct {
		name     string
		proto    graph.Protocol
		policies []policy
		want     string
	}{
		{"an unknown action", "http", []policy{do("p", act("teleport", nil))}, "no data plane can do teleport on http"},
		{"an action of messages on bytes", "redis", []policy{do("p", act("set_header", nil))}, "no data plane can do set_header on redis"},
		{"a share of a burst", "http", []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Second), "burst": num(2)}))}, "a burst of 2 for 3 replicas"},
		{"the host header", "http", []policy{do("p", act("set_header", args{"name": str("Host"), "value": str("x")}))}, `set_header of "Host"`},
		{"a pseudo header", "grpc", []policy{do("p", act("remove_header", args{"name": str(":path")}))}, `remove_header of ":path"`},
		{"removal by the answer", "http", []policy{{name: "p", when: fn("_>=_", selectField(ident("response"), "code"), lit(500)), reads: []string{"response.code"},
			actions: []*ir.Action{act("remove_header", args{"name": str("x"), "of": str("response")})}}}, "remove_header with a condition on the response"},
		{"an answer by the answer", "http", []policy{{name: "p", when: fn("_>=_", selectField(ident("response"), "code"), lit(500)), reads: []string{"response.code"},
			actions: []*ir.Action{act("deny", nil)}}}, "deny with a condition on the response"},
		{"x-forwarded-proto by the answer", "http", []policy{{name: "p", when: fn("_&&_", headerIs("x-forwarded-proto", "https"), fn("_>=_", selectField(ident("response"), "code"), lit(500))),
			reads: []string{"response.code", `request.headers["x-forwarded-proto"]`}, actions: []*ir.Action{act("metric", args{"name": str("m")})}}}, "a condition on the answer that reads x-forwarded-proto"},
		{"a key set nowhere", "http", []policy{do("p", act("jwt", args{"issuer": str("i"), "jwks_uri": str("file:///keys")}))}, `a key set at "file:///keys"`},
		{"a header of a byte stream", "redis", []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("header:x-user")}))}, "lb by header:x-user on redis"},
		{"one zone only", "http", []policy{do("p", act("locality", args{"mode": str("only")}))}, "locality with mode only"},
		{"two that choose", "redis", []policy{do("p", act("locality", nil)), do("q", act("lb", nil))}, "locality beside lb"},
		{"two that choose a request's pod", "http", []policy{do("p", act("locality", nil)), do("q", act("route", args{"version": str("v1")}))}, "locality beside lb"},
		{"spans by a condition", "http", []policy{{name: "p", when: headerIs("x-group", "beta"), reads: []string{`request.headers["x-group"]`}, actions: []*ir.Action{act("trace", nil)}}}, "trace with a condition or a sample"},
		{"a condition on the context of spans", "http", []policy{do("p", act("trace", nil)),
			{name: "q", when: headerIs("traceparent", ""), reads: []string{`request.headers["traceparent"]`}, actions: []*ir.Action{act("deny", nil)}}}, "trace beside a condition that reads traceparent"},
		{"too many combinations", "http", many, "more than 64 combinations"},
		{"too many filter chains", "tcp", streams, "more than 6 conditional policies"},
		{"a global budget of connections", "redis", []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Second), "global": boolean(true)}))}, "rate_limit with global: true on redis"},
		{"a global budget for each fortnight", "http", []policy{do("p", act("rate_limit", args{"rate": rate(10, 14*24*time.Hour), "global": boolean(true)}))}, "rate_limit of a global budget for each 336h0m0s"},
		{"a share of less than one", "grpc", []policy{do("p", act("concurrency_limit", args{"max": num(2)}))}, "concurrency_limit of 2 for 3 replicas"},
		{"a share of less than a KiB", "http", []policy{do("p", act("bandwidth_limit", args{"limit": num(3000)}))}, "bandwidth_limit of less than 1 KiB a second for each of 3 proxies"},
		{"a place between two wrappers", "http", []policy{do("p", act("timeout", args{"after": dur(time.Second)})), do("q", act("retry", nil)),
			{name: "r", front: []string{"q"}, actions: []*ir.Action{act("deny", nil)}}}, "deny between wrappers: before retry of policy q and within timeout of policy p"},
		{"an expression that Envoy has not", "http", []policy{{name: "p", when: list, actions: []*ir.Action{act("deny", nil)}}}, "a condition with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProgram()
			p.client.Service.MaxReplicas = 3
			p.call(8080, c.proto, ir.Egress, c.policies...)
			var bag diag.Bag
			var files emit.Files
			Backend{}.Emit(p.layout(), &files, &bag)
			all := bag.All()
			if len(all) != 1 || all[0].Code != CodeUnsupported || !strings.Contains(all[0].Message, c.want) {
				t.Errorf("got %v, want %q", messages(all), c.want)
			}
			if len(files.Paths()) > 0 {
				t.Errorf("files all the same: %v", files.Paths())
			}
		})
	}
}

func messages(list []*diag.Diagnostic) []string {
	var out []string
	for _, d := range list {
		out = append(out, string(d.Code)+": "+d.Message)
	}
	return out
}

// TestBucket: what a proxy gets of a budget, without rounding.
func TestBucket(t *testing.T) {
	for _, c := range []struct {
		rate     ir.Value
		burst    int64
		scope    string
		replicas int
		want     string // size, tokens per interval
	}{
		{rate(500, time.Second), 0, "caller", 1, "500, 500 per 1s"},
		{rate(500, time.Second), 50, "caller", 1, "50, 500 per 1s"},
		{rate(500, time.Second), 50, "caller", 4, "12, 500 per 4s"},
		{rate(500, time.Second), 50, "pod", 4, "50, 500 per 1s"},
		{rate(500, time.Second), 0, "service", 3, "166, 500 per 3s"},
		{rate(10, time.Minute), 0, "caller", 1, "1, 10 per 1m0s"},
		{rate(90, time.Minute), 0, "caller", 1, "1, 90 per 1m0s"},
		{rate(1000, time.Hour), 0, "caller", 7, "1, 1000 per 7h0m0s"},
		{rate(7, 10*time.Millisecond), 0, "caller", 1, "700, 56 per 80ms"},
	} {
		p := newProgram()
		p.client.Service.MaxReplicas = c.replicas
		p.call(8080, "http", ir.Egress, do("p", act("rate_limit", args{"rate": c.rate, "burst": num(c.burst), "scope": str(c.scope)})))
		a := newADM(p.client, &diag.Bag{})
		b := a.bucket(a.calls(p.client.Listeners[0])[0])
		got := fmt.Sprintf("%d, %d per %s", b.MaxTokens, b.TokensPerFill.GetValue(), b.FillInterval.AsDuration())
		if got != c.want {
			t.Errorf("%d in %s, burst %d, %s, %d replicas: got %s, want %s", c.rate.Int, c.rate.Dur, c.burst, c.scope, c.replicas, got, c.want)
		}
	}
}
