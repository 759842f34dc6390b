package solver

import (
	"math/rand"
	"slices"
	"testing"
)

// TestGoodCover: a cover, never worse than the greedy one, at times better, with
// nothing to spare, and the same every time.
func TestGoodCover(t *testing.T) {
	better := 0
	for seed := range 200 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		k := randomPart(rnd, 5+rnd.Intn(60), 5+rnd.Intn(200), []int64{1, 9}[seed%2])
		in := goodCover(k)
		for v, list := range k.adj {
			idle := in[v]
			for _, u := range list {
				if !in[v] && !in[u] {
					t.Fatalf("seed %d: the edge %d %d is not covered", seed, v, u)
				}
				idle = idle && in[u]
			}
			if idle {
				t.Fatalf("seed %d: %d is in for nothing", seed, v)
			}
		}
		greedy := k.cost(greedyCover(k))
		if k.cost(in) > greedy || !slices.Equal(in, goodCover(k)) {
			t.Fatalf("seed %d: %d, greedy %d", seed, k.cost(in), greedy)
		}
		better += bit(k.cost(in) < greedy)
	}
	if better < 50 {
		t.Errorf("better than greedy %d times", better)
	}
}
