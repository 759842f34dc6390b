package lang

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// peers are the ways to reach the proxy.
type peers struct {
	server object // transport socket of the listeners "tls…"
	links  []link
}

type link struct {
	name     string
	listener string
	tls      *tls.Config
}

type conn struct {
	net.Conn
	in   *bufio.Reader
	mtls bool
	sni  string
}

func newPeers(t *testing.T) peers {
	key, cert := selfSigned(t)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	client := func(certs ...tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, Certificates: certs}
	}
	inline := func(b []byte) object { return object{"inline_string": string(b)} }
	return peers{
		server: typed("tls", "transport_sockets.tls.v3.DownstreamTlsContext", object{"common_tls_context": object{
			"tls_certificates":   []object{{"certificate_chain": inline(cert), "private_key": inline(key)}},
			"validation_context": object{"trusted_ca": inline(cert)},
		}}),
		links: []link{
			{"plain text", "plain", nil},
			{"TLS", "tls", client()},
			{"mutual TLS", "tls", client(pair)},
		},
	}
}

func selfSigned(t *testing.T) (key, cert []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example"}, DNSNames: []string{"shop.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (l link) dial(t *testing.T, addresses map[string]string) *conn {
	return l.dialListener(t, addresses[l.listener])
}

func (l link) dialListener(t *testing.T, address string) *conn {
	t.Helper()
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	c := &conn{Conn: plain}
	if l.tls != nil {
		c.Conn, c.sni, c.mtls = tls.Client(plain, l.tls), l.tls.ServerName, len(l.tls.Certificates) > 0
	}
	c.in = bufio.NewReader(c.Conn)
	return c
}

// fill puts what the connection says into a call.
func (c *conn) fill(into *call) {
	into.source = netip.MustParseAddrPort(c.LocalAddr().String())
	into.destination = netip.MustParseAddrPort(c.RemoteAddr().String())
	into.mtls, into.sni, into.at = c.mtls, c.sni, time.Now()
}

// refused sends the call to route n and says whether the answer was 403.
func (c *conn) refused(t *testing.T, request call, n int) bool {
	t.Helper()
	var b strings.Builder
	target := request.path
	if request.method == http.MethodConnect {
		target = request.host
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nX-Case: %d\r\n", request.method, target, request.host, n)
	for name, v := range request.headers {
		for _, part := range strings.Split(v, ",") { // several lines are one value to a condition
			fmt.Fprintf(&b, "%s: %s\r\n", name, part)
		}
	}
	if request.claims != nil {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token(t, request.claims))
	}
	if request.method == "POST" {
		b.WriteString("Content-Length: 0\r\n")
	}
	if _, err := io.WriteString(c, b.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: request.method})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
		t.Fatalf("%s: %s %s", request, res.Status, body)
	}
	return res.StatusCode == http.StatusForbidden
}

// silent says whether the connection ends without an echo.
func (c *conn) silent(t *testing.T) bool {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	// The TLS inspector waits for the five bytes of a record's header.
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	_, err := c.in.ReadByte()
	if err, timeout := err.(net.Error); timeout && err.Timeout() {
		t.Fatal("neither an echo nor an end")
	}
	return err != nil
}

const issuer, secret = "https://issuer.example", "a secret of thirty-two bytes long"

func jwtConfig() object {
	jwks, _ := json.Marshal(object{"keys": []object{{"kty": "oct", "alg": "HS256", "kid": "k", "k": base64.RawURLEncoding.EncodeToString([]byte(secret))}}})
	return object{
		"providers": object{"p": object{"issuer": issuer, "local_jwks": object{"inline_string": string(jwks)}, "payload_in_metadata": ir.JWTPayload}},
		"rules": []object{{"match": object{"prefix": "/"}, "requires": object{"requires_any": object{"requirements": []object{
			{"provider_name": "p"}, {"allow_missing": object{}},
		}}}}},
	}
}

// token signs claims for the issuer.
func token(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := object{"iss": issuer}
	for k, v := range claims {
		all[k] = v
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + enc.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}
