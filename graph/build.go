package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// New makes a graph from Go values, for generators and tests. Fields of a
// service that are zero get the defaults of the file format: one replica,
// Deployment/<name>, adm auto, cost 1, the namespace "default". A call with
// port 0 goes to its callee's only port. Positions may be zero. The slices are
// kept and sorted; a name that comes twice, a call from or to a node that isn't
// in the lists, or to a port that its callee does not have, is an error.
func New(name string, services []*Service, externals []*External, calls []*Call) (*Graph, error) {
	g := &Graph{Name: name, Namespace: "default", Identity: IdentityNone, Services: services, Externals: externals, Calls: calls}
	nodes := make(map[string]Node, len(services)+len(externals))
	for n := range g.nodes {
		if nodes[n.NodeName()] != nil {
			return nil, fmt.Errorf("graph %s: %q is there twice", name, n.NodeName())
		}
		nodes[n.NodeName()] = n
	}
	for _, s := range services {
		s.fill(g.Namespace)
	}
	for _, c := range calls {
		for _, n := range []Node{c.From, c.To} {
			if n == nil || nodes[n.NodeName()] != n {
				return nil, fmt.Errorf("graph %s: a call has an end that is none of the graph's nodes", name)
			}
		}
		if err := c.fill(); err != nil {
			return nil, fmt.Errorf("graph %s: %w", name, err)
		}
	}
	g.index()
	for i := 1; i < len(g.Calls); i++ {
		if c := g.Calls[i]; c.same(g.Calls[i-1]) {
			return nil, fmt.Errorf("graph %s: %s calls port %d of %s twice", name, c.From.NodeName(), c.Port, c.To.NodeName())
		}
	}
	for _, s := range services {
		s.Starts = s.Starts || !g.isCalled(s)
	}
	return g, nil
}

// fill gives the fields that are zero their defaults.
func (s *Service) fill(namespace string) {
	ns, base, qualified := strings.Cut(s.Name, "/")
	if !qualified {
		ns, base = namespace, s.Name
	}
	d := Service{}
	d.setDefaults(base)
	s.Namespace = cmp.Or(s.Namespace, ns)
	s.MaxReplicas = cmp.Or(s.MaxReplicas, max(s.MinReplicas, d.MaxReplicas))
	s.MinReplicas = cmp.Or(s.MinReplicas, s.MaxReplicas)
	s.Workload = cmp.Or(s.Workload, d.Workload)
	s.ADM = cmp.Or(s.ADM, d.ADM)
	if !s.Cost.Set {
		s.Cost = d.Cost
	}
	sortPorts(s.Ports)
}

// fill takes number, name and protocol from the callee's port.
func (c *Call) fill() error {
	var ports []*Port
	switch to := c.To.(type) {
	case *Service:
		ports = to.Ports
	case *External:
		ports = []*Port{{Number: to.Port, Protocol: to.Protocol}}
	}
	i := slices.IndexFunc(ports, func(p *Port) bool { return p.Number == c.Port })
	if c.Port == 0 && len(ports) == 1 {
		i = 0
	}
	if i < 0 {
		return fmt.Errorf("%s calls port %d of %s, which has %d ports and not this one", c.From.NodeName(), c.Port, c.To.NodeName(), len(ports))
	}
	c.Port, c.PortName, c.Protocol = ports[i].Number, ports[i].Name, ports[i].Protocol
	return nil
}

// same reports whether two calls are one edge.
func (c *Call) same(d *Call) bool { return c.From == d.From && c.To == d.To && c.Port == d.Port }

// nodes ranges over services, then externals.
func (g *Graph) nodes(yield func(Node) bool) {
	for _, s := range g.Services {
		if !yield(s) {
			return
		}
	}
	for _, e := range g.Externals {
		if !yield(e) {
			return
		}
	}
}

// index sorts the graph and fills what Lookup, CallsFrom and CallsTo read. It
// compares names once for each node, not for each call.
func (g *Graph) index() {
	slices.SortFunc(g.Services, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(g.Externals, func(a, b *External) int { return strings.Compare(a.Name, b.Name) })
	g.byName = make(map[string]Node, len(g.Services)+len(g.Externals))
	nodes := make([]Node, 0, len(g.Services)+len(g.Externals))
	for n := range g.nodes {
		g.byName[n.NodeName()] = n
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.NodeName(), b.NodeName()) })
	g.rank = make(map[Node]int32, len(nodes))
	for i, n := range nodes {
		g.rank[n] = int32(i)
	}
	g.indexCalls()
}

// indexCalls sorts the calls by the ranks of their ends, and once more by
// callee for CallsTo.
func (g *Graph) indexCalls() {
	type edge struct {
		from, to, port int32
		call           *Call
	}
	edges := make([]edge, len(g.Calls))
	for i, c := range g.Calls {
		edges[i] = edge{g.rank[c.From], g.rank[c.To], int32(c.Port), c}
	}
	slices.SortStableFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.port, b.port))
	})
	g.outAt, g.inAt = make([]int32, len(g.rank)+1), make([]int32, len(g.rank)+1)
	for i, e := range edges {
		g.Calls[i] = e.call
		g.outAt[e.from+1]++
		g.inAt[e.to+1]++
	}
	for i := range len(g.rank) {
		g.outAt[i+1] += g.outAt[i]
		g.inAt[i+1] += g.inAt[i]
	}
	g.byCallee = make([]*Call, len(edges))
	next := slices.Clone(g.inAt)
	for _, e := range edges {
		g.byCallee[next[e.to]] = e.call
		next[e.to]++
	}
}

// CallsFrom gives the calls that n makes, sorted by callee and port. The slice
// is the graph's.
func (g *Graph) CallsFrom(n Node) []*Call { return g.callsOf(n, g.Calls, g.outAt) }

// CallsTo gives the calls that n gets, sorted by caller and port. The slice is
// the graph's.
func (g *Graph) CallsTo(n Node) []*Call { return g.callsOf(n, g.byCallee, g.inAt) }

func (g *Graph) callsOf(n Node, calls []*Call, at []int32) []*Call {
	i, ok := g.rank[n]
	if !ok {
		return nil
	}
	return calls[at[i]:at[i+1]:at[i+1]]
}

// isCalled reports whether anybody but the service itself calls it.
func (g *Graph) isCalled(s *Service) bool {
	return slices.ContainsFunc(g.CallsTo(s), func(c *Call) bool { return c.From != s })
}
