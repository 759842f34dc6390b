//go:build linux

package envoy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"admc.dev/admc/lang/ir"
)

var (
	theOther = []ir.Proof{{Addresses: []netip.Prefix{netip.MustParsePrefix(otherIP + "/32")}}}
	failed   = fn("_>=_", selectField(ident("response"), "code"), lit(500))
	toServer = method(selectField(ident("destination"), "address"), "startsWith", lit(serverIP+":"))
)

// apart are rows of policies that leave out a caller.
var apart = []row{
	{"what leaves out a caller logs the others", "redis", ir.Ingress, []policy{{name: "p", except: theOther, actions: []*ir.Action{act("access_log", nil)}}},
		logged(each(greetingFromOther, greeting)), hello + " | " + hello + ": policy=p sent=20", hello + " | " + hello + ":", served},
	{"a condition besides leaving out a caller", "http", ir.Ingress, []policy{{name: "p", when: beta, reads: betaReads, except: theOther, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/", "x-group", "beta"), web("/"), otherSaw("server", "/", "x-group", "beta")), "403 | 200 app | 200 [app]", "200 app | 200 app | 200 [app]", served},
	{"a condition besides leaving out a caller", "tcp", ir.Ingress, []policy{{name: "p", when: toServer, reads: []string{"destination.address"}, except: theOther, actions: []*ir.Action{act("deny", nil)}}},
		each(greeting, greetingFromOther), "closed | " + hello, hello + " | " + hello, served},
	{"set_header if the answer, but not for a caller", "http", ir.Ingress, []policy{{name: "p", when: failed, reads: []string{"response.code"}, except: theOther,
		actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("bad"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/status/500"), clientSaw("x-resp", "/"), otherSaw("x-resp", "/status/500")), "500 [bad] | 200 [app] | 500 [app]", "500 [app] | 200 [app] | 500 [app]", served},
}

// otherSaw is a response header as it came to the client's other address.
func otherSaw(name, path string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return p.n.dialFrom(ctx, otherIP, addr)
		}}}
		r, err := http.NewRequest("GET", "http://"+p.address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range pairs(header) {
			r.Header[http.CanonicalHeaderKey(k)] = v
		}
		a, err := c.Do(r)
		if err != nil {
			return "error " + err.Error()
		}
		defer a.Body.Close()
		return fmt.Sprint(a.StatusCode, a.Header[http.CanonicalHeaderKey(name)])
	}
}
