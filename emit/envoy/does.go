package envoy

import (
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// Does gives the planes on which this backend can do an action, in the order of
// the documentation; none for one that it doesn't know, which is refused where a
// program calls it.
func Does(action string) []graph.Plane {
	return planesOf(lowerings[action])
}

// DoesOwn is Does for an action that a program declares.
func DoesOwn(d *ir.ActionDecl) []graph.Plane { return planesOf(loweringOf(d)) }

func planesOf(low *lowering) []graph.Plane {
	if low == nil {
		return nil
	}
	var out []graph.Plane
	if low.http != nil {
		out = append(out, graph.HTTP, graph.GRPC)
	}
	if low.tcp != nil {
		out = append(out, graph.TCP)
	}
	return out
}
