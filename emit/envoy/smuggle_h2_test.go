//go:build linux

package envoy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// framed are requests that HTTP/2 can carry and HTTP/1 can't, or that no client
// may send (RFC 9113, section 8). What is wanted: what the caller gets, and for
// requests that reach the app, method, host and path as it got them. The policies
// are those of spelled.
var framed = []struct {
	name   string
	fields []string
	body   string
	want   string
}{
	{"plain", fields2("GET", "/a"), "", "200 GET shop/a"},
	{"denied path", fields2("GET", "/admin"), "", "403"},
	{"denied path in dot segments", fields2("GET", "/x/../admin"), "", "403"},
	{"denied method", fields2("DELETE", "/a"), "", "405"},
	{"denied header", fields2("GET", "/a", "x-block", "1"), "", "451"},
	{"a header with an underscore", fields2("GET", "/a", "x_block", "1"), "", "200 GET shop/a"},
	{"a line end in a value", fields2("GET", "/a", "x-a", "1\r\nx-block: 1"), "", "reset"},
	{"a line feed in a value", fields2("GET", "/a", "x-a", "1\nx-block: 1"), "", "reset"},
	{"NUL in a value", fields2("GET", "/a", "x-a", "1\x00"), "", "reset"},
	{"a line end in a name", fields2("GET", "/a", "x-a: 1\r\nx-block", "1"), "", "reset"},
	{"a colon in a name", fields2("GET", "/a", "x-block:", "1"), "", "reset"},
	{"a name in capitals", fields2("GET", "/a", "X-Block", "1"), "", "reset"},
	{"an empty name", fields2("GET", "/a", "", "1"), "", "reset"},
	{"a line end in the path", fields2("GET", "/a HTTP/1.1\r\nX-A: b"), "", "reset"},
	{"a space in the path", fields2("GET", "/a /admin"), "", "reset"},
	{"a line end in the method", fields2("GET /admin HTTP/1.1\r\nX-A: b", "/a"), "", "reset"},
	{"a path without a slash", fields2("GET", "admin"), "", "reset"},
	{"a query alone", fields2("GET", "?/admin"), "", "reset"},
	{"asterisk form", fields2("OPTIONS", "*"), "", "404"},
	{"asterisk form with more", fields2("OPTIONS", "*/../admin"), "", "reset"},
	{"asterisk form of GET", fields2("GET", "*"), "", "reset"},
	{"absolute form", fields2("GET", "http://shop/admin"), "", "reset"},
	{"an empty path", fields2("GET", ""), "", "reset"},
	{"two paths", append(fields2("GET", "/a"), ":path", "/admin"), "", "reset"},
	{"a pseudo-header behind a header", []string{":method", "GET", ":scheme", "http", ":authority", "shop", "x-a", "1", ":path", "/a"}, "", "reset"},
	{"an unknown pseudo-header", append([]string{":x", "1"}, fields2("GET", "/a")...), "", "reset"},
	{"no path", []string{":method", "GET", ":scheme", "http", ":authority", "shop"}, "", "reset"},
	{"no method", []string{":scheme", "http", ":path", "/a", ":authority", "shop"}, "", "reset"},
	{"another host beside the authority", fields2("GET", "/a", "host", "other"), "", "200 GET shop/a"},
	{"user information in the authority", []string{":method", "GET", ":scheme", "http", ":path", "/a", ":authority", "a@shop"}, "", "reset"},
	{"transfer-encoding", fields2("POST", "/a", "transfer-encoding", "chunked"), "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n", "reset"},
	{"connection", fields2("GET", "/a", "connection", "x-mark"), "", "reset"},
	{"upgrade", fields2("GET", "/a", "upgrade", "h2c"), "", "reset"},
	{"te", fields2("GET", "/a", "te", "gzip"), "", "reset"},
	{"a length that is too short", fields2("POST", "/a", "content-length", "1"), "GET /admin", "reset"},
	{"a length that is too long", fields2("POST", "/a", "content-length", "100"), "ok", "reset"},
	{"two lengths", fields2("POST", "/a", "content-length", "2", "content-length", "3"), "ok", "reset"},
	{"a signed length", fields2("POST", "/a", "content-length", "+2"), "ok", "reset"},
}

func fields2(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "shop"}, more...)
}

// TestSpellingOfFrames is TestSpelling over HTTP/2.
func TestSpellingOfFrames(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const first = 26500
	apps := make([]*app, 2)
	for k, side := range []ir.Side{ir.Ingress, ir.Egress} {
		apps[k] = serve(t, server, first+k, graph.HTTP)
		prog.call(first+k, "http", side, copyPolicies(gate())...)
	}
	runAll(t, client, server, prog)
	got := make([][2]string, len(framed))
	var wg sync.WaitGroup
	var mayReach int64
	for i, row := range framed {
		if row.body != "" || strings.HasPrefix(row.want, "200") {
			mayReach++
		}
		for k := range apps {
			wg.Go(func() { got[i][k] = frame(client, fmt.Sprintf("%s:%d", serverIP, first+k), row.fields, row.body) })
		}
	}
	wg.Wait()
	for i, row := range framed {
		t.Run(row.name, func(t *testing.T) {
			for k, side := range []ir.Side{ir.Ingress, ir.Egress} {
				if got[i][k] != row.want {
					t.Errorf("%s: got %q, want %q", side, got[i][k], row.want)
				}
			}
		})
	}
	for _, a := range apps {
		if n := a.requests.Load(); n > mayReach {
			t.Errorf("%d requests reached an app, of which %d could", n, mayReach)
		}
	}
}

// frame sends one request and tells what came back: the status, and what the app
// says that it got; "reset" where the stream or the connection was ended.
func frame(n *namespace, address string, list []string, body string) string {
	h, err := dialH2(n, address)
	if err != nil {
		return err.Error()
	}
	defer h.Close()
	h.SetDeadline(time.Now().Add(20 * time.Second))
	if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: body == "", BlockFragment: h.fields(list...)}); err != nil {
		return err.Error()
	}
	if body != "" {
		h.WriteData(1, true, []byte(body))
	}
	var answer seen
	var got []byte
	code := ""
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for done := false; !done; {
		f, err := h.ReadFrame()
		if err != nil {
			return strings.TrimSpace(code + " reset")
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			code = f.PseudoValue("status")
		case *http2.DataFrame:
			got = append(got, f.Data()...)
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return strings.TrimSpace(code + " reset")
		case *http2.SettingsFrame:
			if !f.IsAck() {
				h.WriteSettingsAck()
			}
			continue
		default:
			continue
		}
		done = f.Header().Flags.Has(http2.FlagDataEndStream)
	}
	if json.Unmarshal(got, &answer) != nil {
		return code
	}
	out := fmt.Sprintf("%s %s %s%s", code, answer.Method, answer.Host, answer.URI)
	for _, name := range []string{"X-Block", "X_block", "Te", "Connection"} {
		if v := answer.Header[http.CanonicalHeaderKey(name)]; v != nil {
			out += fmt.Sprint(" ", name, v)
		}
	}
	if mark := answer.Header["X-Mark"]; !slices.Equal(mark, []string{"adm"}) {
		out += fmt.Sprint(" marked ", mark)
	}
	return out
}
