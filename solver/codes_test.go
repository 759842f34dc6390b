package solver_test

import (
	"context"
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
