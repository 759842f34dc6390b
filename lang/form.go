package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
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
	class   *effectClass
	// spares reports whether acting on a call that is not among them would change
	// nothing there; nil: it would.
	spares func(call int32) bool
}

// A liveEdge is a matched call on which the policy's condition is not false.
type liveEdge struct {
	matched
	cond *ir.Condition
}

// settle finds the edges on which a policy acts.
func (c *checker) settle(p *policy) {
	for _, w := range p.more {
		c.compileApart(p, w)
	}
	if len(p.paths) > 0 && len(p.deciders) == 0 { // what it matches is not known
		if p.when != nil {
			c.compileApart(p, p.when)
		}
		return
	}
	if len(p.edges) == 0 {
		c.checkUnmatched(p)
	}
	live, ok := c.fold(p)
	fit := c.protocolsFit(p, live)
	p.live = live
	p.bad = p.bad || !ok || !fit
	if fit && ok && !p.misnamed && len(live) > 0 {
		c.unusedArguments(p, live)
	}
}

// compileApart types a condition that decides nothing, so that its mistakes show.
func (c *checker) compileApart(p *policy, w *syntax.When) {
	if len(p.edges) == 0 {
		c.compileUnmatched(p, w)
	}
	done := map[graph.Plane]bool{}
	for _, e := range p.edges {
		if plane := c.idx.planes[e.call]; !done[plane] {
			done[plane] = true
			compileCondition(w.Expr, plane, c.bag)
		}
	}
}

// formApart looks for what else is wrong with a policy that has a mistake in it:
// for what would be wrong whatever is put in the mistake's place. Its obligations are
// nobody else's business.
func (c *checker) formApart(p *policy) {
	if c.whole(p) {
		c.reverseAllow(p)
	}
	w := &verdicts{c: c, p: p}
	for _, of := range p.parts() {
		var fit []liveEdge
		for _, e := range of.live {
			plane := c.idx.planes[e.call]
			can := func(t *typedCall) bool { return t.act.decl.Sides[plane] != "" }
			if !slices.ContainsFunc(of.acts, func(t *typedCall) bool { return !can(t) }) {
				fit = append(fit, e)
				continue
			}
			for _, t := range of.acts {
				if can(t) {
					w.versions(c.g.Calls[e.call].To, t)
				}
			}
		}
		of.live = fit
		c.obligations(w, of)
	}
	w.report()
	p.obligations = nil
}

// whole reports that the condition of a policy could be read on every call.
func (c *checker) whole(p *policy) bool {
	return p.when == nil || p.compiled != nil && !slices.ContainsFunc(p.edges, func(e matched) bool { return p.compiled[c.idx.planes[e.call]] == nil })
}

// form turns the edges of a policy into obligations: one for each port of each
// receiver, and others for actions that need an ADM at both ends or have edges
// of their own.
func (c *checker) form(p *policy) {
	w := &verdicts{c: c, p: p}
	for _, of := range p.parts() {
		c.obligations(w, of)
	}
	w.report()
}

// A part of a policy is actions that have the same edges and conditions.
type part struct {
	name string // as ir.Obligation.Part
	acts []*typedCall
	live []liveEdge
}

// obligations makes those of one part. What they are made of is laid out in few
// pieces of memory: a policy of `* -> *` has as many as the graph has ports.
func (c *checker) obligations(w *verdicts, of part) {
	var m maker
	m.reserve(c, of)
	for live := of.live; len(live) > 0; {
		n := 1
		first := live[0].call
		for n < len(live) && c.idx.to[live[n].call] == c.idx.to[first] && c.g.Calls[live[n].call].Port == c.g.Calls[first].Port {
			n++
		}
		ends := m.divide(of.acts, c.idx.planes[first])
		if len(ends.one) > 0 {
			m.oblige(w, of.name, ends.one, ends.oneIR, live[:n], false, nil)
		}
		if len(ends.both) > 0 {
			m.oblige(w, of.name, ends.both, ends.bothIR, live[:n], true, nil)
		}
		live = live[n:]
	}
}

// A maker makes the obligations of one part out of slabs.
type maker struct {
	obligations []obligation
	forIR       []ir.Obligation
	edges       []ir.Edge
	places      []*ir.Edge
	calls       []int32
	ends        map[graph.Plane]*ends
	reads       map[*ir.Condition][]string // of obligations whose edges have one condition
}

// ends are the actions that act on a plane at one end, and those at both.
type ends struct {
	one, both     []*typedCall
	oneIR, bothIR []*ir.Action
}

func (m *maker) reserve(c *checker, of part) {
	ports, edges := 0, len(of.live)
	for i, e := range of.live {
		if i == 0 || c.idx.to[e.call] != c.idx.to[of.live[i-1].call] || c.g.Calls[e.call].Port != c.g.Calls[of.live[i-1].call].Port {
			ports++
		}
	}
	m.obligations, m.forIR = make([]obligation, 0, ports), make([]ir.Obligation, 0, ports)
	m.edges, m.places, m.calls = make([]ir.Edge, 0, edges), make([]*ir.Edge, 0, edges), make([]int32, 0, edges)
	m.ends, m.reads = map[graph.Plane]*ends{}, map[*ir.Condition][]string{}
}

func (m *maker) divide(acts []*typedCall, plane graph.Plane) *ends {
	if e := m.ends[plane]; e != nil {
		return e
	}
	e := &ends{}
	for _, t := range acts {
		if t.act.decl.Sides[plane] == ir.BothEnds {
			e.both, e.bothIR = append(e.both, t), append(e.bothIR, t.ir)
		} else {
			e.one, e.oneIR = append(e.one, t), append(e.oneIR, t.ir)
		}
	}
	m.ends[plane] = e
	return e
}

