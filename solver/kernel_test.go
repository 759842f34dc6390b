package solver

import (
	"context"
	"fmt"
	"math/rand"
	"testing"
	"time"
)

// randomPart is a random graph of n vertices and about m edges.
func randomPart(rnd *rand.Rand, n, m int, heaviest int64) *part {
	k := &part{weight: make([]int64, n), adj: make([][]int32, n), vertex: make([]int32, n)}
	for v := range n {
		k.vertex[v] = int32(v)
		k.weight[v] = 1 + rnd.Int63n(heaviest)
	}
	joined := make([]bool, n*n)
	for range m {
		u, v := rnd.Intn(n), rnd.Intn(n)
		if u != v {
			joined[u*n+v], joined[v*n+u] = true, true
		}
	}
	for i, yes := range joined {
		if yes {
			k.adj[i/n] = append(k.adj[i/n], int32(i%n))
		}
	}
	return k
}

// BenchmarkKernel is the hard part alone: every call of a mesh without hubs is
// policed. The limit is far above what the sizes that are listed need.
func BenchmarkKernel(b *testing.B) {
	for _, size := range []int{50, 100, 200, 300, 500} {
		for _, calls := range []int{2, 3, 4} {
			whole := randomPart(rand.New(rand.NewSource(1)), size, size*calls, 1)
			for _, e := range engines {
				b.Run(fmt.Sprintf("services=%d/calls=%d/%s", size, calls, e.Name()), func(b *testing.B) {
					for b.Loop() {
						ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
						r := newReducer(whole.weight, whole.adj)
						r.run()
						for _, k := range r.parts() {
							in, err := e.solve(ctx, k)
							if err != nil {
								b.Skip(len(k.weight), " vertices: ", err)
							}
							b.ReportMetric(float64(len(k.weight)), "vertices")
							b.ReportMetric(float64(k.cost(in)), "cost")
							b.ReportMetric(float64(roundedUp(k.prove(context.Background(), k.cost(in)))), "bound")
						}
						cancel()
					}
				})
			}
		}
	}
}
