//go:build linux

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// What the programs of the oracle look at. SIDE and SCOPE stand for what a
// placement needs said.
var oraclePrograms = []struct {
	name, text string
	egressOnly bool
}{
	{"answers and headers", `
		SIDE policy a_mark { on * -> geo  set_header("x-mark", "a")  append_header("x-back", "a", of: "response") }
		SIDE policy b_trail {
		    on   * -> geo
		    when { request.headers["x-mark"] == "a" }
		    append_header("x-trail", "b")
		    append_header("x-back", "b", of: "response")
		}
		SIDE policy c_beta {
		    on   * -> geo
		    when { request.headers["x-group"] == "beta" }
		    remove_header("x-secret")
		    set_header("content-type", "text/beta", of: "response")
		}
		SIDE policy no_admin {
		    on   * -> geo
		    when { request.url_path.startsWith("/admin") && request.method != "PUT" }
		    deny(status: 404, body: "nothing here")
		}
		SIDE policy missing {
		    on   * -> geo
		    when { response.code == 404 && request.headers["x-group"] == "" }
		    append_header("x-back", "missing", of: "response")
		    metric("missing_total")
		}
		SIDE policy quota {
		    on   * -> geo
		    when { "x-counted" in request.headers }
		    rate_limit(rate: 2/h, burst: 2, scope: SCOPE)
		}`, false},
	{"shares", `
		SIDE policy half { on * -> geo  sample 50%  set_header("x-mark", "half") }
		SIDE policy tenth { on * -> geo  sample 10%  deny(status: 410) }`, false},
	{"answers that are made up", `
		SIDE policy a_pages { on * -> geo  cors(origins: ["https://a.test", "https://b.test"], methods: ["GET", "PUT"], headers: ["x-a"], max_age: 10m, credentials: true) }
		SIDE policy b_bodies { on * -> geo  max_body(100B) }
		SIDE policy c_paths { on * -> geo  rewrite(prefix: "/v1/", with: "/gone/by/") }
		SIDE policy d_host {
		    on   * -> geo
		    when { request.headers["x-group"] == "beta" && request.url_path.startsWith("/gone/by/") }
		    rewrite(host: "inner.test")
		}
		SIDE policy e_small { on * -> geo  compress(["application/json", "text/plain"]) }
		SIDE policy e_denied {
		    on   * -> geo
		    when { request.url_path == "/denied" }
		    deny()
		}
		SIDE policy f_moved {
		    on   * -> geo
		    when { request.url_path == "/old" }
		    redirect(path: "/new", status: 308)
		}
		SIDE policy h_gone {
		    on   * -> geo
		    when { request.url_path.startsWith("/gone/for") }
		    respond(status: 410, body: "gone, and 100% of it for ever and ever")
		}`, false},
	{"answers by path", `
		SIDE policy f_moved {
		    on   * -> geo
		    when { request.url_path == "/old" }
		    redirect(path: "/new?c", status: 308)
		}
		SIDE policy g_elsewhere {
		    on   * -> geo
		    when { request.url_path.startsWith("/else") }
		    redirect(host: "new.test:8443")
		}
		SIDE policy h_gone {
		    on   * -> geo
		    when { request.url_path.startsWith("/gone/for") }
		    respond(status: 410, body: "gone")
		}
		SIDE policy e_named {
		    on   * -> geo
		    when { request.host == "geo" || request.host == "geo:8080" && request.url_path == "/here" }
		    deny(status: 421)
		}
		SIDE policy i_empty {
		    on   * -> geo
		    when { request.url_path == "/empty" }
		    respond()
		}
		SIDE policy h_late {
		    on   * -> geo
		    fault(abort: 503)
		}`, false},
	{"wrappers", `
		policy again { on * -> geo  retry(attempts: 2, on: ["unavailable"]) }
		policy mark { on * -> geo  append_header("x-trail", "m")  set_header("x-back", "m", of: "response") }
		policy ill {
		    on   * -> geo
		    when { request.url_path == "/ill" }
		    fault(abort: 503)
		}
		policy quota { on * -> geo  rate_limit(rate: 1/h, burst: 7, scope: "caller") }`, true},
}

