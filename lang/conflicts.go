package lang

import "fmt"

// A clash is two actions of which only one can hold for a request: a of an
// obligation x, b of an obligation y, by their places.
type clash struct {
	a, b int
	why  string
}

// clashing says why a and b can't both hold; "" when they can. Two writes of one
// part in one phase leave the last; in two phases the order says which is meant,
// and two actions that read what they write (append) build on each other.
func clashing(a, b *typedCall) string {
	da, db := a.act.decl, b.act.decl
	if a.act == b.act && da.Single {
		return fmt.Sprintf("only one %s can hold for a request", da.Name)
	}
	if da.Phase != db.Phase {
		return ""
	}
	for _, message := range []string{"request", "response", "upstream", "span"} {
		part := common(message, a.writes, b.writes)
		if part == "" || common(message, a.reads, []string{part}) != "" && common(message, b.reads, []string{part}) != "" {
			continue
		}
		return fmt.Sprintf("both write %s", part)
	}
	return ""
}

// ownConflicts reports two actions of one policy that can't both hold.
func (c *checker) ownConflicts(p *policy) {
	for i, a := range p.calls {
		for _, b := range p.calls[i+1:] {
			if why := clashing(a, b); why != "" {
				first, second := inSource(a, b)
				c.bag.Errorf(second.ir.At, Conflict, "%s conflicts with %s of the same policy: %s",
					second.act.decl.Name, first.act.decl.Name, why).
					WithNote(first.ir.At, "%s is here", first.act.decl.Name)
			}
		}
	}
}

// clashes reports the conflicts of two policies, once for the pair, at the
// later of the two places.
func (j *joiner) clashes(x, y *obligation, r *relation, call int32, shifts bool) {
	pair := [2]*policy{x.policy, y.policy}
	if len(r.conflicts) == 0 || j.done[pair] {
		return
	}
	for _, k := range r.conflicts {
		a, b := x.acts[k.a], y.acts[k.b]
		decided := j.c.settled[settled{a, b}] || j.c.settled[settled{b, a}]
		if decided && !shifts {
			continue
		}
		j.done[pair] = true
		first, second := inSource(a, b)
		other := x.policy
		if first == b {
			other = y.policy
		}
		d := j.c.bag.Errorf(second.ir.At, Conflict, "%s conflicts with %s of policy %s on %s: %s",
			second.act.decl.Name, first.act.decl.Name, other.ir.Name, callName(j.c.g.Calls[call]), k.why).
			WithNote(first.ir.At, "%s of policy %s is here", first.act.decl.Name, other.ir.Name)
		switch {
		case decided:
			d.WithHint("@priority can't decide: what a condition reads is written on these calls, so the two are not decided at one moment")
		case x.policy.priority != y.policy.priority:
			d.WithHint("@priority can't decide: the draw of a sample can't be subtracted")
		default:
			d.WithHint("part the edges of the two policies, give one a higher @priority, or give them conditions that exclude each other, such as x == \"a\" and x == \"b\"")
		}
	}
}

func inSource(a, b *typedCall) (first, second *typedCall) {
	if b.ir.At.Compare(a.ir.At) < 0 {
		return b, a
	}
	return a, b
}
