package dot

import (
	"context"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/awalterschulze/gographviz"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

var update = flag.Bool("update", false, "write what is drawn to testdata")

const shop = `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: "shop"}
services:
  web: {replicas: 2, ports: [{port: 80, protocol: http}]}
  cart: {ports: [{name: rpc, port: 9000, protocol: grpc}, {name: admin, port: 9001, protocol: http}]}
  old: {adm: never, ports: [{port: 80, protocol: http}]}
  redis-cart: {ports: [{port: 6379, protocol: redis}]}
  ns/idle: {}
externals:
  internet: {}
  stripe: {host: api.stripe.com, port: 443, protocol: tls}
calls:
  - {from: internet, to: web}
  - {from: web, to: cart, port: rpc}
  - {from: web, to: cart, port: admin}
  - {from: web, to: old}
  - {from: cart, to: redis-cart}
  - {from: cart, to: stripe}
  - {from: cart, to: cart, port: rpc}
`

// placed lays out policies by hand. A rule is "policy side from>to:port".
func placed(t *testing.T, text string, rules ...string) *layout.Layout {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("graph.yaml", []byte(text)), bag)
	for _, d := range bag.All() {
		t.Fatal(d.At, d.Message)
	}
	prog, pl := &ir.Program{}, &solver.Placement{Proved: true}
	for _, rule := range rules {
		var policy, side, edge string
		fmt.Sscan(rule, &policy, &side, &edge)
		i := slices.IndexFunc(g.Calls, func(c *graph.Call) bool {
			return fmt.Sprintf("%s>%s:%d", c.From.NodeName(), c.To.NodeName(), c.Port) == edge
		})
		if i < 0 {
			t.Fatalf("the graph has no call %s", edge)
		}
		c := g.Calls[i]
		o := &ir.Obligation{Policy: &ir.Policy{Name: policy}, Actions: []*ir.Action{{Decl: &ir.ActionDecl{Name: "deny"}}},
			Receiver: c.To, Port: c.Port, PortName: c.PortName, Protocol: c.Protocol,
			Edges: []*ir.Edge{{Sender: c.From, Call: c, Cond: &ir.Condition{Text: `request.path == "/a\b"`}}}}
		a := solver.Assigned{Obligation: o, Side: map[string]ir.Side{"in": ir.Ingress, "out": ir.Egress, "both": ir.Ingress | ir.Egress}[side]}
		for end, n := range map[ir.Side]graph.Node{ir.Ingress: c.To, ir.Egress: c.From} {
			if a.Side&end != 0 && !slices.Contains(pl.ADMs, n.NodeName()) {
				pl.ADMs = append(pl.ADMs, n.NodeName())
			}
		}
		pl.Assigned = append(pl.Assigned, a)
		prog.Obligations = append(prog.Obligations, o)
	}
	slices.Sort(pl.ADMs)
	pl.Objective = int64(len(pl.ADMs))
	return layout.New(g, prog, pl, "test")
}

func shopLayout(t *testing.T) *layout.Layout {
	return placed(t, shop,
		"quota in internet>web:80", "log out web>cart:9000", "check in web>cart:9000", "mtls both web>cart:9000",
		"protect out cart>redis-cart:6379", "a out cart>stripe:443", "b out cart>stripe:443", "c out cart>stripe:443", "d out cart>stripe:443", "e out cart>stripe:443")
}

func TestGolden(t *testing.T) {
	got := Graph(shopLayout(t))
	const path = "testdata/shop.dot"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the drawing changed; look at it and run go test -update")
	}
	for range 10 {
		if Graph(shopLayout(t)) != got {
			t.Fatal("the same placement is drawn differently")
		}
	}
}

// read parses a drawing with the library, not with what wrote it.
func read(t *testing.T, source string) *gographviz.Graph {
	t.Helper()
	g, err := gographviz.Read([]byte(source))
	if err != nil {
		t.Fatalf("%.200v", err)
	}
	return g
}

// TestParsedBack holds the drawing to the placement: every node and call is
// there, and the marks of ADMs and ends are where they belong.
func TestParsedBack(t *testing.T) {
	l := shopLayout(t)
	g := read(t, Graph(l))
	for _, s := range l.Graph.Services {
		n := g.Nodes.Lookup[text(s.Name)]
		if n == nil {
			t.Errorf("%s is not drawn", s.Name)
			continue
		}
		filled := n.Attrs[gographviz.FillColor] == text(admFill)
		if filled != l.Placement.HasADM(s.Name) || filled != strings.Contains(n.Attrs[gographviz.Label], escape("ADM · ")) {
			t.Errorf("%s: filled %v, label %s", s.Name, filled, n.Attrs[gographviz.Label])
		}
		if store := n.Attrs[gographviz.Shape] == "cylinder"; store != (s.Name == "redis-cart") {
			t.Errorf("%s has the shape %s", s.Name, n.Attrs[gographviz.Shape])
		}
	}
	if len(g.Nodes.Nodes) != len(l.Graph.Services)+len(l.Graph.Externals) || len(g.Edges.Edges) != len(l.Graph.Calls) {
		t.Errorf("%d nodes, %d edges", len(g.Nodes.Nodes), len(g.Edges.Edges))
	}
	ends := map[string][]string{}
	for _, e := range g.Edges.Edges {
		name := strings.ReplaceAll(e.Src+">"+e.Dst, `"`, "")
		mark := func(a gographviz.Attr, dot string) string {
			return map[bool]string{true: "●", false: "-"}[e.Attrs[a] == dot]
		}
		ends[name] = append(ends[name], mark(gographviz.ArrowTail, "dot")+mark(gographviz.ArrowHead, "dotnormal"))
	}
	for name, want := range map[string]string{
		"internet>web": "-●", "web>cart": "●● --", "web>old": "--", "cart>redis-cart": "●-", "cart>stripe": "●-", "cart>cart": "--",
	} {
		if got := strings.Join(ends[name], " "); got != want {
			t.Errorf("%s has its dots at %s, want %s", name, got, want)
		}
	}
}

