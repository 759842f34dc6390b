package solver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// explainCapacities reports, for each part whose capacities nothing keeps,
// minimal sets of obligations, pins, rows and capacities that can't hold
// together: leave any member out, and the others can. Sets of one part share no
// obligation. The error is the context's.
func (c *closing) explainCapacities(ctx context.Context, broken []*limited, bag *diag.Bag) error {
	for _, k := range broken {
		f := &filter{ctx: ctx, c: c}
		rest := f.members(k)
		for range maxConflicts {
			if err := ctx.Err(); err != nil {
				return err
			}
			set := f.shrink(rest)
			rest = f.without(rest, set)
			more := f.contradict(rest)
			c.reportCapacity(set, more, bag)
			if !more {
				break
			}
		}
	}
	return nil
}

// maxConflicts bounds the sets that are printed of one part.
const maxConflicts = 10

// A filter finds a minimal contradiction by leaving members out.
type filter struct {
	ctx context.Context
	c   *closing
}

// members is everything that someone wrote about the obligations at a part's
// limits.
func (f *filter) members(k *limited) []member {
	p := f.c.p
	at := map[int32]bool{}
	var queue []int32
	add := func(i int32) {
		if !at[i] {
			at[i] = true
			queue = append(queue, i)
		}
	}
	for i := range k.free {
		add(k.free[i].of)
	}
	for _, l := range k.limits {
		for _, load := range p.Capacities[l.of].Loads {
			add(load.Obligation)
		}
	}
	var rows []int32
	for i := 0; i < len(queue); i++ {
		for _, r := range f.c.rowsOf.of(queue[i]) {
			rows = append(rows, r)
			add(otherEnd(&p.Rows[r], queue[i]))
		}
	}
	slices.Sort(queue)
	slices.Sort(rows)
	var out []member
	nodes := map[int32]bool{}
	for _, i := range queue {
		o := &p.Obligations[i]
		out = append(out, member{kind: byTheLoad, obligation: i})
		for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
			if o.May&s == 0 {
				out = append(out, member{kind: byItself, obligation: i, side: s})
			}
		}
		if o.Both {
			out = append(out, member{kind: byTheBoth, obligation: i})
		}
		for _, n := range append([]int32{o.Receiver}, o.Senders...) {
			if !p.Nodes[n].CanHost() && !nodes[n] {
				nodes[n] = true
				out = append(out, member{kind: byNode, index: n})
			}
		}
	}
	for _, r := range slices.Compact(rows) {
		out = append(out, member{kind: byTheRow, index: r})
	}
	for _, l := range k.limits {
		out = append(out, member{kind: byCapacity, index: l.of})
	}
	return out
}

// shrink leaves out whatever the contradiction does not need: first obligations,
// with all that speaks of them, many at a time, then everything else.
func (f *filter) shrink(members []member) []member {
	var obligations []int32
	for _, m := range members {
		if m.kind == byTheLoad {
			obligations = append(obligations, m.obligation)
		}
	}
	for size := (len(obligations) + 1) / 2; size > 0; size /= 2 {
		for i := 0; i < len(obligations); {
			gone := obligations[i:min(i+size, len(obligations))]
			rest := f.drop(members, gone)
			if f.contradict(rest) {
				members = rest
				obligations = slices.Delete(slices.Clone(obligations), i, i+len(gone))
			} else {
				i += len(gone)
			}
		}
	}
	for i := 0; i < len(members); {
		if members[i].kind == byTheLoad {
			i++
			continue
		}
		rest := slices.Delete(slices.Clone(members), i, i+1)
		if f.contradict(rest) {
			members = rest
		} else {
			i++
		}
	}
	return members
}

// drop leaves out obligations, and what speaks of them.
func (f *filter) drop(members []member, gone []int32) []member {
	return slices.DeleteFunc(slices.Clone(members), func(m member) bool {
		switch m.kind {
		case byTheLoad, byItself, byTheBoth:
			return slices.Contains(gone, m.obligation)
		case byTheRow:
			r := &f.c.p.Rows[m.index]
			return slices.Contains(gone, r.P) || slices.Contains(gone, r.Q)
		}
		return false
	})
}

// without leaves out the obligations of a set that was found.
func (f *filter) without(members, set []member) []member {
	var gone []int32
	for _, m := range set {
		if m.kind == byTheLoad {
			gone = append(gone, m.obligation)
		}
	}
	return f.drop(members, gone)
}

// maxFilterSteps bounds the question whether some members contradict. When it is
// not settled by then, they are taken to hold together: a set is printed only if
// it surely can't, and may then be larger than it must.
const maxFilterSteps = 20000

