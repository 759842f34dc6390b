package solver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// A Certificate is why Bound is a lower bound.
//
// Kind "dual" can be checked without a solver. Each part is a set of rows that
// every placement keeps, with integer multipliers over a common denominator;
// no service is in two parts. In a part, the multipliers of the rows that name
// a service add up to at most its weight times the denominator, so that the sum
// of multiplier times right side, divided by the denominator, is at most the
// weight of the part's ADMs in any placement, and as that is an integer, so is
// the sum rounded up. The bound is the sum over the parts.
//
// Kind "search" has no parts: an engine finished its search, which is a claim.
type Certificate struct {
	Kind  string            `json:"kind"`
	Parts []CertificatePart `json:"parts"`
}

// Kinds of certificates.
const (
	CertificateDual   = "dual"
	CertificateSearch = "search"
)

// A CertificatePart bounds the weight of the ADMs at its services.
type CertificatePart struct {
	Denominator int64            `json:"denominator"`
	Rows        []CertificateRow `json:"rows"`
}

// A CertificateRow says how many of its services have an ADM at least:
//
//	unit        the one service: it is `always`, or an obligation can be nowhere else
//	edge        one of two: an obligation goes from one to the other
//	clique      all but one of services that are joined by edges, each with each
//	odd-cycle   more than half of an odd number of services, each joined by an
//	            edge to the next and the last to the first
type CertificateRow struct {
	Kind     string   `json:"kind"`
	Services []string `json:"services"`
	Times    int64    `json:"times"` // the multiplier
}

var rowNames = [...]string{rowEdge: "edge", rowClique: "clique", rowCycle: "odd-cycle"}

const unitRow = "unit"

// certify names the rows of a proof and of the forced nodes, in parts as small
// as their rows allow, because each is rounded up on its own.
func certify(p *Problem, g *cover, rows []row) Certificate {
	c := Certificate{Kind: CertificateDual, Parts: []CertificatePart{}}
	whole := CertificatePart{Denominator: 1}
	for i, yes := range g.forced {
		if yes && p.Nodes[i].Weight > 0 {
			whole.Rows = append(whole.Rows, CertificateRow{unitRow, []string{p.Nodes[i].Name}, p.Nodes[i].Weight})
		}
	}
	for _, group := range disjoint(len(g.node), rows) {
		part := CertificatePart{Denominator: denominator}
		for _, r := range group {
			part.Denominator = gcd(part.Denominator, r.times)
		}
		part.Denominator = denominator / part.Denominator
		for _, r := range group {
			named := CertificateRow{Kind: rowNames[r.kind], Times: r.times / (denominator / part.Denominator)}
			for _, v := range r.at {
				named.Services = append(named.Services, p.Nodes[g.node[v]].Name)
			}
			named.order()
			part.Rows = append(part.Rows, named)
		}
		if part.Denominator == 1 {
			whole.Rows = append(whole.Rows, part.Rows...)
		} else {
			sortRows(part.Rows)
			c.Parts = append(c.Parts, part)
		}
	}
	if len(whole.Rows) > 0 {
		sortRows(whole.Rows)
		c.Parts = append(c.Parts, whole)
	}
	slices.SortFunc(c.Parts, func(a, b CertificatePart) int {
		return strings.Compare(a.Rows[0].Services[0], b.Rows[0].Services[0])
	})
	return c
}

// order puts the services in the one order of many that mean the same: sorted,
// and of a cycle the smallest first, then the smaller of its two neighbours.
func (r *CertificateRow) order() {
	if r.Kind != rowNames[rowCycle] {
		slices.Sort(r.Services)
		return
	}
	first := slices.Index(r.Services, slices.Min(r.Services))
	r.Services = slices.Concat(r.Services[first:], r.Services[:first])
	if last := len(r.Services) - 1; r.Services[last] < r.Services[1] {
		slices.Reverse(r.Services[1:])
	}
}

func sortRows(rows []CertificateRow) {
	slices.SortFunc(rows, func(a, b CertificateRow) int {
		return cmp.Or(slices.Compare(a.Services, b.Services), strings.Compare(a.Kind, b.Kind), cmp.Compare(a.Times, b.Times))
	})
}

