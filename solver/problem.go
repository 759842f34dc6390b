package solver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// What Options.Minimise may be.
const (
	MinimiseADMs    = "adms"    // every ADM weighs 1
	MinimiseProxies = "proxies" // an ADM weighs its service's largest number of replicas
	MinimiseCost    = "cost"    // an ADM weighs the graph's `cost`
)

// A Problem is the placement question in plain integers. With
//
//	y[n]        1 when node n has an ADM
//	x[o,in]     1 when obligation o is enforced on its receiver's ADM
//	x[o,out]    1 when it is enforced on the ADMs of all its senders
//
// it asks to
//
//	minimise   sum Weight[n]·y[n]
//	           x[o,in] + x[o,out] = 1             (= 2 where o.Both)
//	           x[o,in]  <= y[o.Receiver]
//	           x[o,out] <= y[s]                   s in o.Senders
//	           x[o,s]    = 0                      s not in o.May
//	           x[p,s] + x[q,t] <= 1               row Forbid (p, s, q, t), s and t opposite
//	           x[q,s]   <= x[p,s], both s         row Same (p, q)
//	           y[n] = 0 where Never or External,  y[n] = 1 where Always
//	           what is enforced at n takes no more than its Capacity
//
// Same is an equality between two obligations that are enforced on one side. Of
// a two-ended p (`both`), which is on either side, any q can have what it
// provides; a two-ended q needs a two-ended p.
//
// Everything is sorted by name, so that the order of the input can't show in
// the answer.
type Problem struct {
	Nodes       []Node       // sorted by name
	Obligations []Obligation // sorted by policy, receiver, port, Both
	Rows        []Row        // sorted by P, Q, kind and sides
	Capacities  []Capacity   // sorted by node
	// Scale is the power of ten by which weights were multiplied to make them
	// integers; 0 unless costs have decimals.
	Scale    int
	Minimise string // what the weights are
}

// A Pin is what is known of a node before anything is solved.
type Pin uint8

const (
	Auto     Pin = iota
	Never        // `adm: never`
	Always       // `adm: always`
	External     // not in the mesh: can't host an ADM
)

// A Node is a service or an external.
type Node struct {
	Name   string
	Weight int64 // at least 0
	Pods   int   // of a service, at their fewest
	Pin    Pin
	At     diag.Span // what pins it, else its name in the graph
}

// CanHost reports whether the node may have an ADM.
func (n *Node) CanHost() bool { return n.Pin == Auto || n.Pin == Always }

// An Obligation in node numbers.
type Obligation struct {
	Of       *ir.Obligation
	Order    int // its index in ir.Program.Obligations
	Receiver int32
	Senders  []int32 // ascending, distinct; the receiver itself for a self call
	May      ir.Side
	Both     bool
}

// A Row in obligation numbers.
type Row struct {
	Of           *ir.Row
	Kind         ir.RowKind
	P, Q         int32
	PSide, QSide ir.Side // Forbid only, opposite
}

// maxTotal bounds the sum of all weights, so that sums of weights times the
// certificate's common denominator stay far inside an int64.
const maxTotal = int64(1) << 46

// unusable numbers of the graph are no integers of reasonable size together.
type unusable struct {
	at   diag.Span // of one of them
	text string
}

func (u *unusable) Error() string { return u.text }

// costAt is where the cost of a service is, or the service that has none.
func costAt(s *graph.Service) diag.Span {
	if s.Cost.Set {
		return s.Cost.At
	}
	return s.Span()
}

// Build makes the problem. An error means that the weights can't be used as
// integers or the options name nothing; a program whose rows or nodes don't fit
// its graph is a fault of the checker and panics.
func Build(prog *ir.Program, g *graph.Graph, o Options) (*Problem, error) {
	p := &Problem{}
	index, err := p.addNodes(g, o.Minimise)
	if err != nil {
		return nil, err
	}
	position := p.addObligations(prog, index)
	p.addRows(prog, position)
	if err := p.addCapacities(g, index); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Problem) addNodes(g *graph.Graph, minimise string) (map[graph.Node]int32, error) {
	weigh, err := weigher(g, minimise)
	if err != nil {
		return nil, err
	}
	p.Scale, p.Minimise = weigh.scale, weigh.minimise
	nodes := make([]graph.Node, 0, len(g.Services)+len(g.Externals))
	for _, s := range g.Services {
		nodes = append(nodes, s)
	}
	for _, e := range g.Externals {
		nodes = append(nodes, e)
	}
	slices.SortFunc(nodes, func(a, b graph.Node) int { return strings.Compare(a.NodeName(), b.NodeName()) })
	index := make(map[graph.Node]int32, len(nodes))
	total := int64(0)
	for i, n := range nodes {
		node := Node{Name: n.NodeName(), At: n.Span(), Pin: External}
		if s, ok := n.(*graph.Service); ok {
			if node.Weight, err = weigh.of(s); err != nil {
				return nil, err
			}
			node.Pin, node.Pods = pinOf(s), s.MinReplicas
			if node.Pin != Auto && !s.ADMAt.IsZero() {
				node.At = s.ADMAt
			}
			if total += node.Weight; total > maxTotal {
				return nil, &unusable{costAt(s), fmt.Sprintf("the weights of the services add up to more than %d: give costs with fewer digits", maxTotal)}
			}
		}
		p.Nodes = append(p.Nodes, node)
		index[n] = int32(i)
	}
	return index, nil
}

