package envoy

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// SecretsDirectory is where an ADM finds the files that say where certificates
// are: NAME.yaml for each secret, one in each file as Envoy wants it. Envoy reads
// certificates again when they change only if they are given so.
const SecretsDirectory = "/etc/admc"

// secrets are where the certificates of an ADM come from: a directory with
// tls.crt, tls.key and ca.crt (the keys of a kubernetes.io/tls Secret), or a Unix
// socket that speaks Envoy's Secret Discovery Service.
type secrets struct{ directory, socket string }

// sdsCluster is the way to the socket.
const sdsCluster = "sds"

// The names of secrets. Those of a socket are what SPIRE's agent and Istio's call
// the workload's own certificate and its trust bundle.
func (s *secrets) certificate() string {
	if s.socket != "" {
		return "default"
	}
	return "certificate"
}

func (s *secrets) authorities() string {
	if s.socket != "" {
		return "ROOTCA"
	}
	return "authorities"
}

func (s *secrets) config(name string) *corev3.ConfigSource {
	c := &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3}
	if s.socket == "" {
		c.ConfigSourceSpecifier = &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: SecretsDirectory + "/" + name + ".yaml"}}
		return c
	}
	c.ConfigSourceSpecifier = &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
		ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
		GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: sdsCluster},
		}}},
	}}
	return c
}

func (s *secrets) cluster() *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 sdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       seconds(patience),
		LoadAssignment: endpoint(sdsCluster, &corev3.Address{Address: &corev3.Address_Pipe{
			Pipe: &corev3.Pipe{Path: s.socket},
		}}),
	}
}

// files are those beside FileName, by their names; none where a socket has the
// secrets.
func (s *secrets) files() map[string]*discoveryv3.DiscoveryResponse {
	if s == nil || s.socket != "" {
		return nil
	}
	in := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: s.directory + "/" + name}}
	}
	watched := &corev3.WatchedDirectory{Path: s.directory}
	one := func(m *tlsv3.Secret) *discoveryv3.DiscoveryResponse {
		return &discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{typed(m)}}
	}
	return map[string]*discoveryv3.DiscoveryResponse{
		s.certificate() + ".yaml": one(&tlsv3.Secret{Name: s.certificate(), Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: in("tls.crt"), PrivateKey: in("tls.key"), WatchedDirectory: watched,
		}}}),
		s.authorities() + ".yaml": one(&tlsv3.Secret{Name: s.authorities(), Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: in("ca.crt"), WatchedDirectory: watched,
		}}}),
	}
}
