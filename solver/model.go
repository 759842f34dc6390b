package solver

import (
	"errors"
	"slices"

	"admc.dev/admc/lang/ir"
)

// errInfeasible: no value of the columns keeps every row.
var errInfeasible = errors.New("the integer program is infeasible")

// A model is an integer program over columns that are 0 or 1.
type model struct {
	cost   []int64 // by column; minimised
	rows   []modelRow
	fixed0 []int32 // columns that are 0
	fixed1 []int32
}

// A modelRow is sum coef·column >= atLeast (or = where equal). Columns ascend
// and are distinct: lp_solve calls a row with a column given twice infeasible,
// without an error.
type modelRow struct {
	terms   []term
	equal   bool
	atLeast int64
}

type term struct {
	column int32
	coef   int64
}

func (m *model) add(equal bool, atLeast int64, terms ...term) {
	slices.SortFunc(terms, func(a, b term) int { return int(a.column) - int(b.column) })
	out := terms[:0]
	for _, t := range terms {
		if n := len(out); n > 0 && out[n-1].column == t.column {
			out[n-1].coef += t.coef
		} else {
			out = append(out, t)
		}
	}
	out = slices.DeleteFunc(out, func(t term) bool { return t.coef == 0 })
	if len(out) > 0 {
		m.rows = append(m.rows, modelRow{out, equal, atLeast})
	}
}

// addRoom adds a row: what the terms take, written negative, is at most the
// room. Both are doubled, and half a unit of the room is added, which changes
// nothing for integers and keeps floats away from the edge.
func (m *model) addRoom(room int64, terms []term) {
	for i := range terms {
		terms[i].coef *= 2
	}
	rows := len(m.rows)
	if m.add(false, -2*room-1, terms...); len(m.rows) == rows && room < 0 {
		m.add(false, 2, term{0, 1}) // nothing takes anything, and still it is too much
	}
}

// holds reports that a value of each column keeps every row.
func (m *model) holds(value []bool) bool {
	for _, c := range m.fixed0 {
		if value[c] {
			return false
		}
	}
	for _, c := range m.fixed1 {
		if !value[c] {
			return false
		}
	}
	for _, r := range m.rows {
		sum := int64(0)
		for _, t := range r.terms {
			if value[t.column] {
				sum += t.coef
			}
		}
		if sum < r.atLeast || r.equal && sum != r.atLeast {
			return false
		}
	}
	return true
}

// fullModel writes a problem down as it stands, nothing closed and nothing
// reduced: y of every node, then x[in] and x[out] of every obligation.
func fullModel(p *Problem) *model {
	n := int32(len(p.Nodes))
	in := func(o int32) int32 { return n + 2*o }
	x := func(o int32, s ir.Side) int32 { return in(o) + int32(sideIndex(s)) }
	m := &model{cost: make([]int64, len(p.Nodes)+2*len(p.Obligations))}
	for i := range p.Nodes {
		m.cost[i] = p.Nodes[i].Weight
		switch p.Nodes[i].Pin {
		case Never, External:
			m.fixed0 = append(m.fixed0, int32(i))
		case Always:
			m.fixed1 = append(m.fixed1, int32(i))
		}
	}
	for i := range p.Obligations {
		o, k := &p.Obligations[i], int32(i)
		m.add(true, 1+int64(bit(o.Both)), term{in(k), 1}, term{in(k) + 1, 1})
		m.add(false, 0, term{o.Receiver, 1}, term{in(k), -1})
		for _, s := range o.Senders {
			m.add(false, 0, term{s, 1}, term{in(k) + 1, -1})
		}
		for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
			if o.May&s == 0 {
				m.fixed0 = append(m.fixed0, x(k, s))
			}
		}
	}
	for _, r := range p.Rows {
		if r.Kind == ir.Forbid {
			m.add(false, -1, term{x(r.P, r.PSide), -1}, term{x(r.Q, r.QSide), -1})
			continue
		}
		m.add(false, 0, term{x(r.P, ir.Ingress), 1}, term{x(r.Q, ir.Ingress), -1})
		m.add(false, 0, term{x(r.P, ir.Egress), 1}, term{x(r.Q, ir.Egress), -1})
	}
	for i := range p.Capacities {
		m.addCapacity(&p.Capacities[i], x)
	}
	return m
}

// addCapacity adds the row of a capacity, with a column of its own for each hop.
func (m *model) addCapacity(c *Capacity, x func(int32, ir.Side) int32) {
	var row []term
	for _, l := range c.Loads {
		row = append(row, term{x(l.Obligation, l.Side), -l.Units})
	}
	for _, h := range c.Hops {
		hop := int32(len(m.cost))
		m.cost = append(m.cost, 0)
		for _, o := range h.Obligations {
			m.add(false, 0, term{hop, 1}, term{x(o, h.Side), -1})
		}
		row = append(row, term{hop, -h.Units})
	}
	m.addRoom(c.Limit, row)
}

// coverModel writes down a part: a row per clique of a greedy cover of the
// edges by cliques, which is as strong as the edges and shorter.
func coverModel(k *part, cuts []row) *model {
	m := &model{cost: k.weight}
	for _, r := range append(cliques(k), cuts...) {
		terms := make([]term, len(r.at))
		for i, v := range r.at {
			terms[i] = term{v, 1}
		}
		m.add(false, r.atLeast(), terms...)
	}
	return m
}

// cliques covers every edge of a part by a clique, grown greedily.
func cliques(k *part) []row {
	type edge struct{ u, v int32 }
	done := map[edge]bool{}
	var out []row
	for u := range k.adj {
		for _, v := range k.adj[u] {
			if v < int32(u) || done[edge{int32(u), v}] {
				continue
			}
			clique := []int32{int32(u), v}
			for _, x := range k.adj[u] {
				if x != v && k.joinedToAll(x, clique) {
					clique = append(clique, x)
				}
			}
			slices.Sort(clique)
			for i, a := range clique {
				for _, b := range clique[i+1:] {
					done[edge{a, b}] = true
				}
			}
			out = append(out, newRow(rowClique, 0, clique...))
		}
	}
	return out
}

func (k *part) joinedToAll(x int32, list []int32) bool {
	for _, v := range list {
		if _, ok := slices.BinarySearch(k.adj[v], x); !ok {
			return false
		}
	}
	return true
}
