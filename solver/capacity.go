package solver

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A Capacity is what the ADM of one node may take of a pod's CPU:
//
//	sum Loads[i].Units · x[Obligation, Side]  +  sum Hops[j].Units · h[j]  <=  Limit
//	h[j] >= x[o, Side]                        o in Hops[j].Obligations
//
// A unit is the same for the whole row, chosen so that all are whole numbers.
type Capacity struct {
	Node  int32
	Limit int64
	Loads []Load    // sorted by Obligation, Side
	Hops  []Hop     // by the call's receiver, port and sender, then Side
	At    diag.Span // of the value in the graph
	milli *big.Rat  // a unit in thousandths of a core of one pod
}

// A Load is what an obligation takes at one side: its actions' costs times the
// rates of the calls that they see there.
type Load struct {
	Obligation int32
	Side       ir.Side // Ingress or Egress
	Units      int64
	Unrated    *graph.Call // the first of the calls that has no rate, or nil
}

// A Hop is one call that the ADM passes on, once for all obligations on it.
type Hop struct {
	Obligations []int32
	Side        ir.Side
	Units       int64
}

// addCapacities writes a row for each service with a capacity.
func (p *Problem) addCapacities(g *graph.Graph, index map[graph.Node]int32) error {
	at := map[int32]*capacityBuilder{}
	for _, s := range g.Services {
		if s.Capacity.Set {
			at[index[s]] = &capacityBuilder{service: s, hop: map[hopKey]int{}}
		}
	}
	p.dropRoomy(at, index)
	if len(at) == 0 {
		return nil
	}
	for i := range p.Obligations {
		o := &p.Obligations[i]
		cost := new(big.Rat)
		for _, a := range o.Of.Actions {
			cost.Add(cost, exactly(o.Of.CostOf(a)))
		}
		for _, e := range o.Of.Edges {
			if b := at[o.Receiver]; b != nil {
				b.add(int32(i), ir.Ingress, e, o.Of, cost)
			}
			if b := at[index[e.Sender]]; b != nil {
				b.add(int32(i), ir.Egress, e, o.Of, cost)
			}
		}
	}
	for n := range p.Nodes {
		if b := at[int32(n)]; b != nil {
			c, err := b.build(int32(n))
			if err != nil {
				return err
			}
			p.Capacities = append(p.Capacities, *c)
		}
	}
	return nil
}

// dropRoomy leaves out the services whose capacity is clearly more than all that
// could ever be enforced there, hops counted for each obligation: such a row says
// nothing, and most are such where many services have one.
func (p *Problem) dropRoomy(at map[int32]*capacityBuilder, index map[graph.Node]int32) {
	if len(at) == 0 {
		return
	}
	most := make([]float64, len(p.Nodes)) // microseconds in a second
	for i := range p.Obligations {
		o := &p.Obligations[i]
		each := costOf(o.Of) + ir.HopMicros
		for _, e := range o.Of.Edges {
			rate := math.Inf(1) // not known: the row is wanted to say so
			if e.Call.RPS.Set {
				rate = float64(e.Call.RPS.Units) / math.Pow10(e.Call.RPS.Scale)
			}
			most[o.Receiver] += rate * each
			most[index[e.Sender]] += rate * each
		}
	}
	for n, b := range at {
		capacity := float64(b.service.Capacity.Units) / math.Pow10(b.service.Capacity.Scale)
		if most[n]*1.001 < capacity*1e6*float64(max(1, b.service.MinReplicas)) {
			delete(at, n)
		}
	}
}

// exactly is the decimal number that a cost was written as.
func exactly(cost float64) *big.Rat {
	r, ok := new(big.Rat).SetString(strconv.FormatFloat(cost, 'f', -1, 64))
	if !ok {
		panic("solver: a cost that is no number")
	}
	return r
}

func rational(d graph.Decimal) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(d.Units), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale)), nil))
}

// A capacityBuilder collects a row in microseconds of CPU in a second, of all
// pods together.
type capacityBuilder struct {
	service *graph.Service
	loads   []Load
	micros  []*big.Rat // of loads
	hops    []Hop
	keys    []hopKey
	rates   []*big.Rat // of hops
	hop     map[hopKey]int
}

type hopKey struct {
	receiver string
	port     int
	sender   string
	side     ir.Side
}

func (b *capacityBuilder) add(i int32, side ir.Side, e *ir.Edge, o *ir.Obligation, cost *big.Rat) {
	n := len(b.loads) - 1
	for n >= 0 && b.loads[n].Obligation == i && b.loads[n].Side != side {
		n-- // of a self call both sides grow in turn
	}
	if n < 0 || b.loads[n].Obligation != i {
		n = len(b.loads)
		b.loads = append(b.loads, Load{Obligation: i, Side: side})
		b.micros = append(b.micros, new(big.Rat))
	}
	rate := new(big.Rat)
	switch {
	case e.Call.RPS.Set:
		rate = rational(e.Call.RPS)
	case b.loads[n].Unrated == nil:
		b.loads[n].Unrated = e.Call
	}
	b.micros[n].Add(b.micros[n], new(big.Rat).Mul(rate, cost))
	key := hopKey{o.Receiver.NodeName(), o.Port, e.Sender.NodeName(), side}
	j, ok := b.hop[key]
	if !ok {
		j = len(b.hops)
		b.hop[key] = j
		b.hops = append(b.hops, Hop{Side: side})
		b.keys = append(b.keys, key)
		b.rates = append(b.rates, rate)
	}
	if h := &b.hops[j]; len(h.Obligations) == 0 || h.Obligations[len(h.Obligations)-1] != i {
		h.Obligations = append(h.Obligations, i)
	}
}

