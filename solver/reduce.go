package solver

import (
	"context"
	"slices"
)

// A reducer shrinks a weighted vertex cover problem by exact rules and
// remembers how to undo each: in one direction a cover of what is left becomes
// a cover of the whole, in the other a proof (dual.go) of what is left becomes
// a proof of the whole.
//
// In the proofs N(v) is v's live neighbours, N[v] = N(v) + v, w their weights.
// Each rule keeps: least cover before = least cover after + what it adds to
// offset.
type reducer struct {
	ctx    context.Context // nil, or ends run early: what is left is left
	noFold bool            // leaves out the one rule over which not every row lifts
	w      []int64
	adj    [][]int32 // ascending; may still hold removed vertices, see live
	gone   []bool
	deg    []int32
	sum    []int64 // weight of N(v)
	offset int64
	steps  []step

	queue  []int32
	queued []bool
	left   int // vertices not gone
}

type stepKind uint8

const (
	stepNeighbours stepKind = iota // N(v) in, v out
	stepDominate                   // v in, because of u
	stepFree                       // v in: it weighs nothing
	stepSimplicial                 // v in when one of N(v) is out
	stepFold                       // v stands for u and x together
	stepHalves                     // what the linear relaxation settles
)

// A step is one application of a rule, with what undoing it needs.
type step struct {
	kind stepKind
	v    int32
	u, x int32   // Dominate: u; Fold: u and x
	near []int32 // Neighbours, Simplicial: N(v); Halves: the ones that are in
	far  []int32 // Halves: the ones that are out; Fold: neighbours of u
	wide []int32 // Fold: neighbours of x
	w    []int64 // weights: Neighbours near's, Simplicial v's, Dominate v's and u's, Fold v's, u's, x's
	rows []row   // Halves: the proof
}

// maxLook bounds the degree of a vertex whose neighbourhood is compared with
// others; hubs are settled by the rules that look at sums only.
const maxLook = 48

func newReducer(weight []int64, adj [][]int32) *reducer {
	n := len(weight)
	r := &reducer{w: slices.Clone(weight), adj: make([][]int32, n), gone: make([]bool, n), deg: make([]int32, n),
		sum: make([]int64, n), queued: make([]bool, n), left: n}
	total := 0
	for _, list := range adj {
		total += len(list)
	}
	all := make([]int32, 0, total)
	for v, list := range adj {
		all = append(all, list...)
		r.adj[v] = all[len(all)-len(list) : len(all) : len(all)]
		r.deg[v] = int32(len(list))
		for _, u := range list {
			r.sum[v] += weight[u]
		}
		r.push(int32(v))
	}
	return r
}

func (r *reducer) push(v int32) {
	if !r.queued[v] && !r.gone[v] {
		r.queued[v] = true
		r.queue = append(r.queue, v)
	}
}

// live drops removed vertices from v's list and gives it.
func (r *reducer) live(v int32) []int32 {
	if int(r.deg[v]) == len(r.adj[v]) {
		return r.adj[v]
	}
	keep := r.adj[v][:0]
	for _, u := range r.adj[v] {
		if !r.gone[u] {
			keep = append(keep, u)
		}
	}
	r.adj[v] = keep
	return keep
}

// joined reports an edge between live vertices.
func (r *reducer) joined(u, v int32) bool {
	if len(r.adj[u]) > len(r.adj[v]) {
		u, v = v, u
	}
	_, ok := slices.BinarySearch(r.adj[u], v)
	return ok
}

func (r *reducer) remove(v int32) {
	for _, u := range r.live(v) {
		r.deg[u]--
		r.sum[u] -= r.w[v]
		r.push(u)
	}
	r.gone[v] = true
	r.left--
}

// lighten takes d from v's weight.
func (r *reducer) lighten(v int32, d int64) {
	r.w[v] -= d
	r.push(v)
	for _, u := range r.live(v) {
		r.sum[u] -= d
		r.push(u)
	}
}

