//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// Everybody but `other` is denied by a policy that leaves it out, and `other` is
// known by its addresses or by its certificate. Nobody else gets through, whatever
// it says of itself.

// forgedPorts are the server's, each with its protocol.
var forgedPorts = map[string]int{"http": 8080, "grpc": 8081, "redis": 6379}

// forgedServer compiles a graph with an identity and runs the server's ADM, which has
// its certificates in a directory.
func forgedServer(t *testing.T, server *namespace, identity, program string, secrets string) {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("graph.yaml", []byte(`
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: forged, namespace: test}
identity: `+identity+`
services:
  client: {addresses: [`+clientIP+`/32]}
  other:  {addresses: [`+otherIP+`/32, "2001:db8::3/128"]}
  server: {ports: [{port: 8080, protocol: http}, {port: 8081, protocol: grpc}, {port: 6379, protocol: redis}]}
calls:
  - {from: client, to: server, port: 8080}
  - {from: client, to: server, port: 8081}
  - {from: client, to: server, port: 6379}
  - {from: other, to: server, port: 8080}
  - {from: other, to: server, port: 8081}
  - {from: other, to: server, port: 6379}
`)), bag)
	p := lang.Check([]*syntax.File{syntax.Parse(diag.NewSource("p.adm", []byte(program)), bag)}, g, bag)
	for _, d := range bag.All() {
		if d.Severity == diag.Error {
			t.Fatal(d.Message)
		}
	}
	var assigned []solver.Assigned
	for _, o := range p.Obligations {
		side := ir.Ingress
		if o.Both {
			side = both
		}
		assigned = append(assigned, solver.Assigned{Obligation: o, Side: side})
	}
	l := layout.New(g, p, &solver.Placement{ADMs: []string{"client", "other", "server"}, Assigned: assigned}, "")
	files := emitted(t, l)
	for _, a := range l.ADMs {
		if a.Service.Name != "server" {
			continue
		}
		c := configurationOf(files, a.Dir)
		for _, name := range []string{"certificate.yaml", "authorities.yaml"} {
			if text, ok := files.Get(a.Dir + "/" + name); ok {
				c.policies = bytes.ReplaceAll(c.policies, []byte(SecretsDirectory+"/"+name), []byte(strconv.Quote(filepath.Join(secrets, name))))
				if err := os.WriteFile(filepath.Join(secrets, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		runADM(t, server, a, c)
	}
}

// A visit is one way to call the server.
type visit struct {
	from   string
	tls    *tls.Config // nil: plaintext
	before string      // bytes sent before anything else
	header []string
}

// see gives "app" where the receiver answers, and "no" where it does not.
func (v visit) see(t *testing.T, n *namespace, protocol string) string {
	t.Helper()
	to := fmt.Sprintf("%s:%d", serverIP, forgedPorts[protocol])
	dial := func() (net.Conn, error) {
		c, err := n.dialFrom(context.Background(), v.from, to)
		if err != nil {
			return nil, err
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, v.before)
		if v.tls == nil {
			return c, nil
		}
		return tls.Client(c, v.tls), nil
	}
	if protocol == "grpc" {
		conn, err := grpc.NewClient("passthrough:///"+to, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return dial() }))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), v.header...), 10*time.Second)
		defer cancel()
		if _, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "x"}); err == nil {
			return "app"
		} else if code := status.Code(err); code == codes.PermissionDenied || code == codes.Unavailable {
			return "no"
		}
		return err.Error()
	}
	c, err := dial()
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if protocol == "redis" {
		io.WriteString(c, "long enough to be no TLS\n") // which the ADM may be waiting to see
		if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && strings.HasPrefix(line, "hello from") {
			return "app"
		}
		return "no"
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n")
	for i := 0; i < len(v.header); i += 2 {
		fmt.Fprintf(c, "%s: %s\r\n", v.header[i], v.header[i+1])
	}
	io.WriteString(c, "\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && res.StatusCode == 200 {
		return "app"
	}
	return "no"
}

// claims of being other that a caller can write.
var forgedHeaders = []string{
	"x-forwarded-for", otherIP, "x-forwarded-for", otherIP + ", " + otherIP, "forwarded", "for=" + otherIP, "x-real-ip", otherIP, "x-envoy-external-address", otherIP, "x-envoy-internal", "true",
	"x-forwarded-client-cert", "By=spiffe://cluster.local/ns/test/sa/server;URI=spiffe://cluster.local/ns/test/sa/other", "x-admc-peer", "spiffe://cluster.local/ns/test/sa/other", "admc.peer", "spiffe://cluster.local/ns/test/sa/other",
	"x-envoy-original-dst-host", otherIP + ":80", "true-client-ip", otherIP, "x-client-ip", otherIP, "x-envoy-peer-metadata-id", "other",
}

const proxyHeader = "PROXY TCP4 " + otherIP + " " + serverIP + " 1000 8080\r\n"

// binaryProxyHeader is the same in version 2 of the protocol.
var binaryProxyHeader = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + string(net.ParseIP(otherIP).To4()) + string(net.ParseIP(serverIP).To4()) + "\x03\xe8\x1f\x90"

