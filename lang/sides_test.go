package lang

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// TestBothEnds uses an action that needs an ADM at both ends, of which the
// standard ones have none yet.
func TestBothEnds(t *testing.T) {
	bag := &diag.Bag{}
	src := diag.NewSource("lib.adm", []byte(`
action seal() {
    phase transport
    on http : both
    on grpc : egress
}
action note() {
    phase observe
    on http, grpc : either
}`))
	src.Embedded = true // as the standard ones are
	lib := newLibrary([]*syntax.File{syntax.Parse(src, bag)}, bag)
	run := func(text string) string {
		bag := &diag.Bag{}
		f := syntax.Parse(diag.NewSource("p.adm", []byte(text)), bag)
		return listing(check(lib, []*syntax.File{f}, shop(t), bag), bag)
	}
	got := run("policy a { on frontend -> {checkout, search}  note()  seal() }")
	want := `a@checkout:8080 http: note#1, free
  from frontend
a@checkout:8080#both http: seal#0, both
  from frontend
a@search:9000 grpc: seal#0 note#1, egress
  from frontend
  not ingress (action): seal acts only at the caller's side of grpc, p.adm:1:55
`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
	got = run("policy a { on internet -> frontend  seal() }")
	if !strings.Contains(got, "no-side") || !strings.Contains(got, "both ends") {
		t.Errorf("an external end was accepted:\n%s", got)
	}
}

// TestIdentityNotYet: the error stands in the graph file.
func TestIdentityNotYet(t *testing.T) {
	text := "apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: g, namespace: n}\nidentity: ports\nservices: {a: {}}\n"
	g := loadGraph(t, "graph.yaml", []byte(text))
	_, bag := checkText(g, "")
	all := bag.All()
	if len(all) != 1 || all[0].Code != NotYet || all[0].At.Text() != "ports" || all[0].At.Src != g.Src {
		t.Errorf("got:\n%s", textOf(all))
	}
}

// TestOrderOfFiles: neither the order of the files nor of the declarations in
// them changes what a program means.
func TestOrderOfFiles(t *testing.T) {
	texts := []string{
		"let slow = 2s\npolicy m { on search -> geo  timeout($slow) }",
		"policy z { on * -> geo  rate_limit(5/s) }\npolicy a { on * -> geo  deny() }",
		"policy b { on search -> $places  set_header(\"x-b\", \"1\") }\nlet places = {geo}",
	}
	g := shop(t)
	var want string
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		bag := &diag.Bag{}
		var files []*syntax.File
		for _, i := range order {
			files = append(files, syntax.Parse(diag.NewSource(fmt.Sprintf("f%d.adm", i), []byte(texts[i])), bag))
		}
		got := listing(Check(files, g, bag), bag)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("order %v gives\n%s\ninstead of\n%s", order, got, want)
		}
	}
}

// TestFailClosed: security policies fail closed unless the policy says another
// thing.
func TestFailClosed(t *testing.T) {
	for text, want := range map[string]bool{
		"policy a { on search -> geo  deny() }":                        true,
		"policy a { on search -> geo  rate_limit(5/s) }":               false,
		"policy a { on search -> geo  rate_limit(5/s)  deny() }":       true,
		"@fail(open)\npolicy a { on search -> geo  deny() }":           false,
		"@fail(closed)\npolicy a { on search -> geo  access_log() }":   true,
		"@fail(\"open\")\npolicy a { on search -> geo  access_log() }": false,
	} {
		p, bag := checkText(shop(t), text)
		if len(bag.All()) > 0 || p.Policies[0].FailClosed != want {
			t.Errorf("%s: closed %v\n%s", text, !want, textOf(bag.All()))
		}
	}
}

