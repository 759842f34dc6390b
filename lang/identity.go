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
	case graph.IdentityPorts, graph.IdentityMTLS:
		c.bag.Errorf(c.g.IdentityAt, NotYet, "identity: %s is not built yet", c.g.Identity).
			WithHint("with identity: none, what needs to tell callers apart is enforced at the callers")
	}
}

// identity divides the callers of an obligation into groups that the receiver
// has to tell apart, and excludes it if it can't.
func (v *verdicts) identity(o *obligation) {
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
			if why := v.c.unproved(v.c.g.Calls[n].From); why != "" {
				v.unknown(o, groups, v.c.g.Calls[n], why)
				return
			}
			g.Not = append(g.Not, v.c.g.Calls[n].From)
		}
	}
	if len(groups) == 1 && len(groups[0].Not) == 0 {
		return // it would change nothing for the others
	}
	o.ir.Apart = groups
}

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

// unproved says why a receiver can't tell that a call comes from a node; ""
// when it can.
func (c *checker) unproved(n graph.Node) string {
	if c.g.Identity != graph.IdentityAddresses {
		return "the receiver can't tell its callers apart (identity: none)"
	}
	if s, ok := n.(*graph.Service); ok && len(s.Addresses) > 0 {
		return ""
	}
	return fmt.Sprintf("the graph has no addresses of %s to tell it by (identity: addresses)", n.NodeName())
}

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
		if n := len(all) - len(o.calls) - 1; n > 0 && v.c.g.Identity != graph.IdentityAddresses {
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
