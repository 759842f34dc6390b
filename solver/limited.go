package solver

import (
	"slices"

	"admc.dev/admc/lang/ir"
)

// A limited is an independent part of the problem around capacities that could
// bind. There the side of each obligation matters and not only who has an ADM,
// so nothing of cover.go is true of it but the bound: without its capacities it
// is a cover, which can't weigh more.
//
// What does not meet elsewhere is left out, exactly: a pinned obligation only
// makes the room smaller; at a receiver that has an ADM anyway and whose
// capacity can't bind, all free obligations are at ingress, where they cost and
// take nothing.
type limited struct {
	node   []int32 // the problem's, ascending
	weight []int64 // 0 where the ADM is there anyway
	there  []bool
	free   []choice
	limits []limit
	hops   []localHop
}

// A choice is a free obligation. Sides are 0 (ingress) and 1 (egress); nodes,
// limits and hops are the part's.
type choice struct {
	of    int32      // the problem's obligation
	needs [2][]int32 // nodes that must have an ADM; those left out are forced
	// follows are the choices that are at this side whenever this one is: each
	// row between two free obligations says so of two.
	follows [2][]int32
	loads   [2][]localLoad
	hops    [2][]int32
}

type localLoad struct {
	limit int32
	units int64
}

// A limit is a capacity without what is surely there.
type limit struct {
	of     int32 // the problem's capacity
	room   int64 // below 0: too much is pinned there
	takers []taker
}

type taker struct {
	choice int32
	side   int8
	units  int64
}

type localHop struct {
	limit int32
	side  int8
	units int64
	on    []int32 // choices
}

// limitedParts are the parts with a capacity that could bind, by their first
// node.
func (c *closing) limitedParts(forced []bool) []*limited {
	if len(c.p.Capacities) == 0 {
		return nil
	}
	b := &limiter{c: c, forced: forced, binding: make([]int32, len(c.p.Nodes)), parent: make([]int32, len(c.p.Nodes)),
		part: map[int32]*limited{}, local: make([]int32, len(c.p.Nodes)), choice: map[int32]int32{}}
	b.findBinding()
	b.join()
	for n := range c.p.Nodes {
		if b.binding[n] >= 0 && b.part[b.root(int32(n))] == nil {
			k := &limited{}
			b.part[b.root(int32(n))] = k
			b.parts = append(b.parts, k)
		}
	}
	for n := range c.p.Nodes {
		b.addNode(int32(n))
	}
	for i := range c.p.Obligations {
		b.addChoice(int32(i))
	}
	for i := range c.p.Rows {
		b.addRow(&c.p.Rows[i])
	}
	for n := range c.p.Nodes {
		if b.binding[n] >= 0 {
			b.addLimit(int32(n))
		}
	}
	return b.parts
}

type limiter struct {
	c       *closing
	forced  []bool
	binding []int32 // by node: its capacity, or -1 where there is none that could bind
	parent  []int32 // of the union of nodes
	part    map[int32]*limited
	parts   []*limited
	local   []int32
	choice  map[int32]int32 // by obligation, in its part
}

// findBinding finds the capacities that not every assignment keeps.
func (b *limiter) findBinding() {
	all := slices.Clone(b.c.may)
	for i := range all {
		if b.c.p.Obligations[i].Both {
			all[i] = eitherSide
		}
	}
	for n := range b.binding {
		b.binding[n], b.parent[n] = -1, int32(n)
	}
	for i := range b.c.p.Capacities {
		if k := &b.c.p.Capacities[i]; k.takes(all) > k.Limit {
			b.binding[k.Node] = int32(i)
		}
	}
}

func (b *limiter) root(n int32) int32 {
	for b.parent[n] != n {
		b.parent[n] = b.parent[b.parent[n]]
		n = b.parent[n]
	}
	return n
}

// open: something is left to decide or to measure at the node.
func (b *limiter) open(n int32) bool { return !b.forced[n] || b.binding[n] >= 0 }

// chooses: the obligation has a side left to choose that matters.
func (b *limiter) chooses(i int32) bool {
	return b.c.free(int(i)) && b.open(b.c.p.Obligations[i].Receiver)
}

func (b *limiter) join() {
	for i := range b.c.p.Obligations {
		if !b.chooses(int32(i)) {
			continue
		}
		o := &b.c.p.Obligations[i]
		for _, s := range o.Senders {
			if b.open(s) {
				b.parent[b.root(s)] = b.root(o.Receiver)
			}
		}
	}
}

func (b *limiter) addNode(n int32) {
	k := b.part[b.root(n)]
	if k == nil {
		return
	}
	b.local[n] = int32(len(k.node))
	k.node = append(k.node, n)
	k.there = append(k.there, b.forced[n])
	weight := b.c.p.Nodes[n].Weight
	if b.forced[n] {
		weight = 0
	}
	k.weight = append(k.weight, weight)
}

func (b *limiter) addChoice(i int32) {
	o := &b.c.p.Obligations[i]
	k := b.part[b.root(o.Receiver)]
	if k == nil || !b.chooses(i) {
		return
	}
	b.choice[i] = int32(len(k.free))
	x := choice{of: i}
	x.needs[0] = []int32{b.local[o.Receiver]}
	for _, s := range o.Senders {
		if b.open(s) {
			x.needs[1] = append(x.needs[1], b.local[s])
		}
	}
	k.free = append(k.free, x)
}

