package envoy

import (
	"net"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"admc.dev/admc/graph"
)

// extAuthzHTTP: ext_authz(address, timeout). The service says yes or no; what it
// would change in an admitted request is not done, since the prelude says that
// nothing is.
func extAuthzHTTP(h *httpChain, c *call) {
	h.addOwn(c, c.name, &authzv3.ExtAuthz{
		Services:            &authzv3.ExtAuthz_GrpcService{GrpcService: h.asked(c, c.Args["timeout"].Dur)},
		TransportApiVersion: corev3.ApiVersion_V3,
		StatPrefix:          c.policy().Name,
		FilterEnabled:       c.enabled(),
		FailureModeAllow:    !c.policy().FailClosed,
		DecoderHeaderMutationRules: &mutationv3.HeaderMutationRules{
			DisallowAll: yes(),
		},
		EnableDynamicMetadataIngestion: no(),
		DisallowedHeaders:              aside(),
	})
}

// aside are headers that hold something else inside the proxy: better none than
// a wrong one.
func aside() *envoymatcherv3.ListStringMatcher {
	out := &envoymatcherv3.ListStringMatcher{}
	for _, name := range []string{forwardedProto, protoAside} {
		out.Patterns = append(out.Patterns, &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: name}})
	}
	return out
}

// asked is the gRPC service at the call's address.
func (a *adm) asked(c *call, timeout time.Duration) *corev3.GrpcService {
	return &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: a.grpcCluster(c.str("address"))}},
		Timeout:         seconds(timeout),
	}
}

// grpcCluster is the way to a gRPC service outside of the graph, at host:port; the
// checker has looked at the form.
func (a *adm) grpcCluster(at string) string {
	host, text, _ := net.SplitHostPort(at)
	port, _ := strconv.Atoi(text)
	name := "grpc_" + host + "_" + text
	a.put(&clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		ConnectTimeout:       seconds(5 * time.Second),
		LoadAssignment:       endpoint(name, address(host, port)),
	}, graph.GRPC)
	return name
}
