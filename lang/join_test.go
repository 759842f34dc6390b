package lang

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// crossing makes a program in which many policies meet on few ports, equal in
// all but their names, in parts, or not at all.
func crossing(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	n := 2 + r.IntN(14)
	name := func(i int) string { return fmt.Sprintf("p%02d", i) }
	for i := range n {
		switch r.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "@%s\n", pick("ingress", "egress"))
		case 1:
			fmt.Fprintf(&b, "@%s(%s)\n", pick("before", "after"), name(r.IntN(n)))
		case 2:
			fmt.Fprintf(&b, "@priority(%d)\n", r.IntN(3))
		}
		fmt.Fprintf(&b, "policy %s {\n    on %s\n", name(i), pick("* -> recommendation", "frontend -> recommendation", "* -> {checkout, payment}", "{frontend, checkout} -> cart", "* -> * : http", "* -> * : grpc", "search -> geo", "* -> redis-cart"))
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "    when { %s }\n", pick(`request.method == "GET"`, `request.method == "POST"`, `request.headers["x-a"] == "1"`, `request.headers["x-b"] == "2"`,
				`source.service == "frontend"`, `source.labels["tier"] != "web" && request.headers["x-a"] == "2"`, `request.url_path.startsWith("/a")`))
		}
		if r.IntN(9) == 0 {
			b.WriteString("    sample 50%\n")
		}
		for range 1 + r.IntN(3) {
			fmt.Fprintf(&b, "    %s\n", pick("wipe()", "peek()", "deny()", "deny(status: 404)", "rate_limit(5/s)", "rate_limit(9/s)", `rate_limit(5/s, scope: "service")`, `set_header("x-a", "1")`, `set_header("x-b", "1")`,
				`set_header("x-c", "1", of: "response")`, `append_header("x-a", "2")`, `remove_header("x-b")`, "access_log()", "timeout(1s)", "retry(attempts: 2)", "mtls()", "allow()",
				`rewrite(prefix: "/a", with: "/b")`, "max_body(1MiB)", "ext_authz(\"authz:9000\")", `cors(origins: ["https://a.example"])`, "compress()", `metric("m")`, "concurrency_limit(5)", "fault(abort: 503)", `jwt(issuer: "i", jwks_uri: "https://keys.example.com/k")`))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// joined prints what joining gives: rows with their reasons and places, and the
// diagnostics.
func joined(p *ir.Program, bag *diag.Bag) string {
	var b strings.Builder
	for _, r := range p.Rows {
		fmt.Fprintf(&b, "%d %s/%s %s/%s: %s (%s, %s)\n", r.Kind, r.P.ID(), r.PSide, r.Q.ID(), r.QSide, r.Text, r.PAt, r.QAt)
	}
	for _, d := range bag.All() {
		fmt.Fprintf(&b, "%s %s %s %v %v\n", d.At, d.Code, d.Message, d.Hints, d.Notes)
	}
	return b.String()
}

// withWide is the prelude and actions that touch many parts as one, which none of
// its own writes.
func withWide(t *testing.T) *library {
	t.Helper()
	bag := &diag.Bag{}
	more := newLibrary([]*syntax.File{syntax.Parse(diag.NewSource("wide.adm", []byte(`
action wipe() {
    phase  transform
    writes request.headers
    on http, grpc : either
}
action peek() {
    phase observe
    reads request.headers["x-a"]
    on http, grpc : either
}`)), bag)}, bag)
	if len(bag.All()) > 0 {
		t.Fatal(textOf(bag.All()))
	}
	lib := &library{actions: maps.Clone(prelude().actions), names: append(slices.Clone(prelude().names), more.names...)}
	maps.Copy(lib.actions, more.actions)
	slices.Sort(lib.names)
	return lib
}

// merging checks one program twice, merged and by every pair; it gives the number
// of rows and the diagnostics.
func merging(t *testing.T, lib *library, g *graph.Graph, text string) (rows int, said []*diag.Diagnostic) {
	t.Helper()
	f := syntax.Parse(diag.NewSource("x.adm", []byte(text)), &diag.Bag{})
	run := func(pairwise bool) string {
		bag := &diag.Bag{}
		c := newChecker(lib, g, bag)
		c.pairwise = pairwise
		p := c.check([]*syntax.File{f})
		rows, said = len(p.Rows), bag.All()
		return joined(p, bag)
	}
	if merged, pairs := run(false), run(true); merged != pairs {
		t.Fatalf("%s\nmerged:\n%s\nevery pair:\n%s", text, merged, pairs)
	}
	return rows, said
}

// TestMerging: taking equal effects together gives the rows, conflicts and
// warnings that looking at every pair gives.
func TestMerging(t *testing.T) {
	g, lib := shop(t), withWide(t)
	rows, codes := 0, map[diag.Code]int{}
	for seed := range uint64(400) {
		n, said := merging(t, lib, g, crossing(rand.New(rand.NewPCG(seed, 1))))
		rows += n
		for _, d := range said {
			codes[d.Code]++
		}
	}
	if rows < 1500 || codes[Conflict] < 50 || codes[AgainstOrder] == 0 {
		t.Errorf("the programs don't meet: %d rows, %v", rows, codes)
	}
}

// FuzzCrossing makes programs whose policies meet, which changing letters of a
// text hardly ever does.
func FuzzCrossing(f *testing.F) {
	for i := range uint64(20) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		merging(t, withWide(t), shop(t), crossing(rand.New(rand.NewPCG(seed, 2))))
	})
}
