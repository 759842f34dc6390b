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
}

func newChains(x *index) *chains {
	n := len(x.nodes)
	w := &chains{next: make([][]int32, n), last: make([][]int32, n)}
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
