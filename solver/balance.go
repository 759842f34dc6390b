package solver

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// balance moves free obligations from their receiver to their senders where all
// of those have an ADM anyway and the busiest ADM concerned then has less to do.
// No ADM comes or goes by it, so it is no part of what is solved: a heuristic,
// the same every time. What has to stay together by rows moves together, all
// rows and capacities are kept, and where a rate is not known nothing moves.
//
// How busy an ADM is is the CPU of one pod: rates times costs, and the hop of
// each call once, over the service's fewest replicas.
func (c *closing) balance(y []bool, sides []ir.Side) {
	if !c.anyRate() {
		return
	}
	blocks := c.movable(y, sides)
	if len(blocks) == 0 {
		return
	}
	l := newLedger(c.p, blocks)
	for i := range sides {
		l.put(int32(i), sides[i], 1)
	}
	for i := range blocks {
		b := &blocks[i]
		for _, o := range b.obligations {
			b.micros += l.own(o)
		}
	}
	slices.SortStableFunc(blocks, func(a, b block) int { return cmp.Compare(b.micros, a.micros) })
	for _, b := range blocks {
		l.try(&b, sides)
	}
}

func (c *closing) anyRate() bool {
	for i := range c.p.Obligations {
		for _, e := range c.p.Obligations[i].Of.Edges {
			if e.Call != nil && e.Call.RPS.Set {
				return true
			}
		}
	}
	return false
}

// A block is free obligations of one receiver that rows keep together.
type block struct {
	receiver    int32
	obligations []int32
	senders     []int32
	micros      int64 // thousandths of a microsecond of CPU in a second, of its actions
}

// movable are the blocks at their receiver all of whose senders have ADMs.
func (c *closing) movable(y []bool, sides []ir.Side) []block {
	p := c.p
	can := make([]bool, len(p.Obligations))
	for i := range can {
		o := &p.Obligations[i]
		can[i] = c.free(i) && sides[i] == ir.Ingress && !slices.ContainsFunc(o.Senders, func(s int32) bool { return !y[s] || s == o.Receiver })
	}
	seen := make([]bool, len(p.Obligations))
	var out []block
	for i := range p.Obligations {
		if !can[i] || seen[i] {
			continue
		}
		seen[i] = true
		b := block{receiver: p.Obligations[i].Receiver, obligations: []int32{int32(i)}}
		all := true
		for j := 0; j < len(b.obligations); j++ {
			b.senders = append(b.senders, p.Obligations[b.obligations[j]].Senders...)
			for _, r := range c.rowsOf.of(b.obligations[j]) {
				other := otherEnd(&p.Rows[r], b.obligations[j])
				if c.free(int(other)) && !seen[other] {
					seen[other] = true
					b.obligations = append(b.obligations, other)
				}
			}
			all = all && can[b.obligations[j]]
		}
		slices.Sort(b.senders)
		if b.senders = slices.Compact(b.senders); all {
			out = append(out, b)
		}
	}
	return out
}

// A ledger keeps what the ADMs at some nodes have to do.
type ledger struct {
	p        *Problem
	watched  []bool
	micros   []int64 // by node, of all pods, as in block
	unknown  []int32 // by node: calls handled there without a rate
	busy     []int32 // by node: obligations enforced there
	hops     map[hopAt]int32
	capacity map[int32]*Capacity
}

type hopAt struct {
	receiver, sender int32
	port             int
	side             ir.Side
}

func newLedger(p *Problem, blocks []block) *ledger {
	l := &ledger{p: p, watched: make([]bool, len(p.Nodes)), micros: make([]int64, len(p.Nodes)), unknown: make([]int32, len(p.Nodes)),
		busy: make([]int32, len(p.Nodes)), hops: map[hopAt]int32{}, capacity: map[int32]*Capacity{}}
	for _, b := range blocks {
		l.watched[b.receiver] = true
		for _, s := range b.senders {
			l.watched[s] = true
		}
	}
	for i := range p.Capacities {
		l.capacity[p.Capacities[i].Node] = &p.Capacities[i]
	}
	return l
}

