package envoy

import (
	"math"
	"slices"
	"strings"
	"time"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/graph"
)

// A routeOp is what one call does to the route.
type routeOp struct {
	call  *call
	when  *when // nil: always
	apply func(t *target)
}

// target is a route while it is built.
type target struct {
	action   *routev3.RouteAction
	connect  time.Duration
	choice   choice
	near     *call      // nil: no locality
	versions []weighted // empty: no version is chosen
	copies   []weighted // by version, in millionths of the requests
	calls    []*call
	repeats  bool // a request may be sent again, so its body is kept
}

// weighted is one version's part, in millionths.
type weighted struct {
	version string
	weight  uint32
}

// maxRoutes bounds the routes of one listener: there is one for each combination
// of conditions of route-level actions that can hold together.
const maxRoutes = 64

func (h *httpChain) addRoute(c *call, apply func(t *target)) {
	if c.when != nil && c.when.late() {
		h.cannot(c.Action, "%s with a condition on the response", c.Name())
		return
	}
	h.routes = append(h.routes, routeOp{c, c.when, apply})
}

// routeConfig gives the routes: one, or one for each combination of the conditions,
// in a list or at the leaves of a tree of matchers.
func (h *httpChain) routeConfig() *routev3.RouteConfiguration {
	host := &routev3.VirtualHost{Name: h.name, Domains: []string{"*"}, TypedPerFilterConfig: h.perFilter}
	if h.next != "" || h.name != h.l.Name { // read in front; behind, a receiver's own would be
		host.ResponseHeadersToRemove = []string{failureHeader}
	}
	var whens []*when
	for _, op := range h.routes {
		if w := op.when; w != nil && !slices.Contains(whens, w) {
			whens = append(whens, w)
		}
	}
	whens = h.switchRoutes(whens)
	switch {
	case h.combinations(whens, nil) > maxRoutes:
		h.cannot(h.routes[0].call.Action, "more than %d combinations of the conditions that bound, repeat or direct the requests of one edge", maxRoutes)
	case listable(whens):
		host.Routes = h.routeList(whens, nil)
	default:
		host.Matcher = h.routeTree(whens, nil).GetMatcher()
	}
	config := &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{host}}
	restoreForwardedProto(config)
	return config
}

// switchRoutes adds to the conditions the switches of policies that have no
// condition, as far as there is room.
func (h *httpChain) switchRoutes(whens []*when) []*when {
	decided := switches{}
	for _, op := range h.routes {
		p := op.call.policy()
		if op.when != nil || op.call.low.clustered || decided[p] != nil {
			continue
		}
		with := append(slices.Clone(whens), decided.of(p))
		if h.combinations(with, nil) > maxSwitched {
			continue
		}
		whens = with
		for i := range h.routes {
			if o := &h.routes[i]; o.when == nil && o.call.policy() == p {
				o.when = decided[p]
				o.call.switched = true
			}
		}
	}
	return whens
}

// listable reports whether a route can match by all of the conditions: by one
// switch, and by any number of decisions in the filter state.
func listable(whens []*when) bool {
	switches := 0
	for _, w := range whens {
		if w.onlySwitch {
			switches++
		}
	}
	return switches < 2
}

// routeList gives the routes in the order in which they are tried: one where more
// holds comes before those where only a part of that does.
func (h *httpChain) routeList(whens, held []*when) []*routev3.Route {
	whens = h.open(whens, held)
	if len(whens) > 0 {
		return append(h.routeList(whens[1:], append(slices.Clone(held), whens[0])), h.routeList(whens[1:], held)...)
	}
	r := h.route(held)
	for _, w := range held {
		if w.onlySwitch {
			r.Match.RuntimeFraction = &corev3.RuntimeFractionalPercent{RuntimeKey: Switch(w.switchOf), DefaultValue: fraction(1)}
		} else {
			r.Match.FilterState = append(r.Match.FilterState, w.decided())
		}
	}
	return []*routev3.Route{r}
}

// routeTree decides the conditions one after the other. At its leaves are the
// routes.
func (h *httpChain) routeTree(whens, held []*when) *matcherv3.Matcher_OnMatch {
	whens = h.open(whens, held)
	if len(whens) == 0 {
		return matchAction("route", h.route(held))
	}
	yes := h.routeTree(whens[1:], append(slices.Clone(held), whens[0]))
	return &matcherv3.Matcher_OnMatch{OnMatch: &matcherv3.Matcher_OnMatch_Matcher{
		Matcher: matchOne(whens[0].holds(), yes, h.routeTree(whens[1:], held)),
	}}
}

// combinations counts the leaves of routeTree, up to a little more than allowed.
func (h *httpChain) combinations(whens, held []*when) int {
	whens = h.open(whens, held)
	if len(whens) == 0 {
		return 1
	}
	n := h.combinations(whens[1:], append(slices.Clone(held), whens[0]))
	if n <= maxRoutes {
		n += h.combinations(whens[1:], held)
	}
	return n
}

