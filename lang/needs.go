package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// Some things stay in the proxy that made them, such as the claims of a token.
// Who reads one shares a side with who provides it.

// needed gives what an obligation reads of the kept parts, which another has to
// provide. A condition that reads one, or a key of it, needs it.
func needed(o *obligation, kept []string) []string {
	var out []string
	for _, part := range kept {
		if readsPart(o, part) || slices.ContainsFunc(o.acts, func(t *typedCall) bool { return needsPart(t, part) }) {
			out = append(out, part)
		}
	}
	return out
}

// readsPart reports whether a condition of an obligation reads a part, or a key
// of it.
func readsPart(o *obligation, part string) bool {
	return slices.ContainsFunc(o.reads, func(r string) bool { return covers(part, r) })
}

func needsPart(t *typedCall, part string) bool {
	return slices.ContainsFunc(t.act.decl.Needs, func(r string) bool { return covers(part, r) })
}

// needs joins the readers of one port to their providers.
func (j *joiner) needs(group []*obligation) {
	kept := j.c.kept
	for _, reader := range group {
		for _, part := range needed(reader, kept) {
			if j.circular(reader, part) {
				continue
			}
			if p := provider(reader, part); p != nil && j.inTime(reader, reader, p, part) {
				continue
			}
			left := slices.Clone(reader.calls)
			for _, from := range group {
				p := provider(from, part)
				if p == nil || from == reader {
					continue
				}
				n := len(left)
				left = slices.DeleteFunc(left, func(call int32) bool { _, in := slices.BinarySearch(from.calls, call); return in })
				if len(left) < n && j.inTime(reader, from, p, part) {
					j.same(reader, from, p, part)
				}
			}
			if len(left) > 0 && !j.c.mightProvide(part) && !j.told(reader.policy, part) {
				j.c.bag.Errorf(j.readAt(reader, part), NoProvider, "policy %s reads %s, which nothing provides on %s",
					reader.policy.ir.Name, part, j.c.edgeNames(left)).
					WithHint("a policy with %s on these calls provides it", strings.Join(j.c.lib.providers(part), " or "))
			}
		}
	}
}

// mightProvide reports whether a policy that has a mistake in it would provide a
// part without.
func (c *checker) mightProvide(part string) bool {
	return slices.ContainsFunc(slices.Concat(c.policies, c.aside), func(p *policy) bool {
		return p.bad && c.means(p, func(d *ir.ActionDecl) bool { return slices.Contains(d.Provides, part) })
	})
}

// means reports whether a policy calls an action of a kind, or would if a name in it
// were the one that is suggested.
func (c *checker) means(p *policy, kind func(*ir.ActionDecl) bool) bool {
	return slices.ContainsFunc(p.node.Clauses, func(cl syntax.Clause) bool {
		call, ok := cl.(*syntax.Call)
		if !ok {
			return false
		}
		a := c.lib.actions[call.Name.Name]
		if a == nil {
			a = c.lib.actions[diag.Suggest(call.Name.Name, c.lib.names)]
		}
		return a != nil && kind(a.decl)
	})
}

// circular reports a policy that reads what its own action provides: the
// condition would decide whether there is anything to read.
func (j *joiner) circular(o *obligation, part string) bool {
	p := provider(o, part)
	if p == nil || !readsPart(o, part) {
		return false
	}
	if !j.told(o.policy, part) {
		j.c.bag.Errorf(j.readAt(o, part), NoProvider, "the condition of policy %s reads %s, which the policy itself provides when the condition holds",
			o.policy.ir.Name, part).
			WithHint("put %s into a policy of its own", p.act.decl.Name).
			WithNote(p.ir.At, "%s is here", p.act.decl.Name)
	}
	return true
}

// inTime reports actions that act before there is anything to read.
func (j *joiner) inTime(reader, from *obligation, p *typedCall, part string) bool {
	for _, t := range reader.acts {
		if !t.act.decl.Wraps && t.ir.Rank > p.ir.Rank || !readsPart(reader, part) && !needsPart(t, part) {
			continue
		}
		if !j.told(reader.policy, part) {
			j.c.bag.Errorf(j.readAt(reader, part), NoProvider, "%s acts before %s of policy %s provides %s",
				t.act.decl.Name, p.act.decl.Name, from.policy.ir.Name, part).
				WithNote(t.ir.At, "%s is here", t.act.decl.Name).
				WithNote(p.ir.At, "%s is here", p.act.decl.Name)
		}
		return false
	}
	return true
}

// readAt is where an obligation's condition reads a part, or a key of it.
func (j *joiner) readAt(o *obligation, part string) diag.Span {
	for _, r := range o.reads {
		if covers(part, r) {
			return o.policy.readAt(r, o.ir.Protocol.Plane())
		}
	}
	return o.policy.ir.At
}

func (j *joiner) same(reader, from *obligation, p *typedCall, part string) {
	j.rows = append(j.rows, &ir.Row{
		Kind: ir.Same, P: from.ir, Q: reader.ir,
		Text: fmt.Sprintf("policy %s reads %s, which %s of %s leaves in its proxy", reader.policy.ir.Name, part, p.act.decl.Name, from.policy.ir.Name),
		PAt:  p.ir.At, QAt: j.readAt(reader, part),
	})
}

// told reports whether a policy was complained about for a part, and remembers
// it.
func (j *joiner) told(p *policy, part string) bool {
	key := toldKey{p, part}
	if j.toldOf[key] {
		return true
	}
	j.toldOf[key] = true
	return false
}

type toldKey struct {
	p    *policy
	part string
}

// provider gives the action of an obligation that provides a part; nil if none.
func provider(o *obligation, part string) *typedCall {
	for _, t := range o.acts {
		if slices.Contains(t.act.decl.Provides, part) {
			return t
		}
	}
	return nil
}

// providers names the actions of the library that provide a part.
func (l *library) providers(part string) []string {
	var out []string
	for _, n := range l.names {
		if slices.Contains(l.actions[n].decl.Provides, part) {
			out = append(out, n)
		}
	}
	return out
}
