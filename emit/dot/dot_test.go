package dot

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/awalterschulze/gographviz"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

var update = flag.Bool("update", false, "rewrite testdata/shop.dot")

const shop = `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: shop}
services:
  web: {ports: [{port: 80, protocol: http}]}
  cart: {ports: [{port: 8080, protocol: http}]}
  carts-db: {ports: [{port: 6379, protocol: redis}]}
externals:
  internet: {}
calls:
  - {from: internet, to: web}
  - {from: web, to: cart}
  - {from: cart, to: carts-db}
`

// shopLayout has an ADM at web, with one policy at its ingress, one at its
// egress and four more there.
func shopLayout(t *testing.T) *layout.Layout {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("shop.yaml", []byte(shop)), bag)
	if bag.HasErrors() {
		t.Fatal(bag.All()[0].Message)
	}
	prog := &ir.Program{}
	pl := &solver.Placement{ADMs: []string{"web"}}
	enforce := func(policy, to string, side ir.Side) {
		for _, c := range g.Calls {
			if c.To.NodeName() == to {
				o := &ir.Obligation{Policy: &ir.Policy{Name: policy}, Receiver: c.To, Port: c.Port, Protocol: c.Protocol, Edges: []*ir.Edge{{Sender: c.From, Call: c}}}
				prog.Obligations = append(prog.Obligations, o)
				pl.Assigned = append(pl.Assigned, solver.Assigned{Obligation: o, Side: side})
			}
		}
	}
	enforce("no_admin", "web", ir.Ingress)
	for _, name := range []string{"patience", "again", "mark", "trail"} {
		enforce(name, "cart", ir.Egress)
	}
	return layout.New(g, prog, pl, "header")
}

func TestGraph(t *testing.T) {
	got := Graph(shopLayout(t))
	if *update {
		if err := os.WriteFile("testdata/shop.dot", []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/shop.dot")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the drawing is\n%s\nwant\n%s", got, want)
	}
}

// TestReadBack parses the source and looks at what it says.
func TestReadBack(t *testing.T) {
	g, err := gographviz.Read([]byte(Graph(shopLayout(t))))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(name string) map[gographviz.Attr]string { return g.Nodes.Lookup[`"`+name+`"`].Attrs }
	if label := attr("web")["label"]; label != `"web\nADM: 5 obligations"` {
		t.Errorf("web is labelled %s", label)
	}
	if attr("cart")["fillcolor"] != `"white"` || attr("carts-db")["shape"] != `"cylinder"` || attr("internet")["shape"] != `"ellipse"` {
		t.Errorf("cart %v, carts-db %v, internet %v", attr("cart"), attr("carts-db"), attr("internet"))
	}
	for _, e := range g.Edges.Edges {
		switch e.Dst {
		case `"cart"`:
			if e.Attrs["arrowtail"] != `"dot"` || !strings.Contains(e.Attrs["label"], "+1 more") {
				t.Errorf("web -> cart: %v", e.Attrs)
			}
		case `"web"`:
			if e.Attrs["arrowhead"] != `"dotnormal"` || !strings.Contains(e.Attrs["label"], "no_admin") {
				t.Errorf("internet -> web: %v", e.Attrs)
			}
		case `"carts-db"`:
			if e.Attrs["label"] != "" {
				t.Errorf("cart -> carts-db: %v", e.Attrs)
			}
		}
	}
}

// TestSVG lets the real graphviz draw it, and refuse what is no graph.
func TestSVG(t *testing.T) {
	svg, err := SVG(context.Background(), Graph(shopLayout(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<svg", "ADM: 5 obligations", "no_admin", "carts&#45;db", "</svg>"} {
		if !bytes.Contains(svg, []byte(part)) {
			t.Errorf("the SVG has no %s", part)
		}
	}
	if _, err := SVG(context.Background(), "no graph"); err == nil {
		t.Error("graphviz takes what is no graph")
	}
}
