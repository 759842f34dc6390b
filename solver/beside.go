package solver

import (
	"context"

	"admc.dev/admc/lang/diag"
)

// explainBeside reports the capacities that can't be kept whatever becomes of
// the conflicts among pins and rows: of the obligations that no row joins to
// one. They only take room, so what contradicts a capacity without the others
// contradicts it with them. Calls without a rate are reported too. When the
// context ends, what is found by then is enough: there are conflicts to mend.
func (c *closing) explainBeside(ctx context.Context, bag *diag.Bag) {
	if len(c.p.Capacities) == 0 {
		return
	}
	gone := make([]bool, len(c.p.Obligations))
	for _, o := range c.conflicts {
		for _, i := range c.group(o) {
			gone[i] = true
		}
	}
	rest := closePins(c.p.without(gone))
	if rest.unrated(bag) {
		return
	}
	var broken []*limited
	for _, k := range rest.limitedParts(forcedNodes(rest)) {
		s := newLimitedSearch(ctx, k)
		s.any = true
		if s.run() == nil && s.err == nil {
			broken = append(broken, k)
		}
	}
	_ = rest.explainCapacities(ctx, broken, bag)
}

// without is the problem without some obligations, for explanations: Order
// still is the program's.
func (p *Problem) without(gone []bool) *Problem {
	q := &Problem{Nodes: p.Nodes}
	number := map[int32]int32{}
	for i, o := range p.Obligations {
		if !gone[i] {
			number[int32(i)] = int32(len(q.Obligations))
			q.Obligations = append(q.Obligations, o)
		}
	}
	for _, r := range p.Rows {
		if !gone[r.P] && !gone[r.Q] {
			r.P, r.Q = number[r.P], number[r.Q]
			q.Rows = append(q.Rows, r)
		}
	}
	for i := range p.Capacities {
		q.Capacities = append(q.Capacities, p.Capacities[i].restrict(number))
	}
	return q
}
