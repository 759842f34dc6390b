//go:build linux

package envoy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// observed are rows of actions that watch and change nothing.
var observed = []row{
	{"metric", "http", both, []policy{do("p", act("metric", args{"name": str("plain_total"), "labels": labels("team", "50%", "of", "")}))},
		counted("plain_total", each(web("/"), web("/"), web("/status/404"))),
		`200 app | 200 app | 404 app: {status="200",team="50%"} 2 {status="404",team="50%"} 1`, "200 app | 200 app | 404 app:", served},
	{"metric of a refusal", "http", both, []policy{do("a", act("deny", args{"status": num(418)})), do("p", act("metric", args{"name": str("refused_total")}))},
		counted("refused_total", web("/")), `418: {status="418"} 1`, "200 app:", served},
	{"metric if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("metric", args{"name": str("beta_total")})}}},
		counted("beta_total", each(web("/"), web("/", "x-group", "beta"))), `200 app | 200 app: {status="200"} 1`, "200 app | 200 app:", served},
	{"metric if the answer", "http", both, []policy{{name: "p", when: failedAnswer, reads: answerReads, actions: []*ir.Action{act("metric", args{"name": str("failed_total")})}}},
		counted("failed_total", each(web("/"), web("/status/404"), web("/status/500"), web("/status/503"))),
		`200 app | 404 app | 500 app | 503 app: {status="500"} 1 {status="503"} 1`, "200 app | 404 app | 500 app | 503 app:", served},
	{"metric of a sample, if the answer", "http", both, []policy{{name: "p", sample: 0.5, when: failedAnswer, reads: answerReads, actions: []*ir.Action{act("metric", args{"name": str("sampled_total")})}}},
		counted("sampled_total", each(byIDs(16, "/"), byIDs(16, "/status/500"))), `16 sent | 16 sent: {status="500"} 7`, "16 sent | 16 sent:", served},
	{"set_header of a sample, if the answer", "http", both, []policy{{name: "p", sample: 0.5, when: failedAnswer, reads: answerReads, actions: []*ir.Action{
		act("set_header", args{"name": str("x-resp"), "value": str("bad"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/", "x-request-id", "id-0"), clientSaw("x-resp", "/status/500", "x-request-id", "id-0"), clientSaw("x-resp", "/status/500", "x-request-id", "id-3")),
		"200 [app] | 500 [bad] | 500 [app]", "200 [app] | 500 [app] | 500 [app]", served},
	{"set_header if the answer is a refusal", "http", both, []policy{{name: "a", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		{name: "p", when: fn("_==_", selectField(ident("response"), "code"), lit(403)), reads: answerReads, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("no"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/", "x-group", "beta")), "200 [app] | 403 [no]", "200 [app] | 200 [app]", served},
	{"metric if a header of the answer, as it is changed", "http", both, []policy{
		do("a", act("append_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})),
		{name: "p", when: responseHeaderIs("x-resp", "app,adm"), reads: []string{`response.headers["x-resp"]`}, actions: []*ir.Action{act("metric", args{"name": str("header_total")})}},
		{name: "q", when: responseHeaderIs("x-none", ""), reads: []string{`response.headers["x-none"]`}, actions: []*ir.Action{act("metric", args{"name": str("header_total"), "labels": labels("of", "none")})}}},
		counted("header_total", web("/")), `200 app: {status="200",of="none"} 1 {status="200"} 1`, "200 app:", served},
	{"set_header if a header of the answer", "http", both, []policy{
		{name: "p", when: responseHeaderIs("server", "app"), reads: []string{`response.headers["server"]`}, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})}}},
		clientSaw("x-resp", "/"), "200 [adm]", "200 [app]", served},
	{"access_log if a header of the answer", "grpc", both, []policy{
		{name: "p", when: responseHeaderIs("x-resp", "app"), reads: []string{`response.headers["x-resp"]`}, actions: []*ir.Action{act("access_log", nil)}}},
		logged(rpc("x")), "OK: policy=p status=200 path=/grpc.health.v1.Health/Check", "OK:", served},
	{"metric", "grpc", both, []policy{do("p", act("metric", args{"name": str("rpc_total")}))},
		counted("rpc_total", each(rpc("x"), rpc("code/5"))), `OK | NotFound asked: {status="0"} 1 {status="5"} 1`, "OK | NotFound asked:", served},
	{"metric of a refusal", "grpc", both, []policy{do("a", act("deny", nil)), do("p", act("metric", args{"name": str("rpc_refused_total")}))},
		counted("rpc_refused_total", rpc("x")), `PermissionDenied: {status="7"} 1`, "OK:", served},
	{"metric", "tcp", both, []policy{do("p", act("metric", args{"name": str("streams_total"), "labels": labels("team", "sales")}))},
		counted("streams_total", times(2, greeting)), hello + " | " + hello + `: {team="sales"} 2`, hello + " | " + hello + ":", served},
	{"metric of a closed connection", "tcp", both, []policy{do("a", act("deny", nil)), do("p", act("metric", args{"name": str("closed_total")}))},
		counted("closed_total", greeting), "closed: {} 1", hello + ":", served},
	{"metric if", "tcp", both, []policy{{name: "p", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("metric", args{"name": str("other_total")})}}},
		counted("other_total", each(greeting, greetingFromOther)), hello + " | " + hello + ": {} 1", hello + " | " + hello + ":", served},
	{"a metric counts attempts", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)})), do("q", act("metric", args{"name": str("attempts_total")}))},
		counted("attempts_total", web("/flaky/4")), `200 app: {status="200"} 1 {status="503"} 3`, "503 app:", served},
	{"a metric pinned before a retry counts requests", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})), {name: "q", front: []string{"p"}, actions: []*ir.Action{act("metric", args{"name": str("once_total")})}}},
		counted("once_total", web("/flaky/4")), `200 app: {status="200"} 1`, "503 app:", served},
}

