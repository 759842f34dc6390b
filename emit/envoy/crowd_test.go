//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// crowd is how many callers an ADM has at the same time, and admitted how many of
// them its policy lets through: so that one process can hold all ends, and one
// Envoy both sides of those that pass, below 20,000 descriptors.
const (
	crowd    = 10000
	admitted = 6000
)

// TestCrowd has 10,000 connections through one ADM at the same time, on http and
// as byte streams, and counts: all are answered, policies are exact among them,
// and when they are gone the ADM has what it had before.
func TestCrowd(t *testing.T) {
	allowDescriptors(t, 2*crowd)
	client, server := newPair(t)
	prog := newProgram()
	limit := func() policy {
		return do("most", act("concurrency_limit", args{"max": num(admitted)}))
	}
	budget := func() policy {
		return do("budget", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(admitted)}))
	}
	prog.call(25000, "http", ir.Ingress, limit())
	prog.call(25001, "http", ir.Egress, budget())
	prog.call(25002, "tcp", ir.Egress, limit())
	proxies := runAll(t, client, server, prog)
	for _, row := range []struct {
		name    string
		port    int
		adm     string
		refusal int // the status; 0: closed
	}{
		{"http at ingress", 25000, "server", 503},
		{"a budget at egress", 25001, "client", 429},
		{"tcp at egress", 25002, "client", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			adm := proxies[row.adm]
			before := adm.descriptors(t)
			r := newReserve(t, server, row.port)
			conns := dialMany(t, client, fmt.Sprintf("%s:%d", serverIP, row.port), crowd)
			var good, refused, other atomic.Int64
			var wg sync.WaitGroup
			for _, c := range conns {
				wg.Go(func() {
					status, err := statusOn(c)
					switch {
					case err == nil && status == 200:
						good.Add(1)
					case err == nil && status == row.refusal, err != nil && row.refusal == 0 && ended(err):
						refused.Add(1)
					default:
						if other.Add(1) == 1 {
							t.Errorf("one was answered %d, %v", status, err)
						}
					}
				})
			}
			becomes(t, "those that pass are at work and the others answered", func() bool {
				return r.busy.Load()+refused.Load()+other.Load() == crowd
			})
			held, peak := adm.descriptors(t), adm.memory(t, "VmRSS")
			close(r.release)
			wg.Wait()
			if good.Load() != admitted || refused.Load() != crowd-admitted || r.most.Load() != admitted {
				t.Errorf("%d answered, %d refused, %d at work at once; want %d, %d, %[4]d", good.Load(), refused.Load(), r.most.Load(), admitted, crowd-admitted)
			}
			for _, c := range conns {
				c.Close()
			}
			becomes(t, "the descriptors are given back", func() bool { return adm.descriptors(t) <= before })
			t.Logf("%d connections: %d answered, %d refused; descriptors %d, %d, %d; memory %d MiB at once, %d MiB after",
				crowd, good.Load(), refused.Load(), before, held, adm.descriptors(t), peak>>20, adm.memory(t, "VmRSS")>>20)
			if most := adm.memory(t, "VmHWM"); most > layout.ADMMemory {
				t.Errorf("the ADM used %d MiB, more than its container has", most>>20)
			}
		})
	}
}

// allowDescriptors sees to it that this process, and each that it starts, may have
// that many descriptors; root may raise what the machine allows.
func allowDescriptors(t testing.TB, count uint64) {
	t.Helper()
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if files.Cur >= count {
		return
	}
	files.Cur, files.Max = count, max(files.Max, count)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatalf("allow %d descriptors: %v", count, err)
	}
}

// A reserve keeps what is asked of it waiting until it is released.
type reserve struct {
	release    chan struct{}
	busy, most atomic.Int64
}

// newReserve answers HTTP requests; a byte stream that says the same gets the same.
func newReserve(t testing.TB, n *namespace, port int) *reserve {
	r := &reserve{release: make(chan struct{})}
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	go accept(l, func(c net.Conn) {
		in := bufio.NewReaderSize(c, 256)
		for readHead(in) == nil {
			r.busy.Add(1)
			r.most.Add(1)
			<-r.release
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	return r
}

func statusOn(c net.Conn) (int, error) {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 256), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// ended reports whether the other side closed, with or without a reset.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !os.IsTimeout(err)
}

// dialMany connects from all of the client's addresses.
func dialMany(t testing.TB, n *namespace, address string, count int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, count)
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	var wg sync.WaitGroup
	for w, ip := range manyIPs {
		wg.Go(func() {
			err := n.do(func() error {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: time.Minute}
				for i := w; i < count; i += len(manyIPs) {
					c, err := d.Dial("tcp4", address)
					if err != nil {
						return err
					}
					conns[i] = c
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// descriptors that the process has open.
func (p *proxy) descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// memory is a field of /proc/PID/status in bytes: VmRSS now, VmHWM the most so far.
func (p *proxy) memory(t testing.TB, field string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(field+":")); ok {
			kib, _ := strconv.Atoi(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))))
			return kib << 10
		}
	}
	t.Fatalf("no %s", field)
	return 0
}
