package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// An obligation with what the steps after forming it need to know.
type obligation struct {
	ir     *ir.Obligation
	policy *policy
	acts   []*typedCall
	key    portKey
	calls  []int32 // of ir.Edges, in the same order; ascending
	// reads are the parts that the conditions of its edges look at, and their
	// number in the join, where equal lists have equal numbers.
	reads   []string
	readsID int32
}

// A liveEdge is a matched call on which the policy's condition is not false.
type liveEdge struct {
	matched
	cond *ir.Condition
}

// form turns the edges of a policy into obligations: one for each port of each
// receiver, and a second one for actions that need an ADM at both ends.
func (c *checker) form(p *policy) {
	live, ok := c.fold(p)
	if !ok || !c.protocolsFit(p, live) {
		p.bad = true
		return
	}
	if len(live) > 0 {
		c.unusedArguments(p, live)
	}
	var one, both []*typedCall
	w := &verdicts{c: c, p: p}
	for len(live) > 0 {
		n := 1
		first := c.g.Calls[live[0].call]
		for n < len(live) && c.g.Calls[live[n].call].To == first.To && c.g.Calls[live[n].call].Port == first.Port {
			n++
		}
		edges := live[:n]
		live = live[n:]
		one, both = one[:0], both[:0]
		for _, t := range p.calls {
			if t.act.decl.Sides[first.Protocol.Plane()] == ir.BothEnds {
				both = append(both, t)
			} else {
				one = append(one, t)
			}
		}
		if len(one) > 0 {
			c.oblige(w, one, edges, false)
		}
		if len(both) > 0 {
			c.oblige(w, both, edges, true)
		}
	}
	w.report()
}

func (c *checker) oblige(w *verdicts, acts []*typedCall, edges []liveEdge, both bool) {
	first := c.g.Calls[edges[0].call]
	o := &obligation{policy: w.p, acts: slices.Clone(acts), key: portKey{c.idx.number[first.To], first.Port}}
	o.ir = &ir.Obligation{
		Policy: w.p.ir, Receiver: first.To, Port: first.Port, PortName: first.PortName, Protocol: first.Protocol, Both: both,
	}
	for _, a := range o.acts {
		o.ir.Actions = append(o.ir.Actions, a.ir)
	}
	var last *ir.Condition
	for _, e := range edges {
		call := c.g.Calls[e.call]
		o.calls = append(o.calls, e.call)
		o.ir.Edges = append(o.ir.Edges, &ir.Edge{Sender: call.From, Call: call, Cond: e.cond})
		if e.cond != nil && e.cond != last {
			last = e.cond
			for _, r := range e.cond.Reads {
				o.reads = append(o.reads, canonical(r))
			}
		}
	}
	if w.p.ir.Sample < 1 {
		o.reads = append(o.reads, requestID) // the draw is a hash of it
	}
	slices.Sort(o.reads)
	o.reads = slices.Compact(o.reads)
	w.p.obligations = append(w.p.obligations, o)
	w.judge(o)
}

// fold compiles the condition for each plane that the policy touches and
// evaluates on each edge what the graph knows. It gives false after an error.
func (c *checker) fold(p *policy) ([]liveEdge, bool) {
	live := make([]liveEdge, 0, len(p.edges))
	if p.when == nil {
		for _, e := range p.edges {
			live = append(live, liveEdge{e, nil})
		}
		return live, true
	}
	p.compiled = map[graph.Plane]*condition{}
	ok := true
	for _, e := range p.edges {
		call := c.g.Calls[e.call]
		plane := call.Protocol.Plane()
		cond, done := p.compiled[plane]
		if !done {
			cond = compileCondition(p.when.Expr, plane, c.bag)
			p.compiled[plane] = cond
			ok = ok && cond != nil
		}
		if cond == nil {
			continue
		}
		if v, residual := cond.fold(call.From, call.To); v != never {
			live = append(live, liveEdge{e, residual})
		}
	}
	if ok && len(live) == 0 && len(p.edges) > 0 {
		c.bag.Warnf(p.when.Expr.At, AlwaysFalse, "the condition is false on every call that policy %s matches", p.ir.Name)
	}
	return live, ok
}

// protocolsFit reports actions that can't act on the protocol of an edge, once
// for each `on` item, action and protocol.
func (c *checker) protocolsFit(p *policy, live []liveEdge) bool {
	type misfit struct {
		by       *syntax.Edges
		action   *action
		protocol graph.Protocol
	}
	type seen struct{ calls []int32 }
	found, order := map[misfit]*seen{}, []misfit{}
	note := func(m misfit, call int32) {
		if found[m] == nil {
			found[m] = &seen{}
			order = append(order, m)
		}
		found[m].calls = append(found[m].calls, call)
	}
	for _, e := range live {
		proto := c.g.Calls[e.call].Protocol
		for _, t := range p.calls {
			if t.act.decl.Sides[proto.Plane()] == "" {
				note(misfit{e.by, t.act, proto}, e.call)
			}
		}
		if p.sample != nil && proto.Plane() == graph.TCP {
			note(misfit{e.by, nil, proto}, e.call)
		}
	}
	for _, m := range order {
		edges := c.edgeNames(found[m].calls)
		if m.action == nil {
			c.bag.Errorf(m.by.At, WrongProtocol, "sample can't draw requests of %s, the protocol of %s", m.protocol, edges).
				WithNote(p.sample.At, "the sample is here").
				WithHint("a byte stream has no requests; limit the policy to `: http` or `: grpc`")
			continue
		}
		c.bag.Errorf(m.by.At, WrongProtocol, "%s can't act on %s, the protocol of %s", m.action.decl.Name, m.protocol, edges).
			WithHint("it acts on %s; limit the policy to calls of these, as in `on A -> B : %s`",
				planeNames(m.action.decl), planeList(m.action.decl)[0]).
			WithNote(m.action.decl.At, "%s is declared here", m.action.decl.Name)
	}
	return len(order) == 0
}

// edgeNames names the first of some calls and counts the rest.
func (c *checker) edgeNames(calls []int32) string {
	out := callName(c.g.Calls[calls[0]])
	if n := len(calls) - 1; n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	return out
}

func callName(call *graph.Call) string {
	return fmt.Sprintf("%s -> %s:%d", call.From.NodeName(), call.To.NodeName(), call.Port)
}

// planeList gives the planes that an action acts on, in the order of the
// documentation.
func planeList(d *ir.ActionDecl) []string {
	var out []string
	for _, p := range []graph.Plane{graph.HTTP, graph.GRPC, graph.TCP} {
		if d.Sides[p] != "" {
			out = append(out, string(p))
		}
	}
	return out
}

func planeNames(d *ir.ActionDecl) string { return strings.Join(planeList(d), ", ") }