const leavesOutOther = `
@ingress policy refused { on client -> server  deny() }
`

// neverActs is the control: what it says is true of nobody here.
const neverActs = `
@ingress policy refused { on client -> server  when { destination.port == 1 }  deny() }
`

// TestForgedAddress: addresses are those of the connection.
func TestForgedAddress(t *testing.T) {
	for name, program := range map[string]string{"policy": leavesOutOther, "control": neverActs} {
		t.Run(name, func(t *testing.T) { forgeAddresses(t, program, name == "control") })
	}
}

func forgeAddresses(t *testing.T, program string, control bool) {
	client, server := newPair(t)
	for protocol, port := range forgedPorts {
		serve(t, server, port, graph.Protocol(protocol).Plane())
	}
	forgedServer(t, server, "addresses", program, t.TempDir())
	for protocol := range forgedPorts {
		for _, c := range []struct {
			name string
			visit
			want string
		}{
			{"other", visit{from: otherIP}, "app"},
			{"other, with the same headers", visit{from: otherIP, header: forgedHeaders}, "app"},
			{"client", visit{from: clientIP}, "no"},
			{"client, in headers", visit{from: clientIP, header: forgedHeaders}, "no"},
			{"client, by the PROXY protocol", visit{from: clientIP, before: proxyHeader}, "no"},
			{"client, by its version 2", visit{from: clientIP, before: binaryProxyHeader}, "no"},
			{"nobody that the graph knows", visit{from: manyIPs[0]}, "no"},
			{"nobody, in headers", visit{from: manyIPs[0], header: forgedHeaders}, "no"},
		} {
			if control && c.before == "" {
				c.want = "app"
			}
			if control && c.before != "" {
				continue // what a receiver makes of the PROXY protocol is its own affair
			}
			if got := c.see(t, client, protocol); got != c.want {
				t.Errorf("%s on %s: %s, want %s", c.name, protocol, got, c.want)
			}
		}
	}
}

// A leaf is a certificate to issue; what it leaves open is as `other` has it.
type leaf struct {
	uris      []string
	name      pkix.Name
	dns       []string
	from, til time.Duration // from now
	by        *issuer       // nil: itself
	usage     x509.ExtKeyUsage
}

// An issuer is a certificate authority.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mesh"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{cert, key}
}

