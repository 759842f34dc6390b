package solver

import "context"

// prove gives rows that bound a part's covers, in the reducer's vertices: those
// of its packing, or where it is too large for one, of the relaxation by edges
// alone. cost is the weight of a cover, beyond which there is nothing to prove.
func (k *part) prove(ctx context.Context, cost int64) []row {
	var rows []row
	if p := k.pack(ctx, cost); p != nil {
		rows = p.multipliers()
	} else {
		rows = k.halfRows()
	}
	for i := range rows {
		at := make([]int32, len(rows[i].at))
		for j, v := range rows[i].at {
			at[j] = k.vertex[v]
		}
		rows[i].at = at
	}
	return rows
}

func (k *part) halfRows() []row {
	d := double(k.weight, k.adj)
	var rows []row
	for v := range k.adj {
		for j := d.start[v]; j < d.start[v+1]; j++ {
			if u := d.to[j]; u > int32(v) {
				if m := d.flow[j] + d.flow[d.rev[j]]; m > 0 {
					rows = append(rows, newRow(rowEdge, m*(denominator/2), int32(v), u))
				}
			}
		}
	}
	return rows
}

// cuts are the rows of the packing that its fractional cover keeps exactly: the
// ones that hold it up, and so what an engine's relaxation wants.
func (k *part) cuts(ctx context.Context, cost int64) []row {
	p := k.pack(ctx, cost)
	if p == nil {
		return nil
	}
	var out []row
	for i := range p.rows {
		if r := &p.rows[i]; len(r.at) > 2 && p.gain(r) > -tolerance {
			out = append(out, *r)
		}
	}
	return out
}

// maxUnfolded bounds the parts for which a proof is looked for once more: it
// takes time without need, when the optimum is known.
const maxUnfolded = 300

// proveUnfolded looks for a proof without folding, where the one that was found
// lost rows when it was lifted over folds. cost is the weight of a least cover.
// nil where a part is too large.
func (g *cover) proveUnfolded(ctx context.Context, cost int64) []row {
	r := newReducer(g.weight, g.adj)
	r.ctx, r.noFold = ctx, true
	r.run()
	parts := r.parts()
	for _, k := range parts {
		if len(k.weight) > maxUnfolded {
			return nil
		}
	}
	var rows []row
	for _, k := range parts {
		enough := k.cost(greedyCover(k))
		if len(parts) == 1 {
			enough = cost - r.offset
		}
		rows = append(rows, k.prove(ctx, enough)...)
	}
	return r.lift(rows)
}

// proved is the bound that rows prove: of each group that shares no vertex with
// another, rounded up.
func (g *cover) proved(rows []row) int64 {
	sum := int64(0)
	for _, group := range disjoint(len(g.weight), rows) {
		sum += roundedUp(group)
	}
	return sum
}
