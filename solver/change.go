package solver

import (
	"context"
	"fmt"
	"slices"
)

// Least change: among the placements of least weight, one that differs from the
// previous one at as few services as possible, so that an unrelated change of a
// policy moves no ADM.
//
// Weight and change are one integer: a service weighs K·w - 1 if it had an ADM
// and K·w + 1 if it had none. The sum over a placement is K times its weight,
// plus the services that differ, minus a constant. With K above the number of
// services no change outweighs a unit of weight. The components of the cover
// problem are independent, so each has a K of its own, which keeps numbers
// small.
//
// Where the fewest are hard to find this can be harder, because equal weights,
// which most rules of reduction want, become unequal. So it is solved second,
// with the count and its proof already there.

// keep gives the previous placement back if it still holds: every obligation
// where it may be, every row kept, and its dual certificate adds up to its
// weight. Nothing has to be solved then, and the bytes stay whatever engine
// wrote them. A search certificate is a claim about the input of that time, so
// it is not enough.
func (c *closing) keep(r *Record) *Placement {
	if r == nil || r.file.Certificate.Kind != CertificateDual || !r.file.Proved {
		return nil
	}
	pl, err := r.placement(c.p)
	if err != nil {
		return nil
	}
	for i := range c.p.Obligations {
		pl.Assigned[c.p.Obligations[i].Order].Reason = c.reason(i)
	}
	if Verify(c.p, pl) != nil {
		return nil
	}
	pl.ProvedChange, pl.ChangeKind = true, CertificateDual
	return pl
}

// compare lists what the placement changes; services that are not in the graph
// any more don't count.
func (r *Record) compare(p *Problem, pl *Placement) {
	if r == nil {
		return
	}
	had := r.had(p)
	for i := range p.Nodes {
		switch has := pl.HasADM(p.Nodes[i].Name); {
		case has && !had[i]:
			pl.Added = append(pl.Added, p.Nodes[i].Name)
		case had[i] && !has:
			pl.Removed = append(pl.Removed, p.Nodes[i].Name)
		}
	}
}

// had is the nodes that had an ADM.
func (r *Record) had(p *Problem) []bool {
	had := make([]bool, len(p.Nodes))
	for i := range p.Nodes {
		_, had[i] = slices.BinarySearch(r.adms, p.Nodes[i].Name)
	}
	return had
}

// before is the vertices that had an ADM; nil without a previous placement.
func (g *cover) before(r *Record, p *Problem) []bool {
	if r == nil {
		return nil
	}
	had, in := r.had(p), make([]bool, len(g.node))
	for v, n := range g.node {
		in[v] = had[n]
	}
	return in
}

// leastChange gives, for a least cover, one of the same weight with the fewest
// changes, and the kind of proof that no other has fewer. When the context ends
// it gives the best found, and the context's error.
func (g *cover) leastChange(ctx context.Context, e engine, p *Problem, o Options, least []bool) ([]bool, string, error) {
	if before := g.before(o.Previous, p); g.covers(before) && g.cost(before) == g.cost(least) {
		g.dropWeightless(before)
		return before, CertificateDual, nil
	}
	h, q, err := g.withChange(p, o.Previous.had(p))
	if err != nil {
		return nil, "", err
	}
	tell := func(Progress) {}
	if o.Progress != nil {
		tell = func(state Progress) {
			state.LeastChange, state.AtLeast = true, -1
			o.Progress(state)
		}
	}
	in, rows, err := h.solve(ctx, e, tell)
	switch {
	case err != nil && !isContext(err):
		return nil, "", err
	case err != nil && (in == nil || g.cost(in) > g.cost(least) || h.cost(in) > h.cost(least)):
		return least, "", err
	case err != nil:
		return in, "", err
	case g.cost(in) != g.cost(least):
		panic(fmt.Sprintf("solver: the fewest changes have weight %d, the least is %d", g.cost(in), g.cost(least)))
	}
	kind := CertificateSearch
	cert := certify(q, h, rows)
	if bound, err := newChecker(q).bound(&cert); err != nil {
		panic("solver: a proof that does not hold: " + err.Error())
	} else if bound == h.cost(in) {
		kind = CertificateDual
	}
	return in, kind, nil
}

// withChange is the cover problem, and the problem it stands for, with weights
// that count changes too. What is forced weighs nothing there: it is settled.
func (g *cover) withChange(p *Problem, had []bool) (*cover, *Problem, error) {
	h := &cover{node: g.node, adj: g.adj, forced: g.forced, weight: make([]int64, len(g.weight))}
	q := *p
	q.Nodes = slices.Clone(p.Nodes)
	for i := range q.Nodes {
		q.Nodes[i].Weight = 0
	}
	total := int64(0)
	for v, k := range g.componentSizes() {
		w := g.weight[v]
		if w > maxTotal/k {
			return nil, nil, errHeavyChange
		}
		switch {
		case !had[g.node[v]]:
			h.weight[v] = k*w + 1
		case w > 0:
			h.weight[v] = k*w - 1
		}
		if total += h.weight[v]; total > maxTotal {
			return nil, nil, errHeavyChange
		}
		q.Nodes[g.node[v]].Weight = h.weight[v]
	}
	return h, &q, nil
}

var errHeavyChange = fmt.Errorf("the weights are too large to look for the fewest changes too: give costs with fewer digits, or start fresh")

// componentSizes gives for each vertex one more than the size of its component.
func (g *cover) componentSizes() []int64 {
	size := make([]int64, len(g.adj))
	for v := range g.adj {
		if size[v] != 0 {
			continue
		}
		size[v] = 1
		list := []int32{int32(v)}
		for i := 0; i < len(list); i++ {
			for _, u := range g.adj[list[i]] {
				if size[u] == 0 {
					size[u] = 1
					list = append(list, u)
				}
			}
		}
		for _, u := range list {
			size[u] = int64(len(list)) + 1
		}
	}
	return size
}

func (g *cover) covers(in []bool) bool {
	for v, list := range g.adj {
		if !in[v] && slices.ContainsFunc(list, func(u int32) bool { return !in[u] }) {
			return false
		}
	}
	return true
}

func (g *cover) cost(in []bool) int64 {
	sum := int64(0)
	for v, yes := range in {
		if yes {
			sum += g.weight[v]
		}
	}
	return sum
}
