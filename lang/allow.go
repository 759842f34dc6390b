package lang

import (
	"slices"

	"admc.dev/admc/lang/ir"
)

// allow is the one action that acts where the condition of its policy does not
// hold: it refuses. So folding is reversed for it: a condition that is always true
// removes the edge, one that is always false makes it refuse everything, and what
// is left to the proxy is the negation.
const allowAction = "allow"

// reverseAllow gives the allow of a policy its own edges, on which its condition
// says when it refuses.
func (c *checker) reverseAllow(p *policy) {
	for _, t := range p.calls {
		if t.act.decl.Name != allowAction {
			continue
		}
		edges := c.refused(p)
		p.own(t, edges)
		if len(edges) == 0 && len(p.edges) > 0 {
			d := c.bag.Warnf(t.ir.At, RefusesNothing, "allow of policy %s refuses nothing: its condition holds for every request", p.ir.Name)
			if p.when == nil {
				d.WithHint("let `on` name all callers, and say who may call: on * -> RECEIVER when { source.service == \"CALLER\" } allow()")
			}
		}
	}
}

// refusable are the calls on which an allow of the policy refuses some request.
func (c *checker) refusable(p *policy) []liveEdge {
	if !slices.ContainsFunc(p.calls, func(t *typedCall) bool { return t.act.decl.Name == allowAction }) {
		return nil
	}
	return c.refused(p)
}

// refused gives the edges on which a policy's condition does not always hold, each
// with the condition negated (nil: it never holds).
func (c *checker) refused(p *policy) []liveEdge {
	var out []liveEdge
	negated := map[*ir.Condition]*ir.Condition{}
	for _, e := range p.edges {
		if p.when == nil {
			continue
		}
		call := c.g.Calls[e.call]
		verdict, cond := p.compiled[c.idx.planes[e.call]].fold(call.From, call.To)
		switch verdict {
		case always:
			continue
		case depends:
			not := negated[cond]
			if not == nil {
				not = c.residual(p, negate(c.terms[cond])).residual
				negated[cond] = not
			}
			cond = not
		}
		out = append(out, liveEdge{e, c.guarded(p, e, cond)})
	}
	return out
}
