//go:build linux

package envoy

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// version of the pod that answered.
func version(path string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: path, header: pairs(header)}.do()
		if a.seen.Version == "" {
			return summary(a)
		}
		return a.seen.Version
	}
}

// appSawFor is what the app got of a header in a request with an id of this
// probe's own, the same for all probes of one `each`.
func appSawFor(name, id string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string { return appSaw(name, id, p.id)(t, p) }
}

// denied gives which of n request ids are refused.
func denied(n int) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		var out []string
		for i := range n {
			id := fmt.Sprintf("id-%d", i)
			if !strings.HasPrefix(web("/", "x-request-id", id)(t, p), "200") {
				out = append(out, fmt.Sprint(i))
			}
		}
		if len(out) == 0 {
			return "none"
		}
		return strings.Join(out, " ")
	}
}

// refusing makes one gRPC call to a server that refuses the first n streams of
// the port, as one that drains does (RFC 9113, section 8.7).
func refusing(n int) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		refuseStreams(t, p.server, p.address, n)
		out, _, _ := strings.Cut(rpc("x")(t, p), " ")
		return out
	}
}

// mix makes n probes at once and gives the different outcomes, sorted.
func mix(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		out := make([]string, n)
		var wg sync.WaitGroup
		for i := range out {
			one := p
			one.id = fmt.Sprintf("%s-%d", p.id, i)
			wg.Go(func() { out[i] = f(t, one) })
		}
		wg.Wait()
		slices.Sort(out)
		return strings.Join(slices.Compact(out), " ")
	}
}

// atLeast marks an outcome that took that long.
func atLeast(d time.Duration, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		start := time.Now()
		out := f(t, p)
		if time.Since(start) >= d {
			out += " late"
		}
		return out
	}
}

// within gives the status of an answer, or "nothing" when there is none in time.
func within(d time.Duration, path string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: path, limit: d}.do()
		if a.err != nil {
			return "nothing"
		}
		return fmt.Sprint(a.status)
	}
}

// silence connects, says nothing, and tells what happened within a second.
func silence(t *testing.T, p probe) string {
	c, err := p.n.dial(context.Background(), p.address)
	if err != nil {
		return "error " + err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	var out []string
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err == nil {
			out = append(out, strings.TrimSpace(line))
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return strings.Join(append(out, "open, silent"), ", ")
		}
		return strings.Join(append(out, "closed"), ", ")
	}
}

func greetingFromOther(t *testing.T, p probe) string {
	return greet(p.n.dialFrom(context.Background(), otherIP, p.address))
}

// clientHello begins a TLS handshake that the app doesn't understand.
func clientHello(name string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		c, err := p.n.dial(context.Background(), p.address)
		if err != nil {
			return "error " + err.Error()
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		tls.Client(c, &tls.Config{ServerName: name}).Handshake()
		return ""
	}
}

// logged adds what the ADM's access log says of this port, once it says
// something or had a second for it.
func logged(f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		out := f(t, p) + ":"
		time.Sleep(600 * time.Millisecond)
		for _, line := range strings.Split(p.log(), "\n") {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) != nil {
				continue
			}
			for _, k := range []string{"policy", "status", "path", "sent"} {
				if v, ok := fields[k]; ok && v != nil && (k != "sent" || fields["status"] == nil) {
					out += fmt.Sprintf(" %s=%v", k, v)
				}
			}
		}
		return out
	}
}

// A symmetric key, and tokens signed with it.
var (
	testKey  = []byte("a key of the tests, nobody else's")
	testKeys = `{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"` + base64.RawURLEncoding.EncodeToString(testKey) + `"}]}`
)

func bearer(issuer, audience, subject string) string {
	claims, _ := json.Marshal(map[string]string{"iss": issuer, "aud": audience, "sub": subject})
	return signed(string(claims))
}

// signed is a token with these claims.
func signed(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + enc([]byte(claims))
	mac := hmac.New(sha256.New, testKey)
	mac.Write([]byte(text))
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// claim is how the checker leaves jwt.claims["name"].
func claim(name string) *exprpb.Expr {
	at := func(keys ...string) *exprpb.Expr {
		e := selectField(ident("metadata"), "filter_metadata")
		for _, k := range keys {
			e = fn("_[_]", e, lit(k))
		}
		return e
	}
	const ns, key = "envoy.filters.http.jwt_authn", "claims"
	there := fn("_&&_", fn("_&&_", fn("@in", lit(ns), at()), fn("@in", lit(key), at(ns))),
		fn("_&&_", fn("@in", lit(name), at(ns, key)), fn("_==_", fn("type", at(ns, key, name)), ident("string"))))
	return fn("_?_:_", there, at(ns, key, name), lit(""))
}