// build scales the row to integers, as small as they can be.
func (b *capacityBuilder) build(node int32) (*Capacity, error) {
	pods := int64(max(1, b.service.MinReplicas))
	limit := new(big.Rat).Mul(rational(b.service.Capacity), big.NewRat(1_000_000*pods, 1))
	all := slices.Clone(b.micros)
	for _, rate := range b.rates {
		all = append(all, new(big.Rat).Mul(rate, big.NewRat(ir.HopMicros, 1)))
	}
	common := big.NewInt(1) // of the denominators
	for _, x := range all {
		common.Div(new(big.Int).Mul(common, x.Denom()), new(big.Int).GCD(nil, nil, common, x.Denom()))
	}
	whole, divisor, total := make([]*big.Int, len(all)), new(big.Int), new(big.Int)
	for i, x := range all {
		whole[i] = new(big.Int).Div(new(big.Int).Mul(x.Num(), common), x.Denom())
		divisor.GCD(nil, nil, divisor, whole[i])
	}
	if divisor.Sign() == 0 {
		divisor.SetInt64(1)
	}
	for i := range whole {
		whole[i].Div(whole[i], divisor)
		total.Add(total, whole[i])
	}
	if total.Cmp(big.NewInt(maxTotal)) > 0 {
		return nil, &unusable{b.service.Capacity.At,
			fmt.Sprintf("the loads at %s add up to more than %d of the largest unit in which all are whole: give rates and costs with fewer digits", b.service.Name, maxTotal)}
	}
	unit := new(big.Rat).SetFrac(divisor, common) // microseconds in a second, of all pods
	room := new(big.Rat).Quo(limit, unit)
	c := &Capacity{Node: node, Loads: b.loads, Hops: b.hops, At: b.service.Capacity.At, milli: new(big.Rat).Quo(unit, big.NewRat(1000*pods, 1))}
	// More room than for everything is room for everything.
	if c.Limit = total.Int64(); room.Cmp(new(big.Rat).SetInt(total)) < 0 {
		c.Limit = new(big.Int).Div(room.Num(), room.Denom()).Int64()
	}
	for i := range c.Loads {
		c.Loads[i].Units = whole[i].Int64()
	}
	for i := range c.Hops {
		c.Hops[i].Units = whole[len(c.Loads)+i].Int64()
	}
	b.sort(c)
	return c, nil
}

func (b *capacityBuilder) sort(c *Capacity) {
	slices.SortFunc(c.Loads, func(x, y Load) int {
		return cmp.Or(cmp.Compare(x.Obligation, y.Obligation), cmp.Compare(x.Side, y.Side))
	})
	order := make([]int, len(c.Hops))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		x, y := b.keys[i], b.keys[j]
		return cmp.Or(strings.Compare(x.receiver, y.receiver), cmp.Compare(x.port, y.port), strings.Compare(x.sender, y.sender), cmp.Compare(x.side, y.side))
	})
	sorted := make([]Hop, len(order))
	for i, j := range order {
		sorted[i] = c.Hops[j]
	}
	c.Hops = sorted
}

// takes is the load of the node under an assignment of sides.
func (c *Capacity) takes(sides []ir.Side) int64 {
	sum := int64(0)
	for _, l := range c.Loads {
		if sides[l.Obligation]&l.Side != 0 {
			sum += l.Units
		}
	}
	for _, h := range c.Hops {
		if slices.ContainsFunc(h.Obligations, func(o int32) bool { return sides[o]&h.Side != 0 }) {
			sum += h.Units
		}
	}
	return sum
}

// cpu writes units in thousandths of a core, rounded up where it must be.
func (c *Capacity) cpu(units int64) string {
	x := new(big.Rat).Mul(c.milli, big.NewRat(units, 1))
	text := x.FloatString(3)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "m"
}

// unrated reports each call without a rate that the ADM of a service with a
// capacity may have to handle.
func (c *closing) unrated(bag *diag.Bag) bool {
	type pair struct {
		call *graph.Call
		node int32
	}
	told := map[pair]bool{}
	for i := range c.p.Capacities {
		k := &c.p.Capacities[i]
		for _, l := range k.Loads {
			if l.Unrated == nil || c.may[l.Obligation]&l.Side == 0 || told[pair{l.Unrated, k.Node}] {
				continue
			}
			told[pair{l.Unrated, k.Node}] = true
			name := c.p.Nodes[k.Node].Name
			of := c.p.Obligations[l.Obligation].Of
			bag.Errorf(l.Unrated.At, UnknownLoad, "the call %s -> %s:%d has no rps, and policy %s may have to act on it at %s, which has a capacity",
				l.Unrated.From.NodeName(), l.Unrated.To.NodeName(), l.Unrated.Port, of.Policy.Name, name).
				WithHint("give the call its requests per second, as in rps: 20").
				WithNote(k.At, "the capacity of %s", name)
		}
	}
	return len(told) > 0
}
