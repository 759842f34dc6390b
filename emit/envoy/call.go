package envoy

import (
	"cmp"
	"fmt"
	"slices"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A call is one action of one rule on a listener.
type call struct {
	*ir.Action
	rule *layout.Rule
	when *when  // nil: the rule always applies
	name string // policy/action, unique on the listener: what filters are called
	low  *lowering
	// switched: the policy's switch has been built into what the call does.
	switched bool
}

func (c *call) policy() *ir.Policy { return c.rule.Obligation.Policy }

// str, num and the others read an argument; the checker has filled in every
// parameter of the declaration.
func (c *call) str(param string) string { return c.Args[param].Str }
func (c *call) num(param string) int64  { return c.Args[param].Int }

// calls of a listener by rank. Actions that this backend doesn't know, or not
// on this plane, are reported and left out.
func (a *adm) calls(l *layout.Listener) []*call {
	var out []*call
	used := map[string]int{}
	for _, r := range l.Rules {
		w := a.newWhen(l, r)
		for _, act := range r.Obligation.Actions {
			low := loweringOf(act.Decl)
			if low == nil || (l.Protocol.Plane() == graph.TCP && low.tcp == nil) || (l.Protocol.Plane() != graph.TCP && low.http == nil) {
				a.noFilter(act, l.Protocol)
				continue
			}
			name := r.Obligation.Policy.Name + "/" + act.Name()
			if r.Group != "" {
				name += "@" + r.Group
			}
			if used[name]++; used[name] > 1 {
				name = fmt.Sprintf("%s#%d", name, used[name])
			}
			out = append(out, &call{Action: act, rule: r, when: w, name: name, low: low})
		}
	}
	slices.SortStableFunc(out, func(x, y *call) int { return cmp.Compare(x.Rank, y.Rank) })
	return out
}

// noFilter reports an action that nothing does on a protocol.
func (a *adm) noFilter(act *ir.Action, on graph.Protocol) {
	if !act.Decl.User {
		a.cannot(act, "%s on %s", act.Name(), on)
		return
	}
	plane := "http"
	if on.Plane() == graph.TCP {
		plane = "tcp"
	}
	a.bag.Errorf(act.At, CodeUnsupported, "no data plane can do %s on %s", act.Name(), on).
		WithHint("its declaration has no filter for that: envoy %s { … }", plane).
		WithNote(act.Decl.At, "%s is declared here", act.Name())
}

// cannot reports that an action has no exact configuration.
func (a *adm) cannot(act *ir.Action, format string, args ...any) {
	a.bag.Errorf(act.At, CodeUnsupported, "no data plane can do %s", fmt.Sprintf(format, args...))
}
