package solver

import (
	"fmt"
	"slices"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A member of a conflict is one thing that someone wrote: without it, what is
// left could hold.
type member struct {
	kind       causeKind
	obligation int32   // byItself, byTheBoth
	side       ir.Side // byItself: the side it excludes
	index      int32   // byNode: the node; byTheRow: the row
}

// explainConflicts reports errors for each group of obligations, joined by rows,
// that can't be enforced: one for each of the conflicts in it that share nothing
// that someone wrote. Its notes are the members of a minimal set of causes:
// leave any of them out and the contradiction is gone.
func explainConflicts(c *closing, bag *diag.Bag) {
	groups := map[int32][]int32{} // conflicts, by the first of their group
	var firsts []int32
	first := map[int32]int32{}
	for _, o := range c.conflicts {
		if _, known := first[o]; !known {
			for _, other := range c.group(o) {
				first[other] = o
			}
			firsts = append(firsts, o)
		}
		groups[first[o]] = append(groups[first[o]], o)
	}
	for _, f := range firsts {
		c.explainGroup(groups[f], bag)
	}
}

func (c *closing) explainGroup(conflicts []int32, bag *diag.Bag) {
	var told []member
	var last *diag.Diagnostic
	hidden := false
	for _, o := range conflicts {
		t := &tale{c: c, seen: map[loss]bool{}}
		t.tell(o)
		members := t.shrink()
		if slices.ContainsFunc(members, func(m member) bool { return slices.Contains(told, m) }) {
			hidden = true
			continue
		}
		told = append(told, members...)
		last = c.report(o, members, bag)
	}
	if hidden {
		last.WithHint("another conflict, with some of the same causes, may remain behind it")
	}
}

// group is the obligations that rows join to o.
func (c *closing) group(o int32) []int32 {
	seen := map[int32]bool{o: true}
	list := []int32{o}
	for i := 0; i < len(list); i++ {
		for _, r := range c.rowsOf.of(list[i]) {
			if other := otherEnd(&c.p.Rows[r], list[i]); !seen[other] {
				seen[other] = true
				list = append(list, other)
			}
		}
	}
	return list
}

// A tale is the causes of one conflict, in the order a reader would tell them.
type tale struct {
	c       *closing
	members []member
	touched []int32 // the obligations the causes speak of
	seen    map[loss]bool
}

type loss struct {
	obligation int32
	side       ir.Side
}

// tell follows the lost sides of an obligation back to what was written.
func (t *tale) tell(o int32) {
	for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
		if t.c.may[o]&s == 0 {
			t.follow(o, s)
		}
	}
	if t.c.p.Obligations[o].Both {
		t.add(member{kind: byTheBoth, obligation: o})
	}
}

func (t *tale) follow(i int32, s ir.Side) {
	if t.seen[loss{i, s}] {
		return
	}
	t.seen[loss{i, s}] = true
	if !slices.Contains(t.touched, i) {
		t.touched = append(t.touched, i)
	}
	if t.c.may[i]&s != 0 { // nothing lost: its place is known because it has both sides
		t.add(member{kind: byTheBoth, obligation: i})
		return
	}
	switch why := t.c.why[i][sideIndex(s)]; why.kind {
	case byItself:
		t.add(member{kind: byItself, obligation: i, side: s})
	case byNode:
		t.add(member{kind: byNode, index: why.index})
	case byTheRow:
		r := &t.c.p.Rows[why.index]
		t.follow(otherEnd(r, i), lostByOther(r, i, s))
		t.add(member{kind: byTheRow, index: why.index})
	}
}

func (t *tale) add(m member) {
	if !slices.Contains(t.members, m) {
		t.members = append(t.members, m)
	}
}

// lostByOther is the side whose loss at the row's other end took side s from
// obligation i.
func lostByOther(r *Row, i int32, s ir.Side) ir.Side {
	switch {
	case r.Kind == ir.Same:
		return s
	case r.P == i && r.PSide == s:
		return r.QSide.Other()
	}
	return r.PSide.Other()
}

// shrink drops every member that the contradiction does not need.
func (t *tale) shrink() []member {
	members := t.members
	for i := 0; i < len(members); {
		rest := slices.Delete(slices.Clone(members), i, i+1)
		if len(closePins(t.restrict(rest)).conflicts) > 0 {
			members = rest
		} else {
			i++
		}
	}
	return members
}

// restrict is the problem of the touched obligations in which only the members
// hold: other rows are gone, sides that no member excludes are open.
func (t *tale) restrict(members []member) *Problem {
	p := t.c.p
	sub := &Problem{Nodes: []Node{{Pin: Auto}}} // node 0 stands for all that can host
	number := map[int32]int32{}
	node := map[int32]int32{}
	for _, m := range members {
		if m.kind == byNode {
			node[m.index] = int32(len(sub.Nodes))
			sub.Nodes = append(sub.Nodes, Node{Pin: Never})
		}
	}
	for _, i := range t.touched {
		o := &p.Obligations[i]
		number[i] = int32(len(sub.Obligations))
		small := Obligation{Of: o.Of, Receiver: node[o.Receiver], May: eitherSide}
		for _, s := range o.Senders {
			small.Senders = append(small.Senders, node[s])
		}
		sub.Obligations = append(sub.Obligations, small)
	}
	for _, m := range members {
		switch m.kind {
		case byItself:
			sub.Obligations[number[m.obligation]].May &^= m.side
		case byTheBoth:
			sub.Obligations[number[m.obligation]].Both = true
		case byTheRow:
			row := p.Rows[m.index]
			row.P, row.Q = number[row.P], number[row.Q]
			sub.Rows = append(sub.Rows, row)
		}
	}
	return sub
}

func (c *closing) report(o int32, members []member, bag *diag.Bag) *diag.Diagnostic {
	of := c.p.Obligations[o].Of
	d := bag.Errorf(of.Policy.At, Infeasible, "policy %s can't be enforced on calls to %s:%d: %s",
		of.Policy.Name, of.Receiver.NodeName(), of.Port, counted(len(members)))
	if len(members) > 1 {
		d.WithHint("at least one of them has to change")
	}
	for _, m := range members {
		at, text := c.memberNote(m)
		d.WithNote(at, "%s", text)
	}
	return d
}

func counted(n int) string {
	if n == 1 {
		return "one thing prevents it"
	}
	return fmt.Sprintf("these %d can't hold together", n)
}

func (c *closing) memberNote(m member) (diag.Span, string) {
	switch m.kind {
	case byNode:
		n := &c.p.Nodes[m.index]
		return n.At, nodeText(n)
	case byTheRow:
		r := c.p.Rows[m.index].Of
		at := r.PAt
		if at.IsZero() {
			at = r.P.Policy.At
		}
		return at, r.Text
	case byTheBoth:
		o := &c.p.Obligations[m.obligation]
		at := o.Of.Policy.At
		if len(o.Of.Actions) > 0 && !o.Of.Actions[0].At.IsZero() {
			at = o.Of.Actions[0].At
		}
		return at, o.Of.Policy.Name + " is enforced at both ends: " + bothText(o)
	}
	o := c.p.Obligations[m.obligation].Of
	at := o.Policy.At
	for _, r := range o.Reasons {
		if r.Excludes&m.side != 0 && !r.At.IsZero() {
			at = r.At
			break
		}
	}
	return at, fmt.Sprintf("%s can't be at %s: %s", o.Policy.Name, m.side, c.lossText(m.obligation, m.side))
}
