package lang

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

var update = flag.Bool("update", false, "write what the golden files should hold")

// loadGraph fails the test on any diagnostic.
func loadGraph(t *testing.T, name string, text []byte) *graph.Graph {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource(name, text), bag)
	if all := bag.All(); len(all) > 0 {
		t.Fatalf("graph:\n%s", textOf(all))
	}
	return g
}

func shop(t *testing.T) *graph.Graph {
	t.Helper()
	text, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return loadGraph(t, "shop.yaml", text)
}

func textOf(list []*diag.Diagnostic) string {
	var b strings.Builder
	diag.WriteText(&b, list)
	return b.String()
}

// checkText parses and checks one file.
func checkText(g *graph.Graph, text string) (*ir.Program, *diag.Bag) {
	bag := &diag.Bag{}
	files := []*syntax.File{syntax.Parse(diag.NewSource("test.adm", []byte(text)), bag)}
	if files[0].Lost {
		CheckApart(files, g, bag)
		return &ir.Program{}, bag
	}
	return Check(files, g, bag), bag
}

// An expectation stands on the line of the mistake:
//
//	rate_limit(5s)  // ERROR type-mismatch "wants a rate" ^"5s"
//
// The text after ^ is the source text that the diagnostic's span covers, so that
// line and column are both held. A file `// GRAPH name.yaml` is checked against
// that graph.
var expectation = regexp.MustCompile(`(ERROR|WARNING) ([a-z-]+) "((?:[^"\\]|\\.)*)" \^"((?:[^"\\]|\\.)*)"`)

type expected struct {
	line                          int
	severity, code, message, text string
}

func expectations(t *testing.T, text string) []expected {
	var out []expected
	for i, line := range strings.Split(text, "\n") {
		_, comment, found := strings.Cut(line, "// ")
		all := expectation.FindAllStringSubmatch(comment, -1)
		if found && len(all) == 0 && regexp.MustCompile(`ERROR|WARNING`).MatchString(comment) {
			t.Errorf("line %d: no expectation: %s", i+1, comment)
		}
		for _, m := range all {
			unquote := func(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }
			out = append(out, expected{i + 1, strings.ToLower(m[1]), m[2], unquote(m[3]), unquote(m[4])})
		}
	}
	return out
}

func (e expected) matches(d *diag.Diagnostic) bool {
	line, _ := d.At.Src.Position(d.At.Start)
	return line == e.line && d.Severity.String() == e.severity && string(d.Code) == e.code &&
		strings.Contains(d.Message, e.message) && d.At.Text() == e.text
}

// graphOf is the graph that the first line of a program names, or the shop.
func graphOf(t *testing.T, text string) *graph.Graph {
	t.Helper()
	first, _, _ := strings.Cut(text, "\n")
	name, named := strings.CutPrefix(first, "// GRAPH ")
	if !named {
		return shop(t)
	}
	y, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return loadGraph(t, name, y)
}

// TestLongNames: what becomes part of a key in an emitted file fits there.
func TestLongNames(t *testing.T) {
	for n, good := range map[int]bool{253: true, 254: false} {
		name := strings.Repeat("p", n)
		for _, text := range []string{
			"policy " + name + " { on search -> geo  deny() }",
			"action " + name + "() { phase quota  on http, grpc : either }  policy p { on search -> geo  " + name + "() }",
		} {
			if _, bag := checkText(shop(t), text); bag.HasErrors() == good {
				t.Errorf("%.8s, %d bytes: errors: %v", text, n, !good)
			}
		}
	}
}

// TestQuotes: a string is a value in quotes only where its text is one.
func TestQuotes(t *testing.T) {
	for call, hint := range map[string]bool{
		`deny("404")`: true, `deny("x")`: false, `timeout("1s")`: true, `timeout("soon")`: false,
		`jwt("me", "https://a/k", forward: "true")`: true, `jwt("me", "https://a/k", forward: "yes")`: false, `jwt("me", "https://a/k", forward: "1")`: false,
	} {
		_, bag := checkText(shop(t), "policy p { on search -> geo  "+call+" }")
		if text := textOf(bag.All()); !strings.Contains(text, "type-mismatch") || strings.Contains(text, "without the quotes") != hint {
			t.Errorf("%s: want a hint: %v\n%s", call, hint, text)
		}
	}
}

// TestNearWords: what is suggested is near, and no mistake in its turn.
func TestNearWords(t *testing.T) {
	for text, want := range map[string]string{
		"action a() { phase quota  on htp : either }":   "[http]",
		"action a() { phase quota  on redis : either }": "[tcp]",
		"action a() { phase quota  on soap : either }":  "[]",
		"let aa = geo\nlet b = $a":                      "[aa]",
		"let a = $aa":                                   "[]",
	} {
		_, bag := checkText(shop(t), text)
		edits := []string{}
		for _, d := range bag.All() {
			for _, f := range d.Fixes {
				edits = append(edits, f.Replace)
			}
		}
		if got := fmt.Sprint(edits); got != want {
			t.Errorf("%s: edits %s, want %s", text, got, want)
		}
	}
}

