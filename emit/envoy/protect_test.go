//go:build linux

package envoy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// TestSlowHeads: connections on which a request's head never ends are closed with
// 408 after a minute, which the app without an ADM does not do; one that
// is idle between requests stays.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const direct, behind = 28000, 28001
	serve(t, server, direct, graph.HTTP)
	serve(t, server, behind, graph.HTTP)
	prog.call(behind, "http", ir.Ingress)
	runAll(t, client, server, prog)
	start := func(port, count int, say string) []net.Conn {
		conns := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, port), count)
		for _, c := range conns {
			io.WriteString(c, say)
		}
		return conns
	}
	const half = "GET / HTTP/1.1\r\nHost: shop\r\nX-A: "
	slow, control := start(behind, 200, half), start(direct, 1, half)[0]
	idle := start(behind, 1, "")[0]
	if status, err := statusOn(idle); status != 200 {
		t.Fatal(status, err)
	}
	if a := (httpRequest{n: client, address: fmt.Sprintf("%s:%d", serverIP, behind), path: "/"}).do(); a.status != 200 {
		t.Errorf("beside slow heads another caller gets %d %v", a.status, a.err)
	}
	for _, c := range slow {
		c.SetDeadline(time.Now().Add(3 * headersWithin))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 408 {
			t.Fatalf("a head that never ends: %v, %v", resp, err)
		}
	}
	io.WriteString(control, "1\r\n\r\n")
	control.SetDeadline(time.Now().Add(20 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(control), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the control: %v, %v", resp, err)
	}
	if status, err := statusOn(idle); status != 200 {
		t.Errorf("a connection that was idle for so long: %d, %v", status, err)
	}
}

// TestVanishedPeers: when one end of a connection is gone without a word, the
// kernel finds that out for the ADM, and the other end learns it.
func TestVanishedPeers(t *testing.T) {
	t.Parallel()
	for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
		t.Run(side.String(), func(t *testing.T) {
			client, server := newPair(t)
			for _, n := range []*namespace{client, server} {
				run(t, "", "ip", "netns", "exec", n.name, "sysctl", "-qw", "net.ipv4.tcp_keepalive_time=1", "net.ipv4.tcp_keepalive_intvl=1", "net.ipv4.tcp_keepalive_probes=2")
			}
			prog := newProgram()
			const port = 28100
			prog.call(port, "tcp", side)
			b := &broken{}
			b.serve = func(c *net.TCPConn, r *bufio.Reader) {
				io.WriteString(c, "hello\n")
				b.untilLeft(r)
			}
			b.listen(t, server, port)
			runAll(t, client, server, prog)
			c := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, port), 1)[0]
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond) // until probes have been sent, and answered
			if b.left.Load() != 0 {
				t.Fatal("a peer that answers was taken for gone")
			}
			run(t, "", "ip", "-n", client.name, "link", "set", "eth0", "down")
			if side == ir.Ingress {
				becomes(t, "the receiver learns that the caller is gone", func() bool { return b.left.Load() == 1 })
				return
			}
			c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := c.Read(make([]byte, 1)); !ended(err) {
				t.Errorf("the caller doesn't learn that the receiver is gone: %v", err)
			}
		})
	}
}

