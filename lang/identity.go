package lang

import (
	"fmt"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A receiver's ADM sees an address, not a name. What an obligation does to some
// of a port's callers only, or to each of them apart, can be enforced there only
// as far as the graph's `identity` proves who calls. It is the callers that a
// rule is not about who must be proved: whoever is not proved to be one of them
// gets it. So nobody escapes a rule by not being known, and a rule about one
// caller never hits another.

// identity refuses the kinds of proof that no data plane can give yet.
func (c *checker) identity() {
	switch c.g.Identity {
	case graph.IdentityPorts:
		c.bag.Errorf(c.g.IdentityAt, NotYet, "identity: %s is not built yet", c.g.Identity).
			WithHint("with identity: none, what needs to tell callers apart is enforced at the callers")
	}
}

// identity divides the callers of an obligation into groups that the receiver
// has to tell apart, and excludes it if it can't.
func (v *verdicts) identity(o *obligation) {
	if v.p.misnamed {
		return // whom it leaves out is not known
	}
	groups := v.groups(o)
	all := v.c.idx.callers[o.key]
	if len(groups) == 1 && len(all) == len(o.calls) {
		return
	}
	for _, g := range groups {
		for _, n := range all {
			if slices.ContainsFunc(g.Edges, func(e *ir.Edge) bool { return e.Call == v.c.g.Calls[n] }) {
				continue
			}
			if o.spares != nil && o.spares(n) {
				continue
			}
			proof, why := v.c.prove(n)
			if why != "" {
				v.unknown(o, groups, v.c.g.Calls[n], why)
				return
			}
			g.Not = append(g.Not, proof)
		}
	}
	if len(groups) == 1 && len(groups[0].Not) == 0 {
		return // it would change nothing for the others
	}
	o.ir.Apart = groups
	for _, t := range o.acts {
		if t.act.decl.Name == traceAction {
			v.exclude(o, ir.Ingress, ruleIdentity, t.ir.At, "%s is decided before anything else, and so before it is known who calls %s", t.act.decl.Name, portName(o.ir))
		}
	}
}

// traceAction is the standard action that no condition can hold back.
const traceAction = "trace"

// groups of callers that get the same: one budget each where the scope says so,
// else those with the same condition.
func (v *verdicts) groups(o *obligation) []*ir.Group {
	perCaller := v.perCaller(o) != nil
	var out []*ir.Group
	for _, e := range o.ir.Edges {
		i := slices.IndexFunc(out, func(g *ir.Group) bool {
			return !perCaller && (g.Edges[0].Cond == e.Cond || sameCondition(g.Edges[0].Cond, e.Cond))
		})
		if i < 0 {
			i = len(out)
			out = append(out, &ir.Group{})
		}
		out[i].Edges = append(out[i].Edges, e)
	}
	return out
}

// perCaller gives an action that keeps something for each caller; nil if none.
func (v *verdicts) perCaller(o *obligation) *typedCall {
	for _, t := range o.acts {
		if t.act.decl.State == "counter" && t.ir.Args[t.act.decl.Scope].Str == "caller" {
			return t
		}
	}
	return nil
}

// prove gives how a receiver can tell that a call comes from its caller, or why
// it can't.
func (c *checker) prove(call int32) (proof ir.Proof, why string) {
	s, inside := c.g.Calls[call].From.(*graph.Service)
	switch {
	case c.g.Identity == graph.IdentityAddresses:
		if inside && len(s.Addresses) > 0 {
			return ir.Proof{Caller: s, Addresses: s.Addresses}, ""
		}
		return ir.Proof{}, fmt.Sprintf("the graph has no addresses of %s to tell it by (identity: addresses)", c.g.Calls[call].From.NodeName())
	case c.g.Identity == graph.IdentityMTLS:
		if domain := c.sealedBy(call); inside && domain != "" {
			return ir.Proof{Caller: s, SPIFFE: s.SPIFFEID(domain)}, ""
		}
		return ir.Proof{}, fmt.Sprintf("no mtls policy covers the call of %s, so that nothing proves it (identity: mtls)", c.g.Calls[call].From.NodeName())
	}
	return ir.Proof{}, "the receiver can't tell its callers apart (identity: none)"
}

// sealedBy gives the trust domain of the mtls policy that covers a call; "" when
// none does. One with a mistake in it covers what it would without, as far as can be
// told: that it does not is no second mistake.
func (c *checker) sealedBy(call int32) string {
	if c.sealed == nil {
		c.sealed = map[int32]string{}
		for _, p := range slices.Concat(c.policies, c.aside) {
			if c.means(p, func(d *ir.ActionDecl) bool { return d.Name == sealAction }) {
				c.seal(p)
			}
		}
	}
	return c.sealed[call]
}

func (c *checker) seal(p *policy) {
	if !p.bad {
		domain := p.calls[slices.IndexFunc(p.calls, func(t *typedCall) bool { return t.act.decl.Name == sealAction })].ir.Args["trust_domain"].Str
		for _, e := range p.live {
			c.sealed[e.call] = domain
		}
		return
	}
	const unknown = "unknown"
	cover := func(call int32) {
		if c.sealed[call] == "" {
			c.sealed[call] = unknown
		}
	}
	if p.misnamed || len(p.paths) > 0 {
		for n := range c.g.Calls {
			cover(int32(n))
		}
	}
	for _, e := range p.edges {
		cover(e.call)
	}
}

// sealAction is the standard action that proves both ends of a call.
const sealAction = "mtls"

// unknown excludes the receiver's side, because a caller can't be told from
// those of some group.
func (v *verdicts) unknown(o *obligation, groups []*ir.Group, other *graph.Call, why string) {
	all := v.c.idx.callers[o.key]
	counter := v.perCaller(o)
	switch {
	case len(groups) > 1 && counter != nil:
		scope := counter.ir.Args[counter.act.decl.Scope]
		v.exclude(o, ir.Ingress, ruleIdentity, place(scope, counter.ir.At), "%s keeps a budget for each of the %d callers of %s, and %s",
			counter.act.decl.Name, len(o.calls), portName(o.ir), why)
	case len(groups) > 1:
		v.exclude(o, ir.Ingress, ruleIdentity, v.p.where(), "the condition is not the same for %s and %s, and %s",
			groups[0].Edges[0].Sender.NodeName(), groups[1].Edges[0].Sender.NodeName(), why)
	default:
		others := ""
		if n := len(all) - len(o.calls) - 1; n > 0 && (v.c.g.Identity == graph.IdentityNone || v.c.g.Identity == "") {
			others = fmt.Sprintf(" (and %d more)", n)
		}
		v.exclude(o, ir.Ingress, ruleIdentity, other.At, "%s%s calls %s too and is left out, and %s",
			other.From.NodeName(), others, portName(o.ir), why)
	}
}

// oneBudget excludes the receiver's side where one budget would be kept for
// callers that are told apart: each group's filter has a bucket of its own.
func (v *verdicts) oneBudget(o *obligation, t *typedCall) {
	if len(o.ir.Apart) > 1 && t.ir.Args[t.act.decl.Scope].Str != "caller" {
		v.exclude(o, ir.Ingress, ruleIdentity, v.p.where(), "%s keeps one budget, and the condition is not the same for %s and %s",
			t.act.decl.Name, o.ir.Apart[0].Edges[0].Sender.NodeName(), o.ir.Apart[1].Edges[0].Sender.NodeName())
	}
}
