//go:build linux

package envoy

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
)

// What a condition means is said three times: by the compiler where it folds one,
// by the interpreter, and by the proxy. Here each condition of a corpus is a policy
// that sets a response header of its own, so that one answer tells of a hundred.

var everything = flag.Bool("everything", false, "hold all of the corpus of conditions to every request")

const perPort = 110 // conditions and negations

// onPlane is the corpus of a protocol, in a stable order: all of one read, and of
// each operator on the others a part.
func onPlane(t *testing.T, plane graph.Plane) []string {
	t.Helper()
	var all []operand
	for _, name := range lang.Attributes() {
		list := attributeReads(name)
		if list == nil {
			t.Errorf("no condition here reads %s", name)
		}
		if strings.HasPrefix(name, "grpc.") && plane != graph.GRPC || name == "response.code" && plane == graph.GRPC ||
			(strings.HasPrefix(name, "request.") || strings.HasPrefix(name, "response.") || strings.HasPrefix(name, "jwt.")) && plane == graph.TCP {
			continue
		}
		all = append(all, list...)
	}
	var out []string
	for _, op := range lang.Operators() {
		for i, x := range all {
			y := all[(i+1)%len(all)]
			list, known := applied(op, x, y, x.text == `request.headers["x-a"]`)
			if !known {
				t.Fatalf("no condition here has the operator %s", op)
			}
			wide := x.text == `request.headers["x-a"]` || *everything
			for j, c := range list {
				if wide || j%4 == 0 {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// policyOf is a policy that says whether a condition holds.
func policyOf(name, side, condition string) string {
	return fmt.Sprintf("%s policy %s { on client -> server  when { %s }  set_header(%q, \"1\", of: \"response\") }\n", side, name, condition, "x-"+name)
}

// compiling leaves out the conditions that the checker refuses or that are decided
// when compiled.
func compiling(t *testing.T, proto graph.Protocol, side string, conditions []string) []string {
	t.Helper()
	var out []string
	refused := 0
	for _, c := range conditions {
		x := &trial{proto: proto, text: policyOf("p", side, c) + claimsPolicy(side, c)}
		_, p, bag := x.checked(20000)
		if bag.HasErrors() {
			refused++
			if testing.Verbose() {
				t.Logf("refused: %s: %s", c, bag.All()[0].Message)
			}
			continue
		}
		if slices.ContainsFunc(p.Obligations, func(o *ir.Obligation) bool { return o.Policy.Name == "p" && o.Edges[0].Cond != nil }) {
			out = append(out, c)
		}
	}
	t.Logf("%s: %d of %d conditions are the proxy's to decide, %d are refused", proto, len(out), len(conditions), refused)
	return out
}

// claimsPolicy reads the token whose claims a condition looks at.
func claimsPolicy(side, condition string) string {
	if !strings.Contains(condition, "jwt.") {
		return ""
	}
	return fmt.Sprintf("%s policy token { on client -> server  when { \"authorization\" in request.headers }  jwt(issuer: \"iss\", jwks: %q, forward: true) }\n", side, testKeys)
}

// TestConditions holds the corpus on http to the interpreter, at both sides.
func TestConditions(t *testing.T) {
	nth := 4
	if *everything {
		nth = 1
	}
	holdConditions(t, "http", onPlane(t, graph.HTTP), everyNth(wireRequests(), nth))
}

// TestConditionsOnGRPC holds the corpus on grpc to the interpreter.
func TestConditionsOnGRPC(t *testing.T) {
	nth := 4
	if *everything {
		nth = 1
	}
	var requests []wireRequest
	for _, r := range wireRequests() {
		if r.method != "GET" || r.target != "" || len(r.lines) > 0 && (r.lines[0][0] == "connection" || strings.HasPrefix(r.lines[0][0], "Answer-")) || strings.HasPrefix(r.path, "/status/") {
			continue
		}
		if slices.Contains(r.lines, [2]string{"cookie", ""}) || strings.Contains(r.path, "#") { // the client here sends no such line or path
			continue
		}
		r.method = "POST"
		requests = append(requests, r)
	}
	for _, path := range []string{"/a.B/C", "/a.B/", "/a", "/a/b/c", "//a/b", "/shop/a?x=/b", "/GET/http", "/a.B//C", "/http/a,b"} {
		requests = append(requests, wireRequest{method: "POST", path: path, host: "shop", lines: [][2]string{{"x-a", path}}})
	}
	holdConditions(t, "grpc", onPlane(t, graph.GRPC), everyNth(requests, nth))
}

// TestConditionsOnConnections holds the corpus on byte streams to the interpreter:
// each condition closes the connections to a port of its own.
func TestConditionsOnConnections(t *testing.T) {
	client, server := newPair(t)
	var trials []*trial
	var texts []string
	port := 20000
	for _, c := range onPlane(t, graph.TCP) {
		for _, condition := range []string{c, "!(" + c + ")"} {
			x := &trial{proto: "redis", text: "@ingress policy p { on client -> server  when { " + condition + " }  deny() }"}
			_, p, bag := x.checked(port)
			if bag.HasErrors() || len(p.Obligations) == 0 || p.Obligations[0].Edges[0].Cond == nil {
				continue
			}
			port = x.spread(port, 1)
			trials, texts = append(trials, x), append(texts, condition)
			serve(t, server, x.cells[0].port, graph.TCP)
		}
	}
	runLayout(t, map[string]*namespace{"server": server}, together(trials))
	closed := 0
	for i, x := range trials {
		c := x.cells[0]
		to := fmt.Sprintf("%s:%d", serverIP, c.port)
		conn, err := client.dial(context.Background(), to)
		if err != nil {
			t.Fatal(err)
		}
		from := netip.MustParseAddrPort(conn.LocalAddr().String())
		got := greet(conn, nil) == "closed"
		res := lang.NewInterp(c.program).Run(&lang.Request{Call: c.graph.Calls[0], Source: from, Destination: netip.MustParseAddrPort(to)})[0]
		if want := !res.Passed(); got != want {
			t.Errorf("%s from %s to %s: closed is %v, the interpreter %v", texts[i], from, to, got, want)
		}
		if got {
			closed++
		}
	}
	t.Logf("%d of %d conditions close", closed, len(trials))
	if closed == 0 || closed == len(trials) {
		t.Error("which tells nothing")
	}
}

// TestRandomConditions does so with conditions drawn from the corpus and joined.
func TestRandomConditions(t *testing.T) {
	atoms := onPlane(t, graph.HTTP)
	r := rand.New(rand.NewPCG(*firstSeed, 17))
	var draw func(depth int) string
	draw = func(depth int) string {
		if depth == 0 {
			return atoms[r.IntN(len(atoms))]
		}
		sub := func() string { return "(" + draw(r.IntN(depth)) + ")" }
		switch r.IntN(6) {
		case 0, 1:
			return sub() + " && " + sub()
		case 2, 3:
			return sub() + " || " + sub()
		case 4:
			return "!" + sub()
		}
		return sub() + " ? " + sub() + " : " + sub()
	}
	var list []string
	for len(list) < 500 {
		if c := draw(3); !strings.Contains(c, "response.") || !strings.Contains(c, "x-forwarded-proto") { // which is refused
			list = append(list, c)
		}
	}
	holdConditions(t, "http", list, everyNth(wireRequests(), 6))
}

// everyNth gives each port another part of the requests.
func everyNth(all []wireRequest, n int) func(int, string) []wireRequest {
	return func(port int, _ string) []wireRequest {
		var out []wireRequest
		for i := port % n; i < len(all); i += n {
			out = append(out, all[i])
		}
		return out
	}
}

// holdConditions puts conditions on ports, and sends each port the requests that
// are for its number and its conditions.
func holdConditions(t *testing.T, proto graph.Protocol, conditions []string, requests func(port int, conditions string) []wireRequest) {
	client, server := newPair(t)
	serveDNS(t, client)
	serveDNS(t, server)
	var trials []*trial
	texts := map[*trial][]string{}
	port := 20000
	for _, side := range []string{"@ingress", "@egress"} {
		if side == "@egress" { // the same filters decide
			var some []string
			for i := 0; i < len(conditions); i += 4 {
				some = append(some, conditions[i])
			}
			conditions = some
		}
		list := compiling(t, proto, side, conditions)
		for chunk := range slices.Chunk(list, perPort/2) {
			var text strings.Builder
			for i, c := range chunk {
				text.WriteString(policyOf(fmt.Sprint("c", i), side, c) + policyOf(fmt.Sprint("cn", i), side, "!("+c+")"))
			}
			x := &trial{proto: proto, text: text.String() + claimsPolicy(side, strings.Join(chunk, " "))}
			port = x.spread(port, 1)
			if len(x.cells) != 1 {
				_, _, bag := x.checked(port)
				t.Fatalf("%d placements: %v", len(x.cells), bag.All()[0].Message)
			}
			trials = append(trials, x)
			texts[x] = chunk
			serve(t, server, x.cells[0].port, proto.Plane())
		}
	}
	runLayout(t, map[string]*namespace{"client": client, "server": server}, together(trials))
	begin, sent, told, wrong := time.Now(), 0, map[string]map[bool]bool{}, map[string]bool{}
	for number, x := range trials {
		c, in := x.cells[0], lang.NewInterp(x.cells[0].program)
		for _, r := range requests(number, strings.Join(texts[x], "\n")) {
			sent++
			before := time.Now()
			send := r.overWire
			if proto == "grpc" {
				send = r.overGRPC
			}
			from, status, marks, err := send(client, fmt.Sprintf("%s:%d", serverIP, c.port))
			if err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			first, after := r.foreseen(in, c, from, before), time.Now()
			if first.Refused != "" || first.By != "" || status == 400 || proto == "grpc" && status != int(codes.Unimplemented) {
				if status != first.Status {
					t.Errorf("%s: status %d, the interpreter: %d %s", r, status, first.Status, first.Refused)
				}
				continue
			}
			for i, text := range texts[x] {
				yes, no := marks[fmt.Sprint("c", i)], marks[fmt.Sprint("cn", i)]
				w := first.Hits[fmt.Sprint("c", i)] > 0
				if yes != w && yes != no && strings.Contains(text, "request.time") { // another second, perhaps
					w = r.foreseen(in, c, from, after).Hits[fmt.Sprint("c", i)] > 0
				}
				if !wrong[text] && (yes == no || yes != w) {
					wrong[text] = true // one request tells
					t.Errorf("%s\n at %s for %s (status %d): the proxy says %v and %v to its negation, the interpreter %v", text, c.where[len(c.where)-7:], r, status, yes, no, w)
				}
				if told[text] == nil {
					told[text] = map[bool]bool{}
				}
				told[text][yes] = true
			}
		}
	}
	both := 0
	for _, seen := range told {
		if len(seen) == 2 {
			both++
		}
	}
	t.Logf("%d requests in %s; of %d conditions %d come out both ways", sent, time.Since(begin).Round(time.Millisecond), len(told), both)
}

// TestFoldedConditions: what the compiler makes of an operator on constants is what
// it is on headers that hold them.
func TestFoldedConditions(t *testing.T) {
	const a, b = `request.headers["x-a"]`, `request.headers["X-B"]`
	folded := 0
	verdicts := map[bool]int{}
	for _, op := range lang.Operators() {
		list, _ := applied(op, operand{a, "string"}, operand{b, "string"}, true)
		for i, condition := range list {
			v, w := words[i%len(words)], words[(i*7+3)%len(words)]
			if strings.ContainsAny(v+w, "\x00\n\t") || strings.Contains(condition, " in request") || strings.Contains(condition, "has(") {
				continue
			}
			constant := strings.NewReplacer(a, celString(v), b, celString(w)).Replace(condition)
			x := &trial{proto: "http", text: policyOf("p", "@ingress", constant)}
			_, p, bag := x.checked(20000)
			if bag.HasErrors() {
				t.Errorf("%s: %s", constant, bag.All()[0].Message)
				continue
			}
			always := len(p.Obligations) == 1
			if always && p.Obligations[0].Edges[0].Cond != nil {
				t.Errorf("%s is not folded: %s", constant, p.Obligations[0].Edges[0].Cond.Text)
			}
			asked := &trial{proto: "http", text: policyOf("p", "@ingress", condition)}
			asked.spread(20000, 1)
			r := wireRequest{method: "GET", path: "/", host: "shop", lines: [][2]string{{"x-a", v}, {"x-b", w}}}
			c := asked.cells[0]
			if acts := r.foreseen(lang.NewInterp(c.program), c, netip.MustParseAddrPort("10.0.0.1:1"), lang.Epoch).Hits["p"] > 0; acts != always {
				t.Errorf("%s is folded to %v; %s of %q and %q is %v", constant, always, condition, v, w, acts)
			}
			folded++
			verdicts[always]++
		}
	}
	t.Logf("%d conditions are folded: %v", folded, verdicts)
}

// TestJoinedHeaders: what several lines of a header are to a condition.
func TestJoinedHeaders(t *testing.T) {
	var conditions []string
	requests := map[string][]wireRequest{}
	for _, name := range []string{
		"accept", "accept-encoding", "accept-language", "access-control-request-headers", "access-control-request-method", "authorization", "baggage", "cache-control", "content-encoding", "content-type",
		"cookie", "date", "etag", "expect", "forwarded", "from", "grpc-timeout", "if-match", "if-none-match", "if-modified-since", "if-range", "origin", "pragma", "range", "referer", "te", "traceparent", "tracestate", "user-agent", "via",
		"x-a", "x-client-trace-id", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id", "x-real-ip", "x-envoy-internal", "x-envoy-external-address", "x-envoy-original-path",
		"x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "x-envoy-decorator-operation", "x-envoy-attempt-count", "x-envoy-force-trace", "x-envoy-ip-tags", "x-ot-span-context", "x-b3-traceid", "proxy-authorization", "grpc-accept-encoding",
		"x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-alt-stat-name", "x-envoy-max-retries", "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-retriable-status-codes",
		"x-envoy-hedge-on-per-try-timeout", "x-envoy-expected-rq-timeout-ms", "x-envoy-upstream-service-time", "x-admc", "admc-path", "x-envoy-peer-metadata", "x-rate-limit",
	} {
		read := fmt.Sprintf("request.headers[%q]", name)
		conditions = append(conditions, read+` == "a"`, read+` == ",a"`, read+` == "a,"`, read+` == "a,b"`, read+` == ""`, read+` == ","`, fmt.Sprintf("%q in request.headers", name))
		for _, lines := range [][2]string{{"", "a"}, {"a", ""}, {"", ""}, {"a", "b"}} {
			requests[name] = append(requests[name], wireRequest{method: "GET", path: "/", host: "shop", lines: [][2]string{{name, lines[0]}, {name, lines[1]}}})
		}
		for _, one := range []string{"", "a", "trailers"} {
			requests[name] = append(requests[name], wireRequest{method: "GET", path: "/", host: "shop", lines: [][2]string{{name, one}}})
		}
	}
	holdConditions(t, "http", conditions, func(_ int, conditions string) []wireRequest {
		var out []wireRequest
		for _, name := range slices.Sorted(maps.Keys(requests)) {
			if strings.Contains(conditions, fmt.Sprintf("%q", name)) {
				out = append(out, requests[name]...)
			}
		}
		return out
	})
}
