package solver

import (
	"context"
	"fmt"
	"math/rand"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// mesh generates a call graph in layers with popular receivers (heavy-tailed
// in-degree) and a mix of policies on it, the same for the same numbers.
//
// The mix: a limit at every database, pinned to the receiver for some; a
// policy on all callers of one service in ten; single edges; egress-only
// resilience; order rows between the policies of one receiver. share is how
// many of the calls have a policy of their own.
func mesh(services, callsPerService int, share float64, seed int64) *town {
	rnd := rand.New(rand.NewSource(seed))
	t := &town{g: &graph.Graph{}, prog: &ir.Program{}, node: map[string]graph.Node{}, src: diag.NewSource("mesh.adm", []byte("x\n"))}
	list := make([]*graph.Service, services)
	for i := range list {
		list[i] = &graph.Service{Name: fmt.Sprintf("svc-%07d", i), MaxReplicas: 1 + i%3, ADM: graph.ADMAuto}
		t.g.Services = append(t.g.Services, list[i])
	}
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
	local, resilient, audit := &ir.Policy{Name: "local"}, &ir.Policy{Name: "resilient"}, &ir.Policy{Name: "audit"}
	add := func(p *ir.Policy, to int, may ir.Side, from []*graph.Service) *ir.Obligation {
		o := &ir.Obligation{Policy: p, Receiver: list[to], Port: 80, May: may}
		for _, s := range from {
			o.Edges = append(o.Edges, &ir.Edge{Sender: s})
		}
		t.prog.Obligations = append(t.prog.Obligations, o)
		return o
	}
	for to, from := range callers {
		if len(from) == 0 {
			continue
		}
		var here []*ir.Obligation
		for _, s := range from {
			if rnd.Float64() < share {
				here = append(here, add(local, to, eitherSide, []*graph.Service{s}))
				here[len(here)-1].Policy = &ir.Policy{Name: "local-" + s.Name}
			}
		}
		switch rnd.Intn(20) {
		case 0:
			here = append(here, add(audit, to, eitherSide, from))
		case 1:
			add(resilient, to, ir.Egress, from)
		case 2:
			add(&ir.Policy{Name: "strict"}, to, ir.Ingress, from)
		}
		for i := 1; i < len(here); i++ {
			t.prog.Rows = append(t.prog.Rows, &ir.Row{Kind: ir.Forbid, P: here[i-1], Q: here[i], PSide: ir.Ingress, QSide: ir.Egress, Text: "order"})
		}
	}
	return t
}

func BenchmarkPlace(b *testing.B) {
	for _, size := range []int{1000, 10000, 100000} {
		for _, share := range []float64{0.1, 0.3} {
			t := mesh(size, 3, share, 1)
			for _, engine := range Engines() {
				b.Run(fmt.Sprintf("services=%d/share=%g/%s", size, share, engine), func(b *testing.B) {
					for b.Loop() {
						var bag diag.Bag
						pl, err := Place(context.Background(), t.prog, t.g, Options{Engine: engine}, &bag)
						if err != nil || pl == nil {
							b.Fatal(err, messages(&bag))
						}
						b.ReportMetric(float64(len(pl.ADMs)), "adms")
						b.ReportMetric(float64(bit(pl.Kind == CertificateDual)), "dual")
					}
				})
			}
		}
	}
}

// BenchmarkReduce says what is left for an engine.
func BenchmarkReduce(b *testing.B) {
	for _, size := range []int{1000, 10000, 100000} {
		for _, share := range []float64{0.1, 0.3, 0.5, 1} {
			t := mesh(size, 3, share, 1)
			p, err := Build(t.prog, t.g, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("services=%d/share=%g", size, share), func(b *testing.B) {
				for b.Loop() {
					g := newCover(closePins(p))
					r := newReducer(g.weight, g.adj)
					r.run()
					largest := 0
					for _, k := range r.parts() {
						largest = max(largest, len(k.vertex))
					}
					b.ReportMetric(float64(len(g.node)), "vertices")
					b.ReportMetric(float64(r.left), "left")
					b.ReportMetric(float64(largest), "largest")
				}
			})
		}
	}
}
