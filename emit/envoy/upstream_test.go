//go:build linux

package envoy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A broken receiver does the same to every connection.
type broken struct {
	name     string
	serve    func(c *net.TCPConn, r *bufio.Reader) // nil: nothing listens
	vanished bool                                  // not even a refusal comes back
	accepted atomic.Int64
	left     atomic.Int64 // connections on which the other side went first
}

// listen serves the port until the test ends.
func (b *broken) listen(t testing.TB, n *namespace, port int) {
	if b.vanished {
		run(t, "", "ip", "netns", "exec", n.name, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", fmt.Sprint(port), "-j", "DROP")
	}
	if b.serve == nil {
		return
	}
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	go accept(l, func(c net.Conn) {
		b.accepted.Add(1)
		b.serve(c.(*net.TCPConn), bufio.NewReader(c))
	})
}

// untilLeft waits for the other side to go.
func (b *broken) untilLeft(r io.Reader) {
	io.Copy(io.Discard, r)
	b.left.Add(1)
}

// reset ends a connection with RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// readHead reads a request up to its body.
func readHead(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// after reads a request and does the rest.
func after(f func(c *net.TCPConn)) func(*net.TCPConn, *bufio.Reader) {
	return func(c *net.TCPConn, r *bufio.Reader) {
		if readHead(r) == nil {
			f(c)
		}
	}
}

// sends reads a request, writes an answer or a part of one, and resets. What was
// written has to arrive first: a reset overtakes it.
func sends(answer string) func(*net.TCPConn, *bufio.Reader) {
	return after(func(c *net.TCPConn) {
		io.WriteString(c, answer)
		for unsent(c) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		reset(c)
	})
}

// unsent reports whether bytes are not acknowledged yet.
func unsent(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n > 0
}

const answerHead = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

// brokenRows: what a caller sees of each fault without an ADM, and through one
// that has no policy, a timeout, a retry of two attempts. Where the two
// sides of an ADM without a policy are concerned, both must show the same.
// After the retry's outcome is the number of connections that the receiver got.
var brokenRows = []struct {
	fault                           func() *broken
	direct, plain, timeout, retried string
}{
	{func() *broken { return &broken{name: "refuses"} },
		"no connection", "503 complete", "503 complete", "503 complete, 0 arrived"},
	{func() *broken { return &broken{name: "is a black hole", vanished: true} },
		"waits", "waits", "504 complete", "waits, 0 arrived"},
	{func() *broken {
		b := &broken{name: "never answers"}
		b.serve = func(c *net.TCPConn, r *bufio.Reader) { b.untilLeft(r) }
		return b
	}, "waits", "waits", "504 complete", "waits, 1 arrived"},
	{func() *broken {
		return &broken{name: "has a slow head", serve: after(func(c *net.TCPConn) {
			for _, b := range []byte(answerHead + "0123456789") {
				c.Write([]byte{b})
				time.Sleep(time.Millisecond)
			}
		})}
	}, "200 complete", "200 complete", "200 complete", "200 complete, 1 arrived"},
	{func() *broken {
		b := &broken{name: "stops in the body"}
		b.serve = func(c *net.TCPConn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, answerHead+"01234")
			b.untilLeft(r)
		}
		return b
	}, "200 waits", "200 waits", "200 cut", "200 waits, 1 arrived"},
	{func() *broken {
		return &broken{name: "resets at once", serve: func(c *net.TCPConn, _ *bufio.Reader) { reset(c) }}
	}, "cut", "503 complete", "503 complete", "503 complete, 3 arrived"},
	{func() *broken { return &broken{name: "resets after the request", serve: after(reset)} },
		"cut", "503 complete", "503 complete", "503 complete, 3 arrived"},
	{func() *broken {
		return &broken{name: "closes after the request", serve: after(func(*net.TCPConn) {})}
	}, "cut", "503 complete", "503 complete", "503 complete, 3 arrived"},
	{func() *broken { return &broken{name: "resets in the head", serve: sends("HTTP/1.1 200 OK\r\nX-A: ")} },
		"cut", "502 complete", "502 complete", "502 complete, 3 arrived"},
	{func() *broken { return &broken{name: "is no HTTP server", serve: sends("220 mail ESMTP\r\n")} },
		"cut", "502 complete", "502 complete", "502 complete, 3 arrived"},
	{func() *broken { return &broken{name: "resets in the body", serve: sends(answerHead + "01234")} },
		"200 cut", "200 cut", "200 cut", "200 cut, 1 arrived"},
	{func() *broken {
		return &broken{name: "closes in the body", serve: after(func(c *net.TCPConn) { io.WriteString(c, answerHead+"01234") })}
	}, "200 cut", "200 cut", "200 cut", "200 cut, 1 arrived"},
	{func() *broken {
		return &broken{name: "ends the body by closing", serve: after(func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n0123456789")
		})}
	}, "200 complete", "200 complete", "200 complete", "200 complete, 1 arrived"},
	{func() *broken {
		return &broken{name: "half-closes and answers", serve: func(c *net.TCPConn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, answerHead+"0123456789")
			c.CloseWrite()
			io.Copy(io.Discard, r)
		}}
	}, "200 complete", "200 complete", "200 complete", "200 complete, 1 arrived"},
}

