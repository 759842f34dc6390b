package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A require is a rule about policies: on each of its calls one of the
// alternatives must hold, each action of which policies do there to every
// request. What a condition or a sample decides when the request comes does not
// count, unless several conditions provably leave no request out: those of an
// action and of the one of higher priority that it gives way to.

// requires checks the rules of a program without errors: a policy that is wrong
// forms no obligations, and its absence would be reported a second time.
func (c *checker) requires(rules []*syntax.Require) {
	for _, r := range rules {
		c.requiredNames(r)
	}
	if len(rules) == 0 {
		return
	}
	if c.bag.HasErrors() {
		for _, r := range rules {
			c.requiredCalls(r)
		}
		return
	}
	done := c.doings(rules)
	for _, r := range rules {
		c.require(r, done)
	}
}

func (c *checker) requiredNames(r *syntax.Require) {
	for _, all := range r.Any {
		for _, name := range all {
			if a := c.lib.actions[name.Name]; a != nil {
				a.used = a.used || a.decl.User
			}
			if c.lib.actions[name.Name] != nil || c.declared[name.Name] {
				continue
			}
			d := c.bag.Errorf(name.At, UnknownAction, "there is no action %q", name.Name)
			if near := diag.Suggest(name.Name, c.lib.names); near != "" {
				d.WithHint("did you mean %q?", near).WithFix(name.At, near)
			}
		}
	}
}

// requiredCalls gives the calls of a rule, in the order of their ports.
func (c *checker) requiredCalls(r *syntax.Require) (calls []int32, whole bool) {
	whole = true
	seen := map[int32]bool{}
	for _, e := range r.On.Edges {
		found, ok := c.matching(e)
		whole = whole && ok
		for _, n := range found {
			if !seen[n] {
				seen[n] = true
				calls = append(calls, n)
			}
		}
	}
	return calls, whole
}

// A doing is an action that a policy does on a call.
type doing struct {
	by   *policy
	cond *ir.Condition
	call *typedCall
	// shifts: what the condition reads is written on this port, or differs at
	// either side, so that it and another one are not asked about one value.
	shifts bool
	some   bool // only on chains that the policy's paths match; cond, if any, says which
}

type doingKey struct {
	call   int32
	action string
}

// counts says why a doing does not satisfy a rule; "" when it does.
func (d doing) counts() string {
	switch {
	case d.some:
		return "only where the chain of calls is as its path says"
	case d.cond != nil:
		return "only under the condition " + d.cond.Text
	case d.by.ir.Sample < 1:
		return fmt.Sprintf("only for %s of the requests", percent(d.by.ir.Sample))
	}
	return ""
}

// doings gives what policies do, of the actions that the rules name.
func (c *checker) doings(rules []*syntax.Require) map[doingKey][]doing {
	wanted := map[string]bool{}
	for _, r := range rules {
		for _, all := range r.Any {
			for _, name := range all {
				wanted[name.Name] = true
			}
		}
	}
	done := map[doingKey][]doing{}
	shifts := c.shiftingConditions()
	for _, p := range c.policies {
		c.judges(p, wanted, done, shifts)
		for _, o := range p.obligations {
			for _, t := range o.acts {
				if !wanted[t.act.decl.Name] || t.act.decl.Name == allowAction {
					continue
				}
				for i, n := range o.calls {
					key := doingKey{n, t.act.decl.Name}
					done[key] = append(done[key], doing{by: p, cond: o.ir.Edges[i].Cond, call: t, shifts: shifts[o]})
				}
			}
		}
	}
	return done
}

// shiftingConditions gives the obligations whose conditions read what changes on
// their port.
func (c *checker) shiftingConditions() map[*obligation]bool {
	ports := map[portKey][]*obligation{}
	for _, p := range c.policies {
		for _, o := range p.obligations {
			ports[o.key] = append(ports[o.key], o)
		}
	}
	out := map[*obligation]bool{}
	for _, group := range ports {
		for i, is := range shifting(group) {
			if is {
				out[group[i]] = true
			}
		}
	}
	return out
}

// leaveNothingOut reports whether every request meets one of the doings at
// least.
func (c *checker) leaveNothingOut(all []doing) bool {
	const most = 8 // each more multiplies what has to be looked at
	var rest *term // the requests that none so far is about
	n := 0
	for _, d := range all {
		switch {
		case d.counts() == "":
			return true
		case d.cond == nil || d.by.ir.Sample < 1 || d.shifts || n == most:
			continue
		}
		n++
		left := negate(c.terms[d.cond])
		if rest == nil {
			rest = left
			continue
		}
		if excludes(rest, left) {
			return true
		}
		rest = &term{op: opAnd, kind: kindBool, args: []*term{rest, left}, at: left.at}
	}
	return false
}

