package solver

import (
	"context"
	"math/rand"
	"slices"
	"testing"
)

// leastCover branches on the first edge that is not covered, without any
// bound or rule.
func leastCover(k *part) int64 {
	in := make([]bool, len(k.weight))
	var try func() int64
	try = func() int64 {
		for u, list := range k.adj {
			for _, v := range list {
				if !in[u] && !in[v] {
					in[u] = true
					one := k.weight[u] + try()
					in[u], in[v] = false, true
					other := k.weight[v] + try()
					in[v] = false
					return min(one, other)
				}
			}
		}
		return 0
	}
	return try()
}

func (k *part) covers(in []bool) bool {
	for u, list := range k.adj {
		for _, v := range list {
			if !in[u] && !in[v] {
				return false
			}
		}
	}
	return true
}

// smallPart varies size, density and weights; weights from 0.
func smallPart(rnd *rand.Rand) *part {
	n := 2 + rnd.Intn(13)
	k := randomPart(rnd, n, rnd.Intn(3*n), int64([]int{1, 2, 3, 10}[rnd.Intn(4)]))
	if rnd.Intn(8) == 0 {
		k.weight[rnd.Intn(n)] = 0
	}
	return k
}

// TestRules applies each rule alone, then all, to thousands of small graphs:
// what is left and the offset must add up to the least cover, the cover that
// comes back must be one of that weight, and the lifted rows must hold, keep to
// the weights, and prove the offset besides what they proved before.
func TestRules(t *testing.T) {
	each := func(f func(r *reducer, v int32)) func(*reducer) {
		return func(r *reducer) {
			for v := range r.w {
				if !r.gone[v] {
					f(r, int32(v))
				}
			}
		}
	}
	for _, rule := range []struct {
		name string
		kind stepKind
		run  func(r *reducer)
	}{
		{"neighbours", stepNeighbours, each(func(r *reducer, v int32) {
			if r.sum[v] <= r.w[v] {
				r.takeNeighbours(v)
			}
		})},
		{"free", stepFree, each(func(r *reducer, v int32) {
			if r.w[v] == 0 {
				r.takeFree(v)
			}
		})},
		{"dominate", stepDominate, each(func(r *reducer, v int32) { r.dominate(v) })},
		{"simplicial", stepSimplicial, each(func(r *reducer, v int32) { r.simplicial(v) })},
		{"fold", stepFold, each(func(r *reducer, v int32) {
			if r.deg[v] == 2 && r.w[v] < r.sum[v] {
				r.fold(v)
			}
		})},
		{"halves", stepHalves, func(r *reducer) { r.halves() }},
		{"dominate and fold", stepFold, func(r *reducer) {
			each(func(r *reducer, v int32) { r.dominate(v) })(r)
			each(func(r *reducer, v int32) {
				if r.deg[v] == 2 && r.w[v] < r.sum[v] {
					r.fold(v)
				}
			})(r)
		}},
		{"all", stepNeighbours, (*reducer).run},
	} {
		t.Run(rule.name, func(t *testing.T) {
			fired, short := 0, 0
			for seed := range 6000 {
				whole := smallPart(rand.New(rand.NewSource(int64(seed))))
				r := newReducer(whole.weight, whole.adj)
				rule.run(r)
				if slices.ContainsFunc(r.steps, func(s step) bool { return s.kind == rule.kind }) {
					fired++
				}
				if !checkReduction(t, whole, r) {
					short++
				}
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
			if fired < 100 {
				t.Errorf("the rule fired on %d graphs", fired)
			}
			if short > 6000/50 {
				t.Errorf("the lifted proof fell short on %d graphs", short)
			}
		})
	}
}

// checkReduction reports whether the lifted proof lost nothing.
func checkReduction(t *testing.T, whole *part, r *reducer) bool {
	want := leastCover(whole)
	got, in := r.offset, make([]bool, len(whole.weight))
	var rows []row
	proved := r.offset * denominator
	for _, k := range r.parts() {
		sub, err := native{}.solve(context.Background(), k)
		if err != nil {
			t.Error(err)
		}
		for i, v := range k.vertex {
			in[v] = sub[i]
		}
		got += k.cost(sub)
		for _, x := range k.prove(context.Background(), k.cost(sub)) {
			proved += x.times * x.atLeast()
			rows = append(rows, x)
		}
	}
	r.cover(in)
	if got != want || whole.cost(in) != want || !whole.covers(in) {
		t.Errorf("least cover %d, reduced %d, cover back %d", want, got, whole.cost(in))
	}
	lifted := r.lift(rows)
	load, sum := make([]int64, len(in)), int64(0)
	for _, x := range lifted {
		if !rowHolds(whole, &x) {
			t.Errorf("row %v does not hold", x)
		}
		for _, v := range x.at {
			if load[v] += x.times; load[v] > whole.weight[v]*denominator {
				t.Errorf("vertex %d weighs %d and is used %d/%d", v, whole.weight[v], load[v], denominator)
			}
		}
		sum += x.times * x.atLeast()
	}
	if sum > proved {
		t.Errorf("lifted to %d from %d", sum, proved)
	}
	return sum == proved
}

// rowHolds minimises the row's left side over the covers of its vertices.
func rowHolds(whole *part, x *row) bool {
	sub := &part{weight: make([]int64, len(x.at)), adj: make([][]int32, len(x.at))}
	for i, u := range x.at {
		sub.weight[i] = 1
		for _, v := range whole.adj[u] {
			if j := slices.Index(x.at, v); j >= 0 {
				sub.adj[i] = append(sub.adj[i], int32(j))
			}
		}
	}
	return leastCover(sub) >= x.atLeast()
}

// TestEnginesOnGraphs: every engine against the oracle, unreduced parts too,
// and against each other on graphs too large for it.
func TestEnginesOnGraphs(t *testing.T) {
	for seed := range 4000 {
		k := smallPart(rand.New(rand.NewSource(int64(seed))))
		want := leastCover(k)
		r := newReducer(k.weight, k.adj)
		for _, whole := range r.parts() {
			want -= leastCover(whole)
			for _, e := range engines {
				in, err := e.solve(context.Background(), whole)
				if err != nil || !whole.covers(in) || whole.cost(in) != leastCover(whole) {
					t.Fatalf("seed %d: %s finds %d, %v; the least cover is %d", seed, e.Name(), whole.cost(in), err, leastCover(whole))
				}
			}
			for _, x := range whole.pack(context.Background(), 1<<40).rows {
				if n := len(x.at); !rowHolds(whole, &x) || x.kind == rowCycle && (n%2 == 0 || n < 3) {
					t.Fatalf("seed %d: row %v does not hold", seed, x)
				}
			}
			if bound := roundedUp(whole.prove(context.Background(), 1<<40)); bound > leastCover(whole) {
				t.Fatalf("seed %d: a bound of %d above the least cover %d", seed, bound, leastCover(whole))
			}
		}
		if want != 0 {
			t.Fatalf("seed %d: the components do not add up", seed)
		}
	}
	for seed := range 60 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		n := 30 + rnd.Intn(50)
		k := randomPart(rnd, n, 2*n+rnd.Intn(n), int64(1+3*(seed%2)))
		var costs []int64
		for _, e := range engines {
			in, err := e.solve(context.Background(), k)
			if err != nil || !k.covers(in) {
				t.Fatalf("seed %d: %s: %v", seed, e.Name(), err)
			}
			costs = append(costs, k.cost(in))
		}
		if slices.Min(costs) != slices.Max(costs) {
			t.Fatalf("seed %d: the engines %v find %v", seed, Engines(), costs)
		}
		r := newReducer(k.weight, k.adj)
		r.run()
		if !checkAgainst(r, k, costs[0]) {
			t.Fatalf("seed %d: reduced, the cover is not of weight %d", seed, costs[0])
		}
	}
}

func checkAgainst(r *reducer, whole *part, want int64) bool {
	in := make([]bool, len(whole.weight))
	for _, k := range r.parts() {
		sub, err := native{}.solve(context.Background(), k)
		if err != nil {
			return false
		}
		for i, v := range k.vertex {
			in[v] = sub[i]
		}
	}
	r.cover(in)
	return whole.covers(in) && whole.cost(in) == want
}
