package solver_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// codesOf compiles an example as far as a placement and gives the codes of its
// errors.
func codesOf(t *testing.T, graphText, program string) []diag.Code {
	t.Helper()
	var bag diag.Bag
	g := graph.Load(diag.NewSource("graph.yaml", []byte(graphText)), &bag)
	file := syntax.Parse(diag.NewSource("example.adm", []byte(program)), &bag)
	prog := lang.Check([]*syntax.File{file}, g, &bag)
	if !bag.HasErrors() {
		if _, err := solver.Place(context.Background(), prog, g, solver.Options{}, &bag); err != nil {
			t.Fatal(err)
		}
	}
	var codes []diag.Code
	for _, d := range bag.All() {
		codes = append(codes, d.Code)
	}
	return codes
}

// TestCodes: each bad example gives exactly its code, each good one none.
func TestCodes(t *testing.T) {
	for _, doc := range solver.Codes {
		if got := codesOf(t, doc.BadGraph, doc.Bad); !slices.Equal(got, []diag.Code{doc.Code}) {
			t.Errorf("the bad example of %s gives %v", doc.Code, got)
		}
		if got := codesOf(t, doc.BadGraph, doc.Good); len(got) > 0 {
			t.Errorf("the good example of %s gives %v", doc.Code, got)
		}
	}
}

// TestFromSource: the paper's example, from the text of a policy and a graph.
func TestFromSource(t *testing.T) {
	text, err := os.ReadFile("../testdata/graphs/hotel-reservation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var bag diag.Bag
	g := graph.Load(diag.NewSource("graph.yaml", text), &bag)
	file := syntax.Parse(diag.NewSource("hotel.adm", []byte(`
policy protect_databases {
    on * -> [tier=database]
    rate_limit(rate: 500/s, burst: 50)
}
`)), &bag)
	pl, err := solver.Place(context.Background(), lang.Check([]*syntax.File{file}, g, &bag), g, solver.Options{}, &bag)
	if err != nil || len(bag.All()) > 0 {
		t.Fatal(err, bag.All())
	}
	if got := strings.Join(pl.ADMs, " "); got != "geo profile rate recommendation reservation user" || !pl.Proved {
		t.Errorf("ADMs at %s, proved %t", got, pl.Proved)
	}
}

// TestUnusableNumbers: numbers that together are no integers of reasonable size
// are mistakes of the graph, at their places.
func TestUnusableNumbers(t *testing.T) {
	for _, test := range []struct{ a, b, rps, at, want string }{
		{"cost: 0.0000001", "cost: 99999999", "1", "graph.yaml:6:50", "the weights of the services add up to more than"},
		{"cost: 0.0000000000001", "cost: 9999999999", "1", "graph.yaml:6:50", "the cost of b can't be used as a weight"},
		{"cost: 1", "capacity: 0.001", "99999999.0000000001", "graph.yaml:6:54", "the loads at b add up to more than"},
	} {
		var bag diag.Bag
		g := graph.Load(diag.NewSource("graph.yaml", fmt.Appendf(nil, `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: x}
services:
  a: {ports: [{port: 80, protocol: http}], %s}
  b: {ports: [{port: 80, protocol: http}], %s}
calls:
  - {from: a, to: b, rps: %s}
  - {from: b, to: a, rps: 1}
`, test.a, test.b, test.rps)), &bag)
		file := syntax.Parse(diag.NewSource("p.adm", []byte("policy p {\n    on * -> *\n    access_log()\n}\n")), &bag)
		pl, err := solver.Place(t.Context(), lang.Check([]*syntax.File{file}, g, &bag), g, solver.Options{Minimise: solver.MinimiseCost}, &bag)
		if pl != nil || err != nil || len(bag.All()) != 1 {
			t.Errorf("%+v: %v, %v, %v", test, pl, err, bag.All())
			continue
		}
		if d := bag.All()[0]; d.Code != graph.BadDecimal || !strings.Contains(d.Message, test.want) || !strings.HasPrefix(d.At.String(), test.at) {
			t.Errorf("%+v: %s: %s", test, d.At, d.Message)
		}
	}
}

// TestInfeasibleText: what a user reads.
func TestInfeasibleText(t *testing.T) {
	doc := solver.Codes[0]
	var bag diag.Bag
	g := graph.Load(diag.NewSource("graph.yaml", []byte(doc.BadGraph)), &bag)
	file := syntax.Parse(diag.NewSource("shop.adm", []byte(doc.Bad)), &bag)
	if pl, err := solver.Place(context.Background(), lang.Check([]*syntax.File{file}, g, &bag), g, solver.Options{}, &bag); pl != nil || err != nil {
		t.Fatal(pl, err)
	}
	var got strings.Builder
	if err := diag.WriteText(&got, bag.All()); err != nil {
		t.Fatal(err)
	}
	want := `shop.adm:3:8: error[infeasible]: policy limit_db can't be enforced on calls to db:6379: these 2 can't hold together
    3 | policy limit_db {
      |        ^^^^^^^^
  hint: at least one of them has to change
  graph.yaml:8:10: note: db has adm: never
  shop.adm:2:1: note: limit_db can't be at egress: the policy says @ingress
`
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}