// oracleRequests are sent in this order.
func oracleRequests(program string) []testbed.Request {
	request := func(method, path string, headers ...string) testbed.Request {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return testbed.Request{Method: method, URL: geo + path, Header: h}
	}
	switch program {
	case "shares":
		var out []testbed.Request
		for i := range 40 {
			out = append(out, request("GET", "/", "x-request-id", fmt.Sprintf("id-%d", i)))
		}
		return out
	case "answers by path":
		return []testbed.Request{
			request("GET", "/old?a=b", "host", "shop.test"), request("GET", "/else/where?a=b", "host", "shop.test:81", "x-forwarded-proto", "https"), request("PUT", "//else"),
			request("GET", "/gone/forth"), request("GET", "/empty"), request("GET", "/"),
			request("GET", "/old"), request("GET", "/here"), request("GET", "/here", "host", "geo.test"), request("GET", "/", "host", "geo"),
		}
	case "answers that are made up":
		out := []testbed.Request{
			request("OPTIONS", "/", "origin", "https://b.test", "access-control-request-method", "PUT"), request("OPTIONS", "/", "origin", "https://c.test", "access-control-request-method", "PUT"),
			request("OPTIONS", "/", "origin", "https://b.test"), request("GET", "/", "origin", "https://a.test"), request("GET", "/empty", "origin", "https://a.test"), request("GET", "/empty", "origin", "null"),
			request("GET", "/v1/x?y"), request("GET", "//v1/../v1/x"), request("GET", "/v10"), request("GET", "/v1/", "x-group", "beta"), request("GET", "/v1/for/ever"),
			request("GET", "/old?a=b", "host", "shop.test"), request("GET", "/old", "host", "shop.test:81", "x-forwarded-proto", "https"), request("GET", "/a?b", "host", "old.test"), request("GET", "/old", "host", "old.test"),
			request("GET", "/gone/forth"), request("GET", "/gone/forth", "accept-encoding", "gzip"), request("GET", "/gone/forth", "accept-encoding", "identity"), request("GET", "/denied"),
		}
		for _, accept := range []string{"gzip", "GZIP", "identity", "gzip;q=0", "br;q=0, gzip;q=0.5", "deflate", "gzip;q=0.5, identity", "x, gzip ; q=0.2", "*;q=0"} {
			out = append(out, request("GET", "/", "accept-encoding", accept))
		}
		for _, size := range []int{1, 100, 101, 5000} {
			r := request("POST", "/", "x-mark", fmt.Sprint(size))
			r.Body = strings.Repeat("x", size)
			out = append(out, r)
		}
		return out
	case "wrappers":
		// three attempts, three, one is left
		return []testbed.Request{request("GET", "/ill"), request("GET", "/", "x-trail", "c"), request("GET", "/ill"), request("GET", "/")}
	}
	return []testbed.Request{
		request("GET", "/"), request("GET", "/", "x-mark", "mine", "x-trail", "mine"),
		request("GET", "/a?b=c", "x-group", "beta", "x-secret", "1"), request("GET", "/a", "x-group", "alpha", "x-secret", "1"),
		request("GET", "/admin"), request("GET", "/a/../admin/x", "x-group", "beta"), request("GET", "//admin"), request("PUT", "/admin"), request("GET", "/x/%2fadmin"),
		request("GET", "/administrator", "x-mark", "a"), request("POST", "/Admin"), request("GET", "/%61dmin"),
		request("GET", "/", "x-counted", ""), request("GET", "/", "x-counted", "1"), request("GET", "/admin", "x-counted", "1"), request("GET", "/", "x-counted", "1"), request("GET", "/"),
	}
}