// TestArguments: positions, names, defaults, references and words are the same
// to what comes after.
func TestArguments(t *testing.T) {
	var want map[string]ir.Value
	for _, text := range []string{
		"policy a { on search -> geo  rate_limit(rate: 300/m, burst: 7, scope: \"service\") }",
		"policy a { on search -> geo  rate_limit(300/m, 7, service) }",
		"let many = 300/m\nlet n = 7\npolicy a { on search -> geo  rate_limit($many, scope: service, burst: $n) }",
		"let twice = $many\nlet many = 300/m\npolicy a { on search -> geo  rate_limit($twice, 7, service) }",
	} {
		p, bag := checkText(shop(t), text)
		if all := bag.All(); len(all) > 0 {
			t.Fatalf("%s\n%s", text, textOf(all))
		}
		got := p.Policies[0].Actions[0].Args
		if want == nil {
			want = got
		}
		for name, v := range want {
			if !sameValue(v, got[name]) {
				t.Errorf("%s: %s is %v, not %v", text, name, got[name], v)
			}
		}
	}
	p, _ := checkText(shop(t), "policy a { on search -> geo  retry() }")
	args := p.Policies[0].Actions[0].Args
	if args["attempts"].Int != 2 || len(args["on"].List) != 3 || !args["on"].List[0].At.IsZero() {
		t.Errorf("defaults of retry: %v", args)
	}
}

func TestGlobMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "geo", true}, {"*", "", true}, {"mongodb-*", "mongodb-geo", true}, {"mongodb-*", "mongodb", false},
		{"*-geo", "mongodb-geo", true}, {"*-geo", "geo", false}, {"a*b*c", "axbxc", true}, {"a*b*c", "acb", false},
		{"a*a", "a", false}, {"geo", "geo", true}, {"geo", "geos", false}, {"*o*o*", "foo", true}, {"*o*o*", "fo", false},
	} {
		if got := globMatch(c.pattern, c.name); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.name, got)
		}
	}
}

// TestExcludesIsTrue holds what excludes claims to every value of two operands:
// it never claims too much. Conditions are random.
func TestExcludesIsTrue(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	names, constants := []string{"request.method", "request.host"}, []string{"a", "b", "c"}
	type holds func(map[string]string) bool
	var random func(depth int) (string, holds)
	random = func(depth int) (string, holds) {
		n := names[rng.Intn(2)]
		c, d := constants[rng.Intn(3)], constants[rng.Intn(3)]
		kind := rng.Intn(7)
		if depth == 0 {
			kind = rng.Intn(4)
		}
		switch kind {
		case 0:
			return fmt.Sprintf("%s == %q", n, c), func(v map[string]string) bool { return v[n] == c }
		case 1:
			return fmt.Sprintf("%q == %s", c, n), func(v map[string]string) bool { return v[n] == c }
		case 2:
			return fmt.Sprintf("%s != %q", n, c), func(v map[string]string) bool { return v[n] != c }
		case 3:
			return fmt.Sprintf("%s in [%q, %q]", n, c, d), func(v map[string]string) bool { return v[n] == c || v[n] == d }
		case 4:
			e, f := random(depth - 1)
			return "!(" + e + ")", func(v map[string]string) bool { return !f(v) }
		}
		e, f := random(depth - 1)
		g, h := random(depth - 1)
		if kind == 5 {
			return "(" + e + ") && (" + g + ")", func(v map[string]string) bool { return f(v) && h(v) }
		}
		return "(" + e + ") || (" + g + ")", func(v map[string]string) bool { return f(v) || h(v) }
	}
	claims := 0
	for range 3000 {
		e, f := random(3)
		g, h := random(3)
		if !excludes(compiled(t, e, graph.HTTP).root, compiled(t, g, graph.HTTP).root) {
			continue
		}
		claims++
		for _, x := range append(constants, "other") {
			for _, y := range append(constants, "other") {
				v := map[string]string{names[0]: x, names[1]: y}
				if f(v) && h(v) {
					t.Fatalf("both hold for %v:\n%v\n%v", v, e, g)
				}
			}
		}
	}
	if claims < 300 {
		t.Errorf("only %d pairs were claimed to exclude each other", claims)
	}
}