// run applies the rules until none fires.
func (r *reducer) run() {
	for {
		r.local()
		if r.left == 0 || r.stopped() || !r.halves() && !r.folds() {
			return
		}
	}
}

func (r *reducer) stopped() bool { return r.ctx != nil && r.ctx.Err() != nil }

// local empties the queue with the rules that look at one neighbourhood.
func (r *reducer) local() {
	for len(r.queue) > 0 {
		v := r.queue[len(r.queue)-1]
		r.queue = r.queue[:len(r.queue)-1]
		r.queued[v] = false
		if r.gone[v] {
			continue
		}
		if len(r.queue)%4096 == 0 && r.stopped() {
			return
		}
		switch {
		case r.sum[v] <= r.w[v]:
			r.takeNeighbours(v)
		case r.w[v] == 0:
			r.takeFree(v)
		case r.deg[v] <= maxLook:
			if !r.dominate(v) {
				r.simplicial(v)
			}
		}
	}
}

// takeNeighbours: if w(v) >= w(N(v)), some least cover holds N(v) and not v,
// because in a cover that holds v, v can be exchanged for what is missing of
// N(v). Vertices without edges are the case of an empty N(v), those of degree
// one whose neighbour is not heavier the usual one.
func (r *reducer) takeNeighbours(v int32) {
	s := step{kind: stepNeighbours, v: v, near: slices.Clone(r.live(v))}
	for _, u := range s.near {
		s.w = append(s.w, r.w[u])
		r.offset += r.w[u]
	}
	r.remove(v)
	for _, u := range s.near {
		r.remove(u)
	}
	r.steps = append(r.steps, s)
}

// takeFree: what weighs nothing may be in the cover.
func (r *reducer) takeFree(v int32) {
	r.steps = append(r.steps, step{kind: stepFree, v: v})
	r.remove(v)
}

// dominate: if uv is an edge, N[u] is in N[v] and w(v) <= w(u), some least
// cover holds v. A cover holds u or v; if it does not hold v it holds N(v),
// hence N[u] without v, so u can be exchanged for v: all of u's other edges are
// covered from their far end.
func (r *reducer) dominate(u int32) bool {
	near := r.live(u)
	for _, v := range near {
		if r.w[v] > r.w[u] || r.deg[v] < r.deg[u] {
			continue
		}
		if !slices.ContainsFunc(near, func(x int32) bool { return x != v && !r.joined(v, x) }) {
			r.steps = append(r.steps, step{kind: stepDominate, v: v, u: u, w: []int64{r.w[v], r.w[u]}})
			r.offset += r.w[v]
			r.remove(v)
			r.push(u)
			return true
		}
	}
	return false
}

// simplicial: let N[v] be a clique of k+1 vertices and v the lightest. A cover
// holds all of the clique but at most one, and v need only be in it when one of
// N(v) is out. So taking w(v) from each of N(v) and removing v changes every
// cover's weight by k·w(v): with N(v) all in, k·w(v) of them is taken; with one
// out, (k-1)·w(v) of the others and the w(v) of v itself. Degree one with a
// heavier neighbour is the case k = 1.
func (r *reducer) simplicial(v int32) {
	near := r.live(v)
	for i, u := range near {
		if r.w[u] < r.w[v] {
			return
		}
		for _, x := range near[:i] {
			if !r.joined(u, x) {
				return
			}
		}
	}
	s := step{kind: stepSimplicial, v: v, near: slices.Clone(near), w: []int64{r.w[v]}}
	r.offset += int64(len(near)) * r.w[v]
	r.remove(v)
	for _, u := range s.near {
		r.lighten(u, s.w[0])
	}
	r.steps = append(r.steps, s)
}

// folds folds what it can in one pass, and reports whether there was any.
func (r *reducer) folds() bool {
	any := false
	for v := range r.w {
		if !r.noFold && !r.gone[v] && r.deg[v] == 2 && r.fold(int32(v)) {
			any = true
			r.local()
		}
	}
	return any
}