// TestInterpreterIsTheOracle sends the same requests through the interpreter
// and through real proxies, at either side: status, the headers that policies
// touch, at the receiver and at the caller, and the path come out the same.
func TestInterpreterIsTheOracle(t *testing.T) {
	for _, p := range oraclePrograms {
		sides := []string{"@egress", "@ingress"}
		if p.egressOnly {
			sides = sides[:1]
		}
		for _, side := range sides {
			t.Run(p.name+" "+side, func(t *testing.T) {
				scope, adms := `"caller"`, []string{"front", "other"}
				if side == "@ingress" {
					scope, adms = `"service"`, []string{"geo"}
				}
				program := strings.NewReplacer("SIDE", side, "SCOPE", scope).Replace(p.text)
				requests := oracleRequests(p.name)
				want := interpreted(t, program, requests)
				if slices.Equal(want, interpreted(t, "", requests)) {
					t.Fatal("the policies change nothing, so this can't fail")
				}
				w := newWorld(t, program, adms...)
				for i, r := range requests {
					if got := met(w.front, r); got != want[i] {
						t.Errorf("request %d, %s %s %v\n got  %s\n want %s", i, r.Method, r.URL, r.Header, got, want[i])
					}
				}
			})
		}
	}
}

var (
	seenHeaders = []string{"x-mark", "x-trail", "x-secret", "x-group", "x-request-id", "authorization"}
	backHeaders = []string{"x-back", "content-type", "location", "content-encoding", "vary",
		"access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age", "access-control-allow-credentials"}
)

// met is what became of a request, seen from its two ends.
func met(c *testbed.Client, r testbed.Request) string {
	res := c.Do(r)
	if res.Err != "" {
		return res.Err
	}
	back := func(name string) string { return strings.Join(res.Header.Values(name), ",") }
	if !strings.HasPrefix(res.Body, "{") {
		return outcome(res.Status, back, res.Body, "", nil)
	}
	echo := c.Echo(res)
	return outcome(res.Status, back, "", echo.Host+echo.URI, func(name string) string { return strings.Join(echo.Header.Values(name), ",") })
}

func outcome(status int, back func(string) string, body, path string, seen func(string) string) string {
	out := fmt.Sprintf("%d back", status)
	for _, name := range backHeaders {
		if seen != nil || name != "content-type" { // that of Envoy's own answers is its own
			out += fmt.Sprintf(" %s=%q", name, back(name))
		}
	}
	if seen == nil {
		if status == 404 || status == 410 {
			out += " body " + body
		}
		return out
	}
	out += " seen " + path
	for _, name := range seenHeaders {
		out += fmt.Sprintf(" %s=%q", name, seen(name))
	}
	return out
}

// interpreted gives the outcomes by the interpreter.
func interpreted(t *testing.T, program string, requests []testbed.Request) []string {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("graph.yaml", []byte(e2eGraph)), bag)
	p := &ir.Program{}
	if !bag.HasErrors() {
		p = lang.Check([]*syntax.File{syntax.Parse(diag.NewSource("e2e.adm", []byte(program)), bag)}, g, bag)
	}
	if bag.HasErrors() {
		var b strings.Builder
		diag.WriteText(&b, bag.All())
		t.Fatal(b.String())
	}
	var call *graph.Call
	for _, c := range g.Calls {
		if c.From.NodeName() == "front" && c.To.NodeName() == "geo" {
			call = c
		}
	}
	in, since := lang.NewInterp(p), time.Since(lang.Epoch)
	var out []string
	for _, r := range requests {
		headers := lang.Headers{}
		for name, values := range r.Header {
			headers[strings.ToLower(name)] = values
		}
		host := headers.Get("host")
		delete(headers, "host")
		if r.Body != "" {
			headers["content-length"] = []string{fmt.Sprint(len(r.Body))}
		}
		echo := func(lang.Arrival) lang.Answer {
			return lang.Answer{Status: 200, Headers: lang.Headers{"content-type": {"application/json"}}, Body: strings.Repeat("x", 100)}
		}
		res := in.Run(&lang.Request{Call: call, Method: r.Method, Path: strings.TrimPrefix(r.URL, geo), Host: host, Headers: headers, Receiver: echo, At: since})[0]
		if res.Reached && res.By == "" {
			out = append(out, outcome(res.Status, res.Headers.Get, "", res.Arrival.Host+res.Arrival.Path, res.Arrival.Headers.Get))
		} else {
			out = append(out, outcome(res.Status, res.Headers.Get, res.Body, "", nil))
		}
	}
	return out
}