// contradict reports that members can't hold together.
func (f *filter) contradict(members []member) bool {
	c := closePins(f.restrict(members))
	if len(c.conflicts) > 0 {
		return true
	}
	for _, k := range c.limitedParts(forcedNodes(c)) {
		s := newLimitedSearch(f.ctx, k)
		s.any, s.most = true, maxFilterSteps
		if s.run() == nil && s.err == nil {
			return true
		}
	}
	return false
}

// restrict is the problem in which only the members hold. Nothing weighs
// anything: the question is whether there is a placement.
func (f *filter) restrict(members []member) *Problem {
	p := f.c.p
	sub := &Problem{Nodes: make([]Node, len(p.Nodes))}
	number := map[int32]int32{}
	for _, m := range members {
		switch m.kind {
		case byTheLoad:
			o := p.Obligations[m.obligation]
			o.May, o.Both, o.Order = eitherSide, false, len(sub.Obligations)
			number[m.obligation] = int32(len(sub.Obligations))
			sub.Obligations = append(sub.Obligations, o)
		case byItself:
			sub.Obligations[number[m.obligation]].May &^= m.side
		case byTheBoth:
			sub.Obligations[number[m.obligation]].Both = true
		case byNode:
			sub.Nodes[m.index].Pin = p.Nodes[m.index].Pin
		case byTheRow:
			row := p.Rows[m.index]
			row.P, row.Q = number[row.P], number[row.Q]
			sub.Rows = append(sub.Rows, row)
		case byCapacity:
			sub.Capacities = append(sub.Capacities, p.Capacities[m.index].restrict(number))
		}
	}
	return sub
}

// restrict keeps what the numbered obligations take.
func (c *Capacity) restrict(number map[int32]int32) Capacity {
	out := *c
	out.Loads, out.Hops = nil, nil
	for _, l := range c.Loads {
		if n, ok := number[l.Obligation]; ok {
			l.Obligation = n
			out.Loads = append(out.Loads, l)
		}
	}
	for _, h := range c.Hops {
		var list []int32
		for _, o := range h.Obligations {
			if n, ok := number[o]; ok {
				list = append(list, n)
			}
		}
		if h.Obligations = list; len(list) > 0 {
			out.Hops = append(out.Hops, h)
		}
	}
	return out
}

func (c *closing) reportCapacity(set []member, more bool, bag *diag.Bag) {
	var limits []int32
	for _, m := range set {
		if m.kind == byCapacity {
			limits = append(limits, m.index)
		}
	}
	k := &c.p.Capacities[limits[0]]
	text := "the capacity of " + c.p.Nodes[k.Node].Name
	if len(limits) > 1 {
		text = fmt.Sprintf("the capacities of %d services", len(limits))
	}
	d := bag.Errorf(k.At, Infeasible, "%s can't be kept: %s", text, counted(len(set)))
	if more {
		d.WithHint("at least one of them has to change; another conflict, without these policies, follows")
	} else {
		d.WithHint("at least one of them has to change; another conflict may remain behind it")
	}
	for _, m := range set {
		switch m.kind {
		case byCapacity:
			k := &c.p.Capacities[m.index]
			d.WithNote(k.At, "the ADM of %s has a capacity of %s", c.p.Nodes[k.Node].Name, k.At.Text())
		case byTheLoad:
			o := c.p.Obligations[m.obligation].Of
			d.WithNote(o.Policy.At, "%s on calls to %s:%d takes %s", o.Policy.Name, o.Receiver.NodeName(), o.Port, c.takesText(m.obligation, limits))
		default:
			at, text := c.memberNote(m)
			d.WithNote(at, "%s", text)
		}
	}
}

// takesText says what an obligation alone takes at the ADMs with capacities.
func (c *closing) takesText(i int32, limits []int32) string {
	var texts []string
	for _, l := range limits {
		k := &c.p.Capacities[l]
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			sides := make([]ir.Side, len(c.p.Obligations))
			sides[i] = side
			units := k.takes(sides)
			if j := slices.IndexFunc(k.Loads, func(l Load) bool { return l.Obligation == i && l.Side == side }); j >= 0 {
				own := ""
				if hop := units - k.Loads[j].Units; hop > 0 {
					own = fmt.Sprintf(" (%s of it to pass the calls on, once for all policies)", k.cpu(hop))
				}
				texts = append(texts, fmt.Sprintf("%s of CPU at %s%s", k.cpu(units), c.p.Nodes[k.Node].Name, own))
			}
		}
	}
	if len(texts) == 0 {
		return "nothing there, but decides where others are"
	}
	return strings.Join(texts, ", ")
}
