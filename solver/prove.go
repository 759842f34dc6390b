package solver

// prove gives rows that bound a part's covers, in the reducer's vertices: those
// of its packing, or where it is too large for one, of the relaxation by edges
// alone. cost is the weight of a cover, beyond which there is nothing to prove.
func (k *part) prove(cost int64) []row {
	var rows []row
	if p := k.pack(cost); p != nil {
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
