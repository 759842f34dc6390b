package solver

import (
	"context"
	"math/rand"
	"testing"
)

// TestUnconfined: the least cover stays the same, and the rule fires where the
// others don't.
func TestUnconfined(t *testing.T) {
	fired := 0
	for seed := range 3000 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		k := randomPart(rnd, 4+rnd.Intn(9), 4+rnd.Intn(30), 1)
		want := leastByTrying(k)
		in, err := native{}.solve(context.Background(), &part{vertex: k.vertex, weight: k.weight, adj: k.adj})
		if err != nil || k.cost(in) != want {
			t.Fatalf("seed %d: %d, want %d (%v)", seed, k.cost(in), want, err)
		}
		r := newReducer(k.weight, k.adj)
		r.run()
		before := r.left
		if newConfiner(r).isEqual && newConfiner(r).run() {
			fired++
		}
		if r.left > before {
			t.Fatal("more is left")
		}
	}
	if fired == 0 {
		t.Error("it never fired")
	}
}

// leastByTrying tries every set of vertices.
func leastByTrying(k *part) int64 {
	n := len(k.weight)
	best := int64(1) << 62
	for set := range 1 << n {
		in, ok := make([]bool, n), true
		for v := range n {
			in[v] = set>>v&1 == 1
		}
		for v, list := range k.adj {
			for _, u := range list {
				ok = ok && (in[v] || in[u])
			}
		}
		if ok {
			best = min(best, k.cost(in))
		}
	}
	return best
}
