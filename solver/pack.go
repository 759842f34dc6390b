package solver

import (
	"context"
	"math"
	"slices"
)

// A packing is the linear relaxation of a part's cover with edge, clique and
// odd cycle rows, seen from its dual: find multipliers of the rows, none
// negative, that use of no vertex more than it weighs, with the largest sum of
// multiplier times right side. It is solved by the simplex method with rows
// added as they are found (as columns, so that every basis stays feasible):
// the prices y of the vertices are the fractional cover, and a row that y
// breaks is one whose multiplier is worth raising.
//
// Everything is in floats and nothing is trusted: multipliers() rounds to
// integers that are then checked, and a poor solution only gives a poor bound.
type packing struct {
	k      *part
	ctx    context.Context
	rows   []row
	have   map[string]bool
	basis  []int32     // row at each position; ^v: the slack of vertex v
	inv    [][]float64 // inverse of the basis
	value  []float64   // of what is at each position
	y      []float64
	column []float64 // of the entering row, in the basis
	filled []int32   // where the leaving line of inv is not 0
	steep  []float64 // by row and, before them, by slack: see maximise
	pivots int
}

const (
	tolerance = 1e-7
	drop      = 1e-12 // what is smaller is 0
	// maxPack bounds the vertices of a part for which a packing is made: each
	// pivot may take the square of it.
	maxPack = 700
	// packRounds bounds how often rows are looked for.
	packRounds = 60
)

// pack gives the packing of a part, nil for one that is too large. enough ends
// it early: once its bound, rounded up, reaches that. So does the context: the
// rows found by then hold all the same.
func (k *part) pack(ctx context.Context, enough int64) *packing {
	n := len(k.weight)
	if n > maxPack || k.packed != nil {
		return k.packed
	}
	p := &packing{k: k, ctx: ctx, have: map[string]bool{}, basis: make([]int32, n), inv: make([][]float64, n),
		value: make([]float64, n), y: make([]float64, n), column: make([]float64, n)}
	all := make([]float64, n*n)
	for v := range n {
		p.basis[v] = ^int32(v)
		p.inv[v] = all[v*n : (v+1)*n]
		p.inv[v][v] = 1
		// Equal weights make the simplex method turn in place; unequal ones by
		// far less than a rounding step don't.
		p.value[v] = float64(k.weight[v]) * (1 + 1e-9*float64(v*7919%1009))
	}
	for _, r := range cliques(k) {
		p.add(r)
	}
	for u, list := range k.adj {
		for _, v := range list {
			if v > int32(u) {
				p.add(newRow(rowEdge, 0, int32(u), v))
			}
		}
	}
	for range packRounds {
		p.maximise()
		if p.ctx.Err() != nil || p.sum() > float64(enough-1)+1e-4 || !p.separate() {
			break
		}
	}
	k.packed = p
	return p
}

func (p *packing) add(r row) bool {
	key := make([]byte, 0, 4*len(r.at)+1)
	sorted := slices.Sorted(slices.Values(r.at))
	for _, v := range sorted {
		key = append(key, byte(v), byte(v>>8), byte(v>>16))
	}
	key = append(key, byte(r.kind))
	if p.have[string(key)] {
		return false
	}
	p.have[string(key)] = true
	p.rows = append(p.rows, r)
	return true
}

// sum is the packing's value.
func (p *packing) sum() float64 {
	sum := 0.0
	for i, b := range p.basis {
		if b >= 0 {
			sum += p.value[i] * float64(p.rows[b].atLeast())
		}
	}
	return sum
}

// gain is by how much y breaks a row.
func (p *packing) gain(r *row) float64 {
	short := float64(r.atLeast())
	for _, v := range r.at {
		short -= p.y[v]
	}
	return short
}

// maximise pivots until no row is worth raising. Which of those that are is
// raised first decides how many pivots it takes: the one that gains most for how
// far it moves everything else, as far as that is known (Devex, Harris 1973:
// steep estimates the square of the distance since the last time that all of
// them were 1).
func (p *packing) maximise() {
	n := len(p.y)
	p.steep = p.steep[:0]
	for range n + len(p.rows) {
		p.steep = append(p.steep, 1)
	}
	for limit := 40 * n; limit > 0; limit-- {
		if limit%64 == 0 && p.ctx.Err() != nil {
			return
		}
		best, gain, most := int32(0), 0.0, 0.0
		for i := range p.rows {
			if g := p.gain(&p.rows[i]); g > tolerance && g*g > most*p.steep[n+i] {
				best, gain, most = int32(i), g, g*g/p.steep[n+i]
			}
		}
		for v, y := range p.y {
			if -y > tolerance && y*y > most*p.steep[v] {
				best, gain, most = ^int32(v), -y, y*y/p.steep[v]
			}
		}
		if most == 0 || !p.enter(best, gain) {
			return
		}
	}
}

