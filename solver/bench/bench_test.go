package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/solver"
	"admc.dev/admc/solver/bench/shapes"
)

// TestShapes: each is feasible, the same each time, and what its comment says.
func TestShapes(t *testing.T) {
	for name, makeShape := range map[string]func() *shapes.Shape{
		"mesh":    func() *shapes.Shape { return shapes.Mesh(200, 3, 0.3, 1) },
		"tiers":   func() *shapes.Shape { return shapes.Tiers(40, 4, 6, 1) },
		"uniform": func() *shapes.Shape { return shapes.Uniform(60, 3, 1) },
		"without": func() *shapes.Shape { return shapes.Mesh(200, 3, 0.3, 1).Without(30) },
	} {
		var texts [][]byte
		for range 2 {
			pl, err := place(context.Background(), makeShape(), solver.Options{Engine: "native"})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			texts = append(texts, pl.JSON(nil))
		}
		if !bytes.Equal(texts[0], texts[1]) {
			t.Errorf("%s: two placements of the same shape differ", name)
		}
	}
	if got := len(shapes.Tiers(40, 4, 6, 1).Program.Obligations); got != 6*30 {
		t.Errorf("30 of 40 services call, with 6 policies each: %d", got)
	}
	whole := shapes.Mesh(200, 3, 0.3, 1)
	n, callers := len(whole.Program.Obligations), map[string]int{}
	if got, want := len(whole.Without(30).Program.Obligations), n-(n+29)/30; got != want {
		t.Errorf("without one in thirty of %d there are %d", n, got)
	}
	for _, o := range shapes.Mesh(2000, 3, 1, 1).Program.Obligations {
		if strings.HasPrefix(o.Policy.Name, "local-") {
			callers[o.Receiver.NodeName()]++
		}
	}
	most := 0
	for _, n := range callers {
		most = max(most, n)
	}
	if most < 50 {
		t.Errorf("no service is popular: %d callers at most", most)
	}
}

// TestContradictions: who calls best what another beats is found out, whoever of
// the two is ours; who only found something is not accused.
func TestContradictions(t *testing.T) {
	said := func(name string, a *answer) int {
		l := &line{answers: map[string]*answer{}}
		for _, s := range solvers {
			l.answers[s.name] = &answer{Status: best, Objective: 7}
		}
		l.answers[name] = a
		return l.contradictions()
	}
	for _, c := range []struct {
		solver string
		answer answer
		wrong  int
	}{
		{"z3", answer{Status: best, Objective: 7}, 0},
		{"z3", answer{Status: timedOut, Objective: 9}, 0},
		{"z3", answer{Status: notRun}, 0},
		{"z3", answer{Status: best, Objective: 8}, len(solvers) - 1},
		{"native", answer{Status: best, Objective: 8}, len(solvers) - 1},
		{"cbc", answer{Status: timedOut, Objective: 6}, len(solvers) - 1},
	} {
		if got := said(c.solver, &c.answer); (got > 0) != (c.wrong > 0) {
			t.Errorf("%s says %v beside six that say 7: %d contradictions", c.solver, &c.answer, got)
		}
	}
}

// TestTimedStops: what the limit ends is no finished answer.
func TestTimedStops(t *testing.T) {
	s := shapes.Uniform(400, 4, 1)
	a, err := timed(func(ctx context.Context) (*solver.Placement, error) {
		return place(ctx, s, solver.Options{Engine: "native"})
	}, 50*time.Millisecond)
	if err != nil || a.Status != timedOut || a.Bound >= a.Objective {
		t.Errorf("%v, %v", a, err)
	}
}

// TestPlot: the growth is XML, with a mark for each time.
func TestPlot(t *testing.T) {
	var rows []*line
	for _, n := range []int{100, 1000} {
		l := &line{instance{family: "mix", services: n}, map[string]*answer{}}
		for _, s := range solvers {
			l.answers[s.name] = &answer{Status: []string{best, timedOut}[n/1000], Seconds: 0.5}
		}
		rows = append(rows, l)
	}
	dec, marks := xml.NewDecoder(bytes.NewReader(growth(rows, time.Second))), 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			marks++
		}
	}
	if marks != 2*len(solvers) {
		t.Errorf("%d marks", marks)
	}
	if got := (&line{answers: map[string]*answer{"native": {Status: best, Seconds: 0.5}, "z3": {Status: best, Seconds: 1}, "cbc": {}, "lpsolve": {}, "lp_solve raw": {}, "HiGHS": {}, "CP-SAT": {Status: timedOut, Seconds: 0.1}}}).ratio(); got != "2" {
		t.Errorf("the ratio is %s", got)
	}
	if !slices.IsSorted([]int{int(atSize(100)), int(atSize(1e4)), int(atSize(1e6))}) || atTime(1) < atTime(10) {
		t.Error("the axes go the wrong way")
	}
}
