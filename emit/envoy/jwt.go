package envoy

import (
	"net/url"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"admc.dev/admc/graph"
)

// jwtClaims is where jwt_authn leaves the claims of a valid token.
const jwtClaims = `metadata.filter_metadata["envoy.filters.http.jwt_authn"]["claims"]`

// systemCAs is the bundle in Envoy's image, for key sets behind https.
const systemCAs = "/etc/ssl/certs/ca-certificates.crt"

// jwtHTTP: jwt(issuer, jwks_uri | jwks, audiences, forward).
func jwtHTTP(h *httpChain, c *call) {
	provider := &jwtv3.JwtProvider{
		Issuer: c.str("issuer"), Forward: c.Args["forward"].Bool, PayloadInMetadata: "claims",
	}
	for _, v := range c.Args["audiences"].List {
		provider.Audiences = append(provider.Audiences, v.Str)
	}
	if keys := c.str("jwks"); keys != "" {
		provider.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: inline(keys)}
	} else {
		cluster := h.jwksCluster(c)
		if cluster == "" {
			return
		}
		provider.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
			HttpUri: &corev3.HttpUri{
				Uri: c.str("jwks_uri"), HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cluster}, Timeout: seconds(5 * time.Second),
			},
			AsyncFetch: &jwtv3.JwksAsyncFetch{FastListener: true},
		}}
	}
	h.add(c, &jwtv3.JwtAuthentication{
		StatPrefix: c.policy().Name,
		Providers:  map[string]*jwtv3.JwtProvider{c.name: provider},
		Rules: []*jwtv3.RequirementRule{{
			Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			RequirementType: &jwtv3.RequirementRule_Requires{Requires: &jwtv3.JwtRequirement{
				RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: c.name},
			}},
		}},
	})
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
