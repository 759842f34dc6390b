package solver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"admc.dev/admc/lang/ir"
)

// mended is what a search within capacities came to.
type mended struct {
	sides    []ir.Side
	searched bool       // an engine had to choose sides
	broken   []*limited // no assignment keeps their capacities
	missing  bool       // the context ended before one was found that does
}

// withinCapacities mends an assignment that is least without capacities, each
// part for itself: where it keeps them it stays, and is least with them too.
// Elsewhere an engine chooses sides by weight, and with a previous placement by
// weight and change as one integer, as in change.go. When the context ends the
// assignment keeps the capacities all the same unless missing says otherwise.
func (c *closing) withinCapacities(ctx context.Context, e engine, o Options, forced []bool, sides []ir.Side, atLeast int64) (mended, error) {
	w := mended{sides: slices.Clone(sides)}
	var parts []*limited
	largest := 0
	for _, k := range c.limitedParts(forced) {
		if !k.keeps(c.p, sides) {
			parts = append(parts, k)
			largest = max(largest, len(k.node))
		}
	}
	ended := error(nil)
	for i, k := range parts {
		if o.Progress != nil {
			o.Progress(Progress{Parts: len(parts), Done: i, Largest: largest, AtLeast: atLeast})
		}
		if o.Previous != nil {
			if err := k.withChange(c.p, o.Previous.had(c.p)); err != nil {
				return w, err
			}
		}
		side, err := k.solve(ctx, e)
		switch {
		case errors.Is(err, errInfeasible):
			w.broken = append(w.broken, k)
			continue
		case isContext(err):
			ended = err
		case err != nil:
			return w, err
		}
		if side == nil {
			w.missing = true
			continue
		}
		w.searched = true
		for j, s := range side {
			w.sides[k.free[j].of] = []ir.Side{ir.Ingress, ir.Egress}[s]
		}
	}
	return w, ended
}

// withChange makes the part's weights count changes too.
func (k *limited) withChange(p *Problem, had []bool) error {
	most := int64(len(k.node)) + 1
	total := int64(0)
	for i, n := range k.node {
		w := k.weight[i]
		switch {
		case k.there[i]:
			continue
		case w > maxTotal/most:
			return errHeavyChange
		case !had[n]:
			k.weight[i] = most*w + 1
		case w > 0:
			k.weight[i] = most*w - 1
		}
		if total += k.weight[i]; total > maxTotal {
			return errHeavyChange
		}
	}
	return nil
}

// stepsAfterTheEnd is how far a first answer is still looked for when the
// context has ended.
const stepsAfterTheEnd = 200

// solve gives a side for each choice: errInfeasible when there is none; with the
// context's error the best that was found, or nil.
func (k *limited) solve(ctx context.Context, e engine) ([]int8, error) {
	side, err := k.byEngine(ctx, e)
	switch {
	case isContext(err) && side == nil:
		s := newLimitedSearch(context.WithoutCancel(ctx), k)
		s.most, s.any = stepsAfterTheEnd, true
		return s.run(), err
	case err != nil:
		return side, err
	}
	return k.canonical(ctx, side)
}

// byEngine searches, as far as it pays; then the engine's integer program has
// its turn where it has one, and where its floats are exact enough. The search
// is so much quicker on all but the smallest parts that every engine begins with
// it. What the program gives is held to the capacities in integers, and that
// nothing keeps them is believed only of the search.
func (k *limited) byEngine(ctx context.Context, e engine) ([]int8, error) {
	m, hasProgram := e.(modelSolver)
	s := newLimitedSearch(ctx, k)
	if hasProgram {
		s.most = min(maxCanonicalNodes, 1000+searchFirst/(len(k.node)+len(k.free)))
	}
	side := s.run()
	if errors.Is(s.err, errTooMany) {
		value, err := m.solveModel(ctx, k.model())
		switch {
		case isContext(err):
			return side, err
		case err == nil:
			return k.answer(value), nil
		}
		s = newLimitedSearch(ctx, k)
		side = s.run()
	}
	switch {
	case s.err != nil:
		return side, s.err
	case side == nil:
		return nil, errInfeasible
	}
	return side, nil
}

// searchFirst is the steps of a search before an integer program, for a part of
// one thing.
const searchFirst = 2_000_000

// canonical is the answer that all engines agree on: of the least ones, first by
// who has an ADM, in the order in which covers prefer services, then each choice
// at ingress if it can be. Of parts that take too many steps the engine's answer
// stays.
func (k *limited) canonical(ctx context.Context, found []int8) ([]int8, error) {
	if len(k.node) > maxCanonical {
		return found, nil
	}
	c := &settling{s: newLimitedSearch(ctx, k), found: found}
	c.s.most = maxCanonicalNodes
	c.s.below = k.cost(found)
	if c.s.run() != nil {
		return nil, fmt.Errorf("an engine gave an assignment of weight %d where a lighter one exists", k.cost(found))
	}
	c.s.below, c.s.any = k.cost(found)+1, true
	for _, n := range k.preferred() {
		c.node(n)
	}
	for i := range k.free {
		c.choice(int32(i))
	}
	switch {
	case errors.Is(c.s.err, errTooMany):
		return found, nil
	case c.s.err != nil:
		return found, c.s.err
	}
	return c.found, nil
}

// preferred orders the nodes that have something to pay.
func (k *limited) preferred() []int32 {
	calls := make([]int, len(k.node))
	for i := range k.free {
		for _, n := range k.free[i].needs[1] {
			calls[n]++
		}
	}
	var list []int32
	for n := range k.node {
		if k.weight[n] > 0 {
			list = append(list, int32(n))
		}
	}
	slices.SortStableFunc(list, func(a, b int32) int { return cmp.Compare(calls[b], calls[a]) })
	return list
}

// A settling decides one thing after the other, with an answer at hand that
// agrees to all that is decided.
type settling struct {
	s     *limitedSearch
	found []int8
}

// agrees finds an answer under what is decided.
func (c *settling) agrees() bool {
	if c.s.err != nil {
		return false
	}
	below := c.s.below
	side := c.s.run()
	c.s.below = below
	if side == nil {
		return false
	}
	c.found = side
	return true
}

// node decides that n has an ADM, if it can.
func (c *settling) node(n int32) {
	s := c.s
	if s.paid[n] == 0 {
		s.cost += s.k.weight[n]
	}
	s.paid[n]++
	if s.k.adms(c.found)[n] || c.agrees() {
		return
	}
	if s.paid[n]--; s.paid[n] == 0 {
		s.cost -= s.k.weight[n]
	}
	for i := range s.k.free {
		for side := range int8(2) {
			if slices.Contains(s.k.free[i].needs[side], n) {
				s.draw([]decision{{int32(i), 1 - side}})
			}
		}
	}
}

// choice decides where one is.
func (c *settling) choice(i int32) {
	if c.s.side[i] != open {
		return
	}
	mark := len(c.s.trail)
	if c.s.draw([]decision{{i, 0}}) && (c.found[i] == 0 || c.agrees()) {
		return
	}
	c.s.undo(mark)
	c.s.draw([]decision{{i, 1}})
}
