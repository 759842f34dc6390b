//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/lang/ir"
)

// preflight is what a browser asks before a request of another origin.
func preflight(origin string) httpRequest {
	return httpRequest{method: "OPTIONS", header: map[string][]string{"Origin": {origin}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"x-a"}}}
}

// told is the status of an answer, whose it is, and headers of it.
func told(r httpRequest, headers ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		r := r // rows run side by side
		r.n, r.address, r.path = p.n, p.address, cmp.Or(r.path, "/")
		a := r.do()
		out := summary(a)
		for _, name := range headers {
			out += fmt.Sprintf(" %s=%s", name, strings.Join(a.header[http.CanonicalHeaderKey(name)], ";"))
		}
		return out
	}
}

func with(header ...string) httpRequest { return httpRequest{header: pairs(header)} }

// went is where the app saw a request go to: its path, and its host where the
// request has one of its own.
func went(path string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, path: path, header: pairs(header)}.do()
		if a.seen.Host == p.address {
			return a.seen.URI
		}
		return a.seen.Host + a.seen.URI
	}
}

// posting sends a body of that many bytes, of which the length is said before or
// not, and tells how many came.
func posting(size int, chunked bool) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		a := httpRequest{n: p.n, address: p.address, method: "POST", path: "/", body: strings.Repeat("x", size), chunked: chunked}.do()
		if a.seen.Proto != "" {
			return fmt.Sprintf("%s %d", summary(a), len(a.seen.Body))
		}
		return summary(a)
	}
}

// rpcSaw is a header of a call as the app got it.
func rpcSaw(name string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		md, err := grpcCall(t, p, "x")
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(md["seen-"+name])
	}
}

// sentRPC is a gRPC call of a message of about that many bytes.
func sentRPC(size int) func(*testing.T, probe) string { return rpc(strings.Repeat("x", size)) }

// talking sends messages of these sizes on one stream, and waits for each to come
// back before it sends the next.
func talking(sizes ...int) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s, err := connectGRPC(t, p.n, p.address).NewStream(ctx, &talk, "/test.Talk/Talk")
		var out []string
		for _, size := range sizes {
			m := &wrapperspb.StringValue{Value: strings.Repeat("x", size)}
			if err == nil {
				err = s.SendMsg(m)
			}
			if err == nil {
				err = s.RecvMsg(m)
			}
			if err != nil {
				return strings.Join(append(out, status.Code(err).String()), " ")
			}
			out = append(out, fmt.Sprint(len(m.Value)))
		}
		return strings.Join(out, " ")
	}
}

// emptyGet is a request; on one connection the head of the next answer stands right
// behind an answer without a body.
const emptyGet = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"

// raw writes a request, waits for the head of an answer, writes more, and gives
// the first lines of both answers.
func raw(request, more string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		c, err := p.n.dial(context.Background(), p.address)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, request)
		r := textproto.NewReader(bufio.NewReader(c))
		first, err := r.ReadLine()
		if err != nil {
			return err.Error()
		}
		r.ReadMIMEHeader()
		io.WriteString(c, more)
		second, err := r.ReadLine()
		if err != nil {
			return first + ", " + err.Error()
		}
		if strings.HasPrefix(second, "{") {
			second = "app"
		}
		return first + ", " + second
	}
}

// atOnce makes n calls that overlap and counts their outcomes.
func atOnce(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		out := make([]string, n)
		var wg sync.WaitGroup
		for i := range out {
			wg.Go(func() { out[i] = f(t, p) })
		}
		wg.Wait()
		slices.Sort(out)
		counts := map[string]int{}
		for _, o := range out {
			counts[o]++
		}
		var parts []string
		for _, o := range slices.Compact(out) {
			parts = append(parts, fmt.Sprintf("%d x %s", counts[o], o))
		}
		return strings.Join(parts, ", ")
	}
}

// crowding says how many requests were at work in the app at most, of 16 clients
// that make 50 each.
func crowding(t *testing.T, p probe) string {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			tr := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return p.n.dial(ctx, addr) }}
			defer tr.CloseIdleConnections()
			for range 50 {
				if r, err := (&http.Client{Transport: tr}).Get("http://" + p.address + "/slow/5"); err == nil {
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	if most := p.app.peak.Load(); most <= 3 {
		return fmt.Sprintf("%d at work", most)
	}
	return "more than 3 at work"
}

// held opens n connections one after the other and counts those that the server
// greets while the others are open.
func held(n int) func(*testing.T, probe) string { return heldFrom(n, clientIP) }

// heldFrom opens them from these addresses in turn.
func heldFrom(n int, from ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		greeted := 0
		var open []net.Conn
		for i := range n {
			c, err := p.n.dialFrom(context.Background(), from[i%len(from)], p.address)
			if err != nil {
				return err.Error()
			}
			open = append(open, c)
			if lineOf(c) != "" {
				greeted++
			}
		}
		for _, c := range open {
			c.Close()
		}
		time.Sleep(300 * time.Millisecond) // until the proxy has heard of it
		return fmt.Sprintf("%d of %d", greeted, n)
	}
}

