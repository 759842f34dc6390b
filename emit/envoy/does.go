package envoy

import "admc.dev/admc/graph"

// Does gives the planes on which this backend can do an action, in the order of
// the documentation; none for one that it doesn't know, which is refused where a
// program calls it.
func Does(action string) []graph.Plane {
	low := lowerings[action]
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
