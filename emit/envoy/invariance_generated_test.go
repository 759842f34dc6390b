//go:build linux

package envoy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// Programs of several policies on the calls of one port, and requests to them, drawn
// by a seed.
const (
	leastPrograms  = 500 // that have something to compare
	generatedCells = 3   // the most placements of one program
)

var (
	generatedPrograms = flag.Int("programs", 600, "the number of generated programs that compile")
	firstSeed         = flag.Uint64("seed", 0, "the first seed of generated programs")
	keep              = flag.Bool("keep", false, "keep generated programs that fail as cases in testdata/kept")
)

// A drawn action is a call to draw, and the condition that it must have: "asked",
// "response", "" for any.
type drawn struct{ call, condition string }

// drawnActions are calls to draw from, on http. NAME, CODE and others are drawn too;
// what ends requests always is under a condition.
var drawnActions = []drawn{
	{`deny(status: CODE, body: "denied by WHO, at a length that is worth it")`, "asked"},
	{`deny(status: CODE)`, "asked"},
	{`allow()`, "not asked"},
	{`jwt(issuer: "iss", jwks: JWKS, forward: true)`, "asked"},
	{`jwt(issuer: "iss", jwks: JWKS)`, "asked"},
	{`cors(origins: ["https://a.test", "https://b.test"], methods: ["PUT"], max_age: 1m)`, ""},
	{`set_header("NAME", "WHO")`, ""},
	{`append_header("NAME", "WHO")`, ""},
	{`remove_header("NAME")`, ""},
	{`set_header("BACK", "WHO", of: "response")`, ""},
	{`append_header("BACK", "WHO", of: "response")`, ""},
	{`append_header("BACK", "WHO", of: "response")`, "response"},
	{`set_header("BACK", "WHO", of: "response")`, "response"},
	{`remove_header("BACK", of: "response")`, ""},
	{`rewrite(prefix: "/v1/", with: "/WHO/")`, ""},
	{`rewrite(host: "WHO.test")`, ""},
	{`compress(["text/plain"])`, ""},
	{`access_log()`, ""},
	{`access_log()`, "response"},
	{`metric("METRIC")`, ""},
	{`metric("METRIC")`, "response"},
	{`rate_limit(rate: 1/h, burst: 3, scope: "SCOPE")`, ""},
	{`rate_limit(rate: 1/h, burst: 5)`, ""},
	{`concurrency_limit(1, scope: "SCOPE")`, ""},
	{`bandwidth_limit(1MiB)`, ""},
	{`max_body(100B)`, ""},
	{`fault(abort: CODE)`, "asked"},
	{`redirect(path: "/moved/WHO")`, "asked"},
	{`respond(status: CODE, body: "a response of WHO, at a length that is worth it")`, "asked"},
	{`rate_limit(rate: 3/h, global: true, scope: "SCOPE", address: "limits.test:19997")`, ""},
	{`timeout(2s)`, ""},
	{`retry(attempts: 2, on: ["unavailable"])`, ""},
	{`retry(attempts: 1, on: ["5xx"])`, ""},
	{`route(version: "v1")`, ""},
	{`split({"v2": 100%})`, ""},
	{`connect_timeout(2s)`, ""},
	{`mirror(version: "v2")`, ""},
	{`ext_authz(address: "guard.test:19998", timeout: 5s)`, ""},
	{`trace("collector.test:19995")`, ""},
	{`hedge(after: 8s)`, ""},
	{`outlier_detection(errors: 50, eject: 1m)`, ""}, // while all pods are out the receiver's side is not asked
	{`idle_timeout(9s)`, ""},
	{`mtls(sds: "SDS")`, ""},
}

// drawnCalls are those for grpc.
var drawnCalls = append([]drawn{
	{`deny(code: "RPC", body: "denied by WHO")`, "asked"},
	{`retry(attempts: 2, on: ["unavailable"])`, ""},
	{`retry(attempts: 1, on: ["internal", "cancelled"])`, ""},
	{`append_header("BACK", "WHO", of: "response")`, "answered"},
	{`metric("METRIC")`, "answered"},
}, slices.DeleteFunc(slices.Clone(drawnActions), func(d drawn) bool {
	return d.condition == "response" || slices.ContainsFunc([]string{"deny(", "cors(", "rewrite(", "compress(", "redirect(", "respond(", "retry("}, func(s string) bool { return strings.HasPrefix(d.call, s) })
})...)

// drawnConnections are those for byte streams.
var drawnConnections = []drawn{
	{`deny()`, "caller"},
	{`allow()`, "caller"},
	{`rate_limit(rate: 1/h, burst: 3, scope: "SCOPE")`, ""},
	{`rate_limit(rate: 1/h, burst: 5)`, ""},
	{`concurrency_limit(1, scope: "SCOPE")`, ""},
	{`concurrency_limit(2)`, ""},
	{`access_log()`, ""},
	{`metric("METRIC")`, ""},
	{`connect_timeout(2s)`, ""},
	{`idle_timeout(1h)`, ""},
	{`route(version: "v1")`, ""},
	{`split({"v2": 100%})`, ""},
	{`outlier_detection(errors: 50, eject: 1m)`, ""},
	{`mtls(sds: "SDS")`, ""},
}