// disjoint groups rows so that no vertex is in two groups.
func disjoint(vertices int, rows []row) [][]row {
	parent := make([]int32, vertices)
	for v := range parent {
		parent[v] = int32(v)
	}
	find := func(v int32) int32 {
		for parent[v] != v {
			parent[v] = parent[parent[v]]
			v = parent[v]
		}
		return v
	}
	for _, r := range rows {
		for _, v := range r.at[1:] {
			parent[find(v)] = find(r.at[0])
		}
	}
	number := map[int32]int{}
	var groups [][]row
	for _, r := range rows {
		root := find(r.at[0])
		i, ok := number[root]
		if !ok {
			i = len(groups)
			number[root] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// A checker holds a certificate to a problem. It shares no code with what made
// the certificate: it knows the problem's obligations and rows only.
type checker struct {
	p      *Problem
	node   map[string]int32
	edges  []uint64 // pairs of nodes, the smaller in the upper half; ascending
	forced []bool
}

func newChecker(p *Problem) *checker {
	c := &checker{p: p, node: make(map[string]int32, len(p.Nodes)), forced: make([]bool, len(p.Nodes))}
	for i := range p.Nodes {
		c.node[p.Nodes[i].Name] = int32(i)
		c.forced[i] = p.Nodes[i].Pin == Always
	}
	can := c.possibleSides()
	for i := range p.Obligations {
		o := &p.Obligations[i]
		for _, s := range o.Senders {
			// Enforced at either end: y[receiver] + y[sender] >= 1.
			c.edges = append(c.edges, pair(o.Receiver, s))
			if o.Both || can[i] == ir.Egress || s == o.Receiver {
				c.forced[s] = true
			}
		}
		if o.Both || can[i] == ir.Ingress {
			c.forced[o.Receiver] = true
		}
	}
	slices.Sort(c.edges)
	return c
}

func pair(a, b int32) uint64 { return uint64(min(a, b))<<32 | uint64(max(a, b)) }

func (c *checker) edge(a, b int32) bool {
	_, ok := slices.BinarySearch(c.edges, pair(a, b))
	return ok
}

// possibleSides repeats over all rows what can't be, until nothing changes.
func (c *checker) possibleSides() []ir.Side {
	can := make([]ir.Side, len(c.p.Obligations))
	for i := range can {
		o := &c.p.Obligations[i]
		can[i] = o.May
		if !c.p.Nodes[o.Receiver].CanHost() {
			can[i] &^= ir.Ingress
		}
		for _, s := range o.Senders {
			if !c.p.Nodes[s].CanHost() {
				can[i] &^= ir.Egress
			}
		}
	}
	surely := func(i int32, s ir.Side) bool { return can[i] == s || c.p.Obligations[i].Both }
	for changed := true; changed; {
		changed = false
		drop := func(i int32, s ir.Side) {
			if can[i]&s != 0 && !c.p.Obligations[i].Both {
				can[i] &^= s
				changed = true
			}
		}
		for _, r := range c.p.Rows {
			switch {
			case r.Kind == ir.Forbid && surely(r.P, r.PSide):
				drop(r.Q, r.QSide)
			case r.Kind == ir.Forbid && surely(r.Q, r.QSide):
				drop(r.P, r.PSide)
			case r.Kind == ir.Same && !c.p.Obligations[r.P].Both && !c.p.Obligations[r.Q].Both:
				both := can[r.P] & can[r.Q]
				drop(r.P, can[r.P]&^both)
				drop(r.Q, can[r.Q]&^both)
			}
		}
	}
	return can
}

// bound adds up a dual certificate, or says what is wrong with it.
func (c *checker) bound(cert *Certificate) (int64, error) {
	total := int64(0)
	home := make([]int, len(c.p.Nodes)) // part of each node, from 1
	load := make([]int64, len(c.p.Nodes))
	for i := range cert.Parts {
		part := &cert.Parts[i]
		if part.Denominator <= 0 || part.Denominator > denominator {
			return 0, fmt.Errorf("certificate part %d has denominator %d", i, part.Denominator)
		}
		sum := int64(0)
		for j := range part.Rows {
			r := &part.Rows[j]
			nodes, right, err := c.row(r)
			if err != nil {
				return 0, fmt.Errorf("certificate part %d, row %d: %w", i, j, err)
			}
			for _, n := range nodes {
				if home[n] > 0 && home[n] != i+1 {
					return 0, fmt.Errorf("%s is in certificate parts %d and %d", c.p.Nodes[n].Name, home[n]-1, i)
				}
				home[n] = i + 1
				load[n] += r.Times
				if load[n] > c.p.Nodes[n].Weight*part.Denominator {
					return 0, fmt.Errorf("certificate part %d uses more of %s than it weighs", i, c.p.Nodes[n].Name)
				}
			}
			sum += r.Times * right
		}
		total += (sum + part.Denominator - 1) / part.Denominator
	}
	return total, nil
}

// row gives the nodes and the right side of a row that holds for the problem.
func (c *checker) row(r *CertificateRow) ([]int32, int64, error) {
	var nodes []int32
	for _, name := range r.Services {
		n, ok := c.node[name]
		if !ok || slices.Contains(nodes, n) {
			return nil, 0, fmt.Errorf("%q is unknown or named twice", name)
		}
		nodes = append(nodes, n)
	}
	k := len(nodes)
	if r.Times < 0 || r.Times > maxTotal*denominator {
		return nil, 0, fmt.Errorf("the multiplier is %d", r.Times)
	}
	switch {
	case r.Kind == unitRow && k == 1 && c.forced[nodes[0]]:
		return nodes, 1, nil
	case r.Kind == rowNames[rowEdge] && k == 2 && c.clique(nodes):
		return nodes, 1, nil
	case r.Kind == rowNames[rowClique] && k > 2 && c.clique(nodes):
		return nodes, int64(k - 1), nil
	case r.Kind == rowNames[rowCycle] && k > 2 && k%2 == 1 && c.cycle(nodes):
		return nodes, int64(k+1) / 2, nil
	}
	return nil, 0, fmt.Errorf("%s of %s does not hold for the obligations", r.Kind, strings.Join(r.Services, ", "))
}

func (c *checker) clique(nodes []int32) bool {
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			if !c.edge(a, b) {
				return false
			}
		}
	}
	return true
}

func (c *checker) cycle(nodes []int32) bool {
	for i, a := range nodes {
		b := nodes[(i+1)%len(nodes)]
		if !c.edge(a, b) {
			return false
		}
	}
	return true
}
