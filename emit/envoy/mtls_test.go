//go:build linux

package envoy

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// TestSecretsFromSocket: with `sds` both ADMs have their certificates from a
// socket, as a SPIFFE agent offers it, and still want each other's identity.
func TestSecretsFromSocket(t *testing.T) {
	client, server := newPair(t)
	serve(t, server, 8080, graph.HTTP)
	socket := filepath.Join(t.TempDir(), "sds.sock")
	seal := act("mtls", args{"mode": str("strict"), "trust_domain": str("test"), "certificates": str(""), "sds": str(socket)})
	agent := &sdsAgent{t: t, domain: "test", account: "server"}
	agent.listen(socket)

	prog := newProgram()
	for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
		prog.call(8080, "http", side, do("sealed", seal))
	}
	// One agent serves both ends here, so both are the account "server".
	peers := []string{"spiffe://test/ns/test/sa/server"}
	for _, a := range []*layout.ADM{prog.client, prog.server} {
		a.Listeners[0].Seal = &layout.Seal{By: []*ir.Action{seal}, Peers: peers}
	}
	files := emitted(t, prog.layout())
	for n, a := range map[*namespace]*layout.ADM{client: prog.client, server: prog.server} {
		c := configurationOf(files, a.Dir)
		validate(t, c)
		runADM(t, n, a, c)
	}
	see := func() string { return web("/")(t, probe{n: client, address: serverIP + ":8080"}) }
	if got := see(); got != "200 app" {
		t.Errorf("sealed: %s", got)
	}
	// Straight to the receiver, past the caller's ADM, in plaintext.
	run(t, "", "ip", "netns", "exec", client.name, "iptables", "-t", "nat", "-F", "OUTPUT")
	if got := see(); got == "200 app" {
		t.Error("plaintext was taken")
	}
}

// An sdsAgent issues certificates to whoever asks: for one account, or for that
// which the proxy says it is of.
type sdsAgent struct {
	secretv3.UnimplementedSecretDiscoveryServiceServer
	t       *testing.T
	domain  string // "": cluster.local
	account string // "": the proxy's node
	key     *ecdsa.PrivateKey
	ca      []byte
}

func (a *sdsAgent) listen(socket string) {
	a.t.Helper()
	a.found()
	l, err := net.Listen("unix", socket)
	if err != nil {
		a.t.Fatal(err)
	}
	s := grpc.NewServer()
	secretv3.RegisterSecretDiscoveryServiceServer(s, a)
	go s.Serve(l)
	a.t.Cleanup(s.Stop)
}

// StreamSecrets answers each first request for a secret; later ones acknowledge.
func (a *sdsAgent) StreamSecrets(stream secretv3.SecretDiscoveryService_StreamSecretsServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if req.ResponseNonce != "" {
			continue
		}
		secrets, err := a.issue(cmp.Or(a.account, req.Node.GetId()))
		if err != nil {
			return err
		}
		out := &discoveryv3.DiscoveryResponse{VersionInfo: "1", Nonce: "1", TypeUrl: req.TypeUrl}
		for _, name := range req.ResourceNames {
			packed, err := anypb.New(secrets[name])
			if err != nil {
				return err
			}
			out.Resources = append(out.Resources, packed)
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// found makes the agent's authority.
func (a *sdsAgent) found() {
	a.t.Helper()
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		a.t.Fatal(err)
	}
	root := a.authority()
	if a.ca, err = x509.CreateCertificate(rand.Reader, root, root, a.key.Public(), a.key); err != nil {
		a.t.Fatal(err)
	}
}

func (a *sdsAgent) authority() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}

// issue gives an account's secrets by their names.
func (a *sdsAgent) issue(account string) (map[string]*tlsv3.Secret, error) {
	root := a.authority()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		URIs: []*url.URL{{Scheme: "spiffe", Host: cmp.Or(a.domain, "cluster.local"), Path: "/ns/test/sa/" + account}},
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, root, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	in := func(kind string, der []byte) *corev3.DataSource {
		return inline(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return map[string]*tlsv3.Secret{
		"default": {Name: "default", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: in("CERTIFICATE", cert), PrivateKey: in("PRIVATE KEY", private),
		}}},
		"ROOTCA": {Name: "ROOTCA", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: in("CERTIFICATE", a.ca),
		}}},
	}, nil
}