// generate draws a program and its requests.
func generate(seed uint64) *trial {
	r := rand.New(rand.NewPCG(seed, 6))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	x := &trial{proto: graph.Protocol(pick("http", "http", "http", "http", "grpc", "grpc", "tcp", "redis"))}
	list := map[graph.Plane][]drawn{graph.HTTP: drawnActions, graph.GRPC: drawnCalls, graph.TCP: drawnConnections}[x.proto.Plane()]
	if r.IntN(3) == 0 || x.proto.Plane() == graph.TCP && r.IntN(2) == 0 {
		x.identity = pick("none", "addresses", "addresses", "mtls")
	}
	var text strings.Builder
	if x.identity == "mtls" && r.IntN(4) > 0 {
		fmt.Fprintf(&text, "policy p%d_seal {\n    on %s\n    mtls(sds: \"SDS\")\n}\n", seed, pick("* -> server", "* -> server", "other -> server"))
	}
	policies := "abcde"[:2+r.IntN(4)]
	for i, letter := range policies {
		d := list[r.IntN(len(list))]
		who := "x-" + string(letter)
		if i > 0 && r.IntN(8) == 0 {
			fmt.Fprintf(&text, "@%s(p%d_%c)\n", pick("before", "after"), seed, policies[r.IntN(i)])
		}
		calls := oneCall
		if x.identity != "" {
			calls = pick(oneCall, "* -> server", "* -> server", "other -> server")
		}
		fmt.Fprintf(&text, "policy p%d_%c {\n    on %s\n", seed, letter, calls)
		if condition := x.condition(d.condition, who, pick); condition != "" {
			fmt.Fprintf(&text, "    %s\n", condition)
		}
		call := strings.NewReplacer("WHO", who, "JWKS", fmt.Sprintf("%q", testKeys), "METRIC", fmt.Sprintf("%c_PORT", letter), "CODE", pick("503", "404", "429"),
			"RPC", pick("UNAVAILABLE", "INTERNAL", "NOT_FOUND", "PERMISSION_DENIED"), "SCOPE", pick("caller", "service", "pod"),
			"NAME", pick("x-mark", "x-more"), "BACK", pick("x-back", "x-powered-by", "etag")).Replace(d.call)
		fmt.Fprintf(&text, "    %s\n}\n", call)
	}
	x.text = text.String()
	x.anyPod = strings.Contains(x.text, "outlier_detection(")
	for i := range 9 {
		q := attempted{ID: fmt.Sprintf("%d-%d", seed, i), Held: r.IntN(5) == 0}
		if x.identity != "" {
			q.From = pick("client", "other")
		}
		switch x.proto.Plane() {
		case graph.HTTP:
			q.draw(r, pick, policies)
			if x.identity != "" { // a receiver's ADM makes one of all spellings for all callers, or for none
				q.Path = pick("/v1/x?q=1", "/other", "/x-a/b")
			}
		case graph.GRPC:
			q.drawCall(r, pick, policies)
		}
		x.requests = append(x.requests, q)
	}
	return x
}

// condition draws one of a kind; "" is any kind, or none.
func (x *trial) condition(kind, who string, pick func(...string) string) string {
	if kind == "" {
		switch {
		case x.proto.Plane() == graph.TCP && x.identity == "":
		case x.proto.Plane() == graph.TCP:
			kind = pick("", "", "caller")
		case x.identity != "":
			kind = pick("", "", "", "asked", "path", "method", "header", "sample", "caller", "caller or asked")
		default:
			kind = pick("", "", "", "asked", "path", "method", "header", "sample")
		}
	}
	when := func(format string, args ...any) string { return "when { " + fmt.Sprintf(format, args...) + " }" }
	path := pick("/v1/", "/x-a/", "/other")
	if x.proto.Plane() == graph.GRPC {
		path = pick("/shop.Cart/", "/other")
	}
	switch kind {
	case "asked":
		return when(`request.headers[%q] == "1"`, who)
	case "not asked":
		return when(`request.headers[%q] == ""`, who)
	case "path":
		return when(`request.url_path.startsWith(%q)`, path)
	case "method":
		return when(`request.method == %q`, pick("GET", "POST"))
	case "header":
		return when(`request.headers[%q] == %q`, pick("x-mark", "x-more"), pick("old", "x-a", "x-b", ""))
	case "response":
		return when(`response.code %s`, pick(">= 500", "== 200", "== 429", "< 500"))
	case "answered":
		return when(`response.headers[%q] == %q`, pick("x-back", "x-powered-by"), pick("app", "go", "x-a", ""))
	case "caller":
		return when(`source.service == %q`, pick("client", "other"))
	case "caller or asked":
		return when(`source.service == %q || request.headers[%q] == "1"`, pick("client", "other"), who)
	case "sample":
		return "sample 50%"
	}
	return ""
}