func (l leaf) issue(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if l.til == 0 {
		l.from, l.til = -time.Hour, time.Hour
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: l.name, DNSNames: l.dns, NotBefore: time.Now().Add(l.from), NotAfter: time.Now().Add(l.til),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if l.usage != 0 {
		cert.ExtKeyUsage = []x509.ExtKeyUsage{l.usage}
	}
	for _, u := range l.uris {
		id, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		cert.URIs = append(cert.URIs, id)
	}
	parent, with := cert, key
	if l.by != nil {
		parent, with = l.by.cert, l.by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write puts the certificate, its key and the authority where an ADM finds them.
func write(t *testing.T, dir string, c tls.Certificate, by *issuer) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key}, "ca.crt": {Type: "CERTIFICATE", Bytes: by.cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForgedCertificate: who calls is what a valid certificate of the mesh's own
// authority says, and nothing else.
func TestForgedCertificate(t *testing.T) {
	const id = "spiffe://cluster.local/ns/test/sa/"
	mesh, elsewhere := newIssuer(t), newIssuer(t)
	other := leaf{uris: []string{id + "other"}, by: mesh}
	but := func(change func(*leaf)) leaf {
		l := other
		change(&l)
		return l
	}
	call := func(l leaf, alpn ...string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: alpn, Certificates: []tls.Certificate{l.issue(t)}}
	}
	visits := []struct {
		name string
		visit
		want string
	}{
		{"other", visit{tls: call(other, "admc")}, "app"},
		{"other, with headers", visit{tls: call(other, "admc"), header: forgedHeaders}, "app"},
		{"client", visit{tls: call(leaf{uris: []string{id + "client"}, by: mesh}, "admc")}, "no"},
		{"client, in headers", visit{tls: call(leaf{uris: []string{id + "client"}, by: mesh}, "admc"), header: forgedHeaders}, "no"},
		{"client, from other's address", visit{from: otherIP, tls: call(leaf{uris: []string{id + "client"}, by: mesh}, "admc")}, "no"},
		{"client, and other too", visit{tls: call(leaf{uris: []string{id + "client", id + "other"}, by: mesh}, "admc")}, "no"},
		{"other, and client too", visit{tls: call(leaf{uris: []string{id + "other", id + "client"}, by: mesh}, "admc")}, "no"},
		{"another trust domain", visit{tls: call(leaf{uris: []string{"spiffe://evil.test/ns/test/sa/other"}, by: mesh}, "admc")}, "no"},
		{"another namespace", visit{tls: call(leaf{uris: []string{"spiffe://cluster.local/ns/prod/sa/other"}, by: mesh}, "admc")}, "no"},
		{"another account", visit{tls: call(leaf{uris: []string{id + "mallory"}, by: mesh}, "admc")}, "no"},
		{"a longer path", visit{tls: call(leaf{uris: []string{id + "other/x"}, by: mesh}, "admc")}, "no"},
		{"capitals", visit{tls: call(leaf{uris: []string{id + "Other"}, by: mesh}, "admc")}, "no"},
		{"the name as a DNS name and a subject", visit{tls: call(leaf{dns: []string{"other"}, name: pkix.Name{CommonName: id + "other"}, by: mesh}, "admc")}, "no"},
		{"no name", visit{tls: call(leaf{by: mesh}, "admc")}, "no"},
		{"expired", visit{tls: call(but(func(l *leaf) { l.from, l.til = -2*time.Hour, -time.Hour }), "admc")}, "no"},
		{"not yet valid", visit{tls: call(but(func(l *leaf) { l.from, l.til = 30*time.Minute, time.Hour }), "admc")}, "no"},
		{"self-signed", visit{tls: call(but(func(l *leaf) { l.by = nil }), "admc")}, "no"},
		{"of another authority of the same name", visit{tls: call(but(func(l *leaf) { l.by = elsewhere }), "admc")}, "no"},
		{"no certificate", visit{tls: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"admc"}}}, "no"},
		{"TLS 1.2", visit{tls: func() *tls.Config { c := call(other, "admc"); c.MaxVersion = tls.VersionTLS12; return c }()}, "no"},
		{"in plaintext", visit{}, "no"},
		{"in plaintext, in headers", visit{header: forgedHeaders}, "no"},
		{"in plaintext, from other's address", visit{from: otherIP, header: forgedHeaders}, "no"},
		{"in plaintext, by the PROXY protocol", visit{before: proxyHeader}, "no"},
	}
	for _, run := range []struct{ mode, program string }{{"strict", leavesOutOther}, {"permissive", leavesOutOther}, {"strict", neverActs}} {
		mode := run.mode
		control := run.program == neverActs
		t.Run(fmt.Sprintf("%s, control: %v", mode, control), func(t *testing.T) {
			client, server := newPair(t)
			for protocol, port := range forgedPorts {
				serve(t, server, port, graph.Protocol(protocol).Plane())
			}
			dir := t.TempDir()
			write(t, dir, leaf{uris: []string{id + "server"}, by: mesh}.issue(t), mesh)
			forgedServer(t, server, "mtls", fmt.Sprintf("policy sealed { on * -> server  mtls(mode: %q, certificates: %q) }", mode, dir)+run.program, dir)
			for _, protocol := range slices.Sorted(maps.Keys(forgedPorts)) {
				for _, v := range visits {
					if v.from == "" {
						v.from = clientIP
					}
					if control && strings.HasPrefix(v.name, "client") || control && strings.HasPrefix(v.name, "other") {
						v.want = "app" // proved to be one of the two
					}
					if got := v.see(t, client, protocol); got != v.want {
						t.Errorf("%s on %s: %s, want %s", v.name, protocol, got, v.want)
					}
				}
			}
		})
	}
}

// A caller that names another scheme in its target has not changed it.
func TestForgedScheme(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	var trials []*trial
	for i, side := range []string{"@ingress", "@egress"} {
		for k, text := range []string{"deny()", `redirect(path: "/new")`} {
			x := &trial{proto: "http", text: side + ` policy p { on client -> server  when { request.scheme == "http" }  ` + text + " }"}
			if x.spread(20000+2*i+k, 1); len(x.cells) != 1 {
				t.Fatalf("%s: %d placements", x.text, len(x.cells))
			}
			serve(t, server, x.cells[0].port, graph.HTTP)
			trials = append(trials, x)
		}
	}
	const open = 20100
	serve(t, server, open, graph.HTTP)
	runLayout(t, map[string]*namespace{"client": client, "server": server}, together(trials))
	for _, target := range []string{"/a", "http://shop/a", "https://shop/a", "HTTPS://shop/a"} {
		request := "GET " + target + " HTTP/1.1\r\nHost: shop\r\n\r\n"
		if got := say(client, fmt.Sprintf("%s:%d", serverIP, open), request); got != "200 200" {
			t.Errorf("the control: %s gets %s without a policy", target, got)
		}
		for _, x := range trials {
			got := rawExchange(client, fmt.Sprintf("%s:%d", serverIP, x.cells[0].port), request, "", false)
			if strings.Contains(x.text, "deny") && !strings.HasPrefix(got, "HTTP/1.1 403") || !strings.Contains(x.text, "deny") && !strings.Contains(got, "location: http://shop/new\n") {
				t.Errorf("%s\n%s gets %.200s", x.text, target, got)
			}
		}
	}
	for _, scheme := range []string{"http", "https"} {
		fields := []string{":method", "GET", ":scheme", scheme, ":path", "/a", ":authority", "shop"}
		for port, want := range map[int]string{trials[0].cells[0].port: "403", open: "200 GET shop/a marked []"} {
			if got := frame(client, fmt.Sprintf("%s:%d", serverIP, port), fields, ""); got != want {
				t.Errorf("on HTTP/2 %s gets %s, want %s", scheme, got, want)
			}
		}
	}
}