func (m *maker) oblige(w *verdicts, name string, acts []*typedCall, actions []*ir.Action, edges []liveEdge, both bool, spares func(call int32) bool) {
	call := w.c.g.Calls[edges[0].call]
	m.forIR = append(m.forIR, ir.Obligation{
		Policy: w.p.ir, Actions: actions, Receiver: call.To, Port: call.Port, PortName: call.PortName, Protocol: call.Protocol,
		Both: both, Part: name,
	})
	m.obligations = append(m.obligations, obligation{
		ir: &m.forIR[len(m.forIR)-1], policy: w.p, acts: acts, key: portKey{w.c.idx.to[edges[0].call], call.Port}, spares: spares,
	})
	o := &m.obligations[len(m.obligations)-1]
	from := len(m.calls)
	for _, e := range edges {
		call := w.c.g.Calls[e.call]
		m.calls = append(m.calls, e.call)
		m.edges = append(m.edges, ir.Edge{Sender: call.From, Call: call, Cond: e.cond})
		m.places = append(m.places, &m.edges[len(m.edges)-1])
	}
	o.calls = m.calls[from:len(m.calls):len(m.calls)]
	o.ir.Edges = m.places[from:len(m.places):len(m.places)]
	o.reads = m.read(w.p, edges)
	w.p.obligations = append(w.p.obligations, o)
	w.judge(o)
}

// read gives the parts that the conditions of some edges look at, canonical and
// sorted.
func (m *maker) read(p *policy, edges []liveEdge) []string {
	same := !slices.ContainsFunc(edges, func(e liveEdge) bool { return e.cond != edges[0].cond })
	if out, ok := m.reads[edges[0].cond]; same && ok {
		return out
	}
	var out []string
	var last *ir.Condition
	for _, e := range edges {
		if e.cond == nil || e.cond == last {
			continue
		}
		last = e.cond
		for _, r := range e.cond.Reads {
			out = append(out, canonical(r))
		}
	}
	if p.ir.Sample < 1 {
		out = append(out, requestID) // the draw is a hash of it
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if same {
		m.reads[edges[0].cond] = out
	}
	return out
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
	var plane graph.Plane
	var cond *condition
	unread := map[graph.Plane]bool{} // what the condition was meant to say decides nothing of the calls
	for _, e := range p.edges {
		call := c.g.Calls[e.call]
		if c.idx.planes[e.call] != plane {
			var done bool
			plane = c.idx.planes[e.call]
			if cond, done = p.compiled[plane]; !done {
				cond, unread[plane] = c.compileOn(p.when, plane)
				p.compiled[plane] = cond
				ok = ok && cond != nil
			}
		}
		if cond == nil {
			if unread[plane] {
				live = append(live, liveEdge{e, nil})
			}
			continue
		}
		if v, residual := cond.fold(call.From, call.To); v != never {
			live = append(live, liveEdge{e, residual})
		}
	}
	for _, cond := range p.compiled {
		if cond != nil {
			maps.Copy(c.terms, cond.residuals.terms)
		}
	}
	ok = c.inTime(p) && ok
	onlyAllows := !slices.ContainsFunc(p.calls, func(t *typedCall) bool { return t.act.decl.Name != allowAction })
	if ok && len(live) == 0 && len(p.edges) > 0 && !onlyAllows && !p.misnamed {
		c.bag.Warnf(p.when.Expr.At, AlwaysFalse, "the condition is false on every call that policy %s matches", p.ir.Name)
	}
	return live, ok
}

// compileOn compiles a condition. open: it is wrong, and whatever is put in its place
// is about requests: it can't look at what the graph knows, and it is no mistake
// that the policy has calls of this plane.
func (c *checker) compileOn(w *syntax.When, plane graph.Plane) (cond *condition, open bool) {
	bag := &diag.Bag{}
	cond = compileCondition(w.Expr, plane, bag)
	c.bag.Merge(bag)
	ofPlane := !slices.ContainsFunc(bag.All(), func(d *diag.Diagnostic) bool { return d.Severity == diag.Error && d.Code != WrongPlane })
	ofGraph := strings.Contains(w.Expr.Text, "source") || strings.Contains(w.Expr.Text, "destination")
	return cond, cond == nil && !ofPlane && !ofGraph
}

// protocolsFit reports actions that can't act on the protocol of an edge, once
// for each `on` item, action and protocol.
func (c *checker) protocolsFit(p *policy, live []liveEdge) bool {
	type misfit struct {
		by       diag.Span
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
	fine := graph.Protocol("")
	for _, e := range live {
		proto := c.g.Calls[e.call].Protocol
		if proto == fine {
			continue
		}
		for _, t := range p.calls {
			if t.act.decl.Sides[proto.Plane()] == "" {
				note(misfit{e.by, t.act, proto}, e.call)
			}
		}
		if p.sample != nil && proto.Plane() == graph.TCP {
			note(misfit{e.by, nil, proto}, e.call)
		}
		if len(found) == 0 {
			fine = proto
		}
	}
	for _, m := range order {
		edges := c.edgeNames(found[m].calls)
		if m.action == nil {
			c.bag.Errorf(m.by, WrongProtocol, "sample can't draw requests of %s, the protocol of %s", m.protocol, edges).
				WithNote(p.sample.At, "the sample is here").
				WithHint("a byte stream has no requests; limit the policy to `: http` or `: grpc`")
			continue
		}
		c.bag.Errorf(m.by, WrongProtocol, "%s can't act on %s, the protocol of %s", m.action.decl.Name, m.protocol, edges).
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