func retryPolicy() policy { return do("again", act("retry", nil)) }
func boundPolicy() policy { return do("bound", act("timeout", args{"after": dur(time.Second)})) }
func giveUpPolicy() policy {
	return do("dial", act("connect_timeout", args{"after": dur(time.Second)}))
}

// TestBrokenReceivers shows what a caller sees of a receiver that is dead, slow
// or resetting.
func TestBrokenReceivers(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const first = 23000
	ways := []struct {
		name     string
		side     ir.Side
		policies []policy
		want     func(i int) string
	}{
		{"without an ADM", 0, nil, func(i int) string { return brokenRows[i].direct }},
		{"at ingress", ir.Ingress, nil, func(i int) string { return brokenRows[i].plain }},
		{"at egress", ir.Egress, nil, func(i int) string { return brokenRows[i].plain }},
		{"timeout", ir.Egress, []policy{boundPolicy()}, func(i int) string { return brokenRows[i].timeout }},
		{"retry", ir.Egress, []policy{retryPolicy()}, func(i int) string { return brokenRows[i].retried }},
		// The attempts pass through an internal listener each.
		{"retry of what is counted", ir.Egress, []policy{retryPolicy(), do("count", act("rate_limit", args{"rate": rate(1000, time.Second), "burst": num(1000)}))},
			func(i int) string { return brokenRows[i].retried }},
	}
	receivers := map[int]*broken{}
	for i, row := range brokenRows {
		for k, way := range ways {
			port := first + i*10 + k
			receivers[port] = row.fault()
			receivers[port].listen(t, server, port)
			if way.side != 0 {
				prog.call(port, "http", way.side, copyPolicies(way.policies)...)
			}
		}
	}
	runAll(t, client, server, prog)
	var tries []*try
	for i := range brokenRows {
		for k, way := range ways {
			port := first + i*10 + k
			b := receivers[port]
			tries = append(tries, &try{
				name: b.name + "/" + way.name, want: way.want(i), to: b,
				see: func(patience time.Duration) string {
					return outcome(client, fmt.Sprintf("%s:%d", serverIP, port), patience)
				},
			})
		}
	}
	callAll(t, tries)
}

// A try is one call to a broken receiver and what should be seen of it.
type try struct {
	name, want string
	to         *broken
	see        func(patience time.Duration) string
}

// callAll makes the calls at the same time, for most of them only wait; a caller that
// should wait in vain gives up after three seconds.
func callAll(t *testing.T, tries []*try) {
	got := make([]string, len(tries))
	var wg sync.WaitGroup
	for i, try := range tries {
		wg.Go(func() {
			patience := 30 * time.Second
			if strings.Contains(try.want, "waits") {
				patience = 3 * time.Second
			}
			got[i] = try.see(patience)
		})
	}
	wg.Wait()
	for i, try := range tries {
		t.Run(try.name, func(t *testing.T) {
			if strings.Contains(try.want, "arrived") {
				got[i] += fmt.Sprintf(", %d arrived", try.to.accepted.Load())
			}
			if got[i] != try.want {
				t.Errorf("got %q, want %q", got[i], try.want)
			}
			if try.to.serve != nil && strings.Contains(try.want, "waits") {
				becomes(t, "the receiver learns that the caller left", func() bool { return try.to.left.Load() == try.to.accepted.Load() })
			}
		})
	}
}

