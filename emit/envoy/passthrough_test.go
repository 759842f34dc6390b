//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// TestPassThrough holds what reaches the app through an ADM, and what comes
// back, to what it is without one: byte for byte, but for the order of headers.
// The ADM has a policy that never applies, so that its filters are there.
func TestPassThrough(t *testing.T) {
	client, server := newPair(t)
	never := func() policy {
		return policy{name: "never", when: headerIs("x-never", "1"), reads: []string{`request.headers["x-never"]`}, actions: []*ir.Action{
			act("deny", nil), act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})}}
	}
	wrapper := func() policy {
		return policy{name: "patient", actions: []*ir.Action{act("timeout", args{"after": dur(time.Hour)})}}
	}
	const rawPort, webPort, tcpPort = 21000, 21100, 21200
	prog := newProgram()
	ways := []string{"directly", "at ingress", "at egress", "behind a wrapper"}
	for i := range ways {
		serveRaw(t, server, rawPort+i)
		serve(t, server, webPort+i, graph.HTTP)
		serveRaw(t, server, tcpPort+i)
	}
	for _, first := range []int{rawPort, webPort} {
		prog.call(first+1, "http", ir.Ingress, never())
		prog.call(first+2, "http", ir.Egress, never())
		prog.call(first+3, "http", ir.Egress, wrapper(), never())
	}
	prog.call(tcpPort+1, "tcp", ir.Ingress)
	prog.call(tcpPort+2, "tcp", ir.Egress)
	prog.call(tcpPort+3, "tcp", ir.Egress, do("q", act("idle_timeout", args{"after": dur(time.Hour)})))
	l := prog.layout()
	files := emitted(t, l)
	for i, n := range []*namespace{client, server} {
		c := configurationOf(files, l.ADMs[i].Dir)
		validate(t, c)
		runADM(t, n, l.ADMs[i], c)
	}
	same := func(name string, port int, f func(address string) string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make([]string, len(ways))
			var wg sync.WaitGroup
			for i := range ways {
				wg.Go(func() {
					got[i] = strings.ReplaceAll(f(fmt.Sprintf("%s:%d", serverIP, port+i)), fmt.Sprint(port+i), "PORT")
				})
			}
			wg.Wait()
			for i, way := range ways {
				if got[i] != got[0] {
					t.Errorf("%s:\n%.2000s\ndirectly:\n%.2000s", way, got[i], got[0])
				}
			}
		})
	}
	for _, c := range rawRequests {
		same(c.name, rawPort, func(address string) string { return rawExchange(client, address, c.request, c.more, false) })
	}
	same("HTTP/2 on the same port", webPort, func(address string) string {
		a := httpRequest{n: client, address: address, path: "/x?y=1", h2: true, body: "body", method: "POST", header: map[string][]string{"x-a": {"1"}}}.do()
		return fmt.Sprint(a.status, a.seen, a.err)
	})
	same("an answer slower than Envoy's default", webPort, func(address string) string {
		a := httpRequest{n: client, address: address, path: "/slow/16000", limit: 30 * time.Second}.do()
		return fmt.Sprint(a.status, a.err)
	})
	same("a large body", webPort, func(address string) string {
		a := httpRequest{n: client, address: address, path: "/", method: "POST", body: strings.Repeat("x", 5<<20)}.do()
		return fmt.Sprint(a.status, len(a.seen.Body), a.err)
	})
	same("large headers", webPort, func(address string) string {
		h := map[string][]string{}
		for i := range 300 {
			h[fmt.Sprintf("x-many-%d", i)] = []string{strings.Repeat("v", 1000)}
		}
		a := httpRequest{n: client, address: address, path: "/", header: h}.do()
		a.seen.Header.Del("Connection")
		return fmt.Sprint(a.status, len(a.seen.Header), a.err)
	})
	same("streaming both ways", webPort, func(address string) string { return stream(client, address) })
	same("half-closed", tcpPort, func(address string) string { return rawExchange(client, address, "ping\r\n\r\n", "", true) })
}

