package solver

import (
	"context"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

func (t *town) conflict(tb testing.TB) (*diag.Diagnostic, string) {
	tb.Helper()
	var bag diag.Bag
	pl, err := Place(context.Background(), t.sorted().prog, t.g, Options{}, &bag)
	if err != nil || pl != nil || len(bag.All()) != 1 {
		tb.Fatalf("placement %v, error %v, diagnostics:\n%s", pl, err, messages(&bag))
	}
	return bag.All()[0], messages(&bag)
}

func texts(d *diag.Diagnostic) []string {
	var out []string
	for _, n := range d.Notes {
		out = append(out, n.Text)
	}
	return out
}

// TestReasons: what a pin implies by a row is a pin, with the chain in words.
func TestReasons(t *testing.T) {
	town := newTown()
	p := town.obligation("p", "r", 80, ir.Egress, "a")
	q := town.obligation("q", "r", 80, eitherSide, "a", "b")
	s := town.obligation("s", "r", 80, eitherSide, "b")
	town.obligation("u", "r", 80, eitherSide, "c")
	town.service("d").ADM = graph.ADMNever
	town.obligation("v", "r", 80, eitherSide, "d")
	town.obligation("w", "ext-out", 80, eitherSide, "d2")
	town.both("x", "r2", 80, "e").Actions = []*ir.Action{{Decl: &ir.ActionDecl{Name: "mtls"}}}
	town.forbid(p, ir.Egress, q) // p at egress: q not at ingress
	town.same(q, s)
	pl := town.sorted().place(t, Options{})
	want := map[string]string{
		"p": "egress: p keeps away from ingress",
		"q": "egress: p is at egress, and p before q forbids q at ingress",
		"s": "egress: q is at egress, and s needs what q provides",
		"u": "ingress: free",
		"v": "ingress: d has adm: never",
		"w": "egress: ext-out is outside the mesh and can't have an ADM",
		"x": "both: mtls needs both ends",
	}
	for _, a := range pl.Assigned {
		if got := a.Side.String() + ": " + a.Reason; got != want[a.Obligation.Policy.Name] {
			t.Errorf("%s is %s; want %s", a.Obligation.Policy.Name, got, want[a.Obligation.Policy.Name])
		}
	}
}

// TestInfeasible: each member of the conflict with its place and its reason,
// nothing else, and innocent rows and pins beside it are not named.
func TestInfeasible(t *testing.T) {
	t.Run("never", func(t *testing.T) {
		town := newTown()
		town.service("r").ADM = graph.ADMNever
		town.service("r").ADMAt = town.here()
		town.obligation("p", "r", 80, ir.Ingress, "a")
		town.obligation("q", "r", 80, eitherSide, "a") // can go to a
		d, all := town.conflict(t)
		if want := []string{"r has adm: never", "p can't be at egress: p keeps away from egress"}; !slices.Equal(texts(d), want) {
			t.Errorf("notes %q\n%s", texts(d), all)
		}
		if d.Code != Infeasible || d.At != town.policy("p").At || d.Notes[0].At != town.service("r").ADMAt {
			t.Errorf("places:\n%s", all)
		}
	})
	t.Run("chain", func(t *testing.T) {
		town := newTown()
		p := town.obligation("p", "r", 80, ir.Egress, "a")
		q := town.obligation("q", "r", 80, eitherSide, "a")
		s := town.obligation("s", "r", 80, ir.Ingress, "a")
		other := town.obligation("other", "r", 80, ir.Ingress, "b")
		free := town.obligation("free", "r", 80, eitherSide, "b")
		town.forbid(p, ir.Egress, q)
		town.same(q, s)
		town.same(free, other) // true, and no part of it
		town.same(q, free)     // also against p, by a longer way
		d, all := town.conflict(t)
		joined := strings.Join(texts(d), "\n")
		for _, want := range []string{"p can't be at ingress", "p before q forbids q at ingress"} {
			if !strings.Contains(joined, want) {
				t.Errorf("no %q in\n%s", want, all)
			}
		}
		if len(d.Notes) > 5 {
			t.Errorf("not minimal:\n%s", all)
		}
		for _, n := range d.Notes {
			if n.At.IsZero() {
				t.Errorf("no place for %q", n.Text)
			}
		}
	})
	t.Run("both", func(t *testing.T) {
		town := newTown()
		town.both("m", "r", 80, "ext-in")
		d, all := town.conflict(t)
		if len(d.Notes) != 2 {
			t.Error(all)
		}
	})
	t.Run("disjoint in one group", func(t *testing.T) {
		town := newTown()
		town.service("a").ADM = graph.ADMNever
		town.service("b").ADM = graph.ADMNever
		p := town.obligation("p", "r", 80, ir.Egress, "a")
		q := town.obligation("q", "r", 80, ir.Egress, "b")
		town.same(p, q)
		var bag diag.Bag
		if _, err := Place(context.Background(), town.sorted().prog, town.g, Options{}, &bag); err != nil || len(bag.All()) != 2 || strings.Contains(messages(&bag), "behind it") {
			t.Errorf("%v\n%s", err, messages(&bag))
		}
		// With a cause in common one is told, and that there is more.
		town.obligation("s", "r", 80, ir.Egress, "b")
		town.same(q, town.prog.Obligations[2])
		bag = diag.Bag{}
		if _, err := Place(context.Background(), town.sorted().prog, town.g, Options{}, &bag); err != nil || len(bag.All()) != 2 || !strings.Contains(messages(&bag), "may remain behind it") {
			t.Errorf("%v\n%s", err, messages(&bag))
		}
	})
	t.Run("every group", func(t *testing.T) {
		town := newTown()
		town.service("r").ADM = graph.ADMNever
		town.service("a").ADM = graph.ADMNever
		town.obligation("p", "r", 80, eitherSide, "a")
		town.obligation("q", "r", 80, ir.Ingress, "b")
		var bag diag.Bag
		if _, err := Place(context.Background(), town.sorted().prog, town.g, Options{}, &bag); err != nil || len(bag.All()) != 2 {
			t.Errorf("%v\n%s", err, messages(&bag))
		}
	})
}

// TestInfeasibleIsMinimal: of every infeasible random program, the oracle
// finds no placement under the members alone, and one when any is left out.
func TestInfeasibleIsMinimal(t *testing.T) {
	found := 0
	for seed := range 3000 {
		town := randomTown(rand.New(rand.NewSource(int64(seed))))
		p, err := Build(town.prog, town.g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := closePins(p)
		for _, o := range c.conflicts {
			found++
			tale := &tale{c: c, seen: map[loss]bool{}}
			tale.tell(o)
			members := tale.shrink()
			if feasible(tale.restrict(members)) {
				t.Fatalf("seed %d: the members of %s can hold together", seed, p.Obligations[o].Of.ID())
			}
			for i := range members {
				if !feasible(tale.restrict(slices.Delete(slices.Clone(members), i, i+1))) {
					t.Fatalf("seed %d: member %d of %s is not needed", seed, i, p.Obligations[o].Of.ID())
				}
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d conflicts", found)
	}
}

// feasible tries every assignment of sides in a problem.
func feasible(p *Problem) bool {
	sides := make([]ir.Side, len(p.Obligations))
	var try func(i int) bool
	try = func(i int) bool {
		if i == len(sides) {
			v := &verifier{p: p, sides: sides}
			return v.rows() == nil && v.capacities() == nil
		}
		o := &p.Obligations[i]
		for s := ir.Ingress; s <= eitherSide; s++ {
			blocked := s&^o.May != 0 || o.Both != (s == eitherSide) || s&ir.Ingress != 0 && !p.Nodes[o.Receiver].CanHost()
			for _, n := range o.Senders {
				blocked = blocked || s&ir.Egress != 0 && !p.Nodes[n].CanHost()
			}
			if sides[i] = s; !blocked && try(i+1) {
				return true
			}
		}
		return false
	}
	return try(0)
}
