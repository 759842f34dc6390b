package solver

import (
	"cmp"
	"slices"

	"admc.dev/admc/lang/ir"
)

// A cover is the weighted vertex cover problem that is left once the pins are
// closed: choose a set of vertices with least total weight that touches every
// edge.
//
// # Why a cover is all there is
//
// Let the pins be closed (close.go) without a conflict, so that each obligation
// is pinned to one side, two-ended, or free.
//
//	forced   A pinned obligation needs its receiver (ingress) or all its senders
//	         (egress), a two-ended one all of them, an `always` itself: y = 1.
//	edge     A free obligation of receiver r is at ingress, so y[r] = 1, or at
//	         egress, so y[s] = 1 for each of its senders s. Either way
//	         y[r] + y[s] >= 1 for each s; for a self call, y[r] = 1.
//
// So every placement contains a cover of these. Conversely every such cover y
// extends to a placement: put the free obligations of r at ingress if y[r] = 1,
// and all of them at egress if y[r] = 0. The ADMs they need are there: in the
// second case each edge (r, s) has y[s] = 1. Nodes that can't host are no
// vertex, because an obligation that touches one is not free. And all rows
// hold. A row with a pinned or two-ended end can't fail, or propagation would
// have taken the offending side from its other end: for Forbid that is the row
// itself; for Same, a pinned end pins the other to its side, a two-ended p
// allows q anything, a two-ended q leaves a one-sided p no side. A row between
// two free ones joins obligations of one receiver, which are on the same side:
// Same asks just that, and Forbid forbids two opposite sides (Build refuses any
// other).
//
// Hence the least weight of a placement is that of a cover, whatever the rows.
// Capacities would break it: they limit what is at a node, and then the x
// matter.
type cover struct {
	// node is the problem's node of each vertex. Vertices are numbered in the
	// order in which equally light covers prefer them: who calls over most
	// policed edges first, then by name. An ADM beside a caller can serve all
	// its calls, and a database is the last place where one wants a proxy.
	node   []int32
	weight []int64
	adj    [][]int32 // ascending, without the vertex itself
	forced []bool    // by node of the problem: y = 1 in every placement
}

// newCover builds the cover problem of a closed problem without conflicts.
func newCover(c *closing) *cover {
	p := c.p
	g := &cover{forced: forcedNodes(c)}
	var edges []uint64
	calls := make([]int32, len(p.Nodes))
	for i := range p.Obligations {
		if !c.free(i) {
			continue
		}
		r := p.Obligations[i].Receiver
		for _, s := range p.Obligations[i].Senders {
			if !g.forced[r] && !g.forced[s] {
				edges = append(edges, uint64(min(r, s))<<32|uint64(max(r, s)))
				calls[s]++
			}
		}
	}
	slices.Sort(edges)
	g.addEdges(p, slices.Compact(edges), calls)
	return g
}

func forcedNodes(c *closing) []bool {
	forced := make([]bool, len(c.p.Nodes))
	for i := range c.p.Nodes {
		forced[i] = c.p.Nodes[i].Pin == Always
	}
	for i := range c.p.Obligations {
		o := &c.p.Obligations[i]
		if c.may[i] == ir.Ingress || o.Both {
			forced[o.Receiver] = true
		}
		for _, s := range o.Senders {
			if c.may[i] == ir.Egress || o.Both || s == o.Receiver {
				forced[s] = true
			}
		}
	}
	return forced
}

// addEdges numbers the nodes that have an edge and fills the adjacency. The
// edges are distinct pairs of nodes, calls the policed calls that each makes.
func (g *cover) addEdges(p *Problem, edges []uint64, calls []int32) {
	degree := make([]int32, len(p.Nodes))
	for _, e := range edges {
		degree[e>>32]++
		degree[uint32(e)]++
	}
	for n, d := range degree {
		if d > 0 {
			g.node = append(g.node, int32(n))
		}
	}
	slices.SortStableFunc(g.node, func(a, b int32) int { return cmp.Compare(calls[b], calls[a]) })
	vertex := make([]int32, len(p.Nodes))
	all := make([]int32, 2*len(edges))
	for v, n := range g.node {
		vertex[n] = int32(v)
		g.weight = append(g.weight, p.Nodes[n].Weight)
		g.adj = append(g.adj, all[:0:degree[n]])
		all = all[degree[n]:]
	}
	for _, e := range edges {
		u, v := vertex[e>>32], vertex[uint32(e)]
		g.adj[u] = append(g.adj[u], v)
		g.adj[v] = append(g.adj[v], u)
	}
	for v := range g.adj {
		slices.Sort(g.adj[v])
	}
}

// prefer exchanges vertices of a least cover for others that it prefers: v for
// its only neighbour outside the cover, if that weighs the same. Each exchange
// makes the sum of the numbers of the vertices smaller, so it ends.
func (g *cover) prefer(in []bool) {
	var queue []int32
	for v := range in {
		queue = append(queue, int32(v))
	}
	for len(queue) > 0 {
		v := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if u, ok := g.exchange(in, v); ok {
			in[v], in[u] = false, true
			queue = append(append(queue, g.adj[u]...), g.adj[v]...)
		}
	}
}

func (g *cover) exchange(in []bool, v int32) (int32, bool) {
	if !in[v] {
		return 0, false
	}
	only := int32(-1)
	for _, u := range g.adj[v] {
		if in[u] {
			continue
		}
		if only >= 0 || u > v || g.weight[u] != g.weight[v] {
			return 0, false
		}
		only = u
	}
	return only, only >= 0
}

// dropWeightless takes out what costs nothing and covers nothing: a service of
// cost 0 gets no ADM for that alone.
func (g *cover) dropWeightless(in []bool) {
	g.drop(in, func(v int) bool { return g.weight[v] == 0 })
}

// dropIdle takes out whatever covers nothing: a cover that is not least may have
// that, and an ADM that enforces nothing is no part of a placement.
func (g *cover) dropIdle(in []bool) {
	g.drop(in, func(int) bool { return true })
}

func (g *cover) drop(in []bool, may func(v int) bool) {
	for v := len(in) - 1; v >= 0; v-- {
		if in[v] && may(v) && !slices.ContainsFunc(g.adj[v], func(u int32) bool { return !in[u] }) {
			in[v] = false
		}
	}
}
