package solver

import (
	"strings"

	"admc.dev/admc/lang/ir"
)

const eitherSide = ir.Ingress | ir.Egress

// A closing is what the pins imply: the sides that are left to each obligation,
// and why the others are gone.
//
// It is the fixpoint of unit propagation: a side is lost when the obligation
// may not have it, when a node that would have to host it can't, and when a row
// with an obligation whose side is known rules it out. Rows join obligations of
// one receiver, so it works on each receiver apart.
//
// When no obligation has lost all its sides the problem is feasible: see
// cover.go for the placement that shows it.
type closing struct {
	p         *Problem
	may       []ir.Side
	why       [][2]cause // by obligation and side; set where the side is lost
	conflicts []int32    // obligations that can't be enforced, in the order found

	rowsOf *lists
	queue  []int32
	dead   []bool // in conflict: nothing follows from it
}

// A cause takes a side from an obligation.
type cause struct {
	kind  causeKind
	index int32 // of the node or the row
}

type causeKind uint8

const (
	byNobody   causeKind = iota
	byItself             // ir.Obligation.May
	byNode               // a node that can't host an ADM
	byTheRow             // a row, with what is known of its other end
	byTheBoth            // explanations only: the obligation needs both ends
	byTheLoad            // explanations only: the obligation is enforced somewhere
	byCapacity           // explanations only: a capacity
)

func sideIndex(s ir.Side) int { return int(s - 1) } // Ingress 0, Egress 1

// closePins propagates all pins of a problem.
func closePins(p *Problem) *closing {
	n := len(p.Obligations)
	c := &closing{p: p, may: make([]ir.Side, n), why: make([][2]cause, n), dead: make([]bool, n)}
	c.rowsOf = listRows(p)
	for i := range c.may {
		c.may[i] = eitherSide
	}
	for i := range p.Obligations {
		c.pin(int32(i))
	}
	for len(c.queue) > 0 {
		o := c.queue[0]
		c.queue = c.queue[1:]
		for _, r := range c.rowsOf.of(o) {
			if !c.dead[o] {
				c.apply(r)
			}
		}
	}
	return c
}

// pin takes the sides that obligation i loses by itself.
func (c *closing) pin(i int32) {
	o := &c.p.Obligations[i]
	for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
		if o.May&s == 0 {
			c.exclude(i, s, cause{kind: byItself})
		}
	}
	if !c.p.Nodes[o.Receiver].CanHost() {
		c.exclude(i, ir.Ingress, cause{byNode, o.Receiver})
	}
	for _, s := range o.Senders {
		if !c.p.Nodes[s].CanHost() {
			c.exclude(i, ir.Egress, cause{byNode, s})
		}
	}
	if o.Both && !c.dead[i] {
		c.queue = append(c.queue, i)
	}
}

func (c *closing) exclude(i int32, s ir.Side, why cause) {
	if c.may[i]&s == 0 || c.dead[i] {
		return
	}
	c.may[i] &^= s
	c.why[i][sideIndex(s)] = why
	if c.may[i] == 0 || c.p.Obligations[i].Both {
		c.dead[i] = true
		c.conflicts = append(c.conflicts, i)
		return
	}
	c.queue = append(c.queue, i)
}

// at reports that obligation i is on side s in every placement.
func (c *closing) at(i int32, s ir.Side) bool {
	return !c.dead[i] && (c.may[i] == s || c.p.Obligations[i].Both)
}

// apply draws what a row implies in both directions.
func (c *closing) apply(index int32) {
	r := &c.p.Rows[index]
	why := cause{byTheRow, index}
	if r.Kind == ir.Forbid {
		if c.at(r.P, r.PSide) {
			c.exclude(r.Q, r.QSide, why)
		}
		if c.at(r.Q, r.QSide) {
			c.exclude(r.P, r.PSide, why)
		}
		return
	}
	for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
		if c.may[r.P]&s == 0 && !c.dead[r.P] {
			c.exclude(r.Q, s, why)
		}
		if c.at(r.Q, s) && !c.p.Obligations[r.P].Both {
			c.exclude(r.P, s.Other(), why)
		}
	}
}

// free reports that obligation i may have either side.
func (c *closing) free(i int) bool {
	return c.may[i] == eitherSide && !c.p.Obligations[i].Both
}

// reasonFree is the reason of an obligation that could be at either side.
const reasonFree = "free"

// reason says why obligation i is where it is, for placement.json.
func (c *closing) reason(i int) string {
	o := &c.p.Obligations[i]
	switch {
	case o.Both:
		return bothText(o)
	case c.free(i):
		return reasonFree
	}
	return c.lossText(int32(i), c.may[i].Other())
}

// lossText says why obligation i can't be at side s.
func (c *closing) lossText(i int32, s ir.Side) string {
	o := &c.p.Obligations[i]
	why := c.why[i][sideIndex(s)]
	switch why.kind {
	case byNode:
		return nodeText(&c.p.Nodes[why.index])
	case byTheRow:
		r := &c.p.Rows[why.index]
		other := otherEnd(r, i)
		return c.p.Obligations[other].Of.Policy.Name + " is at " + c.place(other) + ", and " + r.Of.Text
	}
	var texts []string
	for _, reason := range o.Of.Reasons {
		if reason.Excludes&s != 0 {
			texts = append(texts, reason.Text)
		}
	}
	if len(texts) == 0 {
		return "it may not be at " + s.String()
	}
	return strings.Join(texts, "; ")
}

func (c *closing) place(i int32) string {
	if c.p.Obligations[i].Both {
		return "both ends"
	}
	return c.may[i].String()
}

func bothText(o *Obligation) string {
	for _, a := range o.Of.Actions {
		return a.Name() + " needs both ends"
	}
	return "it needs both ends"
}

func nodeText(n *Node) string {
	if n.Pin == External {
		return n.Name + " is outside the mesh and can't have an ADM"
	}
	return n.Name + " has adm: never"
}

func otherEnd(r *Row, i int32) int32 {
	if r.P == i {
		return r.Q
	}
	return r.P
}

// lists are many short lists of numbers in two arrays.
type lists struct{ start, items []int32 }

func (l *lists) of(i int32) []int32 { return l.items[l.start[i]:l.start[i+1]] }

// listRows lists the rows of each obligation.
func listRows(p *Problem) *lists {
	l := &lists{start: make([]int32, len(p.Obligations)+1), items: make([]int32, 2*len(p.Rows))}
	for _, r := range p.Rows {
		l.start[r.P]++
		l.start[r.Q]++
	}
	sum := int32(0)
	for i, n := range l.start {
		l.start[i] = sum
		sum += n
	}
	next := append([]int32(nil), l.start...)
	for i, r := range p.Rows {
		for _, o := range []int32{r.P, r.Q} {
			l.items[next[o]] = int32(i)
			next[o]++
		}
	}
	return l
}
