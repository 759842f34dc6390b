package lang

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// Two obligations have the same effect when nothing that joining looks at tells
// them apart: the same actions with the same arguments, the same parts read by
// their conditions, both at one end or both at two. Names, places and the
// conditions' values don't matter for what an obligation does to a third.
//
// On one port, only some pairs of effects can have anything to do with each
// other: those that touch a common part of the message, and those that answer,
// count or see answers. They are found by index, so that a port with thousands
// of policies costs what they have to do with each other.

// An effectClass stands for all obligations with one effect.
type effectClass struct {
	parts  []string // that it reads or writes, each once
	writes []string
	kind   *effectKind
	of     *obligation // one that has it
}

// An effectKind is what of an effect matters beside the parts that it touches.
type effectKind struct {
	ends     bool
	answer   int32 // what it answers: one action with its arguments; -1: several
	state    bool
	response bool // touches the response
	observes bool
	copies   bool    // makes copies of requests
	single   []int32 // actions of which only one can hold
	front    bool    // has to do with a wrapper by hand: a class of its own
}

// meet reports whether two effects of these kinds may have to do with each
// other whatever they touch.
func (k *effectKind) meet(l *effectKind) bool {
	switch {
	case k.front || l.front:
		return true
	case k.copies && (l.state || l.observes), l.copies && (k.state || k.observes):
		return true
	case k.ends && (l.state || l.response), l.ends && (k.state || k.response):
		return true
	case k.ends && l.ends && (k.answer != l.answer || k.answer < 0):
		return true
	}
	return slices.ContainsFunc(k.single, func(n int32) bool { return slices.Contains(l.single, n) })
}

type effects struct {
	classes map[string]*effectClass
	kinds   map[string]*effectKind
	calls   map[*typedCall]int32 // numbers of actions with their arguments
	texts   map[string]int32
	fronted map[*policy]bool // policies that another stands before by hand
	between map[[2]*effectClass]influence
	key     []byte
}

func newEffects() effects {
	return effects{
		classes: map[string]*effectClass{}, kinds: map[string]*effectKind{}, calls: map[*typedCall]int32{}, texts: map[string]int32{},
		fronted: map[*policy]bool{}, between: map[[2]*effectClass]influence{},
	}
}

func (e *effects) number(text string) int32 {
	n, ok := e.texts[text]
	if !ok {
		n = int32(len(e.texts))
		e.texts[text] = n
	}
	return n
}

// sameEffect gives the class of the last obligation where this one is of the
// same part of the same policy; nil where it has to be looked up.
func (e *effects) sameEffect(o, last *obligation) *effectClass {
	if last == nil || o.policy != last.policy || o.readsID != last.readsID || o.ir.Both != last.ir.Both || len(o.acts) != len(last.acts) || &o.acts[0] != &last.acts[0] {
		return nil
	}
	return last.class
}

// classOf numbers the effect of an obligation.
func (e *effects) classOf(o *obligation) *effectClass {
	e.key = binary.AppendVarint(e.key[:0], int64(o.readsID))
	if o.ir.Both {
		e.key = append(e.key, '#')
	}
	for _, t := range o.acts {
		n, known := e.calls[t]
		if !known {
			n = e.number(callText(t))
			e.calls[t] = n
		}
		e.key = binary.AppendVarint(e.key, int64(n))
	}
	front := len(o.policy.fronts) > 0 || e.fronted[o.policy]
	if front {
		e.key = fmt.Appendf(e.key, "%s %s", o.policy.ir.Name, o.acts[0].ir.At)
	}
	c := e.classes[string(e.key)]
	if c == nil {
		c = &effectClass{kind: e.kindOf(o, front), parts: slices.Clone(o.reads), of: o}
		for _, t := range o.acts {
			c.parts = append(append(c.parts, t.reads...), t.writes...)
			c.writes = append(c.writes, t.writes...)
		}
		slices.Sort(c.parts)
		c.parts = slices.Compact(c.parts)
		e.classes[string(e.key)] = c
	}
	return c
}

// callText is an action with its arguments, as far as two that have the same
// text do the same to others.
func callText(t *typedCall) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q", t.act.decl.Name, t.reads, t.writes)
	for _, p := range t.act.decl.Params {
		v := t.ir.Args[p.Name]
		fmt.Fprintf(&b, " %s", valueText(v))
	}
	return b.String()
}

// valueText tells values apart as sameValue does.
func valueText(v ir.Value) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%s %q %d %g %t %d", v.Kind, v.Str, v.Int, v.Float, v.Bool, v.Dur)
	for _, x := range v.List {
		b.WriteString(valueText(x))
	}
	for _, e := range v.Map {
		fmt.Fprintf(&b, "%q:%s", e.Key, valueText(e.Value))
	}
	if v.Expr != nil {
		b.WriteString(v.Expr.Text)
	}
	b.WriteByte(')')
	return b.String()
}

func (e *effects) kindOf(o *obligation, front bool) *effectKind {
	k := &effectKind{front: front, response: touches("response", o.reads)}
	for _, t := range o.acts {
		d := t.act.decl
		if d.Ends {
			if answer := e.calls[t]; k.ends && k.answer != answer {
				k.answer = -1
			} else {
				k.answer = answer
			}
			k.ends = true
		}
		k.state = k.state || d.State != ""
		k.observes = k.observes || d.Phase == ir.Observe
		k.copies = k.copies || touches(copied, t.writes)
		k.response = k.response || touches("response", t.reads) || touches("response", t.writes)
		if d.Single {
			k.single = append(k.single, e.number("single "+d.Name))
		}
	}
	slices.Sort(k.single)
	text := fmt.Sprintf("%+v", *k)
	if known := e.kinds[text]; known != nil {
		return known
	}
	e.kinds[text] = k
	return k
}

