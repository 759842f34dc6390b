//go:build linux

package envoy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// The connections of trials on a byte stream: the server says hello, the client its
// id, and has that echoed; who speaks first is as on the protocol.

// settling is for the proxies to take a connection out of their counts that one of
// them has closed.
const settling = 20 * time.Millisecond

// ending is closed when a connection has ended here.
func (w *witness) ending(id string) chan bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended[id] == nil {
		w.ended[id] = make(chan bool)
	}
	return w.ended[id]
}

func (w *witness) serveStreams(l net.Listener, first bool) {
	accept(l, func(c net.Conn) {
		w.greeted.Add(1)
		pod := localVersion(c.LocalAddr())
		hello := fmt.Sprintf("hello from %s\n", pod)
		if first {
			io.WriteString(c, hello)
		}
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if !first {
			io.WriteString(c, hello)
		}
		id := strings.TrimSpace(line)
		fmt.Fprintf(c, "echo %s\n", id)
		w.note(id, arrival{pod: pod, what: "said it"})
		io.Copy(io.Discard, r)
		close(w.ending(id))
	})
}

// sendStream gives what a client reads on one connection. A held one stays open as
// long as the receiver holds it. It is reset at its end,
// which proxies pass on.
func (w *witness) sendStream(from dialer, to string, x *trial) (send func(attempted) string, done func()) {
	first, counted := speaksFirst(x.proto), strings.Contains(x.text, "concurrency_limit(")
	return func(r attempted) string {
		c, err := from.dial(context.Background(), "tcp", to)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.(*net.TCPConn).SetLinger(0)
		settle := func() {
			if c.Close(); counted {
				time.Sleep(settling)
			}
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if !first {
			time.Sleep(time.Duration(r.Idle) * time.Millisecond)
			fmt.Fprintf(c, "%s\n", r.ID)
		}
		in := bufio.NewReader(c)
		hello, err := in.ReadString('\n')
		if err != nil {
			settle()
			return "closed"
		}
		if x.anyPod {
			hello = "hello from ?"
		}
		if first {
			time.Sleep(time.Duration(r.Idle) * time.Millisecond)
			fmt.Fprintf(c, "%s\n", r.ID)
		}
		echo, err := in.ReadString('\n')
		if err != nil {
			settle()
			return strings.TrimSpace(hello) + ", closed"
		}
		w.mu.Lock()
		released := w.released[r.ID]
		w.mu.Unlock()
		if released != nil {
			<-released
		}
		c.Close()
		select {
		case <-w.ending(r.ID):
		case <-time.After(10 * time.Second):
			return "it never ended"
		}
		settle()
		return strings.TrimSpace(hello) + ", " + strings.TrimSpace(echo)
	}, func() {}
}