func (b *limiter) addRow(r *Row) {
	p, ok := b.choice[r.P]
	q, also := b.choice[r.Q]
	if !ok || !also {
		return
	}
	k := b.part[b.root(b.c.p.Obligations[r.P].Receiver)]
	implies := func(a, z int32, side int) {
		k.free[a].follows[side] = append(k.free[a].follows[side], z)
	}
	if r.Kind == ir.Forbid {
		implies(p, q, sideIndex(r.PSide))
		implies(q, p, sideIndex(r.QSide))
		return
	}
	for side := range 2 {
		implies(p, q, side)
		implies(q, p, side)
	}
}

// surely is where an obligation that is no choice is.
func (b *limiter) surely(i int32) ir.Side {
	switch {
	case b.c.p.Obligations[i].Both:
		return eitherSide
	case b.c.free(int(i)):
		return ir.Ingress
	}
	return b.c.may[i]
}

func (b *limiter) addLimit(n int32) {
	capacity := &b.c.p.Capacities[b.binding[n]]
	k := b.part[b.root(n)]
	at := int32(len(k.limits))
	l := limit{of: b.binding[n], room: capacity.Limit}
	for _, load := range capacity.Loads {
		side := sideIndex(load.Side)
		j, chosen := b.choice[load.Obligation]
		switch {
		case chosen:
			l.takers = append(l.takers, taker{j, int8(side), load.Units})
			k.free[j].loads[side] = append(k.free[j].loads[side], localLoad{at, load.Units})
		case b.surely(load.Obligation)&load.Side != 0:
			l.room -= load.Units
		}
	}
	for _, h := range capacity.Hops {
		hop := localHop{limit: at, side: int8(sideIndex(h.Side)), units: h.Units}
		sure := false
		for _, o := range h.Obligations {
			if j, chosen := b.choice[o]; chosen {
				hop.on = append(hop.on, j)
			} else {
				sure = sure || b.surely(o)&h.Side != 0
			}
		}
		if sure {
			l.room -= h.Units
		} else if len(hop.on) > 0 {
			for _, j := range hop.on {
				k.free[j].hops[hop.side] = append(k.free[j].hops[hop.side], int32(len(k.hops)))
			}
			k.hops = append(k.hops, hop)
		}
	}
	k.limits = append(k.limits, l)
}

// keeps reports that an assignment of sides keeps the part's capacities.
func (k *limited) keeps(p *Problem, sides []ir.Side) bool {
	for _, l := range k.limits {
		if c := &p.Capacities[l.of]; c.takes(sides) > c.Limit {
			return false
		}
	}
	return true
}

// cost is the weight of an answer: the side of each choice.
func (k *limited) cost(side []int8) int64 {
	sum := int64(0)
	for n, yes := range k.adms(side) {
		if yes {
			sum += k.weight[n]
		}
	}
	return sum
}

// adms are the nodes that an answer needs.
func (k *limited) adms(side []int8) []bool {
	y := make([]bool, len(k.node))
	for i, s := range side {
		for _, n := range k.free[i].needs[s] {
			y[n] = true
		}
	}
	return y
}

// model is the part as an integer program: y of each node, whether each choice
// is at ingress, then whether each hop is made.
func (k *limited) model() *model {
	n, x := int32(len(k.node)), int32(len(k.node)+len(k.free))
	m := &model{cost: make([]int64, int(x)+len(k.hops))}
	copy(m.cost, k.weight)
	// least: column >= 1 exactly when choice i is at the side.
	least := func(column, i int32, side int) {
		if side == 0 {
			m.add(false, 0, term{column, 1}, term{n + i, -1})
		} else {
			m.add(false, 1, term{column, 1}, term{n + i, 1})
		}
	}
	rows := make([][]term, len(k.limits))
	room := make([]int64, len(k.limits))
	for l := range k.limits {
		room[l] = k.limits[l].room
	}
	take := func(l, column int32, units int64) { rows[l] = append(rows[l], term{column, -units}) }
	for i := range k.free {
		o, i := &k.free[i], int32(i)
		for side := range 2 {
			for _, v := range o.needs[side] {
				least(v, i, side)
			}
		}
		for _, j := range o.follows[0] { // at ingress: so is j
			m.add(false, 0, term{n + j, 1}, term{n + i, -1})
		}
		for _, j := range o.follows[1] {
			m.add(false, 0, term{n + i, 1}, term{n + j, -1})
		}
		for _, l := range o.loads[0] {
			take(l.limit, n+i, l.units)
		}
		for _, l := range o.loads[1] {
			room[l.limit] -= l.units
			take(l.limit, n+i, -l.units)
		}
	}
	for j := range k.hops {
		h, j := &k.hops[j], int32(j)
		for _, i := range h.on {
			least(x+j, i, int(h.side))
		}
		take(h.limit, x+j, h.units)
	}
	for l := range rows {
		m.addRoom(room[l], rows[l])
	}
	return m
}

// answer reads the sides off a solution of the model.
func (k *limited) answer(value []bool) []int8 {
	side := make([]int8, len(k.free))
	for i := range side {
		side[i] = int8(1 - bit(value[len(k.node)+i]))
	}
	return side
}
