package lang

import (
	"cmp"
	"fmt"
	"slices"

	"admc.dev/admc/lang/ir"
)

// Of two actions of which only one can hold for a request, that of the policy
// with the higher @priority holds. The other gives way: its edges and condition
// are subtracted from its own before obligations are formed, so that what is left
// is placed like any other policy that leaves these callers out.

// A settled pair is two actions between which priorities decide.
type settled struct{ winner, loser *typedCall }

// giveWay subtracts winners from losers, from the highest priority down: what a
// loser has lost it can't win.
func (c *checker) giveWay() {
	c.settled = map[settled]bool{}
	var order []*policy
	ranked := false
	for _, p := range c.policies {
		order = append(order, p)
		ranked = ranked || p.priority != 0
	}
	if !ranked {
		return
	}
	slices.SortStableFunc(order, func(p, q *policy) int { return cmp.Compare(q.priority, p.priority) })
	for i, p := range order {
		for _, q := range order[:i] {
			if q.bad || q.priority == p.priority || q.ir.Sample < 1 {
				continue // a draw can't be subtracted: the conflict stays one
			}
			for _, u := range q.calls {
				for _, t := range p.calls {
					if clashing(t, u) != "" {
						c.subtract(p, t, q, u)
					}
				}
			}
		}
		c.overruled(p)
	}
}

// takenWhole gives calls on all requests of which an action gives way, as is plain
// before conditions on chains are known: to one that acts on all of them, and
// gives way to nobody.
func (c *checker) takenWhole(p *policy, t *typedCall) map[int32]bool {
	out := map[int32]bool{}
	for _, w := range c.winners(p, t) {
		if len(c.winners(w.by, w.call)) > 0 {
			continue
		}
		for _, e := range w.by.live {
			if e.cond == nil && !e.mixed {
				out[e.call] = true
			}
		}
	}
	return out
}

// A winner is an action to which another gives way.
type winner struct {
	by   *policy
	call *typedCall
}

// winners of an action of a policy, on whatever calls.
func (c *checker) winners(p *policy, t *typedCall) []winner {
	var out []winner
	for _, q := range c.policies {
		if q.bad || q.priority <= p.priority || q.ir.Sample < 1 {
			continue // a draw can't be subtracted: the conflict stays one
		}
		for _, u := range q.calls {
			if clashing(t, u) != "" {
				out = append(out, winner{q, u})
			}
		}
	}
	return out
}

// subtract takes from a loser what a winner acts on.
func (c *checker) subtract(p *policy, loser *typedCall, q *policy, winner *typedCall) {
	of := map[int32]*ir.Condition{}
	for _, e := range q.edgesOf(winner) {
		of[e.call] = e.cond
	}
	var left []liveEdge
	changed := false
	for _, e := range p.edgesOf(loser) {
		w, both := of[e.call]
		if !both || e.cond != nil && w != nil && excludes(c.terms[e.cond], c.terms[w]) {
			left = append(left, e)
			continue
		}
		changed = true
		c.settled[settled{winner, loser}] = true
		if cond, some := c.without(p, e.cond, w); some {
			left = append(left, liveEdge{e.matched, cond})
		}
	}
	if changed {
		p.own(loser, left)
	}
}

// without gives what is left of a condition (nil: always) where another does not
// hold; false when nothing is.
func (c *checker) without(p *policy, cond, taken *ir.Condition) (*ir.Condition, bool) {
	if taken == nil {
		return nil, false
	}
	key := [2]*ir.Condition{cond, taken}
	if r, ok := p.remains[key]; ok {
		return r.residual, r.verdict != never
	}
	left := negate(c.terms[taken])
	if cond != nil {
		left = &term{op: opAnd, kind: kindBool, args: []*term{c.terms[cond], left}, at: left.at}
	}
	r := c.residual(p, simplify(left))
	if p.remains == nil {
		p.remains = map[[2]*ir.Condition]foldResult{}
	}
	p.remains[key] = r
	return r.residual, r.verdict != never
}

// residual lowers a simplified condition of a policy.
func (c *checker) residual(p *policy, t *term) foldResult {
	switch {
	case t.isTrue():
		return foldResult{verdict: always}
	case t.isFalse():
		return foldResult{verdict: never}
	}
	if p.residuals.byText == nil {
		p.residuals = newResiduals()
	}
	cond := p.residuals.of(t, p.where())
	c.terms[cond] = t
	return foldResult{depends, cond}
}

// edgesOf gives the edges of one action.
func (p *policy) edgesOf(t *typedCall) []liveEdge {
	if own, ok := p.owns[t]; ok {
		return own
	}
	return p.live
}

// own gives an action edges and conditions of its own.
func (p *policy) own(t *typedCall, edges []liveEdge) {
	if p.owns == nil {
		p.owns = map[*typedCall][]liveEdge{}
	}
	p.owns[t] = edges
}

// overruled warns of an action that gave way everywhere.
func (c *checker) overruled(p *policy) {
	for _, t := range p.calls {
		if own, ok := p.owns[t]; ok && len(own) == 0 && len(p.live) > 0 && t.act.decl.Name != allowAction {
			c.bag.Warnf(t.ir.At, Overruled, "%s of policy %s gives way to policies of higher priority on every call", t.act.decl.Name, p.ir.Name)
		}
	}
}

// parts divides a policy's actions into those with the same edges and
// conditions. The first is the policy itself; the others have the names of their
// actions.
func (p *policy) parts() []part {
	var out []part
	for _, t := range p.calls {
		if _, own := p.owns[t]; !own {
			if out == nil {
				out = append(out, part{live: p.live})
			}
			out[0].acts = append(out[0].acts, t)
		}
	}
	names := map[string]int{}
	for _, t := range p.calls {
		own, ok := p.owns[t]
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(o part) bool { return slices.EqualFunc(o.live, own, sameEdge) })
		if i < 0 {
			i = len(out)
			o := part{live: own}
			if i > 0 {
				o.name = t.act.decl.Name
				if names[o.name]++; names[o.name] > 1 {
					o.name = fmt.Sprintf("%s-%d", o.name, names[o.name])
				}
			}
			out = append(out, o)
		}
		out[i].acts = append(out[i].acts, t)
	}
	return out
}

func sameEdge(a, b liveEdge) bool { return a.call == b.call && sameCondition(a.cond, b.cond) }
