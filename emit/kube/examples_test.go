package kube

import (
	"os"
	"path/filepath"
	"testing"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// Each example's base, with ADMs at one service, at every other and at all,
// renders, and the services without one are what they were.
func TestExamples(t *testing.T) {
	bases, err := filepath.Glob("../../examples/*/base")
	if err != nil || len(bases) < 3 {
		t.Fatalf("%v, %v", bases, err)
	}
	for _, dir := range bases {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			g := loadGraph(t, filepath.Join(filepath.Dir(dir), "graph.yaml"))
			var every, all []*graph.Service
			for i, s := range g.Services {
				if i%2 == 0 {
					every = append(every, s)
				}
				all = append(all, s)
			}
			for _, chosen := range [][]*graph.Service{nil, all[:1], every, all} {
				renderExample(t, dir, g, chosen)
			}
		})
	}
}

func loadGraph(t *testing.T, path string) *graph.Graph {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bag diag.Bag
	g := graph.Load(diag.NewSource(path, data), &bag)
	if len(bag.All()) > 0 {
		t.Fatal(text(&bag))
	}
	return g
}

// renderExample gives each chosen service an ADM that polices every call to and
// from it.
func renderExample(t *testing.T, base string, g *graph.Graph, chosen []*graph.Service) {
	t.Helper()
	w := &world{src: g.Src, l: &layout.Layout{Graph: g, Program: &ir.Program{}, Placement: &solver.Placement{}, Header: header}}
	for _, s := range chosen {
		var listeners []*layout.Listener
		for _, c := range g.Calls {
			receiver, ok := c.To.(*graph.Service)
			side := ir.Egress
			if receiver == s {
				side = ir.Ingress
			}
			if ok && (receiver == s || c.From == graph.Node(s)) {
				l := w.rule(side, receiver, "any", true, action("deny", nil))
				l.Rules[0].Edges = []*ir.Edge{{Sender: c.From, Call: c}}
				l.Rules[0].Obligation.Edges = l.Rules[0].Edges
				listeners = append(listeners, l)
			}
		}
		w.adm(s, listeners...)
	}
	var bag diag.Bag
	b, err := LoadBase(base, &bag)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	abs, err := filepath.Abs(base)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := filepath.Rel(out, abs)
	if err != nil {
		t.Fatal(err)
	}
	files := w.emitted(Backend{Base: b, BaseRef: filepath.ToSlash(ref)}, &bag)
	if bag.HasErrors() {
		t.Fatal(text(&bag))
	}
	if err := emit.Write(out, files); err != nil {
		t.Fatal(err)
	}
	patched := comparePatched(t, renderDir(t, base), renderDir(t, out))
	want := 0
	for _, s := range chosen {
		want += max(1, len(s.Versions)) // a workload per version in the examples
	}
	if patched != want {
		t.Errorf("%d ADMs patch %d workloads, not %d", len(chosen), patched, want)
	}
}
