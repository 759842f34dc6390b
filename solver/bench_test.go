package solver

import (
	"context"
	"fmt"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/solver/bench/shapes"
)

// mesh is shapes.Mesh as a town.
func mesh(services, callsPerService int, share float64, seed int64) *town {
	s := shapes.Mesh(services, callsPerService, share, seed)
	return &town{g: s.Graph, prog: s.Program, node: map[string]graph.Node{}, src: diag.NewSource("mesh.adm", []byte("x\n"))}
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
