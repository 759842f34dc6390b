package solver

import (
	"container/heap"
	"context"
	"slices"
)

// native is the exact engine in plain Go: branch and bound whose every node is
// reduced by the same rules as the whole problem, split into components, and
// bounded by the linear relaxation.
type native struct{}

func (native) Name() string { return "native" }

func (native) solve(ctx context.Context, k *part) ([]bool, error) {
	in := goodCover(k)
	s := &search{ctx: ctx}
	if p := k.pack(ctx, k.cost(in)); p != nil && p.sum() > float64(k.cost(in)-1)+1e-4 && roundedUp(p.multipliers()) >= k.cost(in) {
		return in, ctx.Err()
	}
	if better, ok := s.reduced(k.weight, k.adj, k.cost(in)); ok {
		in = better
	}
	return in, s.err
}

// cost is the weight of a cover of the part.
func (k *part) cost(in []bool) int64 {
	sum := int64(0)
	for v, yes := range in {
		if yes {
			sum += k.weight[v]
		}
	}
	return sum
}

// greedyCover takes the vertex that covers most edges for its weight until all
// are covered, then drops what is not needed.
func greedyCover(k *part) []bool {
	n := len(k.weight)
	in, deg := make([]bool, n), make([]int64, n)
	edges := int64(0)
	for v, list := range k.adj {
		deg[v] = int64(len(list))
		edges += deg[v]
	}
	// The heap's order may be out of date, but only in that a vertex covers less
	// than it did: what comes out on top is put back until it is right.
	h := &greedy{weight: k.weight, key: slices.Clone(deg)}
	for v := range deg {
		h.list = append(h.list, int32(v))
	}
	heap.Init(h)
	for edges > 0 {
		best := h.list[0]
		if h.key[best] != deg[best] {
			h.key[best] = deg[best]
			heap.Fix(h, 0)
			continue
		}
		heap.Pop(h)
		in[best] = true
		edges -= 2 * deg[best]
		for _, u := range k.adj[best] {
			if !in[u] {
				deg[u]--
			}
		}
		deg[best] = 0
	}
	dropRedundant(k, in)
	return in
}

// greedy orders vertices by the edges they cover for their weight, then by
// number.
type greedy struct {
	weight, key []int64
	list        []int32
}

func (h *greedy) Len() int { return len(h.list) }
func (h *greedy) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	x, y := h.key[a]*h.weight[b], h.key[b]*h.weight[a]
	return x > y || x == y && a < b
}
func (h *greedy) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *greedy) Push(x any)    { h.list = append(h.list, x.(int32)) }
func (h *greedy) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}

// dropRedundant takes out, heaviest first in effect by order of vertices from
// the end, whatever has all its neighbours in the cover.
func dropRedundant(k *part, in []bool) {
	for v := len(in) - 1; v >= 0; v-- {
		needed := !in[v]
		for _, u := range k.adj[v] {
			needed = needed || !in[u]
		}
		if !needed {
			in[v] = false
		}
	}
}

// A search looks for covers cheaper than a limit.
type search struct {
	ctx   context.Context
	nodes int
	most  int   // nodes; 0 is no limit
	err   error // the context's, once it ended, or errTooMany
}

// reduced solves any vertex cover problem below a limit.
func (s *search) reduced(weight []int64, adj [][]int32, limit int64) ([]bool, bool) {
	if s.nodes++; s.nodes%64 == 0 && s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.most > 0 && s.nodes > s.most && s.err == nil {
		s.err = errTooMany
	}
	if s.err != nil || limit <= 0 {
		return nil, false
	}
	r := newReducer(weight, adj)
	r.runSearching()
	in := make([]bool, len(weight))
	if r.offset >= limit {
		return nil, false
	}
	parts := r.parts()
	limit -= r.offset
	least := make([]int64, len(parts))
	for i, k := range parts {
		least[i] = k.atLeast(limit)
		limit -= least[i]
	}
	for i, k := range parts {
		if limit <= 0 {
			return nil, false
		}
		sub, ok := s.component(k, limit+least[i])
		if !ok {
			return nil, false
		}
		limit -= k.cost(sub) - least[i]
		for j, v := range k.vertex {
			in[v] = sub[j]
		}
	}
	r.cover(in)
	return in, limit > 0
}

// least is the relaxation of a component, rounded up. That all halves are its
// optimum is what the reducer's last rule, halves, ends with.
func (k *part) least() int64 {
	sum := int64(0)
	for _, w := range k.weight {
		sum += w
	}
	return (sum + 1) / 2
}

// component branches on a component that no rule shrinks: the busiest vertex is in, or its
// neighbours are.
func (s *search) component(k *part, limit int64) ([]bool, bool) {
	v := 0
	for u := range k.adj {
		if len(k.adj[u]) > len(k.adj[v]) {
			v = u
		}
	}
	var best []bool
	for _, taken := range [][]int32{{int32(v)}, k.adj[v]} {
		if in, ok := s.without(k, taken, int32(v), limit); ok {
			best, limit = in, k.cost(in)
		}
	}
	return best, best != nil
}

// without takes vertices into the cover and solves the rest. Branches that take
// v's neighbours leave v out.
func (s *search) without(k *part, taken []int32, v int32, limit int64) ([]bool, bool) {
	in := make([]bool, len(k.weight))
	removed := make([]bool, len(k.weight))
	removed[v] = true
	for _, u := range taken {
		in[u], removed[u] = true, true
		limit -= k.weight[u]
	}
	var keep []int32
	number := make([]int32, len(k.weight))
	for u := range removed {
		if !removed[u] {
			number[u] = int32(len(keep))
			keep = append(keep, int32(u))
		}
	}
	weight, adj := make([]int64, len(keep)), make([][]int32, len(keep))
	for i, u := range keep {
		weight[i] = k.weight[u]
		for _, x := range k.adj[u] {
			if !removed[x] {
				adj[i] = append(adj[i], number[x])
			}
		}
	}
	sub, ok := s.reduced(weight, adj, limit)
	if !ok {
		return nil, false
	}
	for i, u := range keep {
		in[u] = sub[i]
	}
	return in, true
}