// words gives the text of an SVG, line by line, as a reader sees it.
func words(t *testing.T, svg []byte) []string {
	t.Helper()
	var out []string
	dec := xml.NewDecoder(strings.NewReader(string(svg)))
	in := false
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			in = tok.Name.Local == "text"
		case xml.EndElement:
			in = false
		case xml.CharData:
			if s := strings.TrimSpace(string(tok)); in && s != "" {
				out = append(out, s)
			}
		}
	}
}

func TestRendered(t *testing.T) {
	svg, err := SVG(context.Background(), Graph(shopLayout(t)))
	if err != nil {
		t.Fatal(err)
	}
	got := words(t, svg)
	for _, want := range []string{
		"shop", "2 ADMs for 5 services, proved fewest", "ADM · 8 obligations", "ADM · 3 obligations", "never an ADM", "ns/idle", "api.stripe.com",
		"grpc (rpc)", "http (admin)", "redis", "log", "check", "mtls", "and 2 more", "×2", "enforced by the caller’s ADM", "enforced by the receiver’s ADM", "outside the mesh",
	} {
		if !slices.ContainsFunc(got, func(s string) bool { return s == want }) {
			t.Errorf("the picture does not say %q; it says\n%s", want, strings.Join(got, "\n"))
		}
	}
	if !strings.Contains(string(svg), `request.path == &quot;/a\b&quot;`) {
		t.Error("no tooltip has the condition as it is written")
	}
}

// TestNoADM: a graph without policies has no signs to explain but the border of
// what is outside.
func TestNoADM(t *testing.T) {
	svg, err := SVG(context.Background(), Graph(placed(t, shop)))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(words(t, svg), "\n")
	if strings.Contains(got, "●") || strings.Contains(got, "ADM ·") || !strings.Contains(got, "0 ADMs for 5 services") {
		t.Error(got)
	}
}

func TestMarkup(t *testing.T) {
	l := placed(t, shop, "x out web>old:80")
	l.Graph.Name = `größe<b>&"c"\N`
	svg, err := SVG(context.Background(), Graph(l))
	if err != nil {
		t.Fatal(err)
	}
	if got := words(t, svg); !slices.Contains(got, l.Graph.Name) {
		t.Errorf("%q is not among %q", l.Graph.Name, got)
	}
	read(t, Graph(l))
}

// TestLarge: of a graph that nobody could read, what policies touch is drawn.
func TestLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: large}\nservices:\n")
	for i := range mostNodes + 10 {
		fmt.Fprintf(&b, "  s%d: {ports: [{port: 80, protocol: http}]}\n", i)
	}
	b.WriteString("externals: {internet: {}}\ncalls:\n  - {from: internet, to: s0}\n")
	for i := range mostNodes + 9 {
		fmt.Fprintf(&b, "  - {from: s%d, to: s%d}\n", i, i+1)
	}
	l := placed(t, b.String(), "p out s3>s4:80", "q in s8>s9:80")
	l.Placement.ADMs = []string{"s20", "s3", "s9"} // s20 has `adm: always`
	source := Graph(layout.New(l.Graph, l.Program, l.Placement, "test"))
	g := read(t, source)
	var names []string
	for _, n := range g.Nodes.Nodes {
		names = append(names, strings.Trim(n.Name, `"`))
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "s20 s3 s4 s8 s9" {
		t.Errorf("drawn: %s", got)
	}
	if !strings.Contains(source, "drawn: the 5 that policies touch") {
		t.Error("the title does not say that services were left out")
	}
	if n := len(g.Edges.Edges); n != 2 {
		t.Errorf("%d calls are drawn", n)
	}
}

func TestNoGraphviz(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := SVG(context.Background(), "digraph {}"); err == nil || !strings.Contains(err.Error(), "install graphviz") {
		t.Errorf("without dot: %v", err)
	}
}

func TestBadSource(t *testing.T) {
	if _, err := SVG(context.Background(), "digraph {"); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := SVG(ctx, "digraph {}"); err == nil {
		t.Error("a cancelled context renders")
	}
}
