package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
)

// metricHTTP: metric(name, labels), one more for each request when its answer
// is done, refused ones included.
func metricHTTP(h *httpChain, c *call) {
	log := h.counter(c)
	h.log(c, log)
}

// metricTCP: one more for each connection when it ends.
func metricTCP(t *tcpChain, c *call) {
	t.log(c, t.counter(c))
}

// metricsScope is what Envoy puts before the names of the policies' counters,
// so that none is taken for one of its own.
const metricsScope = "admc"

// counter is an access log that counts instead of writing (Envoy's
// envoy.access_loggers.stats), with the answer's status as one of the labels.
func (a *adm) counter(c *call) *accesslogv3.AccessLog {
	a.counted = true
	stat := &statsv3.Config_Stat{Name: c.str("name")}
	label := func(name, format string) {
		if format == "" {
			return // to Prometheus the same as no label
		}
		stat.Tags = append(stat.Tags, &statsv3.Config_Tag{Name: name, ValueFormat: format})
	}
	switch c.rule.Obligation.Protocol.Plane() {
	case graph.HTTP:
		label("status", "%RESPONSE_CODE%")
	case graph.GRPC:
		label("status", "%GRPC_STATUS_NUMBER%")
	}
	for _, e := range c.Args["labels"].Map {
		label(e.Key, escapeFormat(e.Value.Str))
	}
	return &accesslogv3.AccessLog{Name: c.name, ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: typed(&statsv3.Config{
		StatsScope: &typev3.Scope{Prefix: metricsScope},
		Counters:   []*statsv3.Config_Counter{{Stat: stat, ValueFixed: wrapperspb.UInt64(1)}},
	})}}
}

// metricsName is that of the cluster of the proxy's own admin interface.
const metricsName = "metrics"

func metricsCluster() *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 metricsName,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       seconds(patience),
		LoadAssignment:       endpoint(metricsName, adminAddress()),
	}
}

// metricsRoute leads from the listener of the startup probe to the metrics.
func metricsRoute() *routev3.Route {
	return &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: layout.MetricsPath}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: metricsName},
		}},
	}
}