// TestWaysOut: a hint is one only if following it gives the policy a side.
func TestWaysOut(t *testing.T) {
	g := loadGraph(t, "graph.yaml", []byte(`apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: g, namespace: g}
services:
  web: {ports: [{port: 80, protocol: http}]}
  cart: {ports: [{port: 80, protocol: http}]}
  door: {ports: [{port: 80, protocol: http}]}
  cron: {adm: never}
  node: {adm: never, ports: [{port: 80, protocol: http}]}
externals:
  net: {}
  pay: {host: pay.example.com, port: 443, protocol: tls}
calls:
  - {from: net, to: [web, door, node]}
  - {from: web, to: [web, cart, node, pay]}
  - {from: cart, to: web}
  - {from: cron, to: cart}
`))
	const alike, own = "let the policy treat", "in a policy of their own"
	for _, c := range []struct{ text, has, not string }{
		{"@ingress policy p { on web -> cart  timeout(1s) }", "without @ingress it could be enforced at egress", own},
		{"@ingress policy p { on cron -> cart  timeout(1s) }", "", "without @ingress"},
		{"@ingress policy p { on web -> web  deny() }", "without @ingress it could be enforced at egress", own},
		{"@ingress policy p { on net -> web, * -> web  deny() }", "name the service's calls to itself in a policy of their own", "externals"},
		{"@strict policy p { on web -> pay  deny() }", "without @strict it could be enforced at egress", own},
		{"@strict policy p { on web -> pay, web -> cart  deny() }", "name the calls from and to externals in a policy of their own", ""},
		{"@egress policy p { on net -> door  deny() }", "without @egress it could be enforced at ingress", own},
		{"policy p { on net -> node  deny() }", "", alike},
	} {
		_, bag := checkText(g, c.text)
		text := textOf(bag.All())
		if !strings.Contains(text, "error[no-side]") || !strings.Contains(text, c.has) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("want %q, and not %q:\n%s", c.has, c.not, text)
		}
	}
}

// TestSidesAreDerivedFromReasons: what an obligation may be is what its reasons
// leave, in every listing.
func TestSidesAreDerivedFromReasons(t *testing.T) {
	files, _ := filepath.Glob("testdata/errors/*.adm")
	n := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := checkText(shop(t), string(text))
		for _, o := range p.Obligations {
			n++
			may := ir.Ingress | ir.Egress
			for _, r := range o.Reasons {
				may &^= r.Excludes
				if r.At.IsZero() || r.Text == "" || strings.HasSuffix(r.Text, ".") {
					t.Errorf("%s: a reason without place or text: %+v", path, r)
				}
			}
			if may != o.May && !o.Both {
				t.Errorf("%s: %s may be at %s, and its reasons leave %s", path, o.ID(), o.May, may)
			}
			byName := func(a, b *ir.Edge) int { return strings.Compare(a.Sender.NodeName(), b.Sender.NodeName()) }
			if !slices.IsSortedFunc(o.Edges, byName) || len(o.Edges) == 0 {
				t.Errorf("%s: the edges of %s are not sorted", path, o.ID())
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d obligations", n)
	}
}

// FuzzCheck: no input makes the checker panic or report a place outside it.
func FuzzCheck(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.adm")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	var graphs []*graph.Graph
	for _, name := range []string{"shop.yaml", "chains.yaml"} {
		y, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		graphs = append(graphs, graph.Load(diag.NewSource(name, y), &diag.Bag{}))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, g := range graphs {
			bag := &diag.Bag{}
			file := syntax.Parse(diag.NewSource("fuzz.adm", []byte(text)), bag)
			p := Check([]*syntax.File{file}, g, bag)
			textOf(bag.All())
			if bag.HasErrors() {
				continue
			}
			for _, o := range p.Obligations {
				if o.May == 0 {
					t.Errorf("%s has no side and there is no error", o.ID())
				}
			}
		}
	})
}
