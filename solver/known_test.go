package solver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

var graphNames = []string{"bookinfo", "hotel-reservation", "online-boutique", "social-network"}

// loadGraph reads one of the repository's call graphs.
func loadGraph(tb testing.TB, name string) *graph.Graph {
	tb.Helper()
	path := filepath.Join("..", "testdata", "graphs", name+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var bag diag.Bag
	g := graph.Load(diag.NewSource(path, text), &bag)
	if bag.HasErrors() {
		tb.Fatal(messages(&bag))
	}
	return g
}

// policed is a town on a graph with one free policy per call that keep wants.
func policed(g *graph.Graph, keep func(from, to *graph.Service) bool) *town {
	t := newTown()
	t.g = g
	for _, c := range g.Calls {
		from, ok := c.From.(*graph.Service)
		to, also := c.To.(*graph.Service)
		if !ok || !also || !keep(from, to) {
			continue
		}
		t.node[from.Name], t.node[to.Name] = from, to
		t.obligation("on_"+from.Name, to.Name, c.Port, eitherSide, from.Name)
	}
	return t.sorted()
}

func isData(s *graph.Service) bool {
	return s.Labels["tier"] == "database" || s.Labels["tier"] == "infra"
}

// TestPaperFigure1: A calls B and C, policies 1 and 3 on B, 1 and 2 on C.
func TestPaperFigure1(t *testing.T) {
	town := newTown()
	town.obligation("one", "b", 80, eitherSide, "a")
	town.obligation("three", "b", 80, eitherSide, "a")
	town.obligation("one", "c", 80, eitherSide, "a")
	town.obligation("two", "c", 80, eitherSide, "a")
	for _, unreduced := range []bool{false, true} {
		pl := town.sorted().place(t, Options{Unreduced: unreduced})
		if !slices.Equal(pl.ADMs, []string{"a"}) || !pl.Proved {
			t.Errorf("unreduced %t: ADMs %v, proved %t", unreduced, pl.ADMs, pl.Proved)
		}
	}
}

// TestKnownCounts are answers that are known from elsewhere.
func TestKnownCounts(t *testing.T) {
	services := func(from, to *graph.Service) bool { return !isData(from) && !isData(to) }
	every := func(from, to *graph.Service) bool { return true }
	for _, test := range []struct {
		name, graph string
		keep        func(from, to *graph.Service) bool
		want        int64
	}{
		{"free policies between application services", "online-boutique", services, 3},
		{"free policies between application services", "social-network", services, 5},
		{"with the datastores", "online-boutique", every, 4},
		{"with the datastores", "social-network", every, 9},
		{"every call between services", "hotel-reservation", every, 8},
	} {
		t.Run(test.graph+"/"+test.name, func(t *testing.T) {
			town := policed(loadGraph(t, test.graph), test.keep)
			for _, unreduced := range []bool{false, true} {
				pl := town.place(t, Options{Unreduced: unreduced})
				if pl.Objective != test.want || len(pl.ADMs) != int(test.want) || !pl.Proved {
					t.Errorf("unreduced %t: %d ADMs, objective %d, proved %t; want %d", unreduced, len(pl.ADMs), pl.Objective, pl.Proved, test.want)
				}
				if !unreduced && pl.Kind != CertificateDual {
					t.Errorf("the certificate is %s", pl.Kind)
				}
			}
		})
	}
}

// TestHotelDatabases: a limit per caller at each of the nine databases.
func TestHotelDatabases(t *testing.T) {
	g := loadGraph(t, "hotel-reservation")
	town := newTown()
	town.g = g
	for _, s := range g.Services {
		town.node[s.Name] = s
	}
	callers := map[string][]string{}
	for _, c := range g.Calls {
		if to, ok := c.To.(*graph.Service); ok && to.Labels["tier"] == "database" {
			callers[to.Name] = append(callers[to.Name], c.From.NodeName())
		}
	}
	if len(callers) != 9 || len(g.Services) != 18 {
		t.Fatalf("%d databases, %d services", len(callers), len(g.Services))
	}
	for to, from := range callers {
		town.obligation("protect_databases", to, town.service(to).Ports[0].Number, eitherSide, from...)
	}
	town.sorted()
	pl := town.place(t, Options{})
	want := "geo profile rate recommendation reservation user"
	if got := strings.Join(pl.ADMs, " "); got != want || pl.Bound != 6 || pl.Kind != CertificateDual {
		t.Errorf("ADMs %s, bound %d, certificate %s; want %s", got, pl.Bound, pl.Kind, want)
	}
	// The control: sidecars at the databases.
	for _, o := range town.prog.Obligations {
		o.May = ir.Ingress
	}
	if pl := town.place(t, Options{}); pl.Objective != 9 {
		t.Errorf("limits at the databases need %d ADMs", pl.Objective)
	}
}

// TestEnginesAgreeOnGraphs compares the engines, and lp_solve on everything
// with lp_solve on what the reductions leave (TestKnownCounts' and others).
func TestEnginesAgreeOnGraphs(t *testing.T) {
	for _, name := range graphNames {
		g := loadGraph(t, name)
		for i, s := range g.Services {
			s.MaxReplicas = 1 + i*7%5
		}
		town := policed(g, func(from, to *graph.Service) bool { return true })
		for _, minimise := range []string{MinimiseADMs, MinimiseProxies} {
			reduced := town.place(t, Options{Minimise: minimise})
			whole := town.place(t, Options{Minimise: minimise, Unreduced: true})
			if reduced.Objective != whole.Objective {
				t.Errorf("%s, %s: %d reduced, %d whole", name, minimise, reduced.Objective, whole.Objective)
			}
		}
	}
}
