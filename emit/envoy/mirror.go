package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// mirrorHTTP: mirror(version, share). Envoy drops the answers, and does not wait
// for them.
func mirrorHTTP(h *httpChain, c *call) {
	if !hasPods(h.adm, c) {
		return
	}
	h.addRoute(c, func(t *target) {
		t.copies = append(t.copies, weighted{c.str("version"), share(c.Args["share"].Float)})
	})
}

// copies sends what a route's mirror actions ask for.
func (h *httpChain) copies(t *target) {
	for _, to := range t.copies {
		m := &routev3.RouteAction_RequestMirrorPolicy{
			Cluster: h.clusterFor(h.l, receiver{plane: h.plane(), version: to.version, connect: t.connect}),
			// The copy is like the original to its last header.
			DisableShadowHostSuffixAppend: true,
		}
		if to.weight < 1e6 {
			m.RuntimeFraction = runtimeFraction(float64(to.weight) / 1e6)
		}
		t.action.RequestMirrorPolicies = append(t.action.RequestMirrorPolicies, m)
	}
}

// mirrorCommutes: a request that is only bounded in time is copied once, as
// behind the bound; of one that is repeated each attempt is.
func mirrorCommutes(_, wrapper *call) bool {
	return wrapper.Name() == "timeout" || wrapper.Name() == "idle_timeout"
}