// fold: let N(v) = {u, x}, not joined, with max(w(u), w(x)) <= w(v) <
// w(u) + w(x). Some least cover holds either v and neither of u, x, or both and
// not v: one that holds v and u can have x for v. So the three become one
// vertex, joined to all that u and x are joined to, of weight w(u) + w(x) -
// w(v): in the cover, it stands for u and x; out of it, for v.
func (r *reducer) fold(v int32) bool {
	near := r.live(v)
	u, x := near[0], near[1]
	if r.w[v] < max(r.w[u], r.w[x]) || r.joined(u, x) {
		return false
	}
	s := step{kind: stepFold, v: v, u: u, x: x, w: []int64{r.w[v], r.w[u], r.w[x]}}
	without := func(list []int32) []int32 {
		return slices.DeleteFunc(slices.Clone(list), func(y int32) bool { return y == v })
	}
	s.far, s.wide = without(r.live(u)), without(r.live(x))
	r.offset += r.w[v]
	r.remove(u)
	r.remove(x)
	merged := slices.Concat(s.far, s.wide)
	slices.Sort(merged)
	merged = slices.Compact(merged)
	r.w[v] = s.w[1] + s.w[2] - s.w[0]
	r.adj[v], r.deg[v], r.sum[v] = merged, int32(len(merged)), 0
	for _, y := range merged {
		list := r.live(y)
		i, _ := slices.BinarySearch(list, v)
		r.adj[y] = slices.Insert(slices.Clip(list), i, v)
		r.deg[y]++
		r.sum[y] += r.w[v]
		r.sum[v] += r.w[y]
		r.push(y)
	}
	r.push(v)
	r.steps = append(r.steps, s)
	return true
}

// cover undoes the steps: in holds a cover of what is left and becomes one of
// the whole.
func (r *reducer) cover(in []bool) {
	for i := len(r.steps) - 1; i >= 0; i-- {
		s := &r.steps[i]
		switch s.kind {
		case stepNeighbours, stepHalves:
			for _, u := range s.near {
				in[u] = true
			}
			for _, u := range s.far {
				in[u] = false
			}
			if s.kind == stepNeighbours {
				in[s.v] = false
			}
		case stepDominate, stepFree:
			in[s.v] = true
		case stepSimplicial:
			in[s.v] = slices.ContainsFunc(s.near, func(u int32) bool { return !in[u] })
		case stepFold:
			in[s.u], in[s.x] = in[s.v], in[s.v]
			in[s.v] = !in[s.v]
		}
	}
}

// A part is a component of what is left, with vertices of its own.
type part struct {
	vertex []int32 // the reducer's vertex of each, ascending
	weight []int64
	adj    [][]int32

	packed *packing // made once
}

// parts gives the components of what is left, by their smallest vertex.
func (r *reducer) parts() []*part {
	if r.left == 0 {
		return nil
	}
	number := make([]int32, len(r.w))
	seen := make([]bool, len(r.w))
	var out []*part
	for v := range r.w {
		if r.gone[v] || seen[v] {
			continue
		}
		list := []int32{int32(v)}
		seen[v] = true
		for i := 0; i < len(list); i++ {
			for _, u := range r.live(list[i]) {
				if !seen[u] {
					seen[u] = true
					list = append(list, u)
				}
			}
		}
		slices.Sort(list)
		out = append(out, r.extract(list, number))
	}
	return out
}

func (r *reducer) extract(vertices []int32, number []int32) *part {
	k := &part{vertex: vertices, weight: make([]int64, len(vertices)), adj: make([][]int32, len(vertices))}
	for i, v := range vertices {
		number[v] = int32(i)
	}
	for i, v := range vertices {
		k.weight[i] = r.w[v]
		for _, u := range r.live(v) {
			k.adj[i] = append(k.adj[i], number[u])
		}
	}
	return k
}
