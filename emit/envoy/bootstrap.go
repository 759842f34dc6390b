package envoy

import (
	"maps"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// adm collects the parts of one ADM's files.
type adm struct {
	*layout.ADM
	bag        *diag.Bag
	listeners  []*listenerv3.Listener
	clusters   map[string]*clusterv3.Cluster // by name; only those that something refers to
	plain      map[string]bool               // those that pass calls on as they came, for all that policies say
	chained    bool                          // some listener is internal
	counted    bool                          // some policy keeps a metric
	unsealed   bool                          // some listener takes the seal off and passes bytes on
	unresolved bool                          // some listener makes one spelling of each path
	// largePatterns: some regular expression of ours is larger than Envoy takes
	// unless it is told to.
	largePatterns bool
	secrets       *secrets // where certificates come from; nil: it has none
}

func newADM(a *layout.ADM, bag *diag.Bag) *adm {
	return &adm{ADM: a, bag: bag, clusters: map[string]*clusterv3.Cluster{}, plain: map[string]bool{}}
}

// policies lowers every listener.
func (a *adm) policies() *bootstrapv3.Bootstrap {
	for _, l := range a.Listeners {
		before := len(a.listeners)
		if l.Protocol.Plane() == graph.TCP {
			a.tcpListener(l)
		} else {
			a.httpListener(l)
		}
		a.drainable(l, a.listeners[before:])
	}
	for _, l := range a.listeners {
		protectListener(l)
	}
	boot := &bootstrapv3.Bootstrap{
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Listeners: a.listeners},
		LayeredRuntime:  a.runtime(),
	}
	beside := a.plainClusters()
	for _, name := range slices.Sorted(maps.Keys(a.clusters)) {
		if !slices.Contains(beside, name) {
			boot.StaticResources.Clusters = append(boot.StaticResources.Clusters, a.clusters[name])
		}
	}
	return boot
}

// plainClusters are those of the surroundings: they are on a command line, which
// holds 128 KiB (MAX_ARG_STRLEN of Linux), and each has about 2 KiB. Those that
// lead to internal listeners may be many more.
func (a *adm) plainClusters() []string {
	const most = 16
	var names []string
	for _, name := range slices.Sorted(maps.Keys(a.clusters)) {
		if a.plain[name] && len(names) < most {
			names = append(names, name)
		}
	}
	return names
}

// surroundings are what the proxy has that no policy says: its name, the socket of
// its admin interface, the limits of its container, the listener for the kubelet, and
// the clusters that pass calls on as they came. It comes after policies, which
// uses those.
func (a *adm) surroundings() *bootstrapv3.Bootstrap {
	boot := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: a.Service.Name, Cluster: "admc"},
		Admin:           &bootstrapv3.Admin{Address: adminAddress()},
		OverloadManager: a.overload(),
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Listeners: []*listenerv3.Listener{a.readyListener()}},
	}
	if a.counted {
		boot.StaticResources.Clusters = append(boot.StaticResources.Clusters, metricsCluster())
	}
	for _, name := range a.plainClusters() {
		boot.StaticResources.Clusters = append(boot.StaticResources.Clusters, a.clusters[name])
	}
	if a.chained {
		boot.BootstrapExtensions = []*corev3.TypedExtensionConfig{
			extension("envoy.bootstrap.internal_listener", &internalv3.InternalListener{}),
		}
	}
	return boot
}

// readyListener answers the startup probe, and gives the metrics where a policy
// keeps one. Envoy opens its static listeners
// together, when all of them are configured, so an answer here means that the
// policed ports are listened to as well.
func (a *adm) readyListener() *listenerv3.Listener {
	routes := []*routev3.Route{{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: layout.ReadyPath}},
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 200}},
	}}
	if a.counted {
		routes = append(routes, metricsRoute())
	}
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: "ready",
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			VirtualHosts: []*routev3.VirtualHost{{
				Name: "ready", Domains: []string{"*"},
				Routes: routes, // of other paths a 404
			}},
		}},
		HttpFilters: []*hcmv3.HttpFilter{httpFilter("router", &routerv3.Router{})},
	}
	return &listenerv3.Listener{
		Name:         "ready",
		Address:      address("0.0.0.0", a.ReadyPort),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{networkFilter("http", hcm)}}},
		// Connections of callers, however many, don't hide the ADM from the kubelet.
		IgnoreGlobalConnLimit: true,
	}
}
