package kube

import (
	"fmt"
	"math"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// headroom keeps the request above the mean: calls come in bursts.
const headroom = 1.5

// demand is what the calls that an ADM polices ask of one pod's proxy.
type demand struct {
	known  bool    // every policed call has a rate in the graph
	micros float64 // CPU microseconds per second
}

// demandOf adds up, for each listener, its calls' rates times the hop and the
// actions on them, shared by the service's pods at their fewest.
func demandOf(adm *layout.ADM) demand {
	d := demand{known: len(adm.Listeners) > 0}
	for _, l := range adm.Listeners {
		hops := map[*graph.Call]bool{}
		for _, r := range l.Rules {
			cost := 0.0
			for _, a := range r.Obligation.Actions {
				cost += r.Obligation.CostOf(a)
			}
			for _, e := range r.Edges {
				if !e.Call.RPS.Set {
					d.known = false
				}
				d.micros += perSecond(e.Call.RPS) * cost
				if !hops[e.Call] {
					d.micros += perSecond(e.Call.RPS) * ir.HopMicros
					hops[e.Call] = true
				}
			}
		}
	}
	d.micros /= float64(max(1, adm.Service.MinReplicas))
	return d
}

func perSecond(r graph.Decimal) float64 {
	return float64(r.Units) / math.Pow10(r.Scale)
}

// milli is the CPU request in thousandths of a core, in steps of 10: at least
// 20 where the load is known (an idle ADM takes one or two), and 100, as other
// meshes ask for, where it isn't.
func (d demand) milli() int {
	if !d.known {
		return 100
	}
	return max(20, int(math.Ceil(d.micros*headroom/1000/10))*10)
}

func (d demand) workers() int { return max(1, (d.milli()+999)/1000) }

// resources asks for the memory that an empty ADM holds (docs/performance.md, What
// an ADM costs), and gives no CPU limit: a throttled proxy delays every call
// behind it. The memory limit ends a leak before the node does; the proxy sheds
// load below it.
func (d demand) resources() *resources {
	return &resources{
		Requests: map[string]string{"cpu": fmt.Sprintf("%dm", d.milli()), "memory": "64Mi"},
		Limits:   map[string]string{"memory": fmt.Sprintf("%dMi", layout.ADMMemory>>20)},
	}
}