// judges adds the calls of a policy that allows: it judges every request on all
// of them that its paths are about, also where its condition always holds and
// nothing is left to refuse.
func (c *checker) judges(p *policy, wanted map[string]bool, done map[doingKey][]doing, shifts map[*obligation]bool) {
	for _, t := range p.calls {
		if t.act.decl.Name != allowAction || !wanted[allowAction] || p.bad {
			continue
		}
		for _, e := range p.edges {
			key := doingKey{e.call, allowAction}
			d := doing{by: p, call: t, some: e.mixed}
			if e.mixed {
				d.cond = c.guarded(p, e, nil)
				d.shifts = slices.ContainsFunc(p.obligations, func(o *obligation) bool { return shifts[o] && slices.Contains(o.calls, e.call) })
			}
			done[key] = append(done[key], d)
		}
	}
}

// A lack is calls on which a rule's nearest alternative lacks the same actions,
// for the same reasons.
type lack struct {
	actions []string
	nearest []near
	calls   []int32
}

// A near is the policy that comes nearest to what is lacking, and why it does
// not count.
type near struct {
	at   diag.Span
	text string
}

func (c *checker) require(r *syntax.Require, done map[doingKey][]doing) {
	calls, whole := c.requiredCalls(r)
	if whole && len(calls) == 0 {
		c.bag.Warnf(r.Name.At, NoEdges, "require %s matches no call of the graph", r.Name.Name)
	}
	var lacks []*lack
	for _, n := range calls {
		missing := c.lacking(r, n, done)
		if len(missing) == 0 {
			continue
		}
		var nearest []near
		for _, name := range missing {
			if at, text := c.nearest(name, n, done); text != "" {
				nearest = append(nearest, near{at, text})
			}
		}
		i := slices.IndexFunc(lacks, func(l *lack) bool { return slices.Equal(l.actions, missing) && slices.Equal(l.nearest, nearest) })
		if i < 0 {
			i = len(lacks)
			lacks = append(lacks, &lack{actions: missing, nearest: nearest})
		}
		lacks[i].calls = append(lacks[i].calls, n)
	}
	for _, l := range lacks {
		c.reportLack(r, l)
	}
}

// lacking gives the actions that the alternative which is nearest to hold on a
// call lacks there; none when one holds.
func (c *checker) lacking(r *syntax.Require, call int32, done map[doingKey][]doing) []string {
	var fewest []string
	for i, all := range r.Any {
		var missing []string
		for _, name := range all {
			if !c.leaveNothingOut(done[doingKey{call, name.Name}]) && !slices.Contains(missing, name.Name) {
				missing = append(missing, name.Name)
			}
		}
		if i == 0 || len(missing) < len(fewest) {
			fewest = missing
		}
	}
	return fewest
}

func (c *checker) reportLack(r *syntax.Require, l *lack) {
	d := c.bag.Errorf(r.Name.At, RequireUnmet, "require %s: no policy does %s on every request of %s",
		r.Name.Name, strings.Join(l.actions, " and "), c.edgeList(l.calls))
	if len(r.Any) > 1 {
		d.WithHint("one of these would do: %s", alternatives(r))
	}
	for _, n := range l.nearest {
		d.WithNote(n.at, "%s", n.text)
	}
}

// nearest says which policy comes nearest to doing an action on a call, and why
// it does not count; "" when no policy has the action.
func (c *checker) nearest(name string, call int32, done map[doingKey][]doing) (diag.Span, string) {
	for _, d := range done[doingKey{call, name}] {
		if why := d.counts(); why != "" {
			at := d.call.ir.At
			switch {
			case d.some:
				at = d.by.pathAt()
			case d.cond != nil:
				at = d.by.where()
			case d.by.sample != nil:
				at = d.by.sample.At
			}
			return at, fmt.Sprintf("policy %s does %s there %s", d.by.ir.Name, name, why)
		}
	}
	var elsewhere *policy
	for _, p := range c.policies {
		if !slices.ContainsFunc(p.calls, func(t *typedCall) bool { return t.act.decl.Name == name }) {
			continue
		}
		if slices.ContainsFunc(p.edges, func(e matched) bool { return e.call == call }) {
			return p.where(), fmt.Sprintf("policy %s has %s, and does not do it there: %s", p.ir.Name, name, p.notThere())
		}
		if elsewhere == nil {
			elsewhere = p
		}
	}
	if elsewhere == nil {
		return diag.Span{}, ""
	}
	return elsewhere.ir.At, fmt.Sprintf("policy %s does %s on other calls, and its `on` leaves these out", elsewhere.ir.Name, name)
}

// notThere says why the policy does not do all its actions on a call that its
// `on` matches.
func (p *policy) notThere() string {
	if p.when == nil {
		return "it gives way to a policy of higher priority"
	}
	return "its condition is false there"
}

// edgeList names up to three calls and counts the rest.
func (c *checker) edgeList(calls []int32) string {
	var names []string
	for _, n := range calls[:min(3, len(calls))] {
		names = append(names, callName(c.g.Calls[n]))
	}
	text := strings.Join(names, ", ")
	if n := len(calls) - 3; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func alternatives(r *syntax.Require) string {
	var out []string
	for _, all := range r.Any {
		var names []string
		for _, n := range all {
			names = append(names, n.Name)
		}
		out = append(out, strings.Join(names, " and "))
	}
	return strings.Join(out, " or ")
}
