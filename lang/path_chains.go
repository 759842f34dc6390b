package lang

import (
	"slices"

	"admc.dev/admc/graph"
)

// chains are the ways that requests take through the graph. A chain begins at an
// external, at a service with `starts: true`, at one that nobody else calls, or
// at one that none of these reaches. It goes on over the calls of services to
// services; a service's calls to itself don't lengthen it, and an external is
// where it ends: what an external calls is another chain.
type chains struct {
	starts []int32
	// next and last are the services that a node calls and the nodes that call a
	// service, each once, without itself.
	next, last [][]int32
	// carry is last, without the nodes that call over byte streams only.
	carry [][]int32
}

func newChains(x *index) *chains {
	n := len(x.nodes)
	w := &chains{next: make([][]int32, n), last: make([][]int32, n), carry: make([][]int32, n)}
	for call := range x.g.Calls { // sorted by sender, receiver and port
		u, v := x.from[call], x.to[call]
		if u == v || v >= x.services || len(w.next[u]) > 0 && w.next[u][len(w.next[u])-1] == v {
			continue
		}
		w.next[u] = append(w.next[u], v)
	}
	for u := range w.next {
		for _, v := range w.next[u] {
			w.last[v] = append(w.last[v], int32(u))
		}
	}
	for call := range x.g.Calls {
		u, v := x.from[call], x.to[call]
		if u != v && v < x.services && x.planes[call] != graph.TCP {
			w.carry[v] = append(w.carry[v], u)
		}
	}
	for v := range w.carry {
		slices.Sort(w.carry[v])
		w.carry[v] = slices.Compact(w.carry[v])
	}
	reached := make([]bool, n)
	for i, node := range x.nodes {
		if s, service := node.(*graph.Service); !service || s.Starts {
			w.starts = append(w.starts, int32(i))
			reached[i] = true
		}
	}
	for queue := slices.Clone(w.starts); len(queue) > 0; queue = queue[1:] {
		for _, v := range w.next[queue[0]] {
			if !reached[v] {
				reached[v] = true
				queue = append(queue, v)
			}
		}
	}
	for i := range n {
		if !reached[i] {
			w.starts = append(w.starts, int32(i))
		}
	}
	slices.Sort(w.starts)
	return w
}

// carries reports whether a request of u to v can carry a header.
func (w *chains) carries(u, v int32) bool {
	_, ok := slices.BinarySearch(w.carry[v], u)
	return ok
}
