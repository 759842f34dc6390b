package envoy

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	netstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"google.golang.org/protobuf/proto"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A sealed port has two listeners. The outer one takes the seal off: one filter
// chain for TLS between ADMs, known by its ALPN protocol, and one for plaintext
// where that is still taken. Both pass the bytes on to the inner one, which has the
// policies, once, whichever way a connection came, and finds in the filter state
// who is at the other end.

const (
	// sealProtocol is the ALPN protocol of TLS between ADMs (RFC 7301): the
	// application's own TLS names another, or none.
	sealProtocol = "admc"
	// peerKey is where the SPIFFE ID of the other end is left.
	peerKey = "admc.peer"
)

// mtlsHTTP and mtlsTCP: mtls(mode, trust_domain, certificates, sds). What it does
// is in the listener and in the cluster behind it.
func mtlsHTTP(*httpChain, *call) {}

func mtlsTCP(*tcpChain, *call) {}

// sealed puts the taking off of the seal in front of an ingress listener that
// has one.
func (a *adm) sealed(l *layout.Listener, policies *listenerv3.Listener) []*listenerv3.Listener {
	if l.Seal == nil || l.Side != ir.Ingress || !a.oneSource(l) {
		return []*listenerv3.Listener{policies}
	}
	if l.Seal.Plaintext && speaksFirst(l.Protocol) {
		a.cannot(l.Seal.By[0], "mtls beside plaintext on %s: the server may speak first, so that nothing tells which of the two it is", l.Protocol)
	}
	a.unsealed = true
	inside := l.Name + "_open"
	policies.Name, policies.Address = inside, nil
	policies.ListenerSpecifier = &listenerv3.Listener_InternalListener{InternalListener: &listenerv3.Listener_InternalListenerConfig{}}
	outer := &listenerv3.Listener{
		Name: l.Name, Address: address("127.0.0.1", l.Port),
		ListenerFilters: []*listenerv3.ListenerFilter{originalDst(), tlsInspector()},
		FilterChains: []*listenerv3.FilterChain{{
			Name:             "mtls",
			FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls", ApplicationProtocols: []string{sealProtocol}},
			TransportSocket:  transport(&tlsv3.DownstreamTlsContext{CommonTlsContext: a.tls(l), RequireClientCertificate: yes()}),
			Filters: slices.Concat([]*listenerv3.Filter{carryAddresses(), carryPeer()}, carrySource(l), []*listenerv3.Filter{networkFilter("tcp_proxy", &tcpv3.TcpProxy{
				StatPrefix: l.Name, IdleTimeout: off(), UpstreamConnectMode: tcpv3.UpstreamConnectMode_ON_DOWNSTREAM_TLS_HANDSHAKE, MaxEarlyDataBytes: u32(64 << 10),
				ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: a.attemptCluster(inside, graph.TCP)},
			})}),
		}},
	}
	if l.Seal.Plaintext {
		outer.FilterChains = append(outer.FilterChains, &listenerv3.FilterChain{
			Name: "plaintext",
			Filters: slices.Concat([]*listenerv3.Filter{carryAddresses()}, carrySource(l), []*listenerv3.Filter{networkFilter("tcp_proxy", &tcpv3.TcpProxy{
				StatPrefix: l.Name, IdleTimeout: off(), ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: inside},
			})}),
		})
	}
	return []*listenerv3.Listener{outer, policies}
}

// speaksFirst reports protocols whose server may send before the client has.
func speaksFirst(p graph.Protocol) bool { return p == "mysql" || p == "tcp" }

// carryPeer hands on who is at the other end, once the handshake has proved it.
func carryPeer() *listenerv3.Filter {
	v := stateValue(peerKey, "%DOWNSTREAM_PEER_URI_SAN%")
	v.SharedWithUpstream = statev3.FilterStateValue_TRANSITIVE
	return networkFilter("peer", &netstatev3.Config{OnDownstreamTlsHandshake: []*statev3.FilterStateValue{v}})
}

// seal makes the cluster of an egress listener speak TLS to the receiver's ADM.
func (a *adm) seal(l *layout.Listener, c *clusterv3.Cluster) {
	if l.Seal == nil || l.Side != ir.Egress || !a.oneSource(l) {
		return
	}
	c.Name += "_mtls_" + layout.FileName(l.Receiver.NodeName())
	if c.LoadAssignment != nil {
		c.LoadAssignment.ClusterName = c.Name
	}
	c.TransportSocket = transport(&tlsv3.UpstreamTlsContext{CommonTlsContext: a.tls(l)})
}

// transport is TLS on connections that come in or go out, as the context says.
func transport(context proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: typed(context)},
	}
}

// tls is what both ends say: TLS 1.3 with the ADM's own certificate, and one of
// the listener's peers at the other end.
func (a *adm) tls(l *layout.Listener) *tlsv3.CommonTlsContext {
	var peers []*tlsv3.SubjectAltNameMatcher
	for _, id := range l.Seal.Peers {
		peers = append(peers, &tlsv3.SubjectAltNameMatcher{
			SanType: tlsv3.SubjectAltNameMatcher_URI,
			Matcher: &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: id}},
		})
	}
	from := a.secrets
	return &tlsv3.CommonTlsContext{
		TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
		AlpnProtocols:                  []string{sealProtocol},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: from.certificate(), SdsConfig: from.config(from.certificate())}},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: peers},
				ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: from.authorities(), SdsConfig: from.config(from.authorities())},
			},
		},
	}
}

// oneSource settles where the ADM's certificates come from: it has one identity,
// and so one source.
func (a *adm) oneSource(l *layout.Listener) bool {
	for _, by := range l.Seal.By {
		directory, socket := layout.CertificatesOf(by)
		s := &secrets{directory, socket}
		if a.secrets == nil {
			a.secrets = s
			if s.socket != "" {
				a.put(s.cluster(), graph.GRPC)
			}
		}
		if *a.secrets != *s {
			a.bag.Errorf(by.At, CodeUnsupported, "no data plane can do mtls with certificates from several places in one ADM").
				WithHint("let every mtls on calls of %s name the same ones", a.Service.Name)
			return false
		}
	}
	return true
}