// put enters an obligation at its sides, or takes it out with sign -1.
func (l *ledger) put(i int32, sides ir.Side, sign int32) {
	o := &l.p.Obligations[i]
	if !l.watched[o.Receiver] && !slices.ContainsFunc(o.Senders, func(s int32) bool { return l.watched[s] }) {
		return
	}
	cost := thousandths(costOf(o.Of))
	for _, e := range o.Of.Edges {
		sender := l.p.nodeNamed(e.Sender.NodeName())
		if sides&ir.Ingress != 0 {
			l.edge(o.Receiver, hopAt{o.Receiver, sender, o.Of.Port, ir.Ingress}, e.Call, cost, sign)
		}
		if sides&ir.Egress != 0 {
			l.edge(sender, hopAt{o.Receiver, sender, o.Of.Port, ir.Egress}, e.Call, cost, sign)
		}
	}
}

// nodeNamed finds a node that is there.
func (p *Problem) nodeNamed(name string) int32 {
	i, _ := slices.BinarySearchFunc(p.Nodes, name, func(n Node, name string) int { return strings.Compare(n.Name, name) })
	return int32(i)
}

func (l *ledger) edge(n int32, at hopAt, call *graph.Call, cost int64, sign int32) {
	if !l.watched[n] {
		return
	}
	l.busy[n] += sign
	if call == nil || !call.RPS.Set {
		l.unknown[n] += sign
		return
	}
	rate := thousandths(float64(call.RPS.Units) / math.Pow10(call.RPS.Scale))
	before := l.hops[at]
	l.hops[at] += sign
	l.micros[n] += int64(sign) * (rate * cost / 1000)
	if before == 0 || l.hops[at] == 0 {
		l.micros[n] += int64(sign) * rate * ir.HopMicros
	}
}

// thousandths rounds, so that sums are of integers and the same everywhere.
func thousandths(x float64) int64 { return int64(math.Round(min(x, 1e9) * 1000)) }

func costOf(o *ir.Obligation) float64 {
	sum := 0.0
	for _, a := range o.Actions {
		sum += o.CostOf(a)
	}
	return sum
}

// own is what the actions of an obligation take.
func (l *ledger) own(i int32) int64 {
	sum, cost := int64(0), thousandths(costOf(l.p.Obligations[i].Of))
	for _, e := range l.p.Obligations[i].Of.Edges {
		if e.Call != nil && e.Call.RPS.Set {
			sum += thousandths(float64(e.Call.RPS.Units)/math.Pow10(e.Call.RPS.Scale)) * cost / 1000
		}
	}
	return sum
}

// try moves a block to its senders, and back unless that is better.
func (l *ledger) try(b *block, sides []ir.Side) {
	before, known := l.busiest(b)
	if !known {
		return
	}
	l.move(b, sides, ir.Egress)
	if after, _ := l.busiest(b); after >= before || !l.allowed(b, sides) {
		l.move(b, sides, ir.Ingress)
	}
}

func (l *ledger) move(b *block, sides []ir.Side, to ir.Side) {
	for _, o := range b.obligations {
		l.put(o, sides[o], -1)
		sides[o] = to
		l.put(o, to, 1)
	}
}

// busiest is the CPU of a pod where it is most among the ADMs of a block.
func (l *ledger) busiest(b *block) (most float64, known bool) {
	known = true
	for _, n := range append(slices.Clone(b.senders), b.receiver) {
		most = max(most, float64(l.micros[n])/float64(max(1, l.p.Nodes[n].Pods)))
		known = known && l.unknown[n] == 0
	}
	return most, known
}

// allowed: the receiver's ADM has something left to do, and the senders' have
// the capacity.
func (l *ledger) allowed(b *block, sides []ir.Side) bool {
	if l.busy[b.receiver] == 0 && l.p.Nodes[b.receiver].Pin != Always {
		return false
	}
	return !slices.ContainsFunc(b.senders, func(s int32) bool {
		c := l.capacity[s]
		return c != nil && c.takes(sides) > c.Limit
	})
}
