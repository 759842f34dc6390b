package solver

import "slices"

// A row is a valid inequality of a vertex cover problem, with the multiplier it
// has in a proof. Multipliers are counted in parts of denominator.
//
//	edge u v          y[u] + y[v] >= 1
//	clique of k       sum y >= k-1
//	odd cycle of k    sum y >= (k+1)/2      vertices in the order of the cycle
//
// If for each vertex the multipliers of the rows that hold it add up to at most
// its weight, the sum of multiplier times right side is a lower bound of every
// cover: weak duality.
type row struct {
	kind  rowKind
	times int64
	at    []int32
}

type rowKind uint8

const (
	rowEdge rowKind = iota
	rowClique
	rowCycle
)

// denominator of all multipliers while a proof is made: twice the least common
// multiple of 1 to 11.
const denominator = 2 * 27720

func newRow(kind rowKind, times int64, at ...int32) row {
	if kind == rowClique && len(at) == 2 {
		kind = rowEdge
	}
	return row{kind, times, at}
}

// right side of the row.
func (r *row) atLeast() int64 {
	if r.kind == rowCycle {
		return int64(len(r.at)+1) / 2
	}
	return int64(len(r.at)) - 1
}

// A proof is a set of rows that can find those of a vertex.
type proof struct {
	rows []row // times 0: dropped
	of   [][]int32
}

// lift turns a proof of what is left into one of the whole: the same bound plus
// the reducer's offset, unless a rule met a row that it can't extend, which
// makes the bound smaller but never wrong. The rows are in the reducer's
// vertices.
func (r *reducer) lift(rows []row) []row {
	p := &proof{of: make([][]int32, len(r.w))}
	for _, x := range rows {
		p.add(x)
	}
	for i := len(r.steps) - 1; i >= 0; i-- {
		s := &r.steps[i]
		switch s.kind {
		case stepNeighbours:
			// N(v) weighs at most v: each edge of v takes all of its other end.
			for j, u := range s.near {
				p.add(newRow(rowEdge, s.w[j]*denominator, s.v, u))
			}
		case stepSimplicial:
			// The clique takes from each just what the rule took.
			p.add(newRow(rowClique, s.w[0]*denominator, append(slices.Clone(s.near), s.v)...))
		case stepHalves:
			for _, x := range s.rows {
				p.add(x)
			}
		case stepDominate:
			p.dominate(s)
		case stepFold:
			p.unfold(s)
		}
	}
	return slices.DeleteFunc(p.rows, func(x row) bool { return x.times == 0 })
}

func (p *proof) add(x row) {
	if x.times <= 0 {
		return
	}
	for _, v := range x.at {
		p.of[v] = append(p.of[v], int32(len(p.rows)))
	}
	p.rows = append(p.rows, x)
}

// take removes a row and gives it.
func (p *proof) take(i int32) row {
	x := p.rows[i]
	p.rows[i].times = 0
	return x
}

// dominate adds v's weight to the bound. N[u] is in N[v], so a clique that
// holds u is one with v too, of one more on the right side. Where u's rows
// don't use up as much as v weighs, the edge uv does.
func (p *proof) dominate(s *step) {
	need, load := s.w[0]*denominator, int64(0)
	for _, i := range slices.Clone(p.of[s.u]) {
		x := p.rows[i]
		load += x.times
		if n := min(need, x.times); n > 0 && x.kind != rowCycle {
			p.rows[i].times -= n
			p.add(newRow(rowClique, n, append(slices.Clone(x.at), s.v)...))
			need -= n
		}
	}
	p.add(newRow(rowEdge, min(need, s.w[1]*denominator-load), s.u, s.v))
}

// unfold replaces the folded vertex v in its rows. A row whose other vertices
// (of a cycle: the two beside v) are all joined to u has u instead of v, and so
// for x; a triangle or cycle with one on either side passes through u, v, x
// and is longer by two, and one more on the right side. What then is left of
// u's and x's weights, and of v's, goes to the edges uv and vx: together v's
// weight is added to the bound, because the rows of the folded vertex use at
// most w(u) + w(x) - w(v).
func (p *proof) unfold(s *step) {
	v, u, x := s.v, s.u, s.x
	var loadU, loadX, through int64
	for _, i := range slices.Clone(p.of[v]) {
		if p.rows[i].times == 0 {
			continue
		}
		old := p.take(i)
		beside := old.beside(v)
		switch {
		case within(beside, s.far):
			loadU += old.times
			p.add(old.replace(v, u))
		case within(beside, s.wide):
			loadX += old.times
			p.add(old.replace(v, x))
		case len(beside) == 2:
			if !within(beside[:1], s.far) {
				beside[0], beside[1] = beside[1], beside[0]
			}
			if !within(beside[:1], s.far) || !within(beside[1:], s.wide) {
				continue
			}
			through += old.times
			p.add(old.stretch(v, beside[0], []int32{u, v, x}))
		}
	}
	p.of[v] = slices.DeleteFunc(p.of[v], func(i int32) bool { return p.rows[i].times == 0 })
	rest := s.w[0]*denominator - through
	some := min(rest, s.w[1]*denominator-loadU-through)
	p.add(newRow(rowEdge, some, u, v))
	p.add(newRow(rowEdge, min(rest-some, s.w[2]*denominator-loadX-through), v, x))
}

// beside is the vertices of a row that v must be joined to for the row to hold.
func (r *row) beside(v int32) []int32 {
	if r.kind != rowCycle {
		return slices.DeleteFunc(slices.Clone(r.at), func(y int32) bool { return y == v })
	}
	i, n := slices.Index(r.at, v), len(r.at)
	return []int32{r.at[(i+n-1)%n], r.at[(i+1)%n]}
}

func within(list, sorted []int32) bool {
	for _, y := range list {
		if _, ok := slices.BinarySearch(sorted, y); !ok {
			return false
		}
	}
	return true
}

func (r *row) replace(v, by int32) row {
	at := slices.Clone(r.at)
	at[slices.Index(at, v)] = by
	return row{r.kind, r.times, at}
}

// stretch puts a path in v's place, its first vertex beside p, in a triangle or
// a cycle.
func (r *row) stretch(v, p int32, path []int32) row {
	i, n := slices.Index(r.at, v), len(r.at)
	rest := make([]int32, 0, n+2)
	for j := 1; j < n; j++ {
		rest = append(rest, r.at[(i+j)%n])
	}
	if rest[0] == p { // around the other way, to end at p
		slices.Reverse(rest)
	}
	return row{rowCycle, r.times, append(rest, path...)}
}
