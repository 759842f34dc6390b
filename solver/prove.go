package solver

// prove gives the rows of a lower bound of a part's cover, in the reducer's
// vertices.
func (k *part) prove() []row {
	d := double(k.weight, k.adj)
	var rows []row
	for v := range k.adj {
		for j := d.start[v]; j < d.start[v+1]; j++ {
			if u := d.to[j]; u > int32(v) {
				if m := d.flow[j] + d.flow[d.rev[j]]; m > 0 {
					rows = append(rows, newRow(rowEdge, m*(denominator/2), k.vertex[v], k.vertex[u]))
				}
			}
		}
	}
	return rows
}
