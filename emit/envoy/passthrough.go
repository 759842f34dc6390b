package envoy

import (
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	casev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"admc.dev/admc/graph"
)

// Limits at their largest: what a service accepts is its own affair.
const (
	maxHeadersKB   = 8192  // Envoy allows no more
	maxHeaderCount = 65535 // per message; Envoy's default is 100
	maxConcurrent  = 1e9   // at a time, which no proxy comes to
)

// passThrough is a connection manager that changes nothing: no time limits, no
// headers added, their case kept, both HTTP versions on the port, upgrades,
// trailers and 100-continue passed on. Of gRPC all is HTTP/2, without upgrades; a
// caller that speaks HTTP/1 there has Envoy's defaults.
// Headers of whose names one is in unsaid don't pass; it is a regular expression.
//
// An idle connection is closed after an hour, by Envoy's default. It neither
// normalises paths nor touches a caller's request id unless it is told to.
func passThrough(name, unsaid string, plane graph.Plane) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		CodecType:                  hcmv3.HttpConnectionManager_AUTO,
		StatPrefix:                 name,
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		ForwardClientCertDetails:   hcmv3.HttpConnectionManager_ALWAYS_FORWARD_ONLY,
		GenerateRequestId:          no(),
		StreamIdleTimeout:          off(),
		MaxRequestHeadersKb:        u32(maxHeadersKB),
		RequestHeadersTimeout:      seconds(headersWithin),
		CommonHttpProtocolOptions:  &corev3.HttpProtocolOptions{MaxHeadersCount: u32(maxHeaderCount)},
		Http2ProtocolOptions:       http2Options(plane),
		EarlyHeaderMutationExtensions: []*corev3.TypedExtensionConfig{
			extension("keep", keepForwardedProto(unsaid)),
		},
	}
	if plane == graph.HTTP {
		m.HttpProtocolOptions = http1Options()
		m.Proxy_100Continue = true
		m.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
	}
	return m
}

func http1Options() *corev3.Http1ProtocolOptions {
	return &corev3.Http1ProtocolOptions{
		AcceptHttp_10:      true,
		AllowCustomMethods: true,
		EnableTrailers:     true,
		HeaderKeyFormat: &corev3.Http1ProtocolOptions_HeaderKeyFormat{
			HeaderFormat: &corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter{
				StatefulFormatter: extension("preserve_case", &casev3.PreserveCaseFormatterConfig{}),
			},
		},
	}
}

func http2Options(plane graph.Plane) *corev3.Http2ProtocolOptions {
	return &corev3.Http2ProtocolOptions{
		AllowConnect:                plane == graph.HTTP, // of upgrades
		MaxConcurrentStreams:        u32(maxStreams),
		InitialStreamWindowSize:     u32(streamWindow),
		InitialConnectionWindowSize: u32(connectionWindow),
	}
}

// Envoy adds x-forwarded-proto where it is missing, and needs it to find the
// route. So the early mutations put what came aside, the filters work on that,
// and the route puts it back, absent or not.
const (
	forwardedProto = "x-forwarded-proto"
	protoAside     = "x-admc-forwarded-proto"
)

func keepForwardedProto(unsaid string) *earlyv3.HeaderMutation {
	return &earlyv3.HeaderMutation{Mutations: []*mutationv3.HeaderMutation{
		{Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
			KeyMatcher: &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_SafeRegex{
				SafeRegex: &envoymatcherv3.RegexMatcher{Regex: unsaid},
			}},
		}}},
		remove(protoAside),
		{Action: &mutationv3.HeaderMutation_Append{Append: copyOf(protoAside, forwardedProto)}},
		// Envoy takes the scheme from it, which goes on to the receiver over HTTP/2.
		remove(forwardedProto),
	}}
}

// restoreForwardedProto puts the header back when the request leaves. The more
// specific of the two levels acts first, and each removes before it adds.
func restoreForwardedProto(rc *routev3.RouteConfiguration) {
	host := rc.VirtualHosts[0]
	host.RequestHeadersToRemove = append(host.RequestHeadersToRemove, forwardedProto)
	host.RequestHeadersToAdd = append(host.RequestHeadersToAdd, copyOf(forwardedProto, protoAside))
	rc.RequestHeadersToRemove = append(rc.RequestHeadersToRemove, protoAside)
}

// requestHeader is where a request header is found inside the proxy.
func requestHeader(name string) string {
	if strings.EqualFold(name, forwardedProto) {
		return protoAside
	}
	return name
}

// copyOf gives a header that is not there the value of another, if that is.
func copyOf(name, from string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: "%REQ(" + from + ")%"}}
}

func remove(name string) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}}
}

// keepRequestID makes ids for requests without one, and leaves the others
// alone: by default Envoy writes its tracing decision into them.
func keepRequestID() *hcmv3.RequestIDExtension {
	return &hcmv3.RequestIDExtension{TypedConfig: typed(&uuidv3.UuidRequestIdConfig{
		PackTraceReason: no(), UseRequestIdForTraceSampling: no(),
	})}
}

// normalizePath makes one spelling of each path: dot segments resolved, slashes
// merged, and escaped slashes and dot segments with parameters refused, because
// services differ on what they mean.
func (h *httpChain) normalizePath(m *hcmv3.HttpConnectionManager) {
	h.onePath(m)
	h.refuseDots(m)
	m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
}

// onePath is normalizePath without the refusal, where the other end refuses.
func (h *httpChain) onePath(m *hcmv3.HttpConnectionManager) {
	h.unresolved = true
	m.NormalizePath = yes()
	m.MergeSlashes = true
}