// rawRequests are requests whose form a proxy might change. (The names of
// trailers come out in lower case, and `OPTIONS *` is answered 404: Envoy has no
// setting for these.)
var rawRequests = []struct{ name, request, more string }{
	{"plain", "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n", ""},
	{"case of headers", "GET /a HTTP/1.1\r\nHost: shop\r\nX-CamelCase: 1\r\nx-lower: 2\r\nX-UPPER: 3\r\n\r\n", ""},
	{"odd paths", "GET //a/../b%2Fc/./d?x=%20&&y HTTP/1.1\r\nHost: shop\r\n\r\n", ""},
	{"forwarded", "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: h\r\nForwarded: for=1.2.3.4\r\nVia: 1.1 x\r\n\r\n", ""},
	{"ids and certificates", "GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Id: 7\r\nX-Forwarded-Client-Cert: By=a;Hash=b\r\nX-Envoy-Attempt-Count: 1\r\ntraceparent: 00-0-0-00\r\n\r\n", ""},
	{"host with port and dot", "GET / HTTP/1.1\r\nHost: Shop.:8080\r\n\r\n", ""},
	{"several values", "GET / HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=1; b=2\r\n\r\n", ""},
	{"underscores and odd values", "GET / HTTP/1.1\r\nHost: shop\r\nx_under: 1\r\nX-Empty: \r\nX-Utf: \xc3\xa4\r\n\r\n", ""},
	{"length", "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nabcd", ""},
	{"chunks and trailers", "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n4\r\nabcd\r\n0\r\nx-t: 1\r\n\r\n", ""},
	{"expect", "POST /expect HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "abcd"},
	{"upgrade", "GET /upgrade HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", "frame"},
	{"a method of its own", "SHOUT /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n", ""},
	{"a method of WebDAV", "PROPFIND /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n", ""},
}

// rawExchange writes a request, then more after the first line of the answer,
// and gives what the app printed of what it got, and all of the answer, with
// headers sorted. The answers of the app close the connection.
func rawExchange(n *namespace, address, request, more string, halfClose bool) string {
	c, err := n.dial(context.Background(), address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	closing := "\r\nConnection: close\r\n\r\n"
	if halfClose || strings.Contains(request, "Connection:") {
		closing = "\r\n\r\n"
	}
	io.WriteString(c, strings.Replace(request, "\r\n\r\n", closing, 1))
	r := bufio.NewReader(c)
	var first string
	if more != "" {
		first, _ = r.ReadString('\n')
		io.WriteString(c, more)
	}
	if halfClose {
		c.(*net.TCPConn).CloseWrite()
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return fmt.Sprintf("%s%s %v", first, rest, err)
	}
	return canonical(first + string(rest))
}

// canonical sorts each block of headers, and leaves out the date, which proxies
// must add (RFC 9110, section 6.6.1), and what is said of one hop's connection.
func canonical(s string) string {
	var out []string
	for _, block := range strings.Split(s, "\r\n\r\n") {
		lines := slices.DeleteFunc(strings.Split(block, "\r\n"), func(l string) bool {
			l = strings.ToLower(l)
			return strings.HasPrefix(l, "date:") || l == "connection: close"
		})
		if len(lines) > 1 {
			slices.Sort(lines[1:])
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	return strings.Join(out, "\n\n")
}

// serveRaw answers each connection with the bytes that it got, once the client
// is done or the message is.
func serveRaw(t testing.TB, n *namespace, port int) {
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	go accept(l, answerRaw)
}

func answerRaw(c net.Conn) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var got bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &got))
	req, err := http.ReadRequest(r)
	if err != nil { // a byte stream: all of it, until the client half-closes
		io.Copy(io.Discard, r)
		fmt.Fprintf(c, "got %q", got.String())
		return
	}
	switch req.URL.Path {
	case "/expect":
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
	case "/upgrade":
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		frame := make([]byte, 5)
		io.ReadFull(r, frame)
		fmt.Fprintf(c, "%s back", frame)
		return
	}
	io.Copy(io.Discard, req.Body)
	body := canonical(got.String())
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: Raw\r\nX-Camel: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// stream posts a body whose end waits for the beginning of the answer.
func stream(n *namespace, address string) string {
	c, err := n.dial(context.Background(), address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "POST /duplex HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	io.WriteString(c, "1\r\nb\r\n0\r\n\r\n")
	return line
}
