package envoy

import (
	"fmt"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	rawv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
)

// patience is how long a connection to a service may take to be made where no
// policy says: what Linux gives a connect(2) with its six retries. Envoy's own
// default of five seconds is nobody's policy.
const patience = 127 * time.Second

// protocolOptionsKey is where a cluster keeps its HTTP options.
const protocolOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// receiver is a way to the pods of a listener's receiver.
type receiver struct {
	plane   graph.Plane
	version string        // "": all of them
	connect time.Duration // 0: patience
	choice  choice        // the zero choice, and no version: the address that was dialled
	most    most
}

// clusterFor gives the name of a cluster, and makes it where it isn't there yet.
// Listeners share the clusters that dial the original address: those have no
// state of their own.
func (a *adm) clusterFor(l *layout.Listener, r receiver) string {
	name := "original_dst_" + string(r.plane)
	dialled := name
	c := &clusterv3.Cluster{
		ClusterDiscoveryType:                  &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
		LbPolicy:                              clusterv3.Cluster_CLUSTER_PROVIDED,
		ConnectionPoolPerDownstreamConnection: true,
	}
	if r.version != "" || r.choice != (choice{}) {
		svc := l.Receiver.(*graph.Service)
		name = fmt.Sprintf("%s_%d", layout.FileName(svc.Name), l.ReceiverPort)
		host := layout.PodsHost(svc)
		if r.version != "" {
			name += "_" + r.version
			host = layout.VersionHost(svc, r.version)
		}
		if r.choice.near {
			host = layout.NearHost(svc)
		}
		c = &clusterv3.Cluster{
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
			LoadAssignment:       endpoint("", address(host, l.ReceiverPort)),
		}
		name += r.choice.apply(c)
	}
	if r.connect == 0 {
		r.connect = patience
	} else {
		name += "_within_" + span(r.connect)
	}
	if r.most.limit > 0 {
		name += "_for_" + l.Name + "_" + strings.ReplaceAll(r.most.by.name, "/", "_")
	}
	if c.LoadAssignment != nil {
		c.LoadAssignment.ClusterName = name
	}
	c.Name = name
	c.ConnectTimeout = seconds(r.connect)
	a.seal(l, c)
	a.put(c, r.plane)
	if r.most.limit > 0 {
		c.CircuitBreakers.Thresholds[0].MaxConnections = u32(r.most.limit)
	}
	a.plain[c.Name] = c.Name == dialled
	return c.Name
}

// span is a duration as a part of a name.
func span(d time.Duration) string { return strings.ReplaceAll(d.String(), ".", "_") }

// put adds a cluster with what all of them have: limits that limit nothing, and
// the upstream speaking the protocol that came in.
func (a *adm) put(c *clusterv3.Cluster, plane graph.Plane) {
	c.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: u32(maxConcurrent), MaxPendingRequests: u32(maxConcurrent),
		MaxRequests: u32(maxConcurrent), MaxRetries: u32(maxConcurrent),
	}}}
	protectCluster(c)
	if plane != graph.TCP {
		common := &corev3.HttpProtocolOptions{MaxHeadersCount: u32(maxHeaderCount), MaxResponseHeadersKb: u32(maxHeadersKB)}
		if c.ConnectionPoolPerDownstreamConnection {
			common.IdleTimeout = seconds(leftConnection)
		}
		options := &upstreamv3.HttpProtocolOptions{CommonHttpProtocolOptions: common}
		if plane == graph.GRPC {
			options.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
				ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
					ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: http2Options(plane)},
				},
			}
		} else {
			options.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
				UseDownstreamProtocolConfig: &upstreamv3.HttpProtocolOptions_UseDownstreamHttpConfig{
					HttpProtocolOptions: http1Options(), Http2ProtocolOptions: http2Options(plane),
				},
			}
		}
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{protocolOptionsKey: typed(options)}
	}
	a.clusters[c.Name] = c
}

// attemptCluster leads to an internal listener: one more pass through the
// proxy for each attempt.
func (a *adm) attemptCluster(listener string, plane graph.Plane) string {
	a.passOn(listener, listener, plane)
	a.plain[listener] = true
	return listener
}

// passOn adds a cluster that leads to an internal listener.
func (a *adm) passOn(name, listener string, plane graph.Plane) {
	a.chained = true
	a.put(&clusterv3.Cluster{
		Name:                                  name,
		ClusterDiscoveryType:                  &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                        seconds(patience),
		ConnectionPoolPerDownstreamConnection: true,
		LoadAssignment: endpoint(name, &corev3.Address{Address: &corev3.Address_EnvoyInternalAddress{
			EnvoyInternalAddress: &corev3.EnvoyInternalAddress{
				AddressNameSpecifier: &corev3.EnvoyInternalAddress_ServerListenerName{ServerListenerName: listener},
			},
		}}),
		TransportSocket: &corev3.TransportSocket{
			Name: "envoy.transport_sockets.internal_upstream",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: typed(&internalv3.InternalUpstreamTransport{
				TransportSocket: &corev3.TransportSocket{
					Name:       "envoy.transport_sockets.raw_buffer",
					ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: typed(&rawv3.RawBuffer{})},
				},
			})},
		},
	}, plane)
}

// nextCluster leads a byte stream to an internal listener, with a limit of its own
// for those that a call counts.
func (a *adm) nextCluster(listener string, m most) string {
	if m.limit == 0 {
		return a.attemptCluster(listener, graph.TCP)
	}
	name := listener + "_for_" + strings.ReplaceAll(m.by.name, "/", "_")
	a.passOn(name, listener, graph.TCP)
	a.clusters[name].CircuitBreakers.Thresholds[0].MaxConnections = u32(m.limit)
	return name
}

// reached reports whether a cluster leads to an internal listener.
func (a *adm) reached(listener string) bool {
	for _, c := range a.clusters {
		for _, locality := range c.GetLoadAssignment().GetEndpoints() {
			if locality.LbEndpoints[0].GetEndpoint().GetAddress().GetEnvoyInternalAddress().GetServerListenerName() == listener {
				return true
			}
		}
	}
	return false
}

func endpoint(cluster string, at *corev3.Address) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: at}},
		}}}},
	}
}
