package main

import (
	"fmt"
	"io"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// proxyCosts are what a proxy is taken to cost, with where each figure is from.
// They are other people's measurements of other proxies' configurations: good
// for comparing placements, no forecast of a bill.
var proxyCosts = struct {
	vCPU     float64 // of a proxy at rate
	rate     float64 // requests a second through it
	memoryMB int     // of a proxy
	source   string

	slowdown       float64 // of a call that passes two proxies, at most
	slowdownSource string
}{
	0.20, 1000, 60,
	"Istio 1.24, Performance and Scalability: a sidecar with two worker threads at 1,000 requests per second",
	2.8,
	"the measurement of a mesh with a proxy in every pod that the paper on ADMs quotes",
}

// A deployment is one way to run proxies, and what that costs.
type deployment struct {
	name     string
	services int // that have a proxy
	pods     int // proxies: replicas of those services, at their maximum
	vCPU     float64
	memoryMB int
	// latency of a call at most, as a multiple of what it is without a proxy:
	// the mean over calls, weighted by their rates where all are known.
	latency float64
	note    string
}

// passes tells which proxies a call goes through.
type passes func(c *graph.Call) (sender, receiver bool)

// estimate adds up a deployment with proxies at some services.
func estimate(name string, g *graph.Graph, has func(*graph.Service) bool, through passes) deployment {
	d := deployment{name: name}
	for _, s := range g.Services {
		if has(s) {
			d.services++
			d.pods += max(1, s.MaxReplicas)
		}
	}
	d.memoryMB = d.pods * proxyCosts.memoryMB
	known := ratesKnown(g)
	calls, weighted, passed := 0.0, 0.0, 0.0
	for _, c := range g.Calls {
		rate, n := 1.0, 0.0
		if known {
			rate = rps(c)
		}
		sender, receiver := through(c)
		n += float64(bit(sender) + bit(receiver))
		calls += rate
		weighted += rate * n
		passed += rate * n
	}
	d.vCPU = float64(d.pods) * proxyCosts.vCPU
	if known {
		d.vCPU = passed / proxyCosts.rate * proxyCosts.vCPU
	}
	d.latency = 1
	if calls > 0 {
		d.latency += (proxyCosts.slowdown - 1) / 2 * weighted / calls
	}
	return d
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ratesKnown reports that every call has a rate.
func ratesKnown(g *graph.Graph) bool {
	for _, c := range g.Calls {
		if !c.RPS.Set {
			return false
		}
	}
	return len(g.Calls) > 0
}

func rps(c *graph.Call) float64 {
	x := float64(c.RPS.Units)
	for range c.RPS.Scale {
		x /= 10
	}
	return x
}

// fullMesh has a proxy at every service, and every call passes those of both
// its ends.
func fullMesh(g *graph.Graph) deployment {
	return sidecars("full mesh", g, func(*graph.Service) bool { return true })
}

// partialMesh has one at each policed service. What a service sends and gets
// passes its sidecar, policed or not.
func partialMesh(g *graph.Graph, p *ir.Program) deployment {
	policed := policedServices(p)
	return sidecars("sidecars at policed services", g, func(s *graph.Service) bool { return policed[s.Name] })
}

func sidecars(name string, g *graph.Graph, has func(*graph.Service) bool) deployment {
	at := func(n graph.Node) bool {
		s, ok := n.(*graph.Service)
		return ok && has(s)
	}
	return estimate(name, g, has, func(c *graph.Call) (bool, bool) { return at(c.From), at(c.To) })
}

// placed is a placement: a call passes an ADM only where it has a listener for
// it.
func placed(name string, l *layout.Layout) deployment {
	type listener struct {
		at, receiver graph.Node
		port         int
		side         ir.Side
	}
	adms, listeners := map[*graph.Service]bool{}, map[listener]bool{}
	for _, a := range l.ADMs {
		adms[a.Service] = true
		for _, x := range a.Listeners {
			listeners[listener{a.Service, x.Receiver, x.ReceiverPort, x.Side}] = true
		}
	}
	d := estimate(name, l.Graph, func(s *graph.Service) bool { return adms[s] }, func(c *graph.Call) (bool, bool) {
		return listeners[listener{c.From, c.To, c.Port, ir.Egress}], listeners[listener{c.To, c.To, c.Port, ir.Ingress}]
	})
	d.note = boundNote(l)
	return d
}

func writeDeployments(w io.Writer, list []deployment) {
	fmt.Fprintf(w, "  %-30s %8s %8s %9s %10s   %s\n", "", "services", "proxies", "vCPU", "memory", "latency of a call")
	for _, d := range list {
		fmt.Fprintf(w, "  %-30s %8d %8d %9.2f %7d MB   up to %.2f times", d.name, d.services, d.pods, d.vCPU, d.memoryMB, d.latency)
		if d.note != "" {
			fmt.Fprint(w, "  ", d.note)
		}
		fmt.Fprintln(w)
	}
}

func writeSources(w io.Writer, g *graph.Graph) {
	rates := "calls without a rate are in the graph, so each proxy is taken to have that"
	if ratesKnown(g) {
		rates = "taken in proportion to the graph's rates"
	}
	fmt.Fprintf(w, "  vCPU, memory: %.2f and %d MB for a proxy at %.0f requests a second; %s\n    (%s)\n",
		proxyCosts.vCPU, proxyCosts.memoryMB, proxyCosts.rate, rates, proxyCosts.source)
	fmt.Fprintf(w, "  latency: %.1f times for a call through two proxies, in proportion for fewer, mean over calls\n    (%s)\n",
		proxyCosts.slowdown, proxyCosts.slowdownSource)
}