// outcome of one request: its status, and whether the answer came to its end,
// was cut off, or was still awaited when the caller lost patience.
func outcome(n *namespace, address string, patience time.Duration) string {
	c, failed := n.reach(address, patience)
	if failed != "" {
		return failed
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
	ending := func(err error) string {
		switch {
		case err == nil:
			return "complete"
		case os.IsTimeout(err):
			return "waits"
		}
		return "cut"
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ending(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, ending(err))
}

func (n *namespace) dialWithin(address string, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return n.dial(ctx, address)
}

// reach gives a connection on which nobody waits for longer than patience, or what
// became of it instead.
func (n *namespace) reach(address string, patience time.Duration) (c net.Conn, failed string) {
	c, err := n.dialWithin(address, patience)
	switch {
	case err == nil:
		c.SetDeadline(time.Now().Add(patience))
		return c, ""
	case os.IsTimeout(err):
		return nil, "waits"
	}
	return nil, "no connection"
}

// becomes waits for a condition, for as long as a busy machine may need.
func becomes(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// TestBrokenStreams is TestBrokenReceivers for gRPC and for byte streams.
func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	silent := func() *broken {
		b := &broken{name: "never answers"}
		b.serve = func(c *net.TCPConn, r *bufio.Reader) { b.untilLeft(r) }
		return b
	}
	resets := func() *broken {
		return &broken{name: "resets at once", serve: func(c *net.TCPConn, _ *bufio.Reader) { reset(c) }}
	}
	greets := func() *broken {
		return &broken{name: "resets after its greeting", serve: func(c *net.TCPConn, r *bufio.Reader) {
			io.WriteString(c, "hello\n")
			r.ReadString('\n')
			reset(c)
		}}
	}
	rows := []struct {
		name     string
		proto    graph.Protocol
		sides    ir.Side
		policies []policy
		fault    *broken
		want     string
	}{
		{"refused", "grpc", 0, nil, &broken{}, "Unavailable"},
		{"refused", "grpc", both, nil, &broken{}, "Unavailable"},
		{"refused, retried", "grpc", ir.Egress, []policy{retryPolicy()}, &broken{}, "Unavailable"},
		{"reset", "grpc", 0, nil, resets(), "Unavailable"},
		{"reset", "grpc", both, nil, resets(), "Unavailable"},
		{"reset, retried", "grpc", ir.Egress, []policy{retryPolicy()}, resets(), "Unavailable, 3 arrived"},
		{"silent", "grpc", both, nil, silent(), "waits"},
		{"silent, bounded", "grpc", ir.Egress, []policy{boundPolicy()}, silent(), "DeadlineExceeded"},
		{"black hole, bounded", "grpc", ir.Egress, []policy{boundPolicy()}, &broken{vanished: true}, "DeadlineExceeded"},
		{"black hole, given up", "grpc", ir.Egress, []policy{giveUpPolicy()}, &broken{vanished: true}, "Unavailable"},
		// Envoy accepts before it dials: a port that refuses is one that closes.
		{"refused", "tcp", 0, nil, &broken{}, "no connection"},
		{"refused", "tcp", both, nil, &broken{}, "closed"},
		{"black hole", "tcp", 0, nil, &broken{vanished: true}, "waits"},
		{"black hole", "tcp", both, nil, &broken{vanished: true}, "waits"},
		{"black hole, given up", "tcp", ir.Egress, []policy{giveUpPolicy()}, &broken{vanished: true}, "closed"},
		{"silent", "tcp", both, nil, silent(), "waits"},
		{"silent, idle for long", "tcp", both, []policy{do("idle", act("idle_timeout", args{"after": dur(time.Second)}))}, silent(), "closed"},
		{"reset", "tcp", 0, nil, greets(), "hello, reset"},
		{"reset", "tcp", both, nil, greets(), "hello, reset"},
	}
	port := 23500
	type place struct {
		i, port int
		side    ir.Side
	}
	var places []place
	for i, row := range rows {
		for _, side := range []ir.Side{0, ir.Ingress, ir.Egress} {
			if side != 0 && row.sides&side == 0 || side == 0 && row.sides != 0 {
				continue
			}
			row.fault.listen(t, server, port)
			if side != 0 {
				prog.call(port, row.proto, side, copyPolicies(row.policies)...)
			}
			places = append(places, place{i, port, side})
			port++
		}
	}
	runAll(t, client, server, prog)
	var tries []*try
	for _, p := range places {
		row, address := rows[p.i], fmt.Sprintf("%s:%d", serverIP, p.port)
		see := func(patience time.Duration) string { return streamOutcome(client, address, patience) }
		if row.proto == "grpc" {
			see = func(patience time.Duration) string { return rpcOutcome(t, client, address, patience) }
		}
		tries = append(tries, &try{
			name: fmt.Sprintf("%s/%s/%s", row.name, row.proto, cmp.Or(p.side.String(), "direct")), want: row.want, to: row.fault, see: see,
		})
	}
	callAll(t, tries)
}

func rpcOutcome(t testing.TB, n *namespace, address string, patience time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn := connectGRPC(t, n, address)
	defer conn.Close()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if ctx.Err() != nil {
		return "waits"
	}
	return status.Code(err).String()
}

// streamOutcome reads a line, writes one, and tells how the connection ended.
func streamOutcome(n *namespace, address string, patience time.Duration) string {
	c, failed := n.reach(address, patience)
	if failed != "" {
		return failed
	}
	defer c.Close()
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil {
		io.WriteString(c, "next\n")
		_, err = r.ReadByte()
		line = strings.TrimSpace(line) + ", "
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return line + "reset"
	case os.IsTimeout(err):
		return line + "waits"
	}
	return line + "closed"
}
