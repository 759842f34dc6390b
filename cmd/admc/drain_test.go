//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"admc.dev/admc/cmd/admc/testbed"
)

// openGraph is streamGraph with a byte stream.
var openGraph = strings.Replace(streamGraph, "protocol: grpc}", "protocol: grpc}, {name: raw, port: 7000, protocol: tcp}", 1) +
	"  - {from: app, to: chat, port: raw}\n"

// TestDrain: an ADM that is drained tells its callers to go, lets what is open go
// on, takes who comes, and says when nothing is open any more.
func TestDrain(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	app, chat := bed.Pod("app", "default"), bed.Pod("chat", "default")
	chat.HTTP(8080)
	chat.GRPC(9000)
	chat.TCP(7000)
	adm := chat.ADM(compileForTest(t, openGraph, `
		@ingress policy http  { on * -> chat : http  set_header("x-mark", "1") }
		@ingress policy grpc  { on * -> chat : grpc  set_header("x-mark", "1") }
		@ingress policy bytes { on * -> chat : tcp  rate_limit(rate: 1000/s, scope: "service") }`))

	// What is open before: a WebSocket, a gRPC stream, a byte stream, and an HTTP/1
	// connection between two requests.
	socket, err := dialWebSocket(t, app, "/")
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, socket, "before")
	var dials atomic.Int32
	cc, err := grpc.NewClient("passthrough:///chat:9000", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			dials.Add(1)
			return app.Dial("chat:9000")
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	stream, err := openTalk(t, cc)
	if err != nil {
		t.Fatal(err)
	}
	say(t, stream, "before")
	raw, err := app.Dial("chat:7000")
	if err != nil {
		t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(time.Minute))
	bytes := bufio.NewReader(raw)
	if line, err := bytes.ReadString('\n'); line != "chat\n" {
		t.Fatalf("%q, %v", line, err)
	}
	var between []*http1
	for range 3 {
		c := keepAlive(t, app)
		for range 3 { // the control: nobody is told to go
			if c.get(t).Close {
				t.Fatal("an HTTP/1 connection is closed before the drain")
			}
		}
		between = append(between, c)
	}

	// At a deadline it says what is open, and stops nothing.
	said, err := admcIn(t, adm, "adm", "drain", "--timeout", "2s")
	if err == nil || !strings.Contains(said, "still open: 2 requests on 5 HTTP connections, and 1 byte streams") {
		t.Errorf("at the deadline: %v: %q", err, said)
	}
	for _, c := range between {
		if !c.get(t).Close {
			t.Error("HTTP/1 in a drain: the answer leaves the connection open")
		}
	}
	other, err := openTalk(t, cc)
	if err != nil {
		t.Fatal(err)
	}
	say(t, other, "on a connection whose end is announced")
	await(t, "a new stream has a new connection", func() bool {
		s, err := openTalk(t, cc)
		if err != nil {
			t.Fatal(err)
		}
		s.CloseSend()
		return dials.Load() > 1
	})
	if c := keepAlive(t, app); !c.get(t).Close {
		t.Error("a new HTTP/1 connection is left open")
	}
	exchange(t, socket, "after")
	say(t, stream, "after")
	io.WriteString(raw, "after\n")
	if line, err := bytes.ReadString('\n'); line != "after\n" {
		t.Errorf("the byte stream: %q, %v", line, err)
	}

	// It ends when they do.
	type result struct {
		said string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		said, err := admcIn(t, adm, "adm", "drain", "--timeout", "60s", "--quiet", "500ms")
		done <- result{said, err}
	}()
	for _, end := range []func(){
		func() { socket.Close() },
		func() { other.CloseSend(); stream.CloseSend() },
	} {
		end()
		exchangeLine(t, raw, bytes)
		select {
		case r := <-done:
			t.Fatalf("drained too early: %v: %q", r.err, r.said)
		case <-time.After(time.Second):
		}
	}
	raw.Close()
	select {
	case r := <-done:
		if r.err != nil {
			t.Errorf("drained: %v: %q", r.err, r.said)
		}
	case <-time.After(time.Minute):
		t.Error("not drained")
	}

	// A deadline before it has been quiet for long enough, with nothing open.
	if said, err := admcIn(t, adm, "adm", "drain", "--timeout", "1s", "--quiet", "1m"); err != nil {
		t.Errorf("nothing is open: %v: %q", err, said)
	}

	// Without one, SIGTERM cuts what is open: the control.
	adm.Terminate()
	adm.Start()
	socket, err = dialWebSocket(t, app, "/")
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, socket, "before")
	adm.Terminate()
	if n, err := socket.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes from a proxy that is no more", n)
	}
}

func exchangeLine(t *testing.T, c io.Writer, in *bufio.Reader) {
	t.Helper()
	io.WriteString(c, "still here\n")
	if line, err := in.ReadString('\n'); line != "still here\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// http1 is a connection that its client keeps open for as long as it may.
type http1 struct {
	c  *testbed.Conn
	in *bufio.Reader
}

func keepAlive(t *testing.T, from *testbed.Pod) *http1 {
	t.Helper()
	c, err := from.Dial("chat:8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &http1{c, bufio.NewReader(c)}
}

func (h *http1) get(t *testing.T) *http.Response {
	t.Helper()
	io.WriteString(h.c, "GET / HTTP/1.1\r\nHost: chat\r\n\r\n")
	resp, err := http.ReadResponse(h.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	return resp
}
