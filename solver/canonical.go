package solver

import (
	"context"
	"errors"
	"fmt"
)

const (
	// maxCanonical bounds the parts of which all engines give the same cover.
	maxCanonical = 64
	// maxCanonicalNodes bounds the search for it. It is a number of steps and
	// not a time, so that every machine gives up at the same place.
	maxCanonicalNodes = 20000
)

var errTooMany = errors.New("the search takes too many steps")

// canonical is the cover that all engines agree on: among the least ones, the
// one that has the first vertex if any of them has, then the second, and so on.
// So the same input gives the same bytes whichever engine solves it, as long as
// no part is too large for this; of a larger part the engine's own cover stays,
// and the bytes depend on the engine.
//
// It is also a second opinion: a cover lighter than the engine's is an error.
func (k *part) canonical(ctx context.Context, found []bool) ([]bool, error) {
	if len(k.weight) > maxCanonical {
		return found, nil
	}
	s := &search{ctx: ctx, most: maxCanonicalNodes}
	left := k.cost(found)
	if _, ok := s.reduced(k.weight, k.adj, left); ok && s.err == nil {
		return nil, fmt.Errorf("an engine gave a cover of weight %d where a lighter one exists", left)
	}
	in, decided := make([]bool, len(k.weight)), make([]bool, len(k.weight))
	take := func(v int32) {
		in[v], decided[v] = true, true
		left -= k.weight[v]
	}
	for v := range k.weight {
		if decided[v] || s.err != nil {
			continue
		}
		if s.completes(k, decided, int32(v), left) {
			take(int32(v))
			continue
		}
		decided[v] = true
		for _, u := range k.adj[v] {
			if !decided[u] {
				take(u)
			}
		}
	}
	switch {
	case errors.Is(s.err, errTooMany):
		return found, nil
	case s.err != nil:
		return found, s.err
	}
	return in, nil
}

// completes reports that what is not decided has a cover with v of at most the
// weight that is left.
func (s *search) completes(k *part, decided []bool, v int32, left int64) bool {
	var gone []int32
	extra := int64(0) // without takes the weight of what is gone from the limit
	for u, yes := range decided {
		if yes {
			gone = append(gone, int32(u))
			extra += k.weight[u]
		}
	}
	_, ok := s.without(k, append(gone, v), v, left+extra+1)
	return ok
}
