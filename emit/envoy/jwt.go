package envoy

import (
	"net/url"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/emptypb"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// systemCAs is the bundle in Envoy's image, for key sets behind https.
const systemCAs = "/etc/ssl/certs/ca-certificates.crt"

// jwtHTTP: jwt(issuer, jwks_uri | jwks, audiences, forward). The claims go where
// lowered conditions look for them.
func jwtHTTP(h *httpChain, c *call) {
	provider := h.jwtProvider(c)
	if provider == nil {
		return
	}
	h.jwtFilter(c, provider, named(c.name))
	if len(provider.Audiences) > 0 {
		h.replies = append(h.replies, unauthenticated(h.grpc))
	}
}

// unauthenticated makes 401 of the 403 that Envoy gives a token for somebody
// else.
func unauthenticated(grpc bool) *hcmv3.ResponseMapper {
	r := &hcmv3.ResponseMapper{
		Filter: celLogFilter(`response.code_details.startsWith("jwt_authn_access_denied") && response.code == 403`),
	}
	if grpc {
		r.HeadersToAdd = grpcStatus("16")
	} else {
		r.StatusCode = u32(401)
	}
	return r
}

// jwtPeek reads the claims of a valid token for the conditions of wrappers, and
// refuses nobody: that is done behind the wrappers, for each attempt.
func jwtPeek(h *httpChain, c *call) {
	provider := h.jwtProvider(c)
	if provider == nil {
		return
	}
	provider.Forward = true
	h.jwtFilter(c, provider, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAny{
		RequiresAny: &jwtv3.JwtRequirementOrList{Requirements: []*jwtv3.JwtRequirement{
			named(c.name), {RequiresType: &jwtv3.JwtRequirement_AllowMissingOrFailed{AllowMissingOrFailed: &emptypb.Empty{}}},
		}},
	}})
}

func named(provider string) *jwtv3.JwtRequirement {
	return &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: provider}}
}

func (h *httpChain) jwtFilter(c *call, p *jwtv3.JwtProvider, r *jwtv3.JwtRequirement) {
	h.add(c, &jwtv3.JwtAuthentication{
		StatPrefix: c.policy().Name,
		Providers:  map[string]*jwtv3.JwtProvider{c.name: p},
		Rules: []*jwtv3.RequirementRule{{
			Match:           everyPath(),
			RequirementType: &jwtv3.RequirementRule_Requires{Requires: r},
		}},
	})
}

// jwtProvider says which tokens are valid; nil after an error.
func (h *httpChain) jwtProvider(c *call) *jwtv3.JwtProvider {
	p := &jwtv3.JwtProvider{
		Issuer: c.str("issuer"), Forward: c.Args["forward"].Bool, PayloadInMetadata: ir.JWTPayload,
		// The default takes tokens from a query parameter too, which stays in
		// the path and in logs.
		FromHeaders: []*jwtv3.JwtHeader{{Name: "authorization", ValuePrefix: "Bearer "}},
	}
	for _, v := range c.Args["audiences"].List {
		p.Audiences = append(p.Audiences, v.Str)
	}
	if keys := c.str("jwks"); keys != "" {
		p.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: inline(keys)}
		return p
	}
	cluster := h.jwksCluster(c)
	if cluster == "" {
		return nil
	}
	p.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
		HttpUri: &corev3.HttpUri{
			Uri: c.str("jwks_uri"), HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cluster}, Timeout: seconds(5 * time.Second),
		},
		// Listeners wait for the first answer, or for its failure, so that no
		// good token is refused at the start.
		AsyncFetch: &jwtv3.JwksAsyncFetch{},
	}}
	return p
}

// jwtWrites: the claims that it provides, and the token that it takes out.
func jwtWrites(c *call) []string {
	w := []string{"jwt.claims"}
	if !c.Args["forward"].Bool {
		w = append(w, `request.headers["authorization"]`)
	}
	return w
}

// jwksCluster is the way to the host of a key set; "" after an error.
func (h *httpChain) jwksCluster(c *call) string {
	u, err := url.Parse(c.str("jwks_uri"))
	if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		h.bag.Errorf(c.Args["jwks_uri"].At, CodeUnsupported, "no data plane can do a key set at %q: it is not an http or https address", c.str("jwks_uri"))
		return ""
	}
	port := 443
	if u.Scheme == "http" {
		port = 80
	}
	if p, err := strconv.Atoi(u.Port()); err == nil {
		port = p
	}
	name := "jwks_" + u.Hostname() + "_" + strconv.Itoa(port)
	cluster := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		ConnectTimeout:       seconds(5 * time.Second),
		LoadAssignment:       endpoint(name, address(u.Hostname(), port)),
	}
	if u.Scheme == "https" {
		cluster.TransportSocket = tlsTo(u.Hostname())
	}
	h.put(cluster, graph.TCP)
	return name
}

// tlsTo is TLS that checks the name of the host against the public authorities.
func tlsTo(host string) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: typed(&tlsv3.UpstreamTlsContext{
			Sni: host,
			CommonTlsContext: &tlsv3.CommonTlsContext{ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
				ValidationContext: &tlsv3.CertificateValidationContext{
					TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: systemCAs}},
					MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
						SanType: tlsv3.SubjectAltNameMatcher_DNS,
						Matcher: &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: host}},
					}},
				},
			}},
		})},
	}
}

func fetchesKeys(c *call) bool { return c.str("jwks_uri") != "" }
