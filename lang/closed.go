package lang

import (
	"fmt"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// @closed says that the callers in a policy's `on` call nothing but what it
// names. It is about the services and not about requests: no condition, sample
// or side has a part in it. What several policies name for one caller is open
// together, as NetworkPolicies are.

// closes checks what @closed stands with, and keeps its `on` items for
// closeServices. A policy with nothing else has no action.
func (c *checker) closes(p *policy, on []*syntax.On) {
	p.ir.Closed = p.pins.closed.At
	for _, clause := range on {
		p.closing = append(p.closing, clause.Edges...)
	}
	if len(on) == 0 && len(p.node.Clauses) > 0 {
		c.bag.Errorf(p.pins.closed.At, BadAnnotation, "@closed is about the calls of an `on`, and policy %s has none", p.ir.Name).
			WithHint("on CALLERS -> ALL THAT THEY CALL")
	}
	if slices.ContainsFunc(p.node.Clauses, func(cl syntax.Clause) bool { _, is := cl.(*syntax.Call); return is }) {
		return
	}
	if p.when != nil {
		c.bag.Errorf(p.when.At, BadAnnotation, "@closed has no condition: what policy %s does not name is never called", p.ir.Name)
	}
	if p.sample != nil {
		c.bag.Errorf(p.sample.At, BadAnnotation, "@closed has no sample: what policy %s does not name is never called", p.ir.Name)
	}
	if len(p.paths) > 0 {
		c.bag.Errorf(p.paths[0].node.At, BadAnnotation, "@closed has no path: what policy %s does not name is never called", p.ir.Name)
	}
	for _, a := range p.node.Annotations {
		if a != p.pins.closed {
			c.bag.Errorf(a.At, BadAnnotation, "@%s is about actions, and policy %s has none", a.Name.Name, p.ir.Name)
		}
	}
}

// selfContained: the callers of every item are all that it names, so that no
// call of the graph need match.
func (c *checker) selfContained(p *policy) bool {
	return p.pins.closed != nil && !slices.ContainsFunc(p.closing, func(e *syntax.Edges) bool {
		from, _ := c.endpoints(e.From)
		to, _ := c.endpoints(e.To)
		return !slices.Equal(from, to)
	})
}

// closeServices gives the services that @closed closes, sorted by name, and
// reports the calls in the graph that they should not have.
func (c *checker) closeServices() []*ir.Closed {
	closed := map[int32]*ir.Closed{}
	named := map[int32]bool{}
	for _, p := range c.policies {
		if p.pins.closed == nil {
			continue
		}
		if p.misnamed {
			return nil // what it names is not known
		}
		for _, e := range p.closing {
			c.closeCallers(closed, p, e)
		}
		for _, e := range p.named {
			named[e.call] = true
		}
	}
	var out []*ir.Closed
	for n, s := range c.g.Services {
		if cl := closed[int32(n)]; cl != nil {
			c.closeService(cl, int32(n), named)
			cl.Service = s
			out = append(out, cl)
		}
	}
	return out
}

func (c *checker) closeCallers(closed map[int32]*ir.Closed, p *policy, e *syntax.Edges) {
	from, _ := c.endpoints(e.From)
	for _, n := range from {
		if n >= c.idx.services {
			c.bag.Errorf(e.From.At, BadAnnotation, "@closed can't close %s, which is outside the mesh", c.idx.nodes[n].NodeName()).
				WithHint("a service is kept from it by a policy on the service: allow, deny").
				WithNote(p.pins.closed.At, "@closed is here")
			continue
		}
		if closed[n] == nil {
			closed[n] = &ir.Closed{}
		}
		if cl := closed[n]; !slices.Contains(cl.Policies, p.ir) {
			cl.Policies = append(cl.Policies, p.ir)
		}
	}
}

// closeService gathers the calls of one closed service. Its pods may always
// reach each other: replication is in no call graph.
func (c *checker) closeService(cl *ir.Closed, n int32, named map[int32]bool) {
	for _, call := range c.idx.out[n] {
		switch {
		case c.idx.to[call] == n:
		case named[call]:
			cl.Calls = append(cl.Calls, c.g.Calls[call])
		default:
			c.unnamed(cl, c.g.Calls[call])
		}
	}
}

func (c *checker) unnamed(cl *ir.Closed, call *graph.Call) {
	first, why := cl.Policies[0], fmt.Sprintf("@closed of policy %s does not name", cl.Policies[0].Name)
	if len(cl.Policies) > 1 {
		why = "no policy with @closed names"
	}
	d := c.bag.Errorf(first.Closed, ClosedCall, "the graph has the call %s (%s), which %s", callName(call), call.Protocol, why)
	d.WithHint("name it in `on`, or take it out of the graph").
		WithNote(call.At, "the call is here")
	for _, p := range cl.Policies[1:] {
		d.WithNote(p.Closed, "policy %s closes %s too", p.Name, call.From.NodeName())
	}
}
