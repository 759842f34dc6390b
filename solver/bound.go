package solver

import (
	"cmp"
	"slices"
)

// Lower bounds of a part's covers that take about as long as reading it, for
// the nodes of a search. The relaxation with cuts (pack.go) is stronger and far
// too slow there.

// atLeast is the best of them; once one reaches enough the others aren't made.
func (k *part) atLeast(enough int64) int64 {
	bound := k.least()
	for _, next := range []func() int64{k.cliqueBound, k.cycleBound} {
		if bound >= enough {
			break
		}
		bound = max(bound, next())
	}
	return bound
}

// cliqueBound: of each clique all but one vertex are in a cover, so with the
// vertices divided into cliques, a cover weighs at least everything without the
// heaviest of each. The division is greedy: vertices with few neighbours first,
// each into the largest clique that it is joined to all of. (Akiba and Iwata
// 2016, with weights: the heaviest first, so that each clique loses one of much
// the same weight.)
func (k *part) cliqueBound() int64 {
	n := len(k.weight)
	order := make([]int32, n)
	for v := range order {
		order[v] = int32(v)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(k.weight[b], k.weight[a]), cmp.Compare(len(k.adj[a]), len(k.adj[b])))
	})
	clique, size, joined := make([]int32, n), make([]int32, n), make([]int32, n)
	for v := range clique {
		clique[v] = -1
	}
	bound := int64(0)
	for _, v := range order {
		best := int32(-1)
		for _, u := range k.adj[v] {
			if c := clique[u]; c >= 0 {
				if joined[c]++; joined[c] == size[c] && (best < 0 || size[c] > size[best]) {
					best = c
				}
			}
		}
		for _, u := range k.adj[v] {
			if c := clique[u]; c >= 0 {
				joined[c] = 0
			}
		}
		if best < 0 {
			best = v // the first of a clique is its heaviest
		} else {
			bound += k.weight[v]
		}
		clique[v] = best
		size[best]++
	}
	return bound
}

// cycleBound: where all weights are the same and all halves are the optimum of
// the relaxation, its flow joins each vertex to another so that all are in
// disjoint edges and cycles; an odd cycle of m vertices needs (m+1)/2 of them,
// half a vertex more than the relaxation says. (Iwata, Wahlström and Yoshida.)
// 0 where that can't be said.
func (k *part) cycleBound() int64 {
	w := k.weight[0]
	for _, x := range k.weight {
		if x != w {
			return 0
		}
	}
	d := double(k.weight, k.adj)
	n := len(k.weight)
	next := make([]int32, n)
	for v := range next {
		next[v] = -1
		for j := d.start[v]; j < d.start[v+1]; j++ {
			if d.flow[j] == w {
				next[v] = d.to[j]
			}
		}
		if next[v] < 0 {
			return 0
		}
	}
	seen := make([]bool, n)
	bound := int64(0)
	for v := range next {
		length := int64(0)
		for u := int32(v); !seen[u]; u = next[u] {
			seen[u] = true
			length++
		}
		bound += (length + 1) / 2 * w
	}
	return bound
}
