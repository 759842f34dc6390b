//go:build linux

package envoy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// A taker reads requests with their bodies. The first attempts it resets, each
// after that many bytes of the body.
type taker struct {
	resetAfter []int
	mu         sync.Mutex
	attempts   int
	whole      []int // lengths of the bodies that came to their end
	wasReset   chan struct{}
}

func (k *taker) serve(c *net.TCPConn, r *bufio.Reader) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	k.mu.Lock()
	k.attempts++
	n := k.attempts
	k.mu.Unlock()
	if n <= len(k.resetAfter) {
		io.CopyN(io.Discard, req.Body, int64(k.resetAfter[n-1]))
		reset(c)
		k.wasReset <- struct{}{}
		return
	}
	size, err := io.Copy(io.Discard, req.Body)
	if err != nil {
		return
	}
	k.mu.Lock()
	k.whole = append(k.whole, int(size))
	k.mu.Unlock()
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

// TestHalfSentBodies: a retry sends a body from its beginning, whatever of it had
// been sent before, and not at all where it isn't kept.
func TestHalfSentBodies(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const part = 100 << 10
	rows := []struct {
		name       string
		policies   []policy
		resetAfter []int
		size       int // of the body; 0: two parts, the second after the first attempt failed
		want       string
	}{
		{"no policy", nil, []int{part}, 0, "503, 1 attempt, whole []"},
		{"retry", []policy{retryPolicy()}, []int{part}, 0, fmt.Sprintf("200, 2 attempt, whole [%d]", 2*part)},
		{"retry, before any of the body", []policy{retryPolicy()}, []int{0}, 0, fmt.Sprintf("200, 2 attempt, whole [%d]", 2*part)},
		{"retry of all that is kept", []policy{retryPolicy()}, []int{maxRepeatedBody}, maxRepeatedBody, fmt.Sprintf("200, 2 attempt, whole [%d]", maxRepeatedBody)},
		{"retry of more than is kept", []policy{retryPolicy()}, []int{maxRepeatedBody + part}, maxRepeatedBody + part, "503, 1 attempt, whole []"},
	}
	takers := make([]*taker, len(rows))
	for i, row := range rows {
		port := 28500 + i
		takers[i] = &taker{resetAfter: row.resetAfter, wasReset: make(chan struct{}, 1)}
		(&broken{serve: takers[i].serve}).listen(t, server, port)
		prog.call(port, "http", ir.Egress, copyPolicies(row.policies)...)
	}
	adm := runAll(t, client, server, prog)["client"]
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			k := takers[i]
			c, err := client.dialWithin(fmt.Sprintf("%s:%d", serverIP, 28500+i), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			size := max(row.size, 2*part)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n", size)
			if row.size == 0 {
				io.WriteString(c, strings.Repeat("x", part))
				<-k.wasReset
				io.WriteString(c, strings.Repeat("x", part))
			} else {
				io.CopyN(c, zeros{}, int64(size))
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if got := fmt.Sprintf("%d, %d attempt, whole %v", resp.StatusCode, k.attempts, k.whole); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	if most := adm.memory(t, "VmHWM"); most > layout.ADMMemory {
		t.Errorf("the ADM used %d MiB, more than its container has", most>>20)
	}
}
