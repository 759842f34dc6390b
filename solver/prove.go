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