// An influence is what two effects may do to each other, whichever acts first:
// less than a relation, and the same for all pairs that have them.
type influence struct {
	always         bool // whatever the sides
	xFirst, yFirst bool // rows against x at ingress and y at egress, or the other way
}

// hits reports whether it leaves something to say of obligations that may have
// these sides.
func (f influence) hits(x, y ir.Side) bool {
	return f.always || f.xFirst && x&ir.Ingress != 0 && y&ir.Egress != 0 || f.yFirst && x&ir.Egress != 0 && y&ir.Ingress != 0
}

func (e *effects) influence(x, y *effectClass) influence {
	key := [2]*effectClass{x, y}
	f, known := e.between[key]
	if !known {
		f = influenceOf(x, y)
		e.between[key] = f
	}
	return f
}

func influenceOf(x, y *effectClass) influence {
	f := influence{always: x.kind.front || y.kind.front}
	for i, a := range x.of.acts {
		for k, b := range y.of.acts {
			f.always = f.always || clashing(a, b) != ""
			if x.of.ir.Both || y.of.ir.Both {
				continue
			}
			r, p, q := &relation{}, effect{a, x.of}, effect{b, y.of}
			if a.act.decl.Wraps || b.act.decl.Wraps {
				r.watch(p, q, forbid{a: i, b: k})
			} else {
				r.order(p, q, forbid{a: i, b: k})
				r.order(q, p, forbid{a: i, b: k, turned: true})
			}
			for _, g := range r.forbid {
				f.xFirst = f.xFirst || g.xSide == ir.Ingress
				f.yFirst = f.yFirst || g.xSide == ir.Egress
			}
		}
	}
	return f
}

// A met is the obligations of a port with one effect and the same sides to
// choose from, by their places.
type met struct {
	*effectClass
	may     ir.Side
	members []int
}

func metOn(group []*obligation) []met {
	type key struct {
		class *effectClass
		may   ir.Side
	}
	place, out := map[key]int{}, []met{}
	for i, o := range group {
		k := key{o.class, o.ir.May}
		n, there := place[k]
		if !there {
			n = len(out)
			place[k] = n
			out = append(out, met{effectClass: o.class, may: o.ir.May})
		}
		out[n].members = append(out[n].members, i)
	}
	return out
}

// pairs gives the pairs of a port's obligations that do something to each other,
// in order.
func (j *joiner) pairs(group []*obligation) []planned {
	var out []planned
	all := metOn(group)
	for _, c := range candidates(all) {
		x, y := &all[c[0]], &all[c[1]]
		if !j.influence(x.effectClass, y.effectClass).hits(x.may, y.may) {
			continue
		}
		for n, i := range x.members {
			others := y.members
			if x == y {
				others = x.members[n+1:]
			}
			for _, k := range others {
				first, second := min(i, k), max(i, k)
				if r := j.relation(group[first], group[second]); !r.nothing() {
					out = append(out, planned{first, second, r})
				}
			}
		}
	}
	slices.SortFunc(out, func(p, q planned) int { return cmp.Or(cmp.Compare(p.x, q.x), cmp.Compare(p.y, q.y)) })
	return out
}

// candidates gives the pairs, each once, that may have to do with each other: of
// kinds that meet, or with a part that one writes and the other touches.
func candidates(all []met) [][2]int {
	var out [][2]int
	add := func(a, b int) {
		if a != b || len(all[a].members) > 1 {
			out = append(out, [2]int{min(a, b), max(a, b)})
		}
	}
	byKind, kinds := map[*effectKind][]int{}, []*effectKind(nil)
	for i, m := range all {
		if byKind[m.kind] == nil {
			kinds = append(kinds, m.kind)
		}
		byKind[m.kind] = append(byKind[m.kind], i)
	}
	for i, k := range kinds {
		for _, l := range kinds[i:] {
			if !k.meet(l) {
				continue
			}
			for n, a := range byKind[k] {
				others := byKind[l]
				if k == l {
					others = others[n:]
				}
				for _, b := range others {
					add(a, b)
				}
			}
		}
	}
	byParts(all, add)
	slices.SortFunc(out, func(p, q [2]int) int { return cmp.Or(cmp.Compare(p[0], q[0]), cmp.Compare(p[1], q[1])) })
	return slices.Compact(out)
}

// byParts finds who touches what another writes, in it or around it.
func byParts(all []met, add func(a, b int)) {
	touching, within := map[string][]int{}, map[string][]int{}
	for i, m := range all {
		for _, p := range m.parts {
			touching[p] = append(touching[p], i)
			for _, outer := range around(p) {
				within[outer] = append(within[outer], i)
			}
		}
	}
	for i, m := range all {
		for _, w := range m.writes {
			lists := [][]int{touching[w], within[w]}
			for _, outer := range around(w) {
				lists = append(lists, touching[outer])
			}
			for _, list := range lists {
				for _, k := range list {
					if !m.kind.meet(all[k].kind) {
						add(i, k)
					}
				}
			}
		}
	}
}

// around gives the parts that cover a part, without itself.
func around(part string) []string {
	var out []string
	for i, c := range part {
		if c == '.' || c == '[' {
			out = append(out, part[:i])
		}
	}
	return out
}

// everyPair is pairs without merging: what the tests hold it to.
func everyPair(group []*obligation) []planned {
	var out []planned
	for i, x := range group {
		for k := i + 1; k < len(group); k++ {
			if r := relate(x, group[k]); !r.nothing() {
				out = append(out, planned{i, k, r})
			}
		}
	}
	return out
}