func pinOf(s *graph.Service) Pin {
	switch s.ADM {
	case graph.ADMNever:
		return Never
	case graph.ADMAlways:
		return Always
	}
	return Auto
}

// addObligations gives the problem's number of each obligation of the program.
func (p *Problem) addObligations(prog *ir.Program, index map[graph.Node]int32) map[*ir.Obligation]int32 {
	at := func(n graph.Node) int32 {
		i, ok := index[n]
		if !ok {
			panic("solver: the program names " + n.NodeName() + ", which its graph does not have")
		}
		return i
	}
	list := make([]Obligation, len(prog.Obligations))
	for i, o := range prog.Obligations {
		senders := make([]int32, len(o.Edges))
		for j, e := range o.Edges {
			senders[j] = at(e.Sender)
		}
		slices.Sort(senders)
		list[i] = Obligation{Of: o, Order: i, Receiver: at(o.Receiver),
			Senders: slices.Compact(senders), May: o.May, Both: o.Both}
	}
	order := make([]int32, len(list))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := &list[i], &list[j]
		return cmp.Or(strings.Compare(a.Of.Policy.Name, b.Of.Policy.Name),
			cmp.Compare(a.Receiver, b.Receiver), cmp.Compare(a.Of.Port, b.Of.Port), cmp.Compare(bit(a.Both), bit(b.Both)),
			strings.Compare(a.Of.Part, b.Of.Part))
	})
	for _, i := range order {
		p.Obligations = append(p.Obligations, list[i])
	}
	position := make(map[*ir.Obligation]int32, len(p.Obligations))
	for i := range p.Obligations {
		position[p.Obligations[i].Of] = int32(i)
	}
	return position
}

func (p *Problem) addRows(prog *ir.Program, position map[*ir.Obligation]int32) {
	for _, r := range prog.Rows {
		i, ok := position[r.P]
		j, also := position[r.Q]
		switch {
		case !ok || !also:
			panic("solver: a row names an obligation that the program does not have: " + r.Text)
		case p.Obligations[i].Receiver != p.Obligations[j].Receiver:
			panic("solver: a row joins obligations of two receivers: " + r.Text)
		case r.Kind == ir.Forbid && r.PSide|r.QSide != ir.Ingress|ir.Egress:
			// The cover of cover.go needs it, and order never forbids one side
			// to two policies.
			panic("solver: a row forbids two obligations the same side: " + r.Text)
		}
		p.Rows = append(p.Rows, Row{Of: r, Kind: r.Kind, P: i, Q: j, PSide: r.PSide, QSide: r.QSide})
	}
	slices.SortFunc(p.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(a.Q, b.Q), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.PSide, b.PSide), strings.Compare(a.Of.Text, b.Of.Text))
	})
}

// A weigher turns what is minimised into one integer weight per service.
type weighing struct {
	minimise string
	scale    int
}

func weigher(g *graph.Graph, minimise string) (weighing, error) {
	w := weighing{minimise: cmp.Or(minimise, MinimiseADMs)}
	switch w.minimise {
	case MinimiseADMs, MinimiseProxies:
	case MinimiseCost:
		for _, s := range g.Services {
			if s.Cost.Set {
				_, scale := shortest(s.Cost)
				w.scale = max(w.scale, scale)
			}
		}
	default:
		return w, fmt.Errorf("can't minimise %q: it is %s, %s or %s", minimise, MinimiseADMs, MinimiseProxies, MinimiseCost)
	}
	return w, nil
}

func (w weighing) of(s *graph.Service) (int64, error) {
	switch w.minimise {
	case MinimiseProxies:
		return int64(max(1, s.MaxReplicas)), nil
	case MinimiseCost:
		units, scale := int64(1), 0
		if s.Cost.Set {
			units, scale = shortest(s.Cost)
		}
		for ; scale < w.scale && units <= math.MaxInt64/10; scale++ {
			units *= 10
		}
		if units < 0 || scale < w.scale {
			return 0, &unusable{costAt(s), fmt.Sprintf("the cost of %s can't be used as a weight: it is negative or has too many digits", s.Name)}
		}
		return units, nil
	}
	return 1, nil
}

// shortest drops the trailing zeros after the point: 1.50 is 15/10.
func shortest(d graph.Decimal) (units int64, scale int) {
	units, scale = d.Units, d.Scale
	for scale > 0 && units%10 == 0 {
		units, scale = units/10, scale-1
	}
	return units, scale
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
