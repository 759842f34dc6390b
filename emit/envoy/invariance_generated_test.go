//go:build linux

package envoy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
)

// Programs of several policies on one call, and requests to them, drawn by a seed.
const (
	generatedSeeds = 170 // on top of the kept ones
	generatedCells = 3   // the most placements of one program
)

var firstSeed = flag.Uint64("seed", 0, "the first seed of generated programs")

// keptSeeds are those outside of the usual range that once failed.
var keptSeeds = []uint64{1074, 6138}

// drawnActions are calls to draw from. NAME, CODE and WHO are drawn too; what ends
// requests always is under a condition.
var drawnActions = []struct {
	call      string
	condition string // one that it must have: "asked", "response", "" for any
}{
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
	{`rate_limit(rate: 1/h, burst: 3)`, ""},
	{`rate_limit(rate: 1/h, burst: 5)`, ""},
	{`concurrency_limit(1)`, ""},
	{`bandwidth_limit(1MiB)`, ""},
	{`max_body(100B)`, ""},
	{`fault(abort: CODE)`, "asked"},
	{`redirect(path: "/moved/WHO")`, "asked"},
	{`respond(status: CODE, body: "a response of WHO, at a length that is worth it")`, "asked"},
	{`timeout(2s)`, ""},
	{`retry(attempts: 2, on: ["unavailable"])`, ""},
	{`retry(attempts: 1, on: ["5xx"])`, ""},
	{`route(version: "v1")`, ""},
	{`split({"v2": 100%})`, ""},
	{`connect_timeout(2s)`, ""},
	{`mirror(version: "v2")`, ""},
	{`ext_authz(address: "guard.test:19998", timeout: 5s)`, ""},
	{`trace("collector.test:19995")`, ""},
}

// generate draws a program and its requests.
func generate(seed uint64) *trial {
	r := rand.New(rand.NewPCG(seed, 6))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	x := &trial{proto: "http"}
	var text strings.Builder
	policies := "abcde"[:2+r.IntN(4)]
	for i, letter := range policies {
		a := drawnActions[r.IntN(len(drawnActions))]
		who := "x-" + string(letter)
		condition := a.condition
		if condition == "" {
			condition = pick("", "", "", "asked", "path", "method", "header", "sample")
		}
		switch {
		case strings.Contains(a.call, "mirror") || strings.Contains(a.call, "trace") || strings.Contains(a.call, "ext_authz"):
			x.unforeseen = true
		}
		if i > 0 && r.IntN(8) == 0 {
			fmt.Fprintf(&text, "@%s(p%d_%c)\n", pick("before", "after"), seed, policies[r.IntN(i)])
		}
		fmt.Fprintf(&text, "policy p%d_%c {\n    on client -> server\n", seed, letter)
		switch condition {
		case "asked":
			fmt.Fprintf(&text, "    when { request.headers[%q] == \"1\" }\n", who)
		case "not asked":
			fmt.Fprintf(&text, "    when { request.headers[%q] == \"\" }\n", who)
		case "path":
			fmt.Fprintf(&text, "    when { request.url_path.startsWith(%q) }\n", pick("/v1/", "/x-a/", "/other"))
		case "method":
			fmt.Fprintf(&text, "    when { request.method == %q }\n", pick("GET", "POST"))
		case "header":
			fmt.Fprintf(&text, "    when { request.headers[%q] == %q }\n", pick("x-mark", "x-more"), pick("old", "x-a", "x-b", ""))
		case "response":
			fmt.Fprintf(&text, "    when { response.code %s }\n", pick(">= 500", "== 200", "== 429", "< 500"))
		case "sample":
			text.WriteString("    sample 50%\n")
		}
		call := strings.NewReplacer("WHO", who, "JWKS", fmt.Sprintf("%q", testKeys), "METRIC", fmt.Sprintf("%c_PORT", letter), "CODE", pick("503", "404", "429"),
			"NAME", pick("x-mark", "x-more"), "BACK", pick("x-back", "x-powered-by", "etag")).Replace(a.call)
		fmt.Fprintf(&text, "    %s\n}\n", call)
	}
	x.text = text.String()
	for i := range 9 {
		q := attempted{id: fmt.Sprintf("%d-%d", seed, i), path: pick("/v1/x?q=1", "/v1/x?q=1", "/other", "/v1/../x-a/b", "//v1/a"), method: pick("", "", "", "POST", "OPTIONS")}
		add := func(name, value string) { q.headers = append(q.headers, name, value) }
		for _, letter := range policies {
			if r.IntN(4) == 0 {
				add("x-"+string(letter), "1")
			}
		}
		if q.method == "POST" {
			q.body = 1 + r.IntN(200)
		}
		if r.IntN(4) == 0 {
			add("x-fail", pick("503", "500.503", "503.503.503", "404"))
		}
		if r.IntN(3) == 0 {
			add("origin", pick("https://a.test", "https://c.test"))
			if q.method == "OPTIONS" {
				add("access-control-request-method", "PUT")
			}
		}
		if r.IntN(2) == 0 {
			add("accept-encoding", pick("gzip", "identity", "gzip;q=0"))
		}
		if r.IntN(2) == 0 {
			add("x-mark", pick("old", "x-a"))
		}
		if r.IntN(3) > 0 {
			add("authorization", bearer("iss", "shop", "ann"))
		}
		if r.IntN(6) == 0 {
			add("x-guard", "no")
		}
		x.requests = append(x.requests, q)
	}
	return x
}

// compiles reports whether the checker and the backend take a trial's program.
func (x *trial) compiles() bool {
	probe := &trial{text: x.text, proto: x.proto}
	if probe.spread(20000, generatedCells); len(probe.cells) == 0 {
		return false
	}
	var bag diag.Bag
	var files emit.Files
	Backend{}.Emit(newProgram().cells([]*trial{probe}), &files, &bag)
	return !bag.HasErrors()
}

// TestGeneratedPrograms: what the interpreter says of generated programs is what
// proxies do, wherever the policies are placed.
func TestGeneratedPrograms(t *testing.T) {
	seeds := append([]uint64{}, keptSeeds...)
	for i := range uint64(generatedSeeds) {
		seeds = append(seeds, *firstSeed+i)
	}
	var trials []*trial
	foreseen := 0
	for _, seed := range seeds {
		if x := generate(seed); x.compiles() {
			trials = append(trials, x)
			if !x.unforeseen {
				foreseen++
			}
		}
	}
	t.Logf("from seed %d on, %d of %d seeds give programs, of %d the interpreter knows all", *firstSeed, len(trials), len(seeds), foreseen)
	if len(trials) < len(seeds)/3 {
		t.Error("most programs don't compile")
	}
	invariant(t, trials, generatedCells)
}
