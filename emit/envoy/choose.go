package envoy

import (
	"fmt"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// A choice is how one of the receiver's pods is chosen. Whoever chooses has to
// know the pods, so all but the zero choice resolve a headless Service.
type choice struct {
	policy string   // of lb; "": Envoy's own, which is round_robin
	avoid  avoiding // of outlier_detection
	near   bool     // of locality: Kubernetes chooses, so nothing else can
}

// avoiding is an outlier_detection; errors 0: none.
type avoiding struct {
	errors          int64
	interval, eject time.Duration
}

var lbPolicies = map[string]clusterv3.Cluster_LbPolicy{
	"round_robin":   clusterv3.Cluster_ROUND_ROBIN,
	"least_request": clusterv3.Cluster_LEAST_REQUEST,
	"random":        clusterv3.Cluster_RANDOM,
	"ring_hash":     clusterv3.Cluster_RING_HASH,
}

// apply writes the choice into a cluster and gives what it adds to the name.
func (ch choice) apply(c *clusterv3.Cluster) string {
	name := ""
	if ch.near {
		c.ConnectionPoolPerDownstreamConnection = true
		name += "_near"
	}
	if ch.policy != "" {
		c.LbPolicy = lbPolicies[ch.policy]
		name += "_" + ch.policy
	}
	if ch.avoid.errors > 0 {
		c.OutlierDetection = ch.avoid.detection()
		// By default Envoy sends to ejected pods once half of them are, and tells
		// its workers of an ejection up to a second late.
		c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{}, UpdateMergeWindow: off()}
		name += fmt.Sprintf("_avoiding_%d_%s_%s", ch.avoid.errors, span(ch.avoid.interval), span(ch.avoid.eject))
	}
	return name
}

// detection counts answers of 5xx and missing ones alike, on tcp connections
// that failed. It is the only thing that ejects, for the same time each time,
// and any pod can be ejected.
func (v avoiding) detection() *clusterv3.OutlierDetection {
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:           u32(uint32(v.errors)),
		Interval:                  seconds(v.interval),
		BaseEjectionTime:          seconds(v.eject),
		MaxEjectionTime:           seconds(v.eject),
		MaxEjectionPercent:        u32(100),
		EnforcingSuccessRate:      u32(0),
		ConsecutiveGatewayFailure: u32(0),
	}
}

// lbHTTP: lb(policy, key).
func lbHTTP(h *httpChain, c *call) {
	if !hasPods(h.adm, c) {
		return
	}
	h.addRoute(c, func(t *target) {
		t.choice.policy = c.str("policy")
		if p := hashed(c.str("key")); p != nil {
			t.action.HashPolicy = append(t.action.HashPolicy, p)
		}
	})
}

// hashed is what ring_hash hashes: nil for no key. A request that has it not
// goes to any pod.
func hashed(key string) *routev3.RouteAction_HashPolicy {
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case "header":
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
			Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: requestHeader(name)},
		}}
	case "cookie":
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Cookie_{
			Cookie: &routev3.RouteAction_HashPolicy_Cookie{Name: name},
		}}
	case "source":
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_ConnectionProperties_{
			ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
		}}
	}
	return nil
}

func lbTCP(t *tcpChain, c *call) {
	if !hasPods(t.adm, c) {
		return
	}
	t.choice.policy = c.str("policy")
	if c.str("key") == "source" {
		t.hash = []*typev3.HashPolicy{{PolicySpecifier: &typev3.HashPolicy_SourceIp_{SourceIp: &typev3.HashPolicy_SourceIp{}}}}
	} else if c.str("key") != "" {
		t.cannot(c.Action, "lb by %s on %s: a byte stream has neither headers nor cookies", c.str("key"), t.l.Protocol)
	}
}

// outlierHTTP: outlier_detection(errors, interval, eject).
func outlierHTTP(h *httpChain, c *call) {
	if hasPods(h.adm, c) {
		h.addRoute(c, func(t *target) { t.choice.avoid = avoided(c) })
	}
}

func outlierTCP(t *tcpChain, c *call) {
	if hasPods(t.adm, c) {
		t.choice.avoid = avoided(c)
	}
}

// localityHTTP: locality(mode). No file can say in which zone a pod will be. So
// the connection goes to a Service of its own, whose pods Kubernetes chooses in
// the zone of the calling node; one connection for each of the caller's, because
// that choice is made when a connection is.
func localityHTTP(h *httpChain, c *call) {
	if h.prefers(c) {
		h.addRoute(c, func(t *target) { t.near = c })
	}
}

func localityTCP(t *tcpChain, c *call) {
	if t.prefers(c) {
		t.near = c
	}
}

func (a *adm) prefers(c *call) bool {
	if c.str("mode") == "only" {
		a.cannot(c.Action, "locality with mode only: Kubernetes prefers a zone, and leaves it when no pod there is ready")
		return false
	}
	return hasPods(a, c)
}

// nearby adds a locality to a choice, where nothing else chooses.
func (a *adm) nearby(near *call, ch choice, versions []weighted) choice {
	if near == nil {
		return ch
	}
	if ch != (choice{}) || len(versions) > 0 {
		a.cannot(near.Action, "locality beside lb, outlier_detection, route or split on the same requests: those choose among the pods of all zones")
	}
	ch.near = true
	return ch
}

func avoided(c *call) avoiding {
	return avoiding{c.num("errors"), c.Args["interval"].Dur, c.Args["eject"].Dur}
}

// outlierCommutes: it is a property of the cluster, which is behind every
// wrapper in any case. But where the router hedges, it counts an attempt that
// only takes longer as failed.
func outlierCommutes(_, wrapper *call) bool { return wrapper.Name() != "hedge" }
