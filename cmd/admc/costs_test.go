package main

import (
	"context"
	"math"
	"testing"

	"github.com/spf13/cobra"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// TestEstimates: figure 1 by hand. Two calls, from a to b and c; every policy is
// on them, so the ADM is a's.
func TestEstimates(t *testing.T) {
	var flags inputFlags
	flags.register(&cobra.Command{})
	flags.config, flags.fresh = "../../examples/paper-figure-1/admc.yaml", true
	in, err := flags.load(nil)
	if err != nil {
		t.Fatal(err)
	}
	bag := &diag.Bag{}
	l, err := place(context.Background(), in, bag)
	if err != nil || bag.HasErrors() {
		t.Fatal(err, bag.All())
	}
	l.Graph.Service("b").MaxReplicas = 4
	check := func(d deployment, services, pods int, vCPU, latency float64) {
		t.Helper()
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		if d.services != services || d.pods != pods || d.memoryMB != 60*pods || !near(d.vCPU, vCPU) || !near(d.latency, latency) {
			t.Errorf("%+v, want %d services, %d pods, %g vCPU, %g times", d, services, pods, vCPU, latency)
		}
	}
	// Without rates every pod has the rate of the measurement.
	check(fullMesh(l.Graph), 3, 6, 1.2, 2.8)
	check(partialMesh(l.Graph, l.Program), 2, 5, 1.0, 1.9)
	check(placed("ADMs", l), 1, 1, 0.2, 1.9)
	// With rates each request counts at each proxy: 1,500 and 500 a second.
	l.Graph.Calls[0].RPS = graph.Decimal{Set: true, Units: 15000, Scale: 1}
	l.Graph.Calls[1].RPS = graph.Decimal{Set: true, Units: 500}
	check(fullMesh(l.Graph), 3, 6, 0.8, 2.8)
	check(partialMesh(l.Graph, l.Program), 2, 5, 0.4, 1.9)
	check(placed("ADMs", l), 1, 1, 0.4, 1.9)
	// A call past the ADM passes no proxy: only b's policies are left.
	l.ADMs[0].Listeners = l.ADMs[0].Listeners[:1]
	check(placed("ADMs", l), 1, 1, 0.3, 1+0.9*0.75)
}