// TestMemory has callers that send more than the ADM can keep, to a policy that
// keeps it, and others that take nothing of what they asked for. It sheds them
// before its container would end it, and then goes on.
func TestMemory(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const whole, large = 28200, 28201
	serve(t, server, whole, graph.HTTP)
	l := server.listen(t, fmt.Sprintf("0.0.0.0:%d", large))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(w, zeros{}, 64<<20)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	prog.call(whole, "http", ir.Ingress, do("most", act("max_body", args{"size": num(64 << 20)}), act("metric", args{"name": str("seen_total")})))
	prog.call(large, "http", ir.Ingress)
	adm := runAll(t, client, server, prog)["server"]
	before := adm.memory(t, "VmRSS")

	deaf := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, large), 500)
	for _, c := range deaf {
		c.(*net.TCPConn).SetReadBuffer(4096)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
	}
	becomes(t, "what is sent to those who don't read stands still", func() bool {
		was := adm.memory(t, "VmRSS")
		time.Sleep(300 * time.Millisecond)
		return adm.memory(t, "VmRSS")-was < 1<<20 && was > before+10<<20
	})
	each := (adm.memory(t, "VmRSS") - before) / len(deaf)
	t.Logf("for each of %d connections that don't read the ADM keeps %d KiB", len(deaf), each>>10)
	if each > 8*bufferBytes {
		t.Errorf("%d KiB are kept of a connection that does not read", each>>10)
	}
	for _, c := range deaf {
		c.Close()
	}

	// One after the other: those who are there keep what they sent, the next are
	// turned away.
	const most, part = 160, 10 << 20
	body := make([]byte, part)
	conns := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, whole), most)
	kept, refused := 0, 0
	for _, c := range conns {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n", 2*part)
		if _, err := c.Write(body); err == nil {
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if os.IsTimeout(err) {
				kept++
				continue
			}
			if statusOf(resp) != 503 {
				t.Fatalf("%d, %v", statusOf(resp), err)
			}
		}
		if refused++; refused == 3 {
			break
		}
	}
	hwm := adm.memory(t, "VmHWM")
	t.Logf("%d callers with %d MiB each were kept, then %d were turned away; memory at most %d MiB", kept, part>>20, refused, hwm>>20)
	if hwm > layout.ADMMemory {
		t.Errorf("the ADM used %d MiB, more than its container has", hwm>>20)
	}
	if refused == 0 {
		t.Error("all of them were kept")
	}
	for _, c := range conns {
		c.Close()
	}
	becomes(t, "the next callers are served", func() bool {
		return httpRequest{n: client, address: fmt.Sprintf("%s:%d", serverIP, whole), path: "/", method: "POST", body: "x"}.do().status == 200
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBounds holds what Envoy 1.40 says of itself to what the file asks for.
func TestBounds(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const web, speech = 28300, 28301
	serve(t, server, web, graph.HTTP)
	serve(t, server, speech, graph.GRPC)
	prog.call(web, "http", ir.Ingress, do("count", act("metric", args{"name": str("seen_total")})))
	prog.call(speech, "grpc", ir.Ingress)
	runAll(t, client, server, prog)

	t.Run("connections are counted against the limit", func(t *testing.T) {
		const tenth = maxConnections / 10
		conns := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, web), tenth)
		if status, err := statusOn(conns[tenth-1]); status != 200 {
			t.Errorf("%d, %v", status, err)
		}
		becomes(t, "about a tenth of what is allowed, in percent", func() bool {
			return gauge(t, server, "envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure") >= 9
		})
	})
	t.Run("what a peer may send unasked", func(t *testing.T) {
		h, err := dialH2(client, fmt.Sprintf("%s:%d", serverIP, web))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		window, stream, streams := 65535, uint32(0), uint32(0)
		for i := 0; stream == 0 || window == 65535; i++ {
			f, err := h.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
					stream = v
				}
				if v, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
					streams = v
				}
			case *http2.WindowUpdateFrame:
				window += int(f.Increment)
			}
		}
		if stream != streamWindow || window != connectionWindow || streams != maxStreams && streams != 0 {
			t.Errorf("windows of %d and %d bytes, %d streams", stream, window, streams)
		}
	})
	t.Run("as many streams on a connection as gRPC's servers take", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn := connectGRPC(t, client, fmt.Sprintf("%s:%d", serverIP, speech))
		for i := range 3000 {
			s, err := conn.NewStream(ctx, &talk, "/test.Talk/Talk")
			if err == nil {
				err = s.SendMsg(wrapperspb.String("a"))
			}
			if err == nil {
				err = s.RecvMsg(&wrapperspb.StringValue{})
			}
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
		}
	})
}

// gauge is one of Envoy's gauges; 0 where there is none.
func gauge(t testing.TB, n *namespace, name string) int { return counter(t, n, name) }

// TestHeadLimits is at the limits of a head, and one above.
func TestHeadLimits(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const first = 28400
	for k, side := range []ir.Side{0, ir.Ingress, ir.Egress} {
		l := server.listen(t, fmt.Sprintf("0.0.0.0:%d", first+k))
		srv := &http.Server{MaxHeaderBytes: 64 << 20, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := 0
			fmt.Sscan(r.URL.Query().Get("answer"), &n)
			w.Header().Set("X-Large", strings.Repeat("v", n))
		})}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		if side != 0 {
			prog.call(first+k, "http", side)
		}
	}
	runAll(t, client, server, prog)
	const most = maxHeadersKB << 10
	// What each request has beside x-large: Host, its path and method, as Envoy
	// counts them, are less than this.
	const beside = 256
	head := func(value, lines int, path string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: shop\r\nX-Large: %s\r\n", path, strings.Repeat("v", value))
		for range lines - 2 {
			b.WriteString("a: b\r\n")
		}
		return b.String() + "\r\n"
	}
	for _, row := range []struct {
		name, head      string
		direct, through int
	}{
		{"a head of 8 MiB", head(most-beside, 2, "/"), 200, 200},
		{"a head above it", head(most, 2, "/"), 200, 431},
		{"a path of 8 MiB", head(0, 2, "/"+strings.Repeat("p", most-beside)), 200, 200},
		{"65,535 lines", head(0, maxHeaderCount, "/"), 200, 200},
		{"65,536 lines", head(0, maxHeaderCount+1, "/"), 200, 431},
		{"an answer with a head of 8 MiB", head(0, 2, fmt.Sprintf("/?answer=%d", most-beside)), 200, 200},
		{"an answer with a head above it", head(0, 2, fmt.Sprintf("/?answer=%d", most)), 200, 502},
	} {
		t.Run(row.name, func(t *testing.T) {
			for k, want := range []int{row.direct, row.through, row.through} {
				c, err := client.dialWithin(fmt.Sprintf("%s:%d", serverIP, first+k), 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(30 * time.Second))
				go io.WriteString(c, row.head)
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || resp.StatusCode != want {
					t.Errorf("%s: %v, %v; want %d", []string{"without an ADM", "at ingress", "at egress"}[k], statusOf(resp), err, want)
				}
			}
		})
	}
}

func statusOf(r *http.Response) int {
	if r == nil {
		return 0
	}
	return r.StatusCode
}
