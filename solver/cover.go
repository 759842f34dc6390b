package solver

import (
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
	node   []int32 // the problem's node of each vertex, ascending
	weight []int64
	adj    [][]int32 // ascending, without the vertex itself
	forced []bool    // by node of the problem: y = 1 in every placement
}

// newCover builds the cover problem of a closed problem without conflicts.
func newCover(c *closing) *cover {
	p := c.p
	g := &cover{forced: forcedNodes(c)}
	var edges []uint64
	for i := range p.Obligations {
		if !c.free(i) {
			continue
		}
		r := p.Obligations[i].Receiver
		for _, s := range p.Obligations[i].Senders {
			if !g.forced[r] && !g.forced[s] {
				edges = append(edges, uint64(min(r, s))<<32|uint64(max(r, s)))
			}
		}
	}
	slices.Sort(edges)
	g.addEdges(p, slices.Compact(edges))
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
// edges are pairs of nodes, ascending.
func (g *cover) addEdges(p *Problem, edges []uint64) {
	degree := make([]int32, len(p.Nodes))
	for _, e := range edges {
		degree[e>>32]++
		degree[uint32(e)]++
	}
	vertex := make([]int32, len(p.Nodes))
	all := make([]int32, 2*len(edges))
	for n, d := range degree {
		if d > 0 {
			vertex[n] = int32(len(g.node))
			g.node = append(g.node, int32(n))
			g.weight = append(g.weight, p.Nodes[n].Weight)
			g.adj = append(g.adj, all[:0:d])
			all = all[d:]
		}
	}
	// Two passes keep each list ascending: first the smaller ends, then the
	// larger.
	for _, e := range edges {
		u, v := vertex[e>>32], vertex[uint32(e)]
		g.adj[v] = append(g.adj[v], u)
	}
	for _, e := range edges {
		u, v := vertex[e>>32], vertex[uint32(e)]
		g.adj[u] = append(g.adj[u], v)
	}
}