// open leaves out the conditions at the head of the list that can't hold beside
// those that do: of two policies with the same route-level action the checker
// has proved that at most one applies.
func (h *httpChain) open(whens, held []*when) []*when {
	for len(whens) > 0 && slices.ContainsFunc(held, func(w *when) bool { return h.exclusive(w, whens[0]) }) {
		whens = whens[1:]
	}
	return whens
}

func (h *httpChain) exclusive(a, b *when) bool {
	for _, p := range h.routes {
		for _, q := range h.routes {
			if p.when == a && q.when == b && p.call.low.routed == q.call.low.routed && !p.call.low.several {
				return true
			}
		}
	}
	return false
}

// route is the one for requests on which exactly these conditions hold.
func (h *httpChain) route(held []*when) *routev3.Route {
	t := &target{action: &routev3.RouteAction{Timeout: off()}}
	for _, op := range h.routes {
		if op.when == nil || slices.Contains(held, op.when) {
			op.apply(t)
			t.calls = append(t.calls, op.call)
		}
	}
	h.direct(t)
	r := &routev3.Route{
		Match:  everyPath(),
		Action: &routev3.Route_Route{Route: t.action},
	}
	r.StatPrefix = policyNames(t.calls)
	if t.repeats {
		r.RequestBodyBufferLimit = wrapperspb.UInt64(maxRepeatedBody)
	}
	return r
}

// policyNames of the policies that make a route what it is: Envoy counts there, beside
// the listener, what became of the requests. "": none.
func policyNames(calls []*call) string {
	var list []string
	for _, c := range calls {
		if name := c.policy().Name; !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return strings.Join(list, "+")
}

// everyPath matches what gets this far: Envoy itself answers 404 to a request
// whose path doesn't begin with a slash (`OPTIONS *`).
func everyPath() *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}

// direct sets where the route leads.
func (h *httpChain) direct(t *target) {
	plane := h.plane()
	if h.next != "" {
		t.action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: h.attemptCluster(h.next, plane)}
		return
	}
	h.copies(t)
	t.choice = h.nearby(t.near, t.choice, t.versions)
	t.elsewhere()
	to := func(version string) string {
		return h.clusterFor(h.l, receiver{plane: plane, version: version, connect: t.connect, choice: t.choice})
	}
	if len(t.versions) < 2 {
		version := ""
		if len(t.versions) == 1 {
			version = t.versions[0].version
		}
		t.action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: to(version)}
		return
	}
	w := &routev3.WeightedCluster{}
	for _, v := range t.versions {
		w.Clusters = append(w.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: to(v.version), Weight: u32(v.weight)})
	}
	t.action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: w}
}

func (h *httpChain) plane() graph.Plane { return h.l.Protocol.Plane() }

// routeHTTP: route(version).
func routeHTTP(h *httpChain, c *call) {
	if hasPods(h.adm, c) {
		h.addRoute(c, func(t *target) { t.versions = []weighted{{c.str("version"), 1}} })
	}
}

// splitHTTP: split(weights).
func splitHTTP(h *httpChain, c *call) {
	if hasPods(h.adm, c) {
		h.addRoute(c, func(t *target) { t.versions = shares(c) })
	}
}

func routeTCP(t *tcpChain, c *call) {
	if hasPods(t.adm, c) {
		t.versions = []weighted{{c.str("version"), 1}}
	}
}

func splitTCP(t *tcpChain, c *call) {
	if hasPods(t.adm, c) {
		t.versions = shares(c)
	}
}

// hasPods reports whether the receiver is a service: an external one has no
// pods and no versions of them.
func hasPods(a *adm, c *call) bool {
	if _, ok := c.rule.Obligation.Receiver.(*graph.Service); ok {
		return true
	}
	a.cannot(c.Action, "%s to %s, which is external and has no pods", c.Name(), c.rule.Obligation.Receiver.NodeName())
	return false
}

// shares of the versions, in the order written; a share of nothing is left out.
func shares(c *call) []weighted {
	var out []weighted
	for _, e := range c.Args["weights"].Map {
		if w := share(e.Value.Float); w > 0 {
			out = append(out, weighted{e.Key, w})
		}
	}
	return out
}

func share(f float64) uint32 { return uint32(math.Round(f * 1e6)) }

// connectTimeoutHTTP: connect_timeout(after).
func connectTimeoutHTTP(h *httpChain, c *call) {
	h.addRoute(c, func(t *target) { t.connect = c.Args["after"].Dur })
}

func connectTimeoutTCP(t *tcpChain, c *call) { t.connect = c.Args["after"].Dur }