// TestLongHeaders writes headers of about the length that Envoy takes.
func TestLongHeaders(t *testing.T) {
	long := strings.Repeat("x", 4096)
	for call, good := range map[string]bool{
		`set_header("` + long + `", "1")`: true, `set_header("x` + long + `", "1")`: false,
		`remove_header("x` + long + `")`: false, `append_header("x` + long + `", "1")`: false,
		`redirect(path: "/` + long[1:] + `")`: true, `redirect(path: "/` + long + `")`: false, `redirect(host: "x` + long + `")`: false,
	} {
		if _, bag := checkText(shop(t), "policy p { on frontend -> recommendation  "+call+" }"); bag.HasErrors() == good {
			t.Errorf("%s… of %d bytes: errors: %v", call[:20], len(call), !good)
		}
	}
	for _, c := range []struct {
		value string
		good  bool
	}{
		{strings.Repeat("x", 16384), true},
		{strings.Repeat("x", 16385), false},
		{"%" + strings.Repeat("x", 16382), true},
		{"%" + strings.Repeat("x", 16383), false},
	} {
		_, bag := checkText(shop(t), `policy p { on frontend -> search  set_header("x-a", "`+c.value+`") }`)
		if bag.HasErrors() == c.good {
			t.Errorf("%d bytes from %q: errors: %v", len(c.value), c.value[:2], bag.HasErrors())
		}
	}
}

// TestErrors holds each file of testdata/errors to the expectations in it.
func TestErrors(t *testing.T) {
	files, _ := filepath.Glob("testdata/errors/*.adm")
	if len(files) < 35 {
		t.Errorf("only %d files", len(files))
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".adm"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			g := graphOf(t, string(text))
			want := expectations(t, string(text))
			if len(want) == 0 {
				t.Fatal("the file expects nothing")
			}
			_, bag := checkText(g, string(text))
			for _, d := range bag.All() {
				i := slices.IndexFunc(want, func(e expected) bool { return e.matches(d) })
				if i < 0 {
					t.Errorf("not expected (covers %q):\n%s", d.At.Text(), textOf([]*diag.Diagnostic{d}))
					continue
				}
				want = slices.Delete(want, i, i+1)
			}
			for _, e := range want {
				t.Errorf("line %d: missing %s[%s] %q at %q", e.line, e.severity, e.code, e.message, e.text)
			}
		})
	}
}

// TestObligations compares what the programs of testdata/obligations mean with
// the listings in them.
func TestObligations(t *testing.T) {
	files, _ := filepath.Glob("testdata/obligations/*.txtar")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var g *graph.Graph
			var files []*syntax.File
			want := -1
			bag := &diag.Bag{}
			for i, f := range ar.Files {
				switch {
				case f.Name == "want":
					want = i
				case strings.HasSuffix(f.Name, ".yaml"):
					g = loadGraph(t, f.Name, f.Data)
				default:
					files = append(files, syntax.Parse(diag.NewSource(f.Name, f.Data), bag))
				}
			}
			if g == nil {
				g = shop(t)
			}
			got := listing(Check(files, g, bag), bag)
			if *update {
				if want < 0 {
					ar.Files = append(ar.Files, txtar.File{Name: "want"})
					want = len(ar.Files) - 1
				}
				ar.Files[want].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want < 0 || got != string(ar.Files[want].Data) {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

// listing prints a program's obligations with their sides and reasons, its rows
// and its diagnostics.
func listing(p *ir.Program, bag *diag.Bag) string {
	var b strings.Builder
	for _, o := range p.Obligations {
		may := o.May.String()
		if o.May == ir.Ingress|ir.Egress && !o.Both {
			may = "free"
		}
		var acts []string
		for _, a := range o.Actions {
			acts = append(acts, fmt.Sprintf("%s#%d", a.Name(), a.Rank))
		}
		fmt.Fprintf(&b, "%s %s: %s, %s\n", o.ID(), o.Protocol, strings.Join(acts, " "), may)
		for _, e := range o.Edges {
			fmt.Fprintf(&b, "  from %s", e.Sender.NodeName())
			if e.Cond != nil {
				fmt.Fprintf(&b, " when %s", e.Cond.Text)
			}
			b.WriteByte('\n')
		}
		for _, r := range o.Reasons {
			fmt.Fprintf(&b, "  not %s (%s): %s, %s\n", r.Excludes, r.Rule, r.Text, r.At)
		}
		for _, g := range o.Apart {
			b.WriteString("  apart:")
			for _, e := range g.Edges {
				b.WriteString(" " + e.Sender.NodeName())
			}
			b.WriteString(", not from")
			for _, n := range g.Not {
				b.WriteString(" " + n.Caller.Name)
			}
			b.WriteByte('\n')
		}
	}
	for _, r := range p.Rows {
		if r.Kind == ir.Same {
			fmt.Fprintf(&b, "same: %s, %s\n", r.P.ID(), r.Q.ID())
		} else {
			fmt.Fprintf(&b, "forbid: %s at %s, %s at %s\n", r.P.ID(), r.PSide, r.Q.ID(), r.QSide)
		}
		fmt.Fprintf(&b, "  %s, %s, %s\n", r.Text, r.PAt, r.QAt)
	}
	b.WriteString(textOf(bag.All()))
	return b.String()
}
