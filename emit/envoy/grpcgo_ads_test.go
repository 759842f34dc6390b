//go:build linux

package envoy

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/lang/ir"
)

// An adsServer gives the listeners, clusters and endpoints of one emitted file to
// an xDS client, over the state-of-the-world variant of the aggregated discovery
// service.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	resources map[string]map[string]*anypb.Any // by type URL and name
}

// serveADS gives the bootstrap of a gRPC client or server that has its resources
// from a server of these.
func serveADS(t testing.TB, resources map[string]map[string]*anypb.Any) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(srv, &adsServer{resources: resources})
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	return fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "test"},
		"server_listener_resource_name_template": "%%s"
	}`, l.Addr())
}

// StreamAggregatedResources answers a request that names other resources of a
// type than the one before it; the rest acknowledge, or refuse.
func (s *adsServer) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	asked := map[string]string{} // names, by type
	for n := 1; ; n++ {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		names := slices.Sorted(slices.Values(req.ResourceNames))
		all := strings.Join(names, " ")
		if asked[req.TypeUrl] == all {
			continue
		}
		asked[req.TypeUrl] = all
		out := &discoveryv3.DiscoveryResponse{VersionInfo: fmt.Sprint(n), Nonce: fmt.Sprint(n), TypeUrl: req.TypeUrl}
		for _, name := range names {
			if r := s.resources[req.TypeUrl][name]; r != nil {
				out.Resources = append(out.Resources, r)
			}
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// asResources gives an emitted file as gRPC wants to have it told. What is
// changed, because gRPC is no proxy (gRFC A27, A28, A36):
//
//   - A client has no socket: of an egress listener the connection manager stands
//     in api_listener. A server is what is listening, at the address in the
//     listener, and nothing was redirected to it: of an ingress listener the filter
//     that restores the address dialled is left out, and its routes forward nowhere.
//   - A client is told the addresses of a cluster (EDS). It has none that was dialled
//     before, as ORIGINAL_DST has, and of DNS only LOGICAL_DNS: the addresses are those that
//     the test's DNS gives. CLUSTER_PROVIDED goes with ORIGINAL_DST.
//   - gRPC has no runtime, and so no switches: a filter that a policy's switch stands
//     before is given without that.
//   - A route's `timeout` is the time for the whole call in max_stream_duration.
//
// All else is given as it was emitted. port is the receiver's.
func asResources(t testing.TB, file []byte, side ir.Side, port int) map[string]map[string]*anypb.Any {
	t.Helper()
	boot := parsed(t, file)
	out := map[string]map[string]*anypb.Any{}
	give := func(name string, m proto.Message) {
		a := typed(m)
		if out[a.TypeUrl] == nil {
			out[a.TypeUrl] = map[string]*anypb.Any{}
		}
		out[a.TypeUrl][name] = a
	}
	for _, l := range boot.GetStaticResources().GetListeners() {
		if l.Name == "ready" {
			continue
		}
		manager := &hcmv3.HttpConnectionManager{}
		of := l.FilterChains[0].Filters[0]
		if err := of.GetTypedConfig().UnmarshalTo(manager); err != nil {
			t.Fatal(err)
		}
		for _, f := range manager.HttpFilters {
			withoutSwitch(t, f)
		}
		for _, h := range manager.GetRouteConfig().GetVirtualHosts() {
			for _, r := range h.Routes {
				if to := r.GetRoute(); side == ir.Ingress {
					r.Action = &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}}
				} else if to.GetTimeout().AsDuration() > 0 {
					to.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: to.Timeout}
					to.Timeout = nil
				}
			}
		}
		if side == ir.Ingress {
			at := l.GetAddress().GetSocketAddress()
			of.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: typed(manager)}
			l.ListenerFilters = nil
			l.Name = fmt.Sprintf("%s:%d", at.GetAddress(), at.GetPortValue())
			give(l.Name, l)
			continue
		}
		give(l.Name, &listenerv3.Listener{Name: l.Name, ApiListener: &listenerv3.ApiListener{ApiListener: typed(manager)}})
	}
	for _, c := range boot.GetStaticResources().GetClusters() {
		at := addressesOf(c, port)
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		}}
		if c.LbPolicy == clusterv3.Cluster_CLUSTER_PROVIDED {
			c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		}
		c.LoadAssignment = nil
		give(c.Name, c)
		give(c.Name, at)
	}
	return out
}

// withoutSwitch takes a filter out of a matcher that looks at a switch and at
// nothing else.
func withoutSwitch(t testing.TB, f *hcmv3.HttpFilter) {
	t.Helper()
	around := &matchingv3.ExtensionWithMatcher{}
	if !f.GetTypedConfig().MessageIs(around) {
		return
	}
	if err := f.GetTypedConfig().UnmarshalTo(around); err != nil {
		t.Fatal(err)
	}
	only := around.GetXdsMatcher().GetMatcherList().GetMatchers()[0].GetPredicate().GetNotMatcher().GetSinglePredicate()
	if only.GetCustomMatch().GetName() == "switch" {
		f.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: around.GetExtensionConfig().GetTypedConfig()}
	}
}

// addressesOf are the addresses behind a cluster: of ORIGINAL_DST that of the
// receiver's Service, else those of the host that is resolved.
func addressesOf(c *clusterv3.Cluster, port int) *endpointv3.ClusterLoadAssignment {
	ips := []string{serverIP}
	for _, l := range c.GetLoadAssignment().GetEndpoints() {
		to := l.LbEndpoints[0].GetEndpoint().GetAddress().GetSocketAddress()
		ips = hosts[to.GetAddress()+"."]
	}
	all := &endpointv3.LocalityLbEndpoints{
		Locality:            &corev3.Locality{Region: "test"},
		LoadBalancingWeight: u32(1),
	}
	for _, ip := range ips {
		all.LbEndpoints = append(all.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(ip, port)}},
		})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: c.Name, Endpoints: []*endpointv3.LocalityLbEndpoints{all}}
}
