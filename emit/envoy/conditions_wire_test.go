//go:build linux

package envoy

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"admc.dev/admc/lang"
)

// A wire request is written as it stands.
type wireRequest struct {
	method, path, host string
	lines              [][2]string
	target             string // of the request line; "": the path
}

func (r wireRequest) String() string {
	return fmt.Sprintf("%s %s %q %q", r.method, cmp.Or(r.target, r.path), r.host, r.lines)
}

// text of the request on HTTP/1.
func (r wireRequest) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.method, cmp.Or(r.target, r.path), r.host)
	for _, l := range r.lines {
		fmt.Fprintf(&b, "%s: %s\r\n", l[0], l[1])
	}
	return b.String() + "\r\n"
}

// oddValues of headers: what one may hold.
var oddValues = []string{
	"", "a", "A", "ab", "b", "a,b", "é", "e\u0301", "日本", "🙂", "\xff", "a\xffa", "\xc3", "\xed\xa0\x80", "\xc0\x80", "%", "%61", "%)%", `"`, `\`, "a\tb", "0", "-1", "true", "/a", strings.Repeat("a", 300),
}

// wireRequests are requests in which what conditions read is there, absent, empty,
// there several times, and odd.
func wireRequests() []wireRequest {
	base := func(lines ...[2]string) wireRequest {
		return wireRequest{method: "GET", path: "/", host: "shop", lines: lines}
	}
	out := []wireRequest{base()}
	for i, v := range oddValues {
		w := oddValues[(i+7)%len(oddValues)]
		out = append(out,
			base([2]string{"x-a", v}), base([2]string{"X-B", v}), base([2]string{"x-a", v}, [2]string{"x-b", v}), base([2]string{"x-a", v}, [2]string{"x-b", w}),
			base([2]string{"x-a", v}, [2]string{"x-b", ""}, [2]string{"x-a", w}),
			base([2]string{"Answer-X-A", v}), base([2]string{"Answer-X-A", v}, [2]string{"Answer-X-B", w}, [2]string{"Answer-X-A", w}))
		if i%5 == 0 {
			out = append(out, base([2]string{"cookie", v}, [2]string{"cookie", w}), base([2]string{"x-request-id", v}), base([2]string{"x-forwarded-proto", v}), base([2]string{"x-forwarded-proto", v}, [2]string{"x-forwarded-proto", w}), base([2]string{"accept", v}))
		}
	}
	for _, name := range []string{"x-request-id", "user-agent", "cookie", "accept", "x-forwarded-proto"} {
		for _, lines := range [][2]string{{"", "a"}, {"a", ""}, {"", ""}, {"a", "b"}} {
			out = append(out, base([2]string{name, lines[0]}, [2]string{name, lines[1]}))
		}
	}
	for _, path := range []string{"/a", "/a?", "/a?b", "/a?b?c", "/?", "/#", "/a#b", "/a?b#c", "/%61", "/A", "/a%20b", "/%c3%a9", "//a", "/a/../b", "/a/..;/b", "/a/%2e%2e;x/b", "/.;", "/a/..;b/../c", "/a;x", "/a/.", "/a?/../", "/a?%2f", "/status/200", "/status/404", "/status/503", "/a/b/c", "/" + strings.Repeat("a", 4000)} {
		r := base([2]string{"x-a", "/a"})
		r.path = path
		out = append(out, r)
	}
	out = append(out, base([2]string{"connection", "x-a"}, [2]string{"x-a", "a"}), base([2]string{"connection", "close, X-B"}, [2]string{"x-b", "a"}, [2]string{"x-a", "a"}))
	for _, host := range []string{"SHOP", "shop:80", "a.b", "[::1]:80", "shop.", "a_b"} {
		r := base()
		r.host = host
		out = append(out, r)
	}
	for _, method := range []string{"POST", "OPTIONS", "DELETE", "get", "A"} {
		r := base()
		r.method = method
		if method == "POST" {
			r.lines = append(r.lines, [2]string{"content-length", "0"})
		}
		out = append(out, r)
	}
	for _, absolute := range [][2]string{{"https://shop/a?b", "/a?b"}, {"http://shop", "/"}, {"http://shop?b=c", "?b=c"}} {
		r := base([2]string{"x-a", "/a"})
		r.target, r.path = absolute[0], absolute[1]
		out = append(out, r)
	}
	whole := base()
	whole.method, whole.path = "OPTIONS", "*"
	out = append(out, whole)
	for _, claims := range []string{`"sub":"a"`, `"sub":""`, `"sub":"a,b","Level":"é"`, `"sub":3`, `"Level":3.5`, `"Level":null`, `"Level":true`, `"Level":["a"],"https://shop.example/a":"a"`, `"Level":{"a":"b"}`, `"Level":""`, `"level":"a"`, `"sub":"` + "\\u0000" + `"`, `"sub":"🙂%)%"`} {
		out = append(out, base([2]string{"authorization", signed(`{"iss":"iss",` + claims + `}`)}))
	}
	return out
}

// overWire sends a request on a connection of its own, and gives the names of the
// policies that marked the answer, or why there are none.
func (r wireRequest) overWire(n *namespace, address string) (from netip.AddrPort, status int, marks map[string]bool, err error) {
	c, err := n.dial(context.Background(), address)
	if err != nil {
		return from, 0, nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	from = netip.MustParseAddrPort(c.LocalAddr().(*net.TCPAddr).String())
	io.WriteString(c, r.text())
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<16), &http.Request{Method: r.method})
	if err != nil {
		return from, 0, nil, err
	}
	defer res.Body.Close()
	marks = map[string]bool{}
	for name := range res.Header {
		if strings.HasPrefix(name, "X-C") {
			marks[strings.ToLower(name[2:])] = true
		}
	}
	return from, res.StatusCode, marks, nil
}

// overGRPC sends it as a gRPC call, to a method that the receiver doesn't have.
func (r wireRequest) overGRPC(n *namespace, address string) (from netip.AddrPort, status int, marks map[string]bool, err error) {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := n.dial(ctx, addr)
		if err == nil {
			from = netip.MustParseAddrPort(c.LocalAddr().String())
		}
		return c, err
	}, Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	to, err := url.Parse("http://" + address + r.path)
	if err != nil {
		return from, 0, nil, err
	}
	req := &http.Request{
		Method: r.method, URL: to, Host: r.host,
		Header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": nil}, Body: io.NopCloser(strings.NewReader("\x00\x00\x00\x00\x00")),
	}
	for _, l := range r.lines {
		req.Header[http.CanonicalHeaderKey(l[0])] = append(req.Header[http.CanonicalHeaderKey(l[0])], l[1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := tr.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return from, 0, nil, err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	marks = map[string]bool{}
	for name := range res.Header {
		if strings.HasPrefix(name, "X-C") {
			marks[strings.ToLower(name[2:])] = true
		}
	}
	fmt.Sscan(cmp.Or(res.Header.Get("grpc-status"), res.Trailer.Get("grpc-status")), &status)
	return from, status, marks, nil
}

// foreseen is what becomes of the request by the interpreter.
func (r wireRequest) foreseen(in *lang.Interp, c *cell, from netip.AddrPort, at time.Time) *lang.Result {
	headers := lang.Headers{}
	back := lang.Headers{"content-type": {"text/plain; charset=utf-8"}}
	for _, l := range r.lines {
		name := strings.ToLower(l[0])
		headers[name] = append(headers[name], l[1])
		if asked, ok := strings.CutPrefix(name, "answer-"); ok {
			back[asked] = append(back[asked], l[1])
		}
	}
	receiver := func(a lang.Arrival) lang.Answer {
		if c.graph.Calls[0].Protocol == "grpc" {
			return lang.Answer{Status: int(codes.Unimplemented)}
		}
		status := 200
		if n, ok := strings.CutPrefix(a.Path, "/status/"); ok {
			fmt.Sscan(n, &status)
		}
		return lang.Answer{Status: status, Headers: back}
	}
	return in.Run(&lang.Request{
		Call: c.graph.Calls[0], Method: r.method, Path: r.path, Host: r.host, Headers: headers, Receiver: receiver, At: at.Sub(lang.Epoch),
		Source: from, Destination: netip.MustParseAddrPort(fmt.Sprintf("%s:%d", serverIP, c.port)),
	})[0]
}
