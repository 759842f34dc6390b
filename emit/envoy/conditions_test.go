//go:build linux

package envoy

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
)

// What a condition means is said three times: by the compiler where it folds one,
// by the interpreter, and by the proxy. Here each condition of a corpus is a policy
// that sets a response header of its own, so that one answer tells of a hundred.

var everything = flag.Bool("everything", false, "send every request to every condition of the corpus")

const perPort = 110 // conditions and negations

// onPlane is the corpus of a protocol, in a stable order.
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
			out = append(out, list...)
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

// A wire request is written as it stands.
type wireRequest struct {
	method, path, host string
	lines              [][2]string
}

func (r wireRequest) String() string {
	return fmt.Sprintf("%s %s %q %q", r.method, r.path, r.host, r.lines)
}

// text of the request on HTTP/1.
func (r wireRequest) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.method, r.path, r.host)
	for _, l := range r.lines {
		fmt.Fprintf(&b, "%s: %s\r\n", l[0], l[1])
	}
	return b.String() + "\r\n"
}

// oddValues of headers: what one may hold.
var oddValues = []string{
	"", "a", "A", "ab", "b", "a,b", "é", "e\u0301", "日本", "🙂", "\xff", "a\xffa", "\xc3", "\xed\xa0\x80", "\xc0\x80", "%", "%61", "%)%", `"`, `\`, "a\tb", "0", "-1", "true", "/a", strings.Repeat("a", 300),
}

// wireRequests are requests in which what conditions read is there, absent, empty,
// there several times, and odd.
func wireRequests() []wireRequest {
	base := func(lines ...[2]string) wireRequest { return wireRequest{"GET", "/", "shop", lines} }
	out := []wireRequest{base()}
	for i, v := range oddValues {
		w := oddValues[(i+7)%len(oddValues)]
		out = append(out,
			base([2]string{"x-a", v}), base([2]string{"X-B", v}), base([2]string{"x-a", v}, [2]string{"x-b", v}), base([2]string{"x-a", v}, [2]string{"x-b", w}),
			base([2]string{"x-a", v}, [2]string{"x-b", ""}, [2]string{"x-a", w}),
			base([2]string{"Answer-X-A", v}), base([2]string{"Answer-X-A", v}, [2]string{"Answer-X-B", w}, [2]string{"Answer-X-A", w}))
		if i%5 == 0 {
			out = append(out, base([2]string{"cookie", v}, [2]string{"cookie", w}), base([2]string{"x-request-id", v}), base([2]string{"x-forwarded-proto", v}), base([2]string{"x-forwarded-proto", v}, [2]string{"x-forwarded-proto", w}), base([2]string{"accept", v}))
		}
	}
	for _, name := range []string{"x-request-id", "user-agent", "cookie", "accept", "x-forwarded-proto"} {
		for _, lines := range [][2]string{{"", "a"}, {"a", ""}, {"", ""}, {"a", "b"}} {
			out = append(out, base([2]string{name, lines[0]}, [2]string{name, lines[1]}))
		}
	}
	for _, path := range []string{"/a", "/a?", "/a?b", "/a?b?c", "/?", "/%61", "/A", "/a%20b", "/%c3%a9", "//a", "/a/../b", "/a;x", "/a/.", "/a?/../", "/a?%2f", "/status/200", "/status/404", "/status/503", "/a/b/c", "/" + strings.Repeat("a", 4000)} {
		r := base([2]string{"x-a", "/a"})
		r.path = path
		out = append(out, r)
	}
	for _, host := range []string{"SHOP", "shop:80", "a.b", "[::1]:80", "shop.", "a_b"} {
		r := base()
		r.host = host
		out = append(out, r)
	}
	for _, method := range []string{"POST", "OPTIONS", "DELETE", "get", "A"} {
		r := base()
		r.method = method
		if method == "POST" {
			r.lines = append(r.lines, [2]string{"content-length", "0"})
		}
		out = append(out, r)
	}
	for _, claims := range []string{`"sub":"a"`, `"sub":""`, `"sub":"a,b","Level":"é"`, `"sub":3`, `"Level":3.5`, `"Level":null`, `"Level":true`, `"Level":["a"],"https://shop.example/a":"a"`, `"Level":{"a":"b"}`, `"Level":""`, `"level":"a"`, `"sub":"` + "\\u0000" + `"`, `"sub":"🙂%)%"`} {
		out = append(out, base([2]string{"authorization", signed(`{"iss":"iss",` + claims + `}`)}))
	}
	return out
}

// overWire sends a request on a connection of its own, and gives the names of the
// policies that marked the answer, or why there are none.
func (r wireRequest) overWire(n *namespace, address string) (from netip.AddrPort, status int, marks map[string]bool, err error) {
	c, err := n.dial(context.Background(), address)
	if err != nil {
		return from, 0, nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	from = netip.MustParseAddrPort(c.LocalAddr().(*net.TCPAddr).String())
	io.WriteString(c, r.text())
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<16), &http.Request{Method: r.method})
	if err != nil {
		return from, 0, nil, err
	}
	defer res.Body.Close()
	marks = map[string]bool{}
	for name := range res.Header {
		if strings.HasPrefix(name, "X-C") {
			marks[strings.ToLower(name[2:])] = true
		}
	}
	return from, res.StatusCode, marks, nil
}

// TestConditions holds the corpus on http to the interpreter, at both sides.
func TestConditions(t *testing.T) {
	nth := 6
	if *everything {
		nth = 1
	}
	holdConditions(t, onPlane(t, graph.HTTP), everyNth(nth))
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
	holdConditions(t, list, everyNth(6))
}

// everyNth gives each port another part of the requests.
func everyNth(n int) func(int, string) []wireRequest {
	all := wireRequests()
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
func holdConditions(t *testing.T, conditions []string, requests func(port int, conditions string) []wireRequest) {
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
		list := compiling(t, "http", side, conditions)
		for chunk := range slices.Chunk(list, perPort/2) {
			var text strings.Builder
			for i, c := range chunk {
				text.WriteString(policyOf(fmt.Sprint("c", i), side, c) + policyOf(fmt.Sprint("cn", i), side, "!("+c+")"))
			}
			x := &trial{proto: "http", text: text.String() + claimsPolicy(side, strings.Join(chunk, " "))}
			port = x.spread(port, 1)
			if len(x.cells) != 1 {
				_, _, bag := x.checked(port)
				t.Fatalf("%d placements: %v", len(x.cells), bag.All()[0].Message)
			}
			trials = append(trials, x)
			texts[x] = chunk
			serve(t, server, x.cells[0].port, graph.HTTP)
		}
	}
	runLayout(t, map[string]*namespace{"client": client, "server": server}, together(trials))
	begin, sent, told, wrong := time.Now(), 0, map[string]map[bool]bool{}, map[string]bool{}
	for number, x := range trials {
		c, in := x.cells[0], lang.NewInterp(x.cells[0].program)
		for _, r := range requests(number, strings.Join(texts[x], "\n")) {
			sent++
			before := time.Now()
			from, status, marks, err := r.overWire(client, fmt.Sprintf("%s:%d", serverIP, c.port))
			if err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			first, after := r.foreseen(in, c, from, before), time.Now()
			if first.Refused != "" || first.By != "" || status == 400 {
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

// foreseen is what becomes of the request by the interpreter.
func (r wireRequest) foreseen(in *lang.Interp, c *cell, from netip.AddrPort, at time.Time) *lang.Result {
	headers := lang.Headers{}
	back := lang.Headers{"content-type": {"text/plain; charset=utf-8"}}
	for _, l := range r.lines {
		name := strings.ToLower(l[0])
		headers[name] = append(headers[name], l[1])
		if asked, ok := strings.CutPrefix(name, "answer-"); ok {
			back[asked] = append(back[asked], l[1])
		}
	}
	receiver := func(a lang.Arrival) lang.Answer {
		status := 200
		if n, ok := strings.CutPrefix(a.Path, "/status/"); ok {
			fmt.Sscan(n, &status)
		}
		return lang.Answer{Status: status, Headers: back}
	}
	return in.Run(&lang.Request{
		Call: c.graph.Calls[0], Method: r.method, Path: r.path, Host: r.host, Headers: headers, Receiver: receiver, At: at.Sub(lang.Epoch),
		Source: from, Destination: netip.MustParseAddrPort(fmt.Sprintf("%s:%d", serverIP, c.port)),
	})[0]
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
			r := wireRequest{"GET", "/", "shop", [][2]string{{"x-a", v}, {"x-b", w}}}
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
			requests[name] = append(requests[name], wireRequest{"GET", "/", "shop", [][2]string{{name, lines[0]}, {name, lines[1]}}})
		}
		for _, one := range []string{"", "a", "trailers"} {
			requests[name] = append(requests[name], wireRequest{"GET", "/", "shop", [][2]string{{name, one}}})
		}
	}
	holdConditions(t, conditions, func(_ int, conditions string) []wireRequest {
		var out []wireRequest
		for _, name := range slices.Sorted(maps.Keys(requests)) {
			if strings.Contains(conditions, fmt.Sprintf("%q", name)) {
				out = append(out, requests[name]...)
			}
		}
		return out
	})
}