var (
	failedAnswer = fn("_>=_", selectField(ident("response"), "code"), lit(500))
	answerReads  = []string{"response.code"}
)

// responseHeaderIs is how the checker leaves response.headers["name"] == "value".
func responseHeaderIs(name, value string) *exprpb.Expr {
	all := selectField(ident("response"), "headers")
	return fn("_==_", fn("_?_:_", fn("@in", lit(name), all), fn("_[_]", all, lit(name)), lit("")), lit(value))
}

func labels(pairs ...string) ir.Value {
	v := ir.Value{Kind: ir.Map}
	for i := 0; i < len(pairs); i += 2 {
		v.Map = append(v.Map, ir.Entry{Key: pairs[i], Value: str(pairs[i+1])})
	}
	return v
}

// byIDs makes n requests whose ids `denied` has, too.
func byIDs(n int, path string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		for i := range n {
			web(path, "x-request-id", fmt.Sprintf("id-%d", i))(t, p)
		}
		return fmt.Sprintf("%d sent", n)
	}
}

// counted adds by how much a policy's counters went up, as Prometheus would see
// it, label by label.
func counted(name string, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		before := metrics(t, p, name)
		out := f(t, p) + ":"
		time.Sleep(300 * time.Millisecond) // the log is written when the connection has ended
		after := metrics(t, p, name)
		var lines []string
		for labels, n := range after {
			if n > before[labels] {
				lines = append(lines, fmt.Sprintf(" %s %d", labels, n-before[labels]))
			}
		}
		slices.Sort(lines)
		return out + strings.Join(lines, "")
	}
}

var sampleLine = regexp.MustCompile(`(?m)^envoy_admc_(\w+)(\{.*\}) (\d+)$`)

// metrics of the ADM that stands on the probe's side.
func metrics(t *testing.T, p probe, name string) map[string]int {
	n := p.n
	if p.side == ir.Ingress {
		n = p.server
	}
	_, text := get(n, fmt.Sprintf("127.0.0.1:%d", layout.ReadyPort), layout.MetricsPath)
	out := map[string]int{}
	for _, m := range sampleLine.FindAllStringSubmatch(text, -1) {
		if m[1] == name {
			out[m[2]], _ = strconv.Atoi(m[3])
		}
	}
	return out
}
