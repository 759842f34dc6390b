package solver

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// busiestPod is the CPU of a pod where an assignment makes it most, summed up
// from the program and the graph.
func busiestPod(t *town, sides []ir.Side) float64 {
	micros := map[graph.Node]float64{}
	hops := map[string]bool{}
	for i, o := range t.prog.Obligations {
		for _, e := range o.Edges {
			rate := float64(e.Call.RPS.Units) / []float64{1, 10}[e.Call.RPS.Scale]
			for side, n := range map[ir.Side]graph.Node{ir.Ingress: o.Receiver, ir.Egress: e.Sender} {
				if sides[i]&side == 0 {
					continue
				}
				micros[n] += rate * o.Actions[0].Decl.Cost
				if key := fmt.Sprintf("%p %s", e.Call, side); !hops[key] {
					hops[key] = true
					micros[n] += ir.HopMicros * rate
				}
			}
		}
	}
	most := 0.0
	for n, m := range micros {
		most = max(most, m/float64(n.(*graph.Service).MinReplicas))
	}
	return most
}

// TestBalance: sides that move leave the ADMs as they are and keep rows and
// capacities (Place verifies that), and no ADM is busier than the busiest was.
// Without rates nothing moves.
func TestBalance(t *testing.T) {
	moved, less := 0, 0
	for seed := range 3000 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd).rated(rnd)
		p, err := Build(town.prog, town.g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := closePins(p)
		g := newCover(c)
		pl := placeOrNil(t, town)
		if pl == nil || pl.Kind == CertificateSearch || len(c.conflicts) > 0 {
			continue
		}
		in, _, _ := g.solve(t.Context(), native{}, g.listen(nil, p))
		y := slices.Clone(g.forced)
		for v, n := range g.node {
			y[n] = in[v]
		}
		inOrder := func(sides []ir.Side) []ir.Side {
			out := make([]ir.Side, len(sides))
			for i := range sides {
				out[p.Obligations[i].Order] = sides[i]
			}
			return out
		}
		before := c.sides(y)
		after := slices.Clone(before)
		c.balance(y, after)
		was, is := busiestPod(town, inOrder(before)), busiestPod(town, inOrder(after))
		if is > was {
			t.Fatalf("seed %d: the busiest pod takes %g, and took %g", seed, is, was)
		}
		moved += bit(!slices.Equal(before, after))
		less += bit(is < was)
		for _, o := range town.prog.Obligations {
			for _, e := range o.Edges {
				e.Call.RPS.Set = false
			}
		}
		again := slices.Clone(before)
		if c.balance(y, again); !slices.Equal(again, before) {
			t.Fatalf("seed %d: moved without rates", seed)
		}
	}
	if moved < 30 || less < 15 {
		t.Errorf("sides moved %d times, and the busiest had less to do %d times", moved, less)
	}
}

func placeOrNil(t *testing.T, town *town) *Placement {
	t.Helper()
	pl, err := Place(t.Context(), town.prog, town.g, Options{}, &diag.Bag{})
	if err != nil {
		t.Fatal(err)
	}
	return pl
}
