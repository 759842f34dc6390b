package solver

import (
	"cmp"
	"slices"
)

// separate looks for rows that y breaks, and reports whether it added any.
func (p *packing) separate() bool {
	found := p.separateCliques()
	return p.separateCycles() || found
}

// worth is by how much y must break a row for it to be added.
const worth = 1e-3

// separateCliques grows each edge to a clique by the vertices with the least y,
// because a clique is broken by what is far below 1.
func (p *packing) separateCliques() bool {
	found := false
	for u, list := range p.k.adj {
		for _, v := range list {
			if v < int32(u) {
				continue
			}
			var both []int32
			for _, x := range list {
				if x != v && p.y[x] < 1-worth && p.k.joinedToAll(x, []int32{v}) {
					both = append(both, x)
				}
			}
			slices.SortStableFunc(both, func(a, b int32) int { return cmp.Compare(p.y[a], p.y[b]) })
			clique := []int32{int32(u), v}
			for _, x := range both {
				if p.k.joinedToAll(x, clique[1:]) {
					clique = append(clique, x)
				}
			}
			if r := newRow(rowClique, 0, clique...); len(clique) > 2 && p.gain(&r) > worth {
				found = p.add(r) || found
			}
		}
	}
	return found
}

// separateCycles finds, from each vertex, an odd closed walk that y breaks most.
// With the length y[u] + y[v] - 1 of an edge, which is not negative, a cycle of
// k vertices has the length 2·sum y - k, so it is broken when it is shorter
// than 1. A shortest odd closed walk is a shortest path in the doubled graph,
// whose edges change sides.
func (p *packing) separateCycles() bool {
	n := len(p.y)
	w := &walker{p: p, dist: make([]float64, 2*n), from: make([]int32, 2*n), done: make([]bool, 2*n)}
	found := 0
	for v := range n {
		if p.y[v] > 1-worth {
			continue // every row through it is kept by the others
		}
		if cycle := w.shortest(int32(v)); cycle != nil {
			if r := newRow(rowCycle, 0, cycle...); p.gain(&r) > worth && p.add(r) {
				found++
			}
		}
	}
	return found > 0
}

// A walker finds shortest paths; node 2v+side of the doubled graph.
type walker struct {
	p    *packing
	dist []float64
	from []int32
	done []bool
	heap []reached
}

// reached is a node with the length by which it was reached.
type reached struct {
	dist float64
	x    int32
}

// shortest gives an odd cycle on a shortest odd closed walk from v, nil when
// there is none below the length 1.
func (w *walker) shortest(v int32) []int32 {
	for i := range w.dist {
		w.dist[i], w.from[i], w.done[i] = 1, -1, false
	}
	start, end := 2*v, 2*v+1
	w.dist[start] = 0
	w.heap = append(w.heap[:0], reached{0, start})
	for len(w.heap) > 0 {
		x := w.pop().x
		if w.done[x] {
			continue
		}
		if x == end {
			return w.cycle(end)
		}
		w.done[x] = true
		for _, u := range w.p.k.adj[x/2] {
			next := 2*u + 1 - x%2
			length := max(0, w.p.y[x/2]+w.p.y[u]-1)
			if d := w.dist[x] + length; d < w.dist[next]-tolerance {
				w.dist[next], w.from[next] = d, x
				w.push(reached{d, next})
			}
		}
	}
	return nil
}

// cycle reads the walk back and cuts it down to its first odd cycle. An odd
// closed walk that visits a vertex twice is two closed walks, one of them odd
// and no longer.
func (w *walker) cycle(end int32) []int32 {
	var walk []int32
	for x := w.from[end]; x >= 0; x = w.from[x] {
		walk = append(walk, x/2)
	}
	for {
		i, j := twice(walk)
		if i < 0 {
			break
		}
		if (j-i)%2 == 1 {
			walk = walk[i:j]
		} else {
			walk = slices.Delete(walk, i, j)
		}
	}
	if len(walk) < 3 {
		return nil
	}
	return walk
}

// twice gives two places of the same vertex in a walk, or -1.
func twice(walk []int32) (int, int) {
	for i, v := range walk {
		if j := slices.Index(walk[i+1:], v); j >= 0 {
			return i, i + 1 + j
		}
	}
	return -1, -1
}

func (w *walker) push(x reached) {
	w.heap = append(w.heap, x)
	for i := len(w.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if w.heap[up].dist <= w.heap[i].dist {
			break
		}
		w.heap[up], w.heap[i] = w.heap[i], w.heap[up]
		i = up
	}
}

func (w *walker) pop() reached {
	x := w.heap[0]
	last := len(w.heap) - 1
	w.heap[0] = w.heap[last]
	w.heap = w.heap[:last]
	for i := 0; ; {
		least := i
		for _, c := range []int{2*i + 1, 2*i + 2} {
			if c < last && w.heap[c].dist < w.heap[least].dist {
				least = c
			}
		}
		if least == i {
			return x
		}
		w.heap[i], w.heap[least] = w.heap[least], w.heap[i]
		i = least
	}
}