func lineOf(c net.Conn) string {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 64)
	n, _ := c.Read(b)
	return string(b[:n])
}

// inflated is an answer's coding, whether it says that it varies by it, and
// whether the body is what the app wrote.
func inflated(accept string, header ...string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		h := pairs(header)
		h["Accept-Encoding"] = []string{accept}
		if h["Answer-Content-Type"] == nil {
			h["Answer-Content-Type"] = []string{"application/json; charset=utf-8"}
		}
		a := httpRequest{n: p.n, address: p.address, path: "/", header: h}.do()
		if a.err != nil {
			return a.err.Error()
		}
		coding, text := a.header.Get("Content-Encoding"), a.body
		if coding == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader([]byte(a.body)))
			if err != nil {
				return err.Error()
			}
			b, _ := io.ReadAll(z)
			text = string(b)
		}
		whole := "app's"
		if !strings.Contains(text, `"Proto"`) {
			whole = "other bytes"
		}
		return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", coding, a.header.Get("Vary"), a.header.Get("Etag"), whole))
	}
}

// slowly says whether a body each way took about as long as a limit makes it.
func slowly(size int, least time.Duration) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		start := time.Now()
		a := httpRequest{n: p.n, address: p.address, method: "POST", path: "/", body: strings.Repeat("x", size)}.do()
		took := time.Since(start)
		t.Logf("%d bytes each way took %s", size, took)
		if took >= least {
			return summary(a) + " slow"
		}
		return summary(a)
	}
}

