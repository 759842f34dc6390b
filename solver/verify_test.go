package solver

import (
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// goodTown has one of everything that Verify looks at: a triangle of free
// policies (so that the bound needs its clique), pins, a two-ended policy,
// rows, an always and a never.
func goodTown() *town {
	t := newTown()
	t.service("idle").ADM = graph.ADMAlways
	t.service("shy").ADM = graph.ADMNever
	t.service("spare")
	t.obligation("free", "b", 80, eitherSide, "a")
	t.obligation("free", "c", 80, eitherSide, "a", "b")
	t.obligation("pinned", "d", 80, ir.Ingress, "shy")
	p := t.obligation("early", "e", 80, ir.Egress, "g")
	q := t.obligation("late", "e", 80, eitherSide, "g")
	r := t.obligation("later", "e", 80, eitherSide, "g")
	t.forbid(p, ir.Egress, q)
	t.same(q, r)
	t.both("sealed", "f", 80, "g")
	return t.sorted()
}

// TestVerifyRefuses breaks a good placement in one place at a time.
func TestVerifyRefuses(t *testing.T) {
	town := goodTown()
	p, err := Build(town.prog, town.g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *Placement {
		pl, err := Solve(t.Context(), p, Options{Engine: "native"}, &diag.Bag{})
		if err != nil {
			t.Fatal(err)
		}
		return pl
	}
	if err := Verify(p, fresh()); err != nil {
		t.Fatalf("the control: %v", err)
	}
	if pl := fresh(); pl.Kind != CertificateDual {
		t.Fatalf("the control's certificate is %s", pl.Kind)
	}
	of := func(pl *Placement, policy string) *Assigned {
		i := slices.IndexFunc(pl.Assigned, func(a Assigned) bool { return a.Obligation.Policy.Name == policy })
		return &pl.Assigned[i]
	}
	row := func(pl *Placement, kind string) *CertificateRow {
		for i := range pl.Parts {
			for j := range pl.Parts[i].Rows {
				if pl.Parts[i].Rows[j].Kind == kind {
					return &pl.Parts[i].Rows[j]
				}
			}
		}
		t.Fatalf("the certificate has no row %s", kind)
		return nil
	}
	without := func(pl *Placement, name string) {
		pl.ADMs = slices.DeleteFunc(pl.ADMs, func(s string) bool { return s == name })
		pl.Objective--
		pl.Bound--
	}
	with := func(pl *Placement, name string) {
		pl.ADMs = append(pl.ADMs, name)
		slices.Sort(pl.ADMs)
		pl.Objective++
	}
	for _, test := range []struct {
		name, want string
		do         func(pl *Placement)
	}{
		{"ADM removed from a sender", "g has no ADM", func(pl *Placement) { without(pl, "g") }},
		{"ADM removed from a receiver", "d has no ADM", func(pl *Placement) { without(pl, "d") }},
		{"always without an ADM", "idle must have", func(pl *Placement) { without(pl, "idle") }},
		{"ADM at never", "shy may not have", func(pl *Placement) { with(pl, "shy") }},
		{"ADM that does nothing", "of spare enforces nothing", func(pl *Placement) { with(pl, "spare"); pl.Proved = false }},
		{"ADM of nobody", "no service nobody", func(pl *Placement) { with(pl, "nobody") }},
		{"ADM twice", "listed twice", func(pl *Placement) { with(pl, "g") }},
		{"ADMs out of order", "not sorted", func(pl *Placement) { slices.Reverse(pl.ADMs) }},
		{"obligation missing", "assigns", func(pl *Placement) { pl.Assigned = pl.Assigned[1:] }},
		{"obligation repeated", "not where it belongs", func(pl *Placement) { pl.Assigned[1] = pl.Assigned[0] }},
		{"no side", "at no side", func(pl *Placement) { of(pl, "free").Side = 0 }},
		{"unknown side", "at no side", func(pl *Placement) { of(pl, "free").Side = 7 }},
		{"side it may not have", "may not be at egress", func(pl *Placement) { of(pl, "pinned").Side = ir.Egress }},
		{"enforced twice", "is enforced at both", func(pl *Placement) { of(pl, "late").Side = eitherSide }},
		{"two-ended at one end", "is enforced at egress", func(pl *Placement) { of(pl, "sealed").Side = ir.Egress }},
		{"no reason", "no reason", func(pl *Placement) { of(pl, "free").Reason = "" }},
		{"order broken", "early before late", func(pl *Placement) { with(pl, "e"); of(pl, "late").Side = ir.Ingress }},
		{"same broken", "needs what", func(pl *Placement) { with(pl, "e"); of(pl, "later").Side = ir.Ingress }},
		{"objective too low", "weigh", func(pl *Placement) { pl.Objective-- }},
		{"bound above", "above its objective", func(pl *Placement) { pl.Bound++ }},
		{"bound below and proved", "proved is true", func(pl *Placement) { pl.Bound-- }},
		{"not proved though equal", "proved is false", func(pl *Placement) { pl.Proved = false }},
		{"bound not the certificate's", "adds up to", func(pl *Placement) { pl.Bound--; pl.Proved = false }},
		{"scale", "scale", func(pl *Placement) { pl.Scale = 2 }},
		{"kind unknown", "of the kind", func(pl *Placement) { pl.Kind = "oath" }},
		{"search with parts", "has no parts", func(pl *Placement) { pl.Kind = CertificateSearch }},
		{"multiplier raised", "more of", func(pl *Placement) { row(pl, "clique").Times++ }},
		{"multiplier lowered", "adds up to", func(pl *Placement) { row(pl, "unit").Times-- }},
		{"multiplier negative", "multiplier", func(pl *Placement) { row(pl, "unit").Times = -1 }},
		{"row removed", "adds up to", func(pl *Placement) { pl.Parts[0].Rows = pl.Parts[0].Rows[1:] }},
		{"denominator zero", "denominator", func(pl *Placement) { pl.Parts[0].Denominator = 0 }},
		{"row of an unknown service", "unknown", func(pl *Placement) { row(pl, "unit").Services[0] = "nobody" }},
		{"service twice in a row", "named twice", func(pl *Placement) { r := row(pl, "clique"); r.Services[0] = r.Services[1] }},
		{"unit that is not forced", "does not hold", func(pl *Placement) { row(pl, "unit").Services[0] = "a" }},
		{"clique that is none", "does not hold", func(pl *Placement) { row(pl, "clique").Services[0] = "spare" }},
		{"clique called unit", "does not hold", func(pl *Placement) { row(pl, "clique").Kind = "unit" }},
		{"service in two parts", "in certificate parts", func(pl *Placement) {
			r := row(pl, "clique")
			pl.Parts = append(pl.Parts, CertificatePart{Denominator: 1, Rows: []CertificateRow{{"edge", r.Services[:2], 0}}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pl := fresh()
			test.do(pl)
			err := Verify(p, pl)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v; want %q", err, test.want)
			}
		})
	}
}

// TestCheckerRows holds each kind of row to a graph where it is true and one
// where it is not.
func TestCheckerRows(t *testing.T) {
	town := newTown()
	names := []string{"a", "b", "c", "d", "e"}
	for i, n := range names {
		town.obligation("ring", names[(i+1)%5], 80, eitherSide, n)
	}
	p, err := Build(town.sorted().prog, town.g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind, services string
		want           int64 // 0: refused
	}{
		{"edge", "a b", 1}, {"edge", "e a", 1}, {"edge", "a c", 0}, {"edge", "a", 0},
		{"odd-cycle", "a b c d e", 3}, {"odd-cycle", "c d e a b", 3}, {"odd-cycle", "a c b d e", 0},
		{"odd-cycle", "a b c d", 0}, {"odd-cycle", "a b c", 0}, {"clique", "a b c", 0}, {"clique", "a b", 0}, {"unit", "a", 0}, {"star", "a b", 0},
	} {
		_, right, err := newChecker(p).row(&CertificateRow{test.kind, strings.Fields(test.services), 1})
		if right != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%s %s: %d, %v; want %d", test.kind, test.services, right, err, test.want)
		}
	}
	pl := town.place(t, Options{})
	if pl.Objective != 3 || pl.Kind != CertificateDual || pl.Parts[0].Rows[0].Kind != "odd-cycle" {
		t.Errorf("a ring of five: %d, %+v", pl.Objective, pl.Certificate)
	}
}