// steepen updates steep for a pivot: line is the leaving line of the inverse
// before it is scaled by the entering column's entry there, and of is steep of
// what enters.
func (p *packing) steepen(line []float64, entry, of float64) {
	n := len(line)
	for v, x := range line {
		if x /= entry; x*x*of > p.steep[v] {
			p.steep[v] = x * x * of
		}
	}
	for i := range p.rows {
		x := 0.0
		for _, v := range p.rows[i].at {
			x += line[v]
		}
		if x /= entry; x*x*of > p.steep[n+i] {
			p.steep[n+i] = x * x * of
		}
	}
}

// enter raises one row or slack as far as the basis allows.
func (p *packing) enter(what int32, gain float64) bool {
	for i, line := range p.inv {
		if what < 0 {
			p.column[i] = line[^what]
			continue
		}
		sum := 0.0
		for _, v := range p.rows[what].at {
			sum += line[v]
		}
		p.column[i] = sum
	}
	leave, step := -1, math.Inf(1)
	for i, c := range p.column {
		if c > tolerance {
			if s := p.value[i] / c; s < step-1e-12 || s < step+1e-12 && leave >= 0 && c > p.column[leave] {
				leave, step = i, s
			}
		}
	}
	if leave < 0 {
		return false
	}
	entering := len(p.y) + int(what)
	if what < 0 {
		entering = int(^what)
	}
	p.steepen(p.inv[leave], p.column[leave], p.steep[entering])
	left := len(p.y) + int(p.basis[leave])
	if p.basis[leave] < 0 {
		left = int(^p.basis[leave])
	}
	p.steep[left] = max(1, p.steep[entering]/(p.column[leave]*p.column[leave]))
	p.pivot(leave, max(0, step), gain)
	p.basis[leave] = what
	return true
}

func (p *packing) pivot(leave int, step, gain float64) {
	p.pivots++
	line := p.inv[leave]
	scale := 1 / p.column[leave]
	p.filled = p.filled[:0]
	for j, x := range line {
		if math.Abs(x) < drop {
			line[j] = 0
			continue
		}
		line[j] *= scale
		p.filled = append(p.filled, int32(j))
	}
	for i, c := range p.column {
		if i == leave || math.Abs(c) < drop {
			continue
		}
		p.value[i] -= c * step
		other := p.inv[i]
		if 2*len(p.filled) > len(line) {
			subtract(other, line, c)
			continue
		}
		for _, j := range p.filled {
			other[j] -= c * line[j]
		}
	}
	p.value[leave] = step
	for _, j := range p.filled {
		p.y[j] += gain * line[j]
	}
}

// subtract takes c times b from a; almost all of the time of a packing is here.
func subtract(a, b []float64, c float64) {
	for len(a) >= 4 && len(b) >= 4 {
		a[0] -= c * b[0]
		a[1] -= c * b[1]
		a[2] -= c * b[2]
		a[3] -= c * b[3]
		a, b = a[4:], b[4:]
	}
	for j := range a {
		a[j] -= c * b[j]
	}
}

// multipliers rounds the packing to rows that keep to the weights in integers.
func (p *packing) multipliers() []row {
	left := make([]int64, len(p.y))
	for v, w := range p.k.weight {
		left[v] = w * denominator
	}
	var out []row
	for i, b := range p.basis {
		if b < 0 {
			continue
		}
		r := p.rows[b]
		r.times = int64(math.Round(p.value[i] * denominator))
		for _, v := range r.at {
			r.times = min(r.times, left[v])
		}
		if r.times <= 0 {
			continue
		}
		for _, v := range r.at {
			left[v] -= r.times
		}
		out = append(out, r)
	}
	return out
}

// roundedUp is the bound that rows with multipliers prove.
func roundedUp(rows []row) int64 {
	sum := int64(0)
	for i := range rows {
		sum += rows[i].times * rows[i].atLeast()
	}
	return (sum + denominator - 1) / denominator
}