var answers = []row{
	{"respond", "http", both, []policy{do("p", act("respond", args{"status": num(503), "body": str("back at 100% noon")}))},
		reached(web("/"), requests), "503 back at 100% noon; 0 reached the app", "200 app; 1 reached the app", served},
	{"respond 200 with nothing", "http", both, []policy{do("p", act("respond", nil))},
		reached(web("/"), requests), "200; 0 reached the app", "200 app; 1 reached the app", served},
	{"respond if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("respond", args{"status": num(410)})}}},
		each(web("/"), web("/", "x-group", "beta")), "200 app | 410", "200 app | 200 app", served},
	{"respond for a share", "http", both, []policy{{name: "p", sample: 0.5, actions: []*ir.Action{act("respond", args{"status": num(410)})}}},
		mix(40, web("/")), "200 app 410", "200 app", served},
	{"respond after a denial and a quota", "http", both, []policy{
		{name: "a", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		do("b", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)})),
		do("p", act("respond", args{"status": num(410)})), do("q", act("access_log", nil))},
		logged(each(web("/", "x-group", "beta"), web("/a"), web("/b"))),
		"403 | 410 | 429 local_rate_limited: policy=q status=403 path=/ policy=q status=410 path=/a policy=q status=429 path=/b", "200 app | 200 app | 200 app:", served},
	{"respond without a body", "http", both, []policy{do("p", act("respond", args{"status": num(204)}))},
		raw(emptyGet, emptyGet), "HTTP/1.1 204 No Content, HTTP/1.1 204 No Content", "HTTP/1.1 200 OK, app", served},
	{"deny without a body", "http", both, []policy{do("p", act("deny", args{"status": num(304)}))},
		raw(emptyGet, emptyGet), "HTTP/1.1 304 Not Modified, HTTP/1.1 304 Not Modified", "HTTP/1.1 200 OK, app", served},
	{"respond before a fault", "http", both, []policy{do("p", act("respond", args{"status": num(410)})), do("q", act("fault", args{"abort": num(500)}))},
		web("/"), "410", "200 app", served},
	{"respond behind a retry", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(2)})), do("q", act("respond", args{"status": num(503)}), act("access_log", nil))},
		logged(web("/a")), "503: policy=q status=503 path=/a policy=q status=503 path=/a policy=q status=503 path=/a", "200 app:", served},
	{"a header of what respond says", "http", both, []policy{
		do("a", act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})), do("p", act("respond", args{"status": num(410)}))},
		clientSaw("x-resp", "/"), "410 [adm]", "200 [app]", served},

	{"redirect", "http", both, []policy{do("p", act("redirect", args{"path": str("/100%25"), "host": str("new.test:81"), "status": num(308)}))},
		reached(each(told(httpRequest{path: "/old?a=%20b"}, "location"), told(httpRequest{path: "/old"}, "location"), told(httpRequest{path: "/old", header: pairs([]string{"x-forwarded-proto", "https"})}, "location")), requests),
		"308 location=http://new.test:81/100%25?a=%20b | 308 location=http://new.test:81/100%25 | 308 location=https://new.test:81/100%25; 0 reached the app",
		"200 app location= | 200 app location= | 200 app location=; 3 reached the app", served},
	{"redirect to a query", "http", both, []policy{do("p", act("redirect", args{"path": str("/new?c=d")}))},
		told(httpRequest{path: "/old?a=b", header: map[string][]string{"Host": {"shop.test"}}}, "location"), "302 location=http://shop.test/new?c=d", "200 app location=", served},
	{"redirect to a host", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("redirect", args{"host": str("new.test")})}}},
		each(told(httpRequest{path: "/a?b"}, "location"), told(httpRequest{path: "/a?b", header: map[string][]string{"x-group": {"beta"}}}, "location")),
		"200 app location= | 302 location=http://new.test/a?b", "200 app location= | 200 app location=", served},

	{"rewrite", "http", both, []policy{do("p", act("rewrite", args{"prefix": str("/v1/"), "with": str("/a.b/")}))},
		each(went("/v1/x?y=/v1/"), went("/v1"), went("/v10/"), went("/x/v1/"), went("//v1/x"), went("/x/../v1/"+strings.Repeat("long", 5000))),
		"/a.b/x?y=/v1/ | /v1 | /v10/ | /x/v1/ | /a.b/x | /a.b/" + strings.Repeat("long", 5000), "/v1/x?y=/v1/ | /v1 | /v10/ | /x/v1/ | //v1/x | /x/../v1/" + strings.Repeat("long", 5000), served},
	{"rewrite of the host", "http", both, []policy{do("p", act("rewrite", args{"host": str("inner.test")}))},
		each(went("//a"), went("/a", "Host", "shop.test")), "inner.test//a | inner.test/a", "//a | shop.test/a", served},
	{"rewrite both if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("rewrite", args{"prefix": str(`/"\ü`), "with": str(`/%`), "host": str("inner.test")})}}},
		each(went("/v1/x", "x-group", "beta"), went("/v1/x")), "inner.test/v1/x | /v1/x", "/v1/x | /v1/x", served},
	{"a condition on what was rewritten", "http", both, []policy{
		do("a", act("rewrite", args{"prefix": str("/v1/"), "with": str("/admin/")})),
		{name: "p", when: adminPath, reads: adminReads, actions: []*ir.Action{act("fault", args{"abort": num(500)})}}},
		each(web("/v1/x"), web("/v2/x")), "500 fault filter abort | 200 app", "200 app | 200 app", served},
	{"a retry of what was rewritten", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})), do("q", act("rewrite", args{"prefix": str("/v1"), "with": str("/")}))},
		reached(web("/v1flaky/3"), requests), "200 app; 3 reached the app", "200 app; 1 reached the app", served},
	{"a retry of what is rewritten behind it", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})), do("q", act("rewrite", args{"prefix": str("/v1"), "with": str("/")})), do("r", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(3)}))},
		each(reached(web("/v1flaky/3"), requests), web("/")), "200 app; 3 reached the app | 429 local_rate_limited", "200 app; 1 reached the app | 200 app", served},

	{"cors", "http", both, []policy{do("p", act("cors", args{"origins": strs("https://a.test", "https://b.test"), "methods": strs("GET", "PUT"), "headers": strs("x-a"), "max_age": dur(time.Hour), "credentials": boolean(true)}))},
		reached(each(told(preflight("https://b.test"), "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age", "access-control-allow-credentials"),
			told(preflight("https://c.test"), "access-control-allow-origin"),
			told(with("Origin", "https://a.test"), "access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods"),
			told(with("Origin", "https://c.test"), "access-control-allow-origin"), told(with(), "access-control-allow-origin"),
			told(httpRequest{method: "OPTIONS"}, "access-control-allow-origin")), requests),
		"200 access-control-allow-origin=https://b.test access-control-allow-methods=GET, PUT access-control-allow-headers=x-a access-control-max-age=3600 access-control-allow-credentials=true | " +
			"200 app access-control-allow-origin= | 200 app access-control-allow-origin=https://a.test access-control-allow-credentials=true access-control-allow-methods= | " +
			"200 app access-control-allow-origin= | 200 app access-control-allow-origin= | 200 app access-control-allow-origin=; 5 reached the app",
		"200 app access-control-allow-origin= access-control-allow-methods= access-control-allow-headers= access-control-max-age= access-control-allow-credentials= | " +
			"200 app access-control-allow-origin= | 200 app access-control-allow-origin= access-control-allow-credentials= access-control-allow-methods= | " +
			"200 app access-control-allow-origin= | 200 app access-control-allow-origin= | 200 app access-control-allow-origin=; 6 reached the app", served},
	{"cors for any origin", "http", both, []policy{do("p", act("cors", args{"origins": strs("*")}))},
		each(told(preflight("https://x.test"), "access-control-allow-origin", "access-control-max-age", "access-control-allow-credentials"), told(with("Origin", "null"), "access-control-allow-origin")),
		"200 access-control-allow-origin=https://x.test access-control-max-age= access-control-allow-credentials= | 200 app access-control-allow-origin=null",
		"200 app access-control-allow-origin= access-control-max-age= access-control-allow-credentials= | 200 app access-control-allow-origin=", served},
	{"cors if", "http", both, []policy{
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("cors", args{"origins": strs("https://b.test")})}},
		{name: "q", when: headerIs("x-group", "alpha"), reads: betaReads, actions: []*ir.Action{act("cors", args{"origins": strs("https://a.test")})}}},
		each(told(with("Origin", "https://a.test"), "access-control-allow-origin"), told(with("Origin", "https://a.test", "x-group", "alpha"), "access-control-allow-origin"), told(with("Origin", "https://a.test", "x-group", "beta"), "access-control-allow-origin"),
			told(with("Origin", "https://b.test", "x-group", "beta"), "access-control-allow-origin")),
		"200 app access-control-allow-origin= | 200 app access-control-allow-origin=https://a.test | 200 app access-control-allow-origin= | 200 app access-control-allow-origin=https://b.test",
		"200 app access-control-allow-origin= | 200 app access-control-allow-origin= | 200 app access-control-allow-origin= | 200 app access-control-allow-origin=", served},
	{"cors before a token is asked for, and on its refusal", "http", both, []policy{
		do("p", act("cors", args{"origins": strs("https://a.test")})),
		do("q", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys)}), act("access_log", nil))},
		logged(each(told(preflight("https://a.test"), "access-control-allow-origin"), told(with("Origin", "https://a.test"), "access-control-allow-origin"))),
		"200 access-control-allow-origin=https://a.test | 401 Jwt is missing access-control-allow-origin=https://a.test: policy=q status=200 path=/ policy=q status=401 path=/",
		"200 app access-control-allow-origin= | 200 app access-control-allow-origin=:", served},
	{"cors behind a retry", "http", ir.Egress, []policy{
		do("r", act("retry", args{"attempts": num(3)})), do("p", act("cors", args{"origins": strs("https://a.test")}))},
		reached(each(told(preflight("https://a.test"), "access-control-allow-origin"), told(httpRequest{path: "/flaky/3", header: map[string][]string{"Origin": {"https://a.test"}}}, "access-control-allow-origin")), requests),
		"200 access-control-allow-origin=https://a.test | 200 app access-control-allow-origin=https://a.test; 3 reached the app",
		"200 app access-control-allow-origin= | 503 app access-control-allow-origin=; 2 reached the app", served},

	{"max_body", "http", both, []policy{do("p", act("max_body", args{"size": num(1000)}))},
		reached(each(posting(1000, false), posting(1001, false), posting(1000, true), posting(1001, true), posting(3<<20, true), web("/")), requests),
		"200 app 1000 | 413 Payload Too Large | 200 app 1000 | 413 Payload Too Large | 413 Payload Too Large | 200 app; 3 reached the app",
		"200 app 1000 | 200 app 1001 | 200 app 1000 | 200 app 1001 | 200 app 3145728 | 200 app; 6 reached the app", served},
	{"max_body above Envoy's own bound", "http", both, []policy{do("p", act("max_body", args{"size": num(4 << 20)}))},
		each(posting(4<<20, true), posting(4<<20+1, true)), "200 app 4194304 | 413 Payload Too Large", "200 app 4194304 | 200 app 4194305", served},
	{"max_body if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("max_body", args{"size": num(10)})}}},
		each(told(httpRequest{method: "POST", body: strings.Repeat("x", 11)}), told(httpRequest{method: "POST", body: strings.Repeat("x", 11), header: map[string][]string{"x-group": {"beta"}}})),
		"200 app | 413 Payload Too Large", "200 app | 200 app", served},
	{"max_body after an upgrade and a wait for 100", "http", both, []policy{do("p", act("max_body", args{"size": num(4)}))},
		each(raw("GET /upgrade HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "longer than four\n"),
			raw("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "four"),
			raw("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "five5"),
			raw("POST / HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nfive5", "")),
		"HTTP/1.1 101 Switching Protocols, longer than four | HTTP/1.1 100 Continue, HTTP/1.1 200 OK | HTTP/1.1 100 Continue, HTTP/1.1 413 Payload Too Large | HTTP/1.1 413 Payload Too Large, Payload Too Large",
		"HTTP/1.1 101 Switching Protocols, longer than four | HTTP/1.1 100 Continue, HTTP/1.1 200 OK | HTTP/1.1 100 Continue, HTTP/1.1 200 OK | HTTP/1.1 200 OK, app", served},
	{"max_body over HTTP/2", "http", both, []policy{do("p", act("max_body", args{"size": num(4)}))},
		each(told(httpRequest{h2: true, method: "POST", body: "four"}), told(httpRequest{h2: true, method: "POST", body: "five5", chunked: true})), "200 app | 413 Payload Too Large", "200 app | 200 app", served},
	{"max_body of a stream", "grpc", both, []policy{do("p", act("max_body", args{"size": num(1000)}))},
		talking(400, 400, 400), "400 400 Internal", "400 400 400", served},
	{"max_body behind a retry", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})), do("q", act("max_body", args{"size": num(1000)}))},
		reached(each(sending(1000, "/flaky/3"), sending(1001, "/")), requests), "200 app | 413 Payload Too Large; 3 reached the app", "503 app | 200 app; 2 reached the app", served},
	{"max_body", "grpc", both, []policy{do("p", act("max_body", args{"size": num(1000)}))},
		reached(each(sentRPC(900), sentRPC(1100), sentRPC(1<<20)), requests),
		"OK | ResourceExhausted request too long | ResourceExhausted request too long; 1 reached the app", "OK | OK | OK; 3 reached the app", served},

	{"concurrency_limit", "http", both, []policy{do("p", act("concurrency_limit", args{"max": num(2)}))},
		reached(each(atOnce(5, web("/slow/700")), atOnce(2, web("/slow/300")), web("/")), requests),
		"2 x 200 app, 3 x 503 reached concurrency limit | 2 x 200 app | 200 app; 5 reached the app", "5 x 200 app | 2 x 200 app | 200 app; 8 reached the app", served},
	{"concurrency_limit under load", "http", both, []policy{do("p", act("concurrency_limit", args{"max": num(3)}))},
		crowding, "3 at work", "more than 3 at work", served},
	{"concurrency_limit of one", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("concurrency_limit", args{"max": num(1)})}}},
		each(atOnce(3, web("/slow/500", "x-group", "beta")), atOnce(3, web("/slow/300")), web("/", "x-group", "beta")),
		"1 x 200 app, 2 x 503 reached concurrency limit | 3 x 200 app | 200 app", "3 x 200 app | 3 x 200 app | 200 app", served},
	{"concurrency_limit", "grpc", both, []policy{do("p", act("concurrency_limit", args{"max": num(2)}))},
		atOnce(5, rpc("slow/700")), "2 x OK, 3 x ResourceExhausted reached concurrency limit", "5 x OK", served},
	{"concurrency_limit", "tcp", both, []policy{do("p", act("concurrency_limit", args{"max": num(2)}))},
		reached(each(held(4), greeting), connections), "2 of 4 | " + hello + "; 3 reached the app", "4 of 4 | " + hello + "; 5 reached the app", served},
	{"concurrency_limit beside conditions of others", "tcp", both, []policy{
		do("p", act("concurrency_limit", args{"max": num(2)})),
		{name: "q", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("access_log", nil)}}},
		each(held(3), heldFrom(3, otherIP), heldFrom(4, clientIP, otherIP)), "2 of 3 | 2 of 3 | 2 of 4", "3 of 3 | 3 of 3 | 4 of 4", served},
	{"two concurrency_limits beside conditions of others", "tcp", both, []policy{
		do("p", act("concurrency_limit", args{"max": num(3)})),
		{name: "q", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("access_log", nil)}},
		do("r", act("concurrency_limit", args{"max": num(2)}))},
		each(held(4), heldFrom(4, clientIP, otherIP)), "2 of 4 | 2 of 4", "4 of 4 | 4 of 4", served},
	{"two concurrency_limits", "tcp", both, []policy{do("p", act("concurrency_limit", args{"max": num(2)})), do("r", act("concurrency_limit", args{"max": num(2)}))},
		each(held(3), held(3)), "2 of 3 | 2 of 3", "3 of 3 | 3 of 3", served},
	{"concurrency_limit beside conditions of others, and versions", "tcp", ir.Egress, []policy{
		do("p", act("concurrency_limit", args{"max": num(2)})),
		{name: "q", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("access_log", nil)}},
		do("r", act("split", args{"weights": weights("v1", 0.5, "v2", 0.5)}))},
		each(held(6), held(6)), "2 of 6 | 2 of 6", "6 of 6 | 6 of 6", served},
	{"concurrency_limit between two rate_limits", "tcp", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(4)})),
		do("q", act("concurrency_limit", args{"max": num(1)})),
		do("r", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)}))},
		each(held(2), held(1), held(1)), "1 of 2 | 1 of 1 | 0 of 1", "2 of 2 | 1 of 1 | 1 of 1", served},
	{"concurrency_limit with a condition of its own", "tcp", both, []policy{{name: "p", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("concurrency_limit", args{"max": num(1)})}}},
		each(held(3), heldFrom(3, otherIP)), "3 of 3 | 1 of 3", "3 of 3 | 3 of 3", served},
	{"concurrency_limit behind a retry", "http", ir.Egress, []policy{do("r", act("retry", args{"attempts": num(2)})), do("p", act("concurrency_limit", args{"max": num(1)}))},
		each(reached(web("/flaky/3"), requests), web("/")), "200 app; 3 reached the app | 200 app", "503 app; 1 reached the app | 200 app", served},
	{"a refused request is not at work", "http", both, []policy{
		{name: "a", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		do("p", act("concurrency_limit", args{"max": num(1)})), do("q", act("fault", args{"abort": num(500)}))},
		each(times(3, web("/", "x-group", "beta")), times(3, web("/"))), "403 | 403 | 403 | 500 fault filter abort | 500 fault filter abort | 500 fault filter abort",
		"200 app | 200 app | 200 app | 200 app | 200 app | 200 app", served},

	{"bandwidth_limit", "http", both, []policy{do("p", act("bandwidth_limit", args{"limit": num(64 << 10)}))},
		slowly(160<<10, 2*time.Second), "200 app slow", "200 app", served},
	{"bandwidth_limit if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("bandwidth_limit", args{"limit": num(64 << 10)})}}},
		each(slowly(160<<10, time.Second), atLeast(2*time.Second, told(httpRequest{method: "POST", body: strings.Repeat("x", 160<<10), header: map[string][]string{"x-group": {"beta"}}}))),
		"200 app | 200 app late", "200 app | 200 app", served},
	{"bandwidth_limit", "grpc", both, []policy{do("p", act("bandwidth_limit", args{"limit": num(64 << 10)}))},
		atLeast(1200*time.Millisecond, sentRPC(160<<10)), "OK late", "OK", served},

	{"compress", "http", both, []policy{do("p", act("compress", nil))},
		each(inflated("gzip"), inflated("br;q=0, gzip"), inflated("identity"), inflated(""), inflated("gzip", "Answer-Content-Type", "image/png"), inflated("gzip", "Answer-Content-Encoding", "own"), inflated("gzip", "Answer-Etag", `"e"`)),
		`gzip Accept-Encoding  app's | gzip Accept-Encoding  app's | Accept-Encoding  app's | Accept-Encoding  app's | app's | own   app's | gzip Accept-Encoding W/"e" app's`,
		`app's | app's | app's | app's | app's | own   app's | "e" app's`, served},
	{"compress what respond says", "http", both, []policy{
		do("p", act("compress", args{"types": strs("text/plain")})), do("q", act("respond", args{"status": num(410), "body": str(strings.Repeat("gone ", 20))}))},
		clientSaw("content-encoding", "/", "Accept-Encoding", "br"), "410 [br]", "200 []", served},
	{"answers over HTTP/2", "http", both, []policy{
		do("a", act("cors", args{"origins": strs("https://a.test")})),
		{name: "b", when: beta, reads: betaReads, actions: []*ir.Action{act("redirect", args{"path": str("/new")})}},
		do("c", act("rewrite", args{"prefix": str("/v1"), "with": str("/v2"), "host": str("inner.test")}))},
		each(told(httpRequest{h2: true, path: "/v1", header: map[string][]string{"x-group": {"beta"}, "Host": {"shop.test"}}}, "location"), told(httpRequest{h2: true, header: map[string][]string{"Origin": {"https://a.test"}}}, "access-control-allow-origin"),
			func(t *testing.T, p probe) string {
				a := httpRequest{n: p.n, address: p.address, path: "/v1/x", h2: true}.do()
				return strings.TrimPrefix(a.seen.Host, p.address) + a.seen.URI
			}),
		"302 location=http://shop.test/new | 200 app access-control-allow-origin=https://a.test | inner.test/v2/x", "200 app location= | 200 app access-control-allow-origin= | /v1/x", served},
	{"compress with brotli", "http", both, []policy{do("p", act("compress", nil))},
		each(inflated("gzip, br"), inflated("br"), inflated("gzip, br;q=0.5")), "br Accept-Encoding  other bytes | br Accept-Encoding  other bytes | gzip Accept-Encoding  app's", "app's | app's | app's", served},
	{"compress if", "http", both, []policy{
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("compress", args{"types": strs("text/css")})}},
		{name: "q", when: headerIs("x-group", "alpha"), reads: betaReads, actions: []*ir.Action{act("compress", args{"types": strs("application/json")})}}},
		each(inflated("gzip"), inflated("gzip", "x-group", "alpha"), inflated("gzip", "x-group", "beta"), inflated("gzip, br", "x-group", "beta", "Answer-Content-Type", "Text/CSS")),
		"app's | gzip Accept-Encoding  app's | app's | br Accept-Encoding  other bytes", "app's | app's | app's | app's", served},

	{"ext_authz", "http", both, []policy{{name: "p", closed: true, actions: []*ir.Action{act("ext_authz", args{"address": str(guardAt)})}}},
		reached(each(web("/a"), told(httpRequest{path: "/secret", header: map[string][]string{"X-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"192.0.2.1"}}}, "x-resp"), web("/x/../sec%72et"), web("/", "x-guard", "sleep"), appSaw("x-secret", "x-guard", "meddle", "x-secret", "mine")), requests),
		"200 app | 401 the guard saw GET /secret x-forwarded-for=192.0.2.1 x-resp=guard | 401 the guard saw GET /secret | 403 | [mine]; 2 reached the app",
		"200 app | 200 app x-resp=app | 200 app | 200 app | [mine]; 5 reached the app", served},
	{"ext_authz", "grpc", both, []policy{{name: "p", closed: true, actions: []*ir.Action{act("ext_authz", args{"address": str(guardAt)})}}},
		reached(each(rpc("x"), rpc("x", "x-guard", "no"), rpc("x", "x-guard", "sleep")), requests),
		"OK | Unauthenticated the guard saw POST /grpc.health.v1.Health/Check | PermissionDenied; 1 reached the app", "OK | OK | OK; 3 reached the app", served},
	{"ext_authz that fails open", "http", both, []policy{do("p", act("ext_authz", args{"address": str(nobodyAt)}), act("set_header", args{"name": str("x-mark"), "value": str("1")}))},
		each(web("/"), appSaw("x-mark")), "200 app | [1]", "200 app | []", served},
	{"ext_authz that fails closed", "http", both, []policy{{name: "p", closed: true, actions: []*ir.Action{act("ext_authz", args{"address": str(nobodyAt)})}}},
		web("/"), "403", "200 app", served},
	{"ext_authz that fails open", "grpc", both, []policy{do("p", act("ext_authz", args{"address": str(nobodyAt)}), act("set_header", args{"name": str("x-mark"), "value": str("1")}))},
		each(rpc("x"), rpcSaw("x-mark")), "OK | [1]", "OK | []", served},
	{"ext_authz that fails closed", "grpc", both, []policy{{name: "p", closed: true, actions: []*ir.Action{act("ext_authz", args{"address": str(nobodyAt)})}}},
		rpc("x"), "PermissionDenied", "OK", served},
	{"closed jwt without its keys", "http", both, []policy{{name: "p", closed: true, actions: []*ir.Action{act("jwt", args{"issuer": str("iss"), "jwks_uri": str("http://" + nobodyAt + "/keys")})}}},
		each(web("/"), web("/", "Authorization", bearer("iss", "shop", "a"))), "401 Jwt is missing | 401 Jwks remote fetch is failed", "200 app | 200 app", served},
	{"open jwt without its keys", "http", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks_uri": str("http://" + nobodyAt + "/keys")}))},
		each(web("/"), web("/", "Authorization", bearer("iss", "shop", "a"))), "401 Jwt is missing | 401 Jwks remote fetch is failed", "200 app | 200 app", served},
	{"open jwt without its keys", "grpc", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks_uri": str("http://" + nobodyAt + "/keys")}))},
		rpc("x", "authorization", bearer("iss", "shop", "a")), "Unauthenticated Jwks remote fetch is failed", "OK", served},
	{"ext_authz if, before a quota", "http", both, []policy{
		{name: "p", closed: true, when: beta, reads: betaReads, actions: []*ir.Action{act("ext_authz", args{"address": str(guardAt)})}},
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)}))},
		each(web("/secret", "x-group", "beta"), web("/secret"), web("/a", "x-group", "beta")), "401 the guard saw GET /secret | 200 app | 429 local_rate_limited", "200 app | 200 app | 200 app", served},
	{"a retry asks the guard for each attempt", "http", ir.Egress, []policy{
		do("r", act("retry", args{"attempts": num(2)})), {name: "p", closed: true, actions: []*ir.Action{act("ext_authz", args{"address": str(guardAt)})}}},
		reached(each(web("/flaky/3"), web("/secret")), requests), "200 app | 401 the guard saw GET /secret; 3 reached the app", "503 app | 200 app; 2 reached the app", served},

	{"a global rate_limit", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(2, time.Hour), "global": boolean(true)}))},
		each(times(3, web("/")), clientSaw("x-envoy-ratelimited", "/")), "200 app | 200 app | 429 | 429 []", "200 app | 200 app | 200 app | 200 []", served},
	{"a global rate_limit for all callers, if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("rate_limit", args{"rate": rate(1, time.Minute), "global": boolean(true), "scope": str("service")})}}},
		each(web("/"), web("/", "x-group", "beta"), web("/"), web("/", "x-group", "beta")), "200 app | 200 app | 200 app | 429", "200 app | 200 app | 200 app | 200 app", served},
	{"a global rate_limit per header", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "global": boolean(true), "per": str("x-user")}))},
		each(web("/", "x-user", "a"), web("/", "x-user", "b"), web("/", "x-user", "a"), web("/"), web("/", "x-user", strings.Repeat("x", 257))),
		"200 app | 200 app | 429 | 200 app | 429", "200 app | 200 app | 200 app | 200 app | 200 app", served},
	{"a global rate_limit", "grpc", both, []policy{do("p", act("rate_limit", args{"rate": rate(2, time.Hour), "global": boolean(true)}))},
		times(3, rpc("x")), "OK | OK | ResourceExhausted", "OK | OK | OK", served},
	{"a global rate_limit without its service", "http", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "global": boolean(true), "address": str(nobodyAt)}), act("set_header", args{"name": str("x-mark"), "value": str("1")}))},
		each(web("/"), web("/"), appSaw("x-mark")), "200 app | 200 app | [1]", "200 app | 200 app | []", served},
	{"a global rate_limit without its service", "grpc", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "global": boolean(true), "address": str(nobodyAt)}), act("set_header", args{"name": str("x-mark"), "value": str("1")}))},
		each(rpc("x"), rpc("x"), rpcSaw("x-mark")), "OK | OK | [1]", "OK | OK | []", served},
	{"a closed global rate_limit without its service", "http", both, []policy{
		{name: "p", closed: true, actions: []*ir.Action{act("rate_limit", args{"rate": rate(1, time.Hour), "global": boolean(true), "address": str(nobodyAt)})}}},
		web("/"), "503", "200 app", served},
	{"a closed global rate_limit without its service", "grpc", both, []policy{
		{name: "p", closed: true, actions: []*ir.Action{act("rate_limit", args{"rate": rate(1, time.Hour), "global": boolean(true), "address": str(nobodyAt)})}}},
		rpc("x"), "Unavailable", "OK", served},
	{"a global rate_limit counts attempts", "http", ir.Egress, []policy{
		do("r", act("retry", args{"attempts": num(3)})), do("p", act("rate_limit", args{"rate": rate(3, time.Hour), "global": boolean(true)}))},
		each(reached(web("/flaky/3"), requests), web("/")), "200 app; 3 reached the app | 429", "503 app; 1 reached the app | 200 app", served},
}
