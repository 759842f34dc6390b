//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// A recorder keeps every byte that comes to a port, and answers each request it
// makes out of them.
type recorder struct {
	mu  sync.Mutex
	got map[net.Conn]*bytes.Buffer
}

func record(t testing.TB, n *namespace, port int) *recorder {
	r := &recorder{got: map[net.Conn]*bytes.Buffer{}}
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	go accept(l, r.serve)
	return r
}

func (r *recorder) serve(c net.Conn) {
	got := &bytes.Buffer{}
	r.mu.Lock()
	r.got[c] = got
	r.mu.Unlock()
	in := bufio.NewReader(tee{c, r, got})
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			io.Copy(io.Discard, in)
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// tee notes what it reads, under the recorder's lock.
type tee struct {
	net.Conn
	r   *recorder
	got *bytes.Buffer
}

func (t tee) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.got.Write(p[:n])
	return n, err
}

func (r *recorder) bytes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	for _, b := range r.got {
		out.Write(b.Bytes())
	}
	return out.String()
}

// take gives the bytes of each connection, when no more come, and forgets them.
func (r *recorder) take() []string {
	for last := ""; ; {
		now := r.bytes()
		time.Sleep(20 * time.Millisecond)
		if now == last {
			break
		}
		last = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, b := range r.got {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	return out
}

// spelled are requests that two readers may understand differently (RFC 9112,
// section 11.2), or that walk round a policy by how they are written. Each is
// followed by a plain request for /after on the same connection. What is wanted:
// the statuses that the caller gets until the connection ends, and the requests
// that reach the receiver. The policies refuse /admin with 403, the method DELETE
// with 405 and the header x-block with 451.
var spelled = []struct{ name, request, want string }{
	{"plain", "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n", "200 200: GET /a, GET /after"},
	{"denied path", "GET /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"denied method", "DELETE /a HTTP/1.1\r\nHost: shop\r\n\r\n", "405 200: GET /after"},
	{"denied header", "GET /a HTTP/1.1\r\nHost: shop\r\nX-Block: 1\r\n\r\n", "451 200: GET /after"},

	{"length and chunks", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"chunks and length", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nContent-Length: 45\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: shop\r\nX-A: b\r\n\r\n", "400: "},
	{"two lengths", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\nContent-Length: 37\r\n\r\nGET /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"two equal lengths", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "400: "},
	{"a list of lengths", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 2, 2\r\n\r\nok", "400: "},
	{"a signed length", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: +2\r\n\r\nok", "400: "},
	{"a negative length", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: -1\r\n\r\nok", "400: "},
	{"a length in hex", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0x2\r\n\r\nok", "400: "},
	{"a length that overflows", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 18446744073709551618\r\n\r\nok", "400: "},
	{"an empty length", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: \r\n\r\n", "400: "},
	{"chunked, in capitals", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 200: GET /after, POST /a \"ok\""},
	{"xchunked", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501: "},
	{"chunked behind a tab", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding:\tchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 200: GET /after, POST /a \"ok\""},
	{"chunked with a vertical tab", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: \vchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400: "},
	{"chunked and identity", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "501: "},
	{"identity", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", "400: "},
	{"chunked twice", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501: "},
	{"two encodings in two lines", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "501: "},
	{"gzip, chunked", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501: "},
	{"chunks in HTTP/1.0", "POST /a HTTP/1.0\r\nHost: shop\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 200: GET /after, POST /a"},
	{"an extension of a chunk", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nok\r\n0;z\r\n\r\n", "200 200: GET /after, POST /a \"ok\""},
	{"an extension with a bare LF", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n25\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n", "400: "},
	{"a chunk of signed size", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n", "400: "},
	{"a chunk of size 0x2", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n", "400: "},
	{"a chunk that overflows", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n", "400: "},
	{"chunks that end in bare LF", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", "400: "},
	{"a chunk longer than said", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nokay\r\n0\r\n\r\n", "200 200: GET /after, POST /a \"o\""},
	{"framing in a trailer", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nX-Block: 1\r\n\r\n", "200 200: GET /after, POST /a trailers \"content-length: 5\\r\\ntransfer-encoding: chunked\\r\\nx-block: 1\""},

	{"a folded line", "GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\n X-Block: 1\r\n\r\n", "200 200: GET /a, GET /after"},
	{"folded chunked", "POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400: "},
	{"a first line that is folded", "GET /a HTTP/1.1\r\n Host: other\r\nHost: shop\r\n\r\n", "400: "},
	{"a space before the colon", "POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length : 5\r\n\r\n", "400: "},
	{"a tab before the colon", "GET /a HTTP/1.1\r\nHost: shop\r\nX-Block\t: 1\r\n\r\n", "400: "},
	{"bare LF lines", "GET /a HTTP/1.1\nHost: shop\nX-Block: 1\n\n", "451 200: GET /after"},
	{"a bare LF in a value", "GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\nX-Block: 1\r\n\r\n", "451 200: GET /after"},
	{"a bare CR in a value", "GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\rX-Block: 1\r\n\r\n", "200 200: GET /a, GET /after"},
	{"NUL in a value", "GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\x00\r\n\r\n", "400: "},
	{"NUL in a name", "GET /a HTTP/1.1\r\nHost: shop\r\nX-Block\x00: 1\r\n\r\n", "400: "},
	{"NUL in the path", "GET /adm\x00in HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"an empty name", "GET /a HTTP/1.1\r\nHost: shop\r\n: 1\r\n\r\n", "400: "},
	{"a header without a colon", "GET /a HTTP/1.1\r\nHost: shop\r\nX-Block\r\n\r\n", "400: "},
	{"empty lines in front", "\r\n\r\nGET /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"no version", "GET /admin\r\n\r\n", "400: "},
	{"another version", "GET /a HTTP/1.2\r\nHost: shop\r\n\r\n", "200: GET /a"},
	{"two spaces", "GET  /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"a tab for a space", "GET\t/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"a space in the path", "GET /a /admin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},

	{"no host", "GET /a HTTP/1.1\r\n\r\n", "400: "},
	{"two hosts", "GET /a HTTP/1.1\r\nHost: shop\r\nHost: other\r\n\r\n", "200 200: GET /a of shop,other, GET /after"},
	{"absolute form, another host", "GET http://other/a HTTP/1.1\r\nHost: shop\r\n\r\n", "200 200: GET /a of other, GET /after"},
	{"absolute form of a denied path", "GET http://shop/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"absolute form of another scheme", "GET https://shop/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"absolute form without a path", "GET http://shop HTTP/1.1\r\nHost: shop\r\n\r\n", "200 200: GET /, GET /after"},
	{"absolute form with a query alone", "GET http://shop?/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "404 200: GET /after"},
	{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", "404 200: GET /after"},
	{"asterisk form with more", "OPTIONS */../admin HTTP/1.1\r\nHost: shop\r\n\r\n", "404 200: GET /after"},
	{"asterisk form of GET", "GET * HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"a path without a slash", "GET admin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"a query alone", "GET ?/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"an empty target", "GET  HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"authority form", "CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n", "404: "},
	{"a host with a path", "GET /a HTTP/1.1\r\nHost: shop/admin\r\n\r\n", "400: "},
	{"a host with user information", "GET /a HTTP/1.1\r\nHost: a@shop\r\n\r\n", "200 200: GET /a of a@shop, GET /after"},

	{"dot segments", "GET /x/../admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"merged slashes", "GET //admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"an escaped letter", "GET /%61dmin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"escaped dots", "GET /x/%2e%2e/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"an escaped slash", "GET /x%2f..%2fadmin HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"a backslash", "GET /x\\..\\admin HTTP/1.1\r\nHost: shop\r\n\r\n", "403 200: GET /after"},
	{"an escaped NUL", "GET /admin%00 HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"a fragment", "GET /admin#x HTTP/1.1\r\nHost: shop\r\n\r\n", "400: "},
	{"a denied path as a query", "GET /?/admin HTTP/1.1\r\nHost: shop\r\n\r\n", "200 200: GET /?/admin, GET /after"},
	{"a method in small letters", "delete /a HTTP/1.1\r\nHost: shop\r\n\r\n", "200 200: GET /after, delete /a"},
	{"a method behind an override", "POST /a HTTP/1.1\r\nHost: shop\r\nX-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n", "200 200: GET /after, POST /a"},

	{"a header in capitals", "GET /a HTTP/1.1\r\nHost: shop\r\nX-BLOCK: 1\r\n\r\n", "451 200: GET /after"},
	{"a header twice", "GET /a HTTP/1.1\r\nHost: shop\r\nX-Block: 0\r\nX-Block: 1\r\n\r\n", "451 200: GET /after"},
	{"a header with an underscore", "GET /a HTTP/1.1\r\nHost: shop\r\nX_Block: 1\r\nX_Other: 1\r\n\r\n", "200 200: GET /a x_other=1, GET /after"},
	{"a header that is of the connection", "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: x-block, x-mark, keep-alive\r\nX-Block: 1\r\n\r\n", "200 200: GET /a, GET /after"},
	{"a policy's header that is of the connection", "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: x-mark\r\nX-Mark: forged\r\n\r\n", "200 200: GET /a, GET /after"},
	{"te", "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: te\r\nTE: trailers, gzip\r\n\r\n", "200 200: GET /a te=trailers, GET /after"},
	{"a change to h2c", "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "200 200: GET /a, GET /after"},
	{"a body of GET", "GET /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 37\r\n\r\nGET /admin HTTP/1.1\r\nHost: shop\r\n\r\n..", "200 200: GET /a \"GET /admin HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n..\", GET /after"},
	{"expect", "POST /a HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok", "200 200: GET /after, POST /a \"ok\""},
}

func gate() []policy {
	return []policy{
		{name: "path", when: method(urlPath(), "startsWith", lit("/admin")), reads: []string{"request.url_path"}, actions: []*ir.Action{act("deny", nil)}},
		{name: "method", when: fn("_==_", selectField(ident("request"), "method"), lit("DELETE")), reads: []string{"request.method"},
			actions: []*ir.Action{act("deny", args{"status": num(405)})}},
		{name: "header", when: fn("_!=_", header("x-block"), lit("")), reads: []string{`request.headers["x-block"]`},
			actions: []*ir.Action{act("deny", args{"status": num(451)})}},
		do("mark", act("set_header", args{"name": str("x-mark"), "value": str("adm")})),
	}
}

// TestSpelling sends requests that readers of HTTP disagree about. Whatever the
// ADM passes on, the receiver must read as the policies did.
func TestSpelling(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const first = 26000
	var recorders [3]*recorder
	for k, side := range []ir.Side{0, ir.Ingress, ir.Egress} {
		recorders[k] = record(t, server, first+k)
		if side != 0 {
			prog.call(first+k, "http", side, copyPolicies(gate())...)
		}
	}
	runAll(t, client, server, prog)
	for _, row := range spelled {
		t.Run(row.name, func(t *testing.T) {
			c, err := client.dialWithin(fmt.Sprintf("%s:%d", serverIP, first), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, row.request)
			becomes(t, "the control: without an ADM it arrives as it was written", func() bool {
				return recorders[0].bytes() == row.request
			})
			c.Close()
			recorders[0].take()
			for k, side := range []ir.Side{ir.Ingress, ir.Egress} {
				statuses := say(client, fmt.Sprintf("%s:%d", serverIP, first+k+1), row.request)
				seen, err := strictly(recorders[k+1].take())
				if err != nil {
					t.Errorf("%s: the receiver can't read it for certain: %v", side, err)
				}
				if got := statuses + ": " + strings.Join(seen, ", "); got != row.want {
					t.Errorf("%s: got %q, want %q", side, got, row.want)
				}
			}
		})
	}
}

const plainAfter = "GET /after HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

// say writes a request and another one behind it, and gives the statuses of the
// answers.
func say(n *namespace, address, request string) string {
	c, err := n.dialWithin(address, 10*time.Second)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, request)
	io.WriteString(c, plainAfter)
	var out []string
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if os.IsTimeout(err) {
			out = append(out, "waits")
		}
		if err != nil {
			return strings.Join(out, " ")
		}
		io.Copy(io.Discard, resp.Body)
		out = append(out, fmt.Sprint(resp.StatusCode))
		if resp.Close {
			return strings.Join(out, " ")
		}
	}
}

// strictly reads requests as RFC 9112 writes them, and refuses everything that a
// reader has a choice about. It gives method, target and body of each, and what
// else is not as in a plain request that the policies passed.
func strictly(streams []string) ([]string, error) {
	var out []string
	for _, s := range streams {
		for rest := s; rest != ""; {
			req, after, err := strictRequest(rest)
			if err != nil {
				return out, fmt.Errorf("%w: %q", err, s)
			}
			out, rest = append(out, req), after
		}
	}
	slices.Sort(out)
	return out, nil
}

var (
	requestLine = regexp.MustCompile(`^([A-Z]+|[a-z]+) (/[!-~]*) HTTP/1\.1$`)
	headerLine  = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+): ?([\t -~]*)$")
	chunkLine   = regexp.MustCompile(`^[0-9a-f]+$`)
)

func strictRequest(s string) (req, rest string, err error) {
	head, rest, whole := strings.Cut(s, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	first := requestLine.FindStringSubmatch(lines[0])
	if first == nil || !whole {
		return "", "", fmt.Errorf("no request line, or no end of the head")
	}
	req = first[1] + " " + first[2]
	fields := map[string][]string{}
	for _, line := range lines[1:] {
		m := headerLine.FindStringSubmatch(line)
		if m == nil {
			return "", "", fmt.Errorf("header line %q", line)
		}
		name := strings.ToLower(m[1])
		fields[name] = append(fields[name], m[2])
	}
	if h := fields["host"]; len(h) != 1 {
		return "", "", fmt.Errorf("%d hosts", len(h))
	} else if h[0] != "shop" {
		req += " of " + h[0]
	}
	if m := fields["x-mark"]; len(m) != 1 || m[0] != "adm" {
		return "", "", fmt.Errorf("the policy's header is %q", m)
	}
	for _, name := range []string{"x-block", "x_block", "x_other", "connection", "te", "upgrade", "http2-settings"} {
		if fields[name] != nil {
			req += fmt.Sprintf(" %s=%s", name, strings.Join(fields[name], "|"))
		}
	}
	length, encoding := fields["content-length"], fields["transfer-encoding"]
	switch {
	case len(length)+len(encoding) > 1:
		return "", "", fmt.Errorf("framed by %q and %q", length, encoding)
	case len(length) == 1:
		n, err := strconv.ParseUint(length[0], 10, 31)
		if err != nil {
			return "", "", err
		}
		if int(n) > len(rest) {
			return req + " cut", "", nil
		}
		if n > 0 {
			req += " " + strconv.Quote(rest[:n])
		}
		return req, rest[n:], nil
	case len(encoding) == 1 && encoding[0] == "chunked":
		body, trailers, after, err := strictChunks(rest)
		if err != nil || after == nil {
			return req + " cut", "", err
		}
		if body != "" {
			req += " " + strconv.Quote(body)
		}
		if trailers != "" {
			req += " trailers " + strconv.Quote(trailers)
		}
		return req, *after, nil
	case len(encoding) == 1:
		return "", "", fmt.Errorf("encoding %q", encoding)
	}
	return req, rest, nil
}

// strictChunks gives nil for the rest where the body doesn't come to its end.
func strictChunks(s string) (body, trailers string, rest *string, err error) {
	for {
		size, after, whole := strings.Cut(s, "\r\n")
		if !whole {
			return body, "", nil, nil
		}
		if !chunkLine.MatchString(size) {
			return "", "", nil, fmt.Errorf("chunk of size %q", size)
		}
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return "", "", nil, err
		}
		if n == 0 {
			if r, none := strings.CutPrefix(after, "\r\n"); none {
				return body, "", &r, nil
			}
			t, r, whole := strings.Cut(after, "\r\n\r\n")
			if !whole {
				return body, "", nil, nil
			}
			return body, t, &r, nil
		}
		if len(after) < int(n)+2 {
			return body, "", nil, nil
		}
		if after[n:n+2] != "\r\n" {
			return "", "", nil, fmt.Errorf("chunk without its end")
		}
		body += after[:n]
		s = after[n+2:]
	}
}
