package envoy

import (
	"regexp"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// What keeps an ADM alive under too much of anything, by Envoy's best practices
// for proxies at the edge. None of it bounds what one caller of a common server
// could do without the ADM; docs/reliability.md goes through the list.
const (
	// bufferBytes is what is kept of a connection, each way, before its sender has
	// to wait (per_connection_buffer_limit_bytes). What filters keep on purpose has
	// limits of its own.
	bufferBytes = 32 << 10
	// Bytes that an HTTP/2 peer may send before they are asked for.
	streamWindow     = 64 << 10
	connectionWindow = 1 << 20
	// maxStreams is as many as HTTP/2 knows: a caller has that many on one
	// connection to gRPC's servers. Envoy's default is 1,024.
	maxStreams = 1<<31 - 1
	// headersWithin is how long a request's headers may take from their first byte:
	// no server is asked before they are there, so that its own limit can't help.
	headersWithin = time.Minute
	// leftConnection is how long a connection to a receiver is kept without a
	// request, where each is for one connection of a caller: Envoy doesn't close it
	// with that, and nobody else could use it.
	leftConnection = time.Second
	// maxConnections of callers: with one to a receiver for each they fit the
	// descriptors that a container commonly has at least, 65,536. Envoy ends itself
	// when it can't have another. No more can be made to one port of the own pod in
	// any case: Linux has 28,232 local ports for that.
	maxConnections = 28000
	// heapBytes leaves room in the container for what isn't heap.
	heapBytes = layout.ADMMemory / 8 * 7
)

// lookalikes are names of headers that a receiver may take for one of a policy's:
// many turn both `-` and `_` into the `_` of a variable (CGI, RFC 3875, section
// 4.1.18). As regular expressions, which none of the policies' own names match.
func (h *httpChain) lookalikes() []string {
	var out []string
	add := func(part string) {
		name, ok := ir.RequestHeader(part)
		words := strings.Split(name, "-")
		for i := 1; ok && i < len(words); i++ {
			one := regexp.QuoteMeta(strings.Join(words[:i], "-")) + "_" + quotedJoin(words[i:], "[-_]")
			if !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	for _, c := range h.all {
		if c.when != nil {
			for _, part := range c.when.reads {
				add(part)
			}
		}
		if c.low.writes != nil {
			for _, part := range c.low.writes(c) {
				add(part)
			}
		}
	}
	return out
}

func quotedJoin(words []string, between string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	return strings.Join(quoted, between)
}

// protectListener bounds what a connection keeps, and finds out when its peer is
// gone, as the service behind it would have: to that, the peer is the ADM.
func protectListener(l *listenerv3.Listener) {
	l.PerConnectionBufferLimitBytes = u32(bufferBytes)
	if l.GetInternalListener() == nil {
		l.TcpKeepalive = &corev3.TcpKeepalive{}
	}
}

func protectCluster(c *clusterv3.Cluster) {
	c.PerConnectionBufferLimitBytes = u32(bufferBytes)
	c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{}}
}

// overload sheds load before the memory of the container or its descriptors end:
// to lack either would end the proxy, and all connections with it. The names
// are Envoy's, but for the heap's, by which triggers find it.
func (a *adm) overload() *overloadv3.OverloadManager {
	const heap, connections = "heap", "envoy.resource_monitors.global_downstream_max_connections"
	above := func(share float64) []*overloadv3.Trigger {
		return []*overloadv3.Trigger{{Name: heap, TriggerOneof: &overloadv3.Trigger_Threshold{Threshold: &overloadv3.ThresholdTrigger{Value: share}}}}
	}
	m := &overloadv3.OverloadManager{
		RefreshInterval: seconds(250 * time.Millisecond),
		ResourceMonitors: []*overloadv3.ResourceMonitor{
			{Name: heap, ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: typed(&heapv3.FixedHeapConfig{MaxHeapSizeBytes: heapBytes})}},
			{Name: connections, ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: typed(&connectionsv3.DownstreamConnectionsConfig{
				MaxActiveDownstreamConnections: maxConnections,
			})}},
		},
		Actions: []*overloadv3.OverloadAction{
			{Name: "envoy.overload_actions.shrink_heap", Triggers: above(0.90)},
			{Name: "envoy.overload_actions.stop_accepting_connections", Triggers: above(0.95)},
		},
	}
	if slices.ContainsFunc(a.Listeners, func(l *layout.Listener) bool { return l.Protocol.Plane() != graph.TCP }) {
		m.Actions = append(m.Actions, &overloadv3.OverloadAction{Name: "envoy.overload_actions.stop_accepting_requests", Triggers: above(0.95)})
	}
	return m
}
