package solver

import (
	"context"
	"math/rand"
	"testing"
)

// TestBoundsHold: none is above the least cover, and each is at times above the
// relaxation.
func TestBoundsHold(t *testing.T) {
	better := [2]int{}
	for seed := range 3000 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		whole := randomPart(rnd, 4+rnd.Intn(16), 4+rnd.Intn(50), []int64{1, 1, 3, 100}[seed%4])
		r := newReducer(whole.weight, whole.adj)
		r.run()
		for _, k := range r.parts() {
			in, err := native{}.solve(context.Background(), k)
			if err != nil {
				t.Fatal(err)
			}
			for i, bound := range []int64{k.cliqueBound(), k.cycleBound()} {
				if bound > k.cost(in) {
					t.Fatalf("seed %d: bound %d says %d, a cover weighs %d", seed, i, bound, k.cost(in))
				}
				better[i] += bit(bound > k.least())
			}
		}
	}
	if better[0] == 0 || better[1] == 0 {
		t.Errorf("better than the relaxation %v times", better)
	}
}

// TestBoundsByHand: five in a ring need three, four all joined need all but the
// lightest.
func TestBoundsByHand(t *testing.T) {
	ring := &part{weight: []int64{2, 2, 2, 2, 2}, adj: [][]int32{{1, 4}, {0, 2}, {1, 3}, {2, 4}, {0, 3}}}
	if got := ring.cycleBound(); got != 6 {
		t.Errorf("the ring: %d", got)
	}
	four := &part{weight: []int64{5, 1, 3, 2}, adj: [][]int32{{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}}}
	if got := four.cliqueBound(); got != 6 {
		t.Errorf("the clique: %d", got)
	}
}