// draw gives a request what makes policies act.
func (q *attempted) draw(r *rand.Rand, pick func(...string) string, policies string) {
	q.Path, q.Method = pick("/v1/x?q=1", "/v1/x?q=1", "/other", "/v1/../x-a/b", "//v1/a"), pick("", "", "", "POST", "OPTIONS")
	q.ask(r, pick, policies)
	if q.Method == "POST" {
		q.Body = 1 + r.IntN(200)
	}
	if r.IntN(4) == 0 && !q.Held {
		q.add("x-fail", pick("503", "500.503", "503.503.503", "404"))
	}
	if r.IntN(3) == 0 {
		q.add("origin", pick("https://a.test", "https://c.test"))
		if q.Method == "OPTIONS" {
			q.add("access-control-request-method", "PUT")
		}
	}
	if r.IntN(2) == 0 {
		q.add("accept-encoding", pick("gzip", "identity", "gzip;q=0"))
	}
}

// drawCall is draw on grpc.
func (q *attempted) drawCall(r *rand.Rand, pick func(...string) string, policies string) {
	q.ask(r, pick, policies)
	if r.IntN(3) == 0 {
		q.Body = 10 + 200*r.IntN(2)
	}
	if r.IntN(4) == 0 && !q.Held {
		q.add("x-fail", pick("14", "13.14", "14.14.14", "5"))
	}
}

// ask gives a request the headers that conditions look at.
func (q *attempted) ask(r *rand.Rand, pick func(...string) string, policies string) {
	for _, letter := range policies {
		if r.IntN(4) == 0 {
			q.add("x-"+string(letter), "1")
		}
	}
	if r.IntN(2) == 0 {
		q.add("x-mark", pick("old", "x-a"))
	}
	if r.IntN(3) > 0 {
		q.add("authorization", bearer("iss", "shop", "ann"))
	}
	if r.IntN(6) == 0 {
		q.add("x-guard", "no")
	}
}

func (q *attempted) add(name, value string) { q.Headers = append(q.Headers, name, value) }

// compiles reports whether the checker and the backend take a trial's program. What
// one of its placements is refused for, all are: the solver may choose any.
func (x *trial) compiles(t *testing.T) bool {
	probe := *x
	probe.spread(20000, generatedCells)
	if len(probe.cells) > 0 && probe.cells[0].countsCopies() {
		return false
	}
	refused := 0
	var why []string
	for _, c := range probe.cells {
		if said := c.refusals(); len(said) > 0 {
			refused++
			why = append(why, c.where+": "+strings.Join(said, "; "))
		}
	}
	if refused > 0 && refused < len(probe.cells) {
		t.Errorf("%s\nsome placements are refused:\n  %s", x.text, strings.Join(why, "\n  "))
	}
	return len(probe.cells) > 0 && refused == 0
}

// countsCopies reports whether something that is only at the receiver's side counts or
// tells of requests that are copied at the caller's: of two that come at one time
// nobody can say which is first.
func (c *cell) countsCopies() bool {
	mirrors, counts := false, false
	for _, o := range c.program.Obligations {
		for _, a := range o.Actions {
			mirrors = mirrors || a.Name() == "mirror"
			counts = counts || o.May == ir.Ingress && (a.Decl.State != "" || a.Decl.Phase == ir.Observe)
		}
	}
	return mirrors && counts
}

// TestGeneratedPrograms: what the interpreter says of generated programs is what
// proxies do, wherever the policies are placed.
func TestGeneratedPrograms(t *testing.T) {
	t.Parallel()
	var all []*trial
	seed := *firstSeed
	for ; len(all) < *generatedPrograms; seed++ {
		if seed-*firstSeed > 4*uint64(*generatedPrograms) {
			t.Fatalf("only %d of %d seeds give programs", len(all), seed-*firstSeed)
		}
		if x := generate(seed); x.compiles(t) {
			x.name = fmt.Sprint(seed)
			all = append(all, x)
		}
	}
	compared := map[graph.Protocol]int{}
	for batch := range slices.Chunk(all, 200) {
		invariant(t, batch, generatedCells)
		for _, x := range batch {
			if slices.ContainsFunc(x.foreseen, func(p prophecy) bool { return p.why == "" || p.partly }) {
				compared[x.proto]++
			}
		}
	}
	t.Logf("seeds from %d to %d; compared with the interpreter: %v", *firstSeed, seed-1, compared)
	total := 0
	for _, n := range compared {
		total += n
	}
	if total < min(leastPrograms, *generatedPrograms*5/6) {
		t.Errorf("%d programs compared with the interpreter, want %d", total, leastPrograms)
	}
}
