//go:build linux

package envoy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// An h2 is the client's end of an HTTP/2 connection, for frames that no client
// library writes.
type h2 struct {
	net.Conn
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
}

func dialH2(n *namespace, address string) (*h2, error) {
	c, err := n.dial(context.Background(), address)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	h := &h2{Conn: c, Framer: http2.NewFramer(c, c), next: 1}
	h.enc = hpack.NewEncoder(&h.block)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return nil, err
	}
	return h, h.WriteSettings()
}

// fields encodes header fields, given as name, value, name, value.
func (h *h2) fields(list ...string) []byte {
	h.block.Reset()
	for i := 0; i < len(list); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]})
	}
	return h.block.Bytes()
}

var plainRequest = []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "shop"}

// open begins a stream with a request without a body.
func (h *h2) open(list ...string) (uint32, error) {
	id := h.next
	h.next += 2
	return id, h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: h.fields(list...)})
}

// floods are what one connection may do to a proxy, until that ends the
// connection; most bounds how often. The counter of Envoy's says why it ended.
var floods = []struct {
	name    string
	most    int
	once    func(h *h2, i int) error
	reads   bool // what comes back
	counter string
}{
	{"rapid reset (CVE-2023-44487)", 100000, func(h *h2, _ int) error {
		id, err := h.open(plainRequest...)
		if err != nil {
			return err
		}
		return h.WriteRSTStream(id, http2.ErrCodeCancel)
	}, true, "envoy_http_downstream_rq_too_many_premature_resets"},
	{"headers without end (CVE-2024-27983)", 100000, func(h *h2, i int) error {
		if i == 0 {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.fields(plainRequest...)})
		}
		return h.WriteContinuation(1, false, h.fields("x-"+strconv.Itoa(i), strings.Repeat("v", 16000)))
	}, true, "envoy_http_downstream_cx_protocol_error|envoy_http2_header_overflow|envoy_http2_rx_reset|envoy_http2_tx_reset"},
	{"empty continuations", 100000, func(h *h2, i int) error {
		if i == 0 {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.fields(plainRequest...)})
		}
		return h.WriteContinuation(1, false, nil)
	}, true, "envoy_http2_inbound_empty_frames_flood"},
	{"empty data", 100000, func(h *h2, i int) error {
		if i == 0 {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: h.fields(plainRequest...)})
		}
		return h.WriteData(1, false, nil)
	}, true, "envoy_http2_inbound_empty_frames_flood"},
	{"settings that are never read (CVE-2019-9515)", 10000000, func(h *h2, _ int) error { return h.WriteSettings() }, false, "envoy_http2_outbound_control_flood"},
	{"pings that are never read (CVE-2019-9512)", 10000000, func(h *h2, _ int) error { return h.WritePing(false, [8]byte{}) }, false, "envoy_http2_outbound_control_flood"},
	{"priorities", 10000000, func(h *h2, i int) error {
		return h.WritePriority(uint32(i*2+1)&0x7fffffff, http2.PriorityParam{Weight: 1})
	}, true, "envoy_http2_inbound_priority_frames_flood"},
	{"window updates", 10000000, func(h *h2, i int) error { return h.WriteWindowUpdate(0, 1) }, true, "envoy_http2_inbound_window_update_frames_flood"},
}

// TestFloods: what ends a connection ends that one only, and the ADM goes on
// serving the others.
func TestFloods(t *testing.T) {
	t.Parallel()
	client, server := newPair(t)
	prog := newProgram()
	const port = 27000
	a := serve(t, server, port, graph.HTTP)
	// A metric gives Envoy's counters on the port of the probe.
	prog.call(port, "http", ir.Ingress, do("count", act("metric", args{"name": str("seen_total")})))
	adm := runAll(t, client, server, prog)["server"]
	address := fmt.Sprintf("%s:%d", serverIP, port)
	before := adm.descriptors(t)
	for _, flood := range floods {
		t.Run(flood.name, func(t *testing.T) {
			counted := counter(t, server, flood.counter)
			stop, others := make(chan struct{}), make(chan string, 1)
			go func() { others <- untilStopped(client, address, stop) }()
			const attackers = 4
			var wg sync.WaitGroup
			var sent [attackers]int
			var ends [attackers]end
			for i := range attackers {
				wg.Go(func() { sent[i], ends[i] = attack(client, address, flood.most, flood.once, flood.reads) })
			}
			wg.Wait()
			close(stop)
			if failed := <-others; failed != "" {
				t.Errorf("another caller: %s", failed)
			}
			ended := 0
			for i, how := range ends {
				if how == taken || how == stalled && flood.reads {
					t.Errorf("%d of it: %s", sent[i], how)
				}
				if how == closedOn {
					ended++
				}
			}
			becomes(t, "the ADM counts the connections that it ended", func() bool { return counter(t, server, flood.counter) >= counted+ended })
			t.Logf("ended after %v: %v", sent, ends)
		})
	}
	const ofMetrics = 8 // both ends of a connection for each worker, and what it opens for the first
	becomes(t, "the descriptors are given back", func() bool { return adm.descriptors(t) <= before+ofMetrics })
	t.Logf("%d requests reached the app; memory at most %d MiB", a.requests.Load(), adm.memory(t, "VmHWM")>>20)
	if most := adm.memory(t, "VmHWM"); most > layout.ADMMemory {
		t.Errorf("the ADM used %d MiB, more than its container has", most>>20)
	}
}

// An end is how an attack came to its own.
type end string

const (
	closedOn end = "closed on"
	stalled  end = "stalled" // nothing more is taken, and nothing kept
	taken    end = "taken"
)

// attack does a thing over and over, until the connection is closed or stalls.
func attack(n *namespace, address string, most int, once func(*h2, int) error, reads bool) (int, end) {
	h, err := dialH2(n, address)
	if err != nil {
		return 0, closedOn
	}
	defer h.Close()
	over := make(chan struct{})
	if reads {
		go func() {
			io.Copy(io.Discard, h.Conn)
			close(over)
		}()
	} else {
		h.Conn.(*net.TCPConn).SetReadBuffer(4096)
	}
	for i := range most {
		if !reads {
			h.SetWriteDeadline(time.Now().Add(3 * time.Second))
		}
		err := once(h, i)
		if os.IsTimeout(err) {
			return i, stalled
		}
		if err != nil {
			return i, closedOn
		}
	}
	select { // what was written is not what was read
	case <-over:
		return most, closedOn
	case <-time.After(30 * time.Second):
		return most, taken
	}
}

// untilStopped calls again and again on one HTTP/1 connection and one of HTTP/2,
// and tells of the first call that was not answered 200.
func untilStopped(n *namespace, address string, stop chan struct{}) string {
	for i := 0; ; i++ {
		if a := (httpRequest{n: n, from: otherIP, address: address, path: "/", h2: i%2 == 1}).do(); a.err != nil || a.status != 200 {
			return fmt.Sprintf("call %d: %d %v", i, a.status, a.err)
		}
		select {
		case <-stop:
			if i >= 10 {
				return ""
			}
		default:
		}
	}
}

// counter adds up those of Envoy's counters whose whole name matches.
func counter(t testing.TB, n *namespace, name string) int {
	t.Helper()
	status, text := get(n, fmt.Sprintf("127.0.0.1:%d", layout.ReadyPort), layout.MetricsPath)
	if status != 200 {
		t.Fatalf("metrics: %d", status)
	}
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:`+name+`)\{[^}]*\} (\d+)$`).FindAllStringSubmatch(text, -1) {
		v, _ := strconv.Atoi(m[1])
		sum += v
	}
	return sum
}
