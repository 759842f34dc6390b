// Package shapes generates placement problems in the shapes that have been
// published, the same for the same numbers: for the bench, and for tests of the
// solver that want something larger than they can write down.
package shapes

import (
	"fmt"
	"math/rand"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A Shape is a call graph with a checked program on it. The graph has services
// and nothing else: what a solver looks at, not what a file would give.
type Shape struct {
	Graph   *graph.Graph
	Program *ir.Program
}

const eitherSide = ir.Ingress | ir.Egress

func empty(services int) (*Shape, []*graph.Service) {
	s := &Shape{Graph: &graph.Graph{}, Program: &ir.Program{}}
	for i := range services {
		s.Graph.Services = append(s.Graph.Services, &graph.Service{Name: fmt.Sprintf("svc-%07d", i), MaxReplicas: 1 + i%3, ADM: graph.ADMAuto})
	}
	return s, s.Graph.Services
}

func (s *Shape) add(p *ir.Policy, to *graph.Service, may ir.Side, from ...*graph.Service) *ir.Obligation {
	o := &ir.Obligation{Policy: p, Receiver: to, Port: 80, May: may}
	for _, f := range from {
		o.Edges = append(o.Edges, &ir.Edge{Sender: f})
	}
	s.Program.Obligations = append(s.Program.Obligations, o)
	return o
}

func (s *Shape) ordered(p, q *ir.Obligation) {
	s.Program.Rows = append(s.Program.Rows, &ir.Row{Kind: ir.Forbid, P: p, Q: q, PSide: ir.Ingress, QSide: ir.Egress, Text: "order"})
}

// Mesh is a call graph in layers with popular receivers (heavy-tailed
// in-degree) and a mix of policies on it.
//
// The mix: a limit at every database, pinned to the receiver for some; a
// policy on all callers of one service in ten; single edges; egress-only
// resilience; order rows between the policies of one receiver. share is how
// many of the calls have a policy of their own; with 1 every edge is policed.
func Mesh(services, callsPerService int, share float64, seed int64) *Shape {
	rnd := rand.New(rand.NewSource(seed))
	s, list := empty(services)
	callers := make([][]*graph.Service, services)
	for i := range services - 1 {
		seen := map[int]bool{}
		for range callsPerService {
			// Later services are called; the square makes some of them popular.
			u := rnd.Float64()
			to := i + 1 + int(u*u*float64(services-i-1))
			if rnd.Intn(3) == 0 { // or one of the hubs
				to = services - 1 - rnd.Intn(1+services/100)
			}
			if to > i && !seen[to] {
				seen[to] = true
				callers[to] = append(callers[to], list[i])
			}
		}
	}
	resilient, audit, strict := &ir.Policy{Name: "resilient"}, &ir.Policy{Name: "audit"}, &ir.Policy{Name: "strict"}
	for to, from := range callers {
		if len(from) == 0 {
			continue
		}
		var here []*ir.Obligation
		for _, f := range from {
			if rnd.Float64() < share {
				here = append(here, s.add(&ir.Policy{Name: "local-" + f.Name}, list[to], eitherSide, f))
			}
		}
		switch rnd.Intn(20) {
		case 0:
			here = append(here, s.add(audit, list[to], eitherSide, from...))
		case 1:
			s.add(resilient, list[to], ir.Egress, from...)
		case 2:
			s.add(strict, list[to], ir.Ingress, from...)
		}
		for i := 1; i < len(here); i++ {
			s.ordered(here[i-1], here[i])
		}
	}
	return s
}

// Tiers is a layered graph without cycles: services are spread over the tiers
// evenly, each but those of the last tier calls one to four of the next. There
// are times as many policies as services that are no leaves; each is on some of
// the callers of one service, one in five is pinned to a side. (The shape in
// which control planes with an SMT formulation were measured.)
func Tiers(services, tiers int, times int, seed int64) *Shape {
	rnd := rand.New(rand.NewSource(seed))
	s, list := empty(services)
	tier := func(t int) []*graph.Service { return list[t*services/tiers : (t+1)*services/tiers] }
	type receiver struct {
		service *graph.Service
		callers []*graph.Service
	}
	var called []*receiver
	senders := 0
	for t := 1; t < tiers; t++ {
		below := make([]receiver, len(tier(t)))
		for i, to := range tier(t) {
			below[i].service = to
		}
		for _, from := range tier(t - 1) {
			senders++
			calls := min(1+rnd.Intn(4), len(below))
			for _, i := range rnd.Perm(len(below))[:calls] {
				below[i].callers = append(below[i].callers, from)
			}
		}
		for i := range below {
			if len(below[i].callers) > 0 {
				called = append(called, &below[i])
			}
		}
	}
	last := map[*receiver]*ir.Obligation{}
	for i := range times * senders {
		r := called[rnd.Intn(len(called))]
		var from []*graph.Service
		for _, j := range rnd.Perm(len(r.callers))[:1+rnd.Intn(len(r.callers))] {
			from = append(from, r.callers[j])
		}
		may := eitherSide
		if rnd.Intn(5) == 0 {
			may = ir.Side(1 + rnd.Intn(2))
		}
		o := s.add(&ir.Policy{Name: fmt.Sprintf("policy-%05d", i)}, r.service, may, from...)
		if p := last[r]; p != nil && rnd.Intn(3) == 0 && p.May == eitherSide && may == eitherSide {
			s.ordered(p, o)
		}
		last[r] = o
	}
	return s
}

// Uniform has calls between services chosen at random, each with equal chance,
// and a free policy on every call. No mesh looks like that; nothing is reduced
// in it, which makes it the hardest of the shapes for its size.
func Uniform(services, callsPerService int, seed int64) *Shape {
	rnd := rand.New(rand.NewSource(seed))
	s, list := empty(services)
	seen := map[[2]int]bool{}
	for range services * callsPerService {
		from, to := rnd.Intn(services), rnd.Intn(services)
		if from != to && !seen[[2]int{from, to}] {
			seen[[2]int{from, to}] = true
			s.add(&ir.Policy{Name: fmt.Sprintf("local-%07d", from)}, list[to], eitherSide, list[from])
		}
	}
	return s
}

// Everywhere puts a free policy on every call between services of a graph.
func Everywhere(g *graph.Graph) *Shape {
	s := &Shape{Graph: g, Program: &ir.Program{}}
	seen := map[[2]graph.Node]bool{}
	for _, c := range g.Calls {
		from, ok := c.From.(*graph.Service)
		to, also := c.To.(*graph.Service)
		if ok && also && !seen[[2]graph.Node{from, to}] {
			seen[[2]graph.Node{from, to}] = true
			s.add(&ir.Policy{Name: "on-" + from.Name}, to, eitherSide, from)
		}
	}
	return s
}

// Without leaves out every n-th obligation, and the rows that name it.
func (s *Shape) Without(n int) *Shape {
	out := &Shape{Graph: s.Graph, Program: &ir.Program{}}
	gone := map[*ir.Obligation]bool{}
	for i, o := range s.Program.Obligations {
		if gone[o] = i%n == 0; !gone[o] {
			out.Program.Obligations = append(out.Program.Obligations, o)
		}
	}
	for _, r := range s.Program.Rows {
		if !gone[r.P] && !gone[r.Q] {
			out.Program.Rows = append(out.Program.Rows, r)
		}
	}
	return out
}
