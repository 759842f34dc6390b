package bpfgen

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"admc.dev/admc/bpf"
)

const (
	closedPort, closedListener = 8080, 15101
	openPort, openListener     = 8090, 15102
	plainPort                  = 9000 // of no policy
	inPort, inListener         = 7080, 15103
	inOpenPort, inOpenListener = 7090, 15104
)

// config polices the backend at two ports and the pod itself at two ports, of
// either fail mode.
func config() *Config {
	return &Config{
		Schema: Schema, Service: "shop", Namespace: "default", Objects: bpf.Checksums(),
		Ingress: []Ingress{
			{Port: inPort, Listener: inListener, Fail: FailClosed},
			{Port: inOpenPort, Listener: inOpenListener, Fail: FailOpen},
		},
		Egress: []Egress{
			{Receiver: "backend", Kind: KindService, Port: closedPort, Listener: closedListener, Fail: FailClosed},
			{Receiver: "backend", Kind: KindService, Port: openPort, Listener: openListener, Fail: FailOpen},
		},
	}
}

// backend serves all ports of the peer, on both families.
func (b *bed) backend() {
	for _, port := range []int{closedPort, openPort, plainPort} {
		b.peer.must("echo :%d backend-%d", port, port)
	}
}

func TestSteer(t *testing.T) {
	b := newBed(t)
	b.backend()
	call := func(network, addr string) string { return b.app.ask("call %s %s 5000", network, addr) }
	closed, plain := fmt.Sprintf("%s:%d", peerIP, closedPort), fmt.Sprintf("%s:%d", peerIP, plainPort)
	closed6 := fmt.Sprintf("[%s]:%d", peer6, closedPort)

	// the control: the same proxy and the same calls without the objects
	b.adm.must("proxy 127.0.0.1:%d", closedListener)
	if got, want := call("tcp4", closed), fmt.Sprintf("ok backend-%d peer=%s", closedPort, closed); got != want {
		t.Fatalf("without the objects: %q, want %q", got, want)
	}
	b.adm.must("stop 127.0.0.1:%d", closedListener)

	a := b.attach(config())
	b.adm.must("proxy 127.0.0.1:%d", closedListener)
	for _, tc := range []struct{ name, network, addr, want string }{
		{"IPv4", "tcp4", closed, fmt.Sprintf("ok via=%s backend-%d peer=%s", closed, closedPort, closed)},
		{"IPv4 by an IPv6 socket", "mapped", closed, fmt.Sprintf("ok via=%s backend-%d peer=%s", closed, closedPort, closed)},
		{"MPTCP", "mptcp", closed, fmt.Sprintf("ok via=%s backend-%d peer=127.0.0.1:%d", closed, closedPort, closedListener)},
		{"IPv6", "tcp", closed6, fmt.Sprintf("ok via=%s backend-%d peer=%s", closed6, closedPort, closed6)},
		{"a port of no policy", "tcp4", plain, fmt.Sprintf("ok backend-%d peer=%s", plainPort, plain)},
	} {
		before := b.counters(a)
		got := call(tc.network, tc.addr)
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		after, want := b.counters(a), uint64(1)
		if tc.addr == plain {
			want = 0
		}
		if n := after.Steered - before.Steered; n != want {
			t.Errorf("%s: %d steered, want %d", tc.name, n, want)
		}
		if n := after.Accepted - before.Accepted; n != want {
			t.Errorf("%s: %d accepted with their address, want %d", tc.name, n, want)
		}
	}

	// a socket that is used again does not keep the last address
	for _, next := range []string{plain, fmt.Sprintf("%s:%d", peerIP, openPort)} { // of no policy; of a dead listener
		b.app.want(fmt.Sprintf("ok %s %s %s", closed, next, closed), "again %s %s %s", closed, next, closed)
	}
	// Go's tcp6 sockets are IPv6 only, and the listener is not
	if got := call("tcp6", closed6); !strings.Contains(got, "network is unreachable") {
		t.Errorf("IPv6 only: %q", got)
	}
	// dialled by hand, the listener has no address to go to
	b.app.wantIn("ok SO_ORIGINAL_DST: ", "call tcp4 127.0.0.1:%d 0", closedListener)

	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := call("tcp4", closed); strings.Contains(got, "via=") {
		t.Errorf("detached: %q", got)
	}
}

func TestDeadListener(t *testing.T) {
	b := newBed(t)
	b.backend()
	a := b.attach(config())
	rounds := func(closed, open string) {
		t.Helper()
		for _, network := range []string{"tcp4", "mapped", "mptcp"} {
			b.app.wantIn(closed, "call %s %s:%d 10", network, peerIP, closedPort)
			b.app.wantIn(open, "call %s %s:%d 10", network, peerIP, openPort)
		}
		b.app.wantIn(closed, "call tcp [%s]:%d 10", peer6, closedPort)
	}
	refused, direct := "connection refused", fmt.Sprintf("ok backend-%d", openPort)
	rounds(refused, direct)
	b.app.wantIn(fmt.Sprintf("ok backend-%d", plainPort), "call tcp4 %s:%d 10", peerIP, plainPort)

	b.adm.must("proxy 127.0.0.1:%d", closedListener)
	b.adm.must("proxy 127.0.0.1:%d", openListener)
	rounds("ok via=", "ok via=")

	b.adm.must("stop 127.0.0.1:%d", closedListener)
	b.adm.must("stop 127.0.0.1:%d", openListener)
	rounds(refused, direct)

	b.adm.must("proxy 127.0.0.1:%d", closedListener)
	b.app.wantIn("ok via=", "call tcp4 %s:%d 10", peerIP, closedPort)
	// Go dials TCP after a refused MPTCP connect: two more
	if c := b.counters(a); c.EgressRefused != 10 || c.EgressBypassed != 6 || c.Listening != 3 {
		t.Errorf("%+v", c)
	}
}

// What the application listens on is never taken for the ADM.
func TestOnlyTheADMListens(t *testing.T) {
	b := newBed(t)
	b.backend()
	b.attach(config())
	b.app.must("echo 127.0.0.1:%d impostor", closedListener)
	b.app.wantIn("connection refused", "call tcp4 %s:%d 10", peerIP, closedPort)
	b.app.must("echo 127.0.0.1:%d impostor", inListener)
	b.peer.wantIn("connection refused", "call tcp4 %s:%d 10", podIP, inPort)
	b.adm.must("proxy %s:%d", podIP, openListener) // not on loopback
	b.app.wantIn(fmt.Sprintf("ok backend-%d", openPort), "call tcp4 %s:%d 10", peerIP, openPort)
}

// The ADM itself is never steered, and the rest of its pod is.
func TestADMIsExempt(t *testing.T) {
	b := newBed(t)
	b.backend()
	b.attach(config())
	b.adm.must("proxy 127.0.0.1:%d", closedListener)
	b.adm.wantIn(fmt.Sprintf("ok backend-%d", closedPort), "call tcp4 %s:%d 10", peerIP, closedPort)
	b.app.wantIn("ok via=", "call tcp4 %s:%d 10", peerIP, closedPort)
}

func TestInbound(t *testing.T) {
	b := newBed(t)
	for _, port := range []int{inPort, inOpenPort, plainPort} {
		b.app.must("echo :%d app-%d", port, port)
	}
	ask := func(want string, port int) {
		t.Helper()
		b.peer.want(fmt.Sprintf("ok %sapp-%d peer=%s:%d", want, port, podIP, port), "call tcp4 %s:%d 5000", podIP, port)
	}
	// the control
	for _, port := range []int{inPort, inOpenPort, plainPort} {
		ask("", port)
	}

	a := b.attach(config())
	// no listener yet
	b.peer.wantIn("connection refused", "call tcp4 %s:%d 10", podIP, inPort)
	ask("", inOpenPort)

	b.adm.must("proxy 127.0.0.1:%d", inListener)
	b.adm.must("proxy 127.0.0.1:%d", inOpenListener)
	ask(fmt.Sprintf("via=%s:%d ", podIP, inPort), inPort)
	ask(fmt.Sprintf("via=%s:%d ", podIP, inOpenPort), inOpenPort)
	ask("", plainPort)
	// the pod's connections to itself are nobody's call
	for _, ip := range []string{podIP, "127.0.0.1"} {
		b.app.wantIn(fmt.Sprintf("ok app-%d", inPort), "call tcp4 %s:%d 10", ip, inPort)
	}
	// a live ADM that can't take IPv6 is not passed by
	for _, port := range []int{inPort, inOpenPort} {
		b.peer.wantIn("connection refused", "call tcp6 [%s]:%d 10", pod6, port)
	}

	b.adm.must("stop 127.0.0.1:%d", inListener)
	b.adm.must("stop 127.0.0.1:%d", inOpenListener)
	b.peer.wantIn("connection refused", "call tcp4 %s:%d 10", podIP, inPort)
	ask("", inOpenPort)
	if c := b.counters(a); c.Inbound != 2 || c.InboundBypassed != 2 || c.InboundRefused != 4 {
		t.Errorf("%+v", c)
	}
}

func TestAccelerate(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			b := newBed(t)
			b.backend()
			b.app.must("echo :%d app", inPort)
			c := config()
			c.Egress[0].Accelerate, c.Ingress[0].Accelerate = on, on
			a := b.attach(c)
			b.adm.must("proxy 127.0.0.1:%d", closedListener)
			b.adm.must("proxy 127.0.0.1:%d", inListener)
			for _, call := range []string{
				b.app.ask("call tcp4 %s:%d 200000", peerIP, closedPort),
				b.peer.ask("call tcp4 %s:%d 200000", podIP, inPort),
			} {
				if !strings.HasPrefix(call, "ok via=") {
					t.Fatal(call)
				}
			}
			// one leg of each call: two sockets, 200 messages there and 200 back
			n := b.counters(a)
			if on && (n.Redirected < 800 || n.Enrolled != 4 || n.ThroughStack+n.Withdrawn != 0) {
				t.Errorf("%+v", n)
			}
			if !on && n.Redirected+n.Enrolled != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// Connections that write while the accepting end is not there yet: bytes that
// went by the stack must not be overtaken by redirected ones.
func TestAcceleratedOrder(t *testing.T) {
	for _, deferAccept := range []string{"", "defer"} {
		t.Run(deferAccept, func(t *testing.T) {
			b := newBed(t)
			c := config()
			c.Ingress[0].Accelerate = true
			a := b.attach(c)
			b.app.must("whole 127.0.0.1:%d %s", inPort, deferAccept)
			b.app.want("ok 4000 intact", "burst 127.0.0.1:%d 4000", inPort)
			n := b.counters(a)
			if deferAccept == "" && n.Redirected != 4*4000 {
				t.Errorf("three messages and an answer of each should be redirected: %+v", n)
			}
			// the accepting end comes after the first message: all by the stack, nobody left in the map
			if deferAccept != "" && (n.Redirected != 0 || n.Withdrawn != n.Enrolled) {
				t.Errorf("%+v", n)
			}
		})
	}
}

// Data in the SYN reaches the accepting end before the connecting end is
// established: steered and refused as ever, and never overtaken.
func TestFastOpen(t *testing.T) {
	b := newBed(t)
	if err := inNamespace(b.podNS, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte("3"), 0)
	}); err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Egress[0].Accelerate = true
	a := b.attach(c)
	b.app.wantIn("connection refused", "fastopen %s:%d 1", peerIP, closedPort)

	b.adm.must("whole 127.0.0.1:%d fastopen", closedListener)
	b.app.want("ok 20 intact, 19 in the SYN", "fastopen %s:%d 20", peerIP, closedPort)
	if n := b.counters(a); n.Steered != 20 || n.Accepted != 20 || n.Enrolled == 0 {
		t.Errorf("%+v", n)
	}
}

// Two namespaces of one pod, with the very same addresses and ports at the same
// time: their bytes never meet.
func TestAcceleratedNamespacesApart(t *testing.T) {
	b := newBed(t)
	c := config()
	c.Ingress[0].Accelerate = true
	a := b.attach(c)
	second := b.start("/run/netns/"+b.name+"x", b.pod.CgroupPath+"/app")
	for tag, w := range map[string]*proc{"first": b.app, "second": second} {
		w.must("echo 127.0.0.1:%d %s", inPort, tag)
	}
	for _, w := range []*proc{b.app, second} {
		fmt.Fprintf(w.in, "call from:40000 127.0.0.1:%d 5000000\n", inPort)
	}
	for tag, w := range map[string]*proc{"first": b.app, "second": second} {
		if got, want := w.line(), fmt.Sprintf("ok %s peer=127.0.0.1:%d", tag, inPort); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if n := b.counters(a); n.Enrolled != 4 || n.EnrolFailed != 0 || n.Redirected < 20000 {
		t.Errorf("%+v", n)
	}
}

// A receiver that does not read is not sent without bound, and loses nothing.
func TestAcceleratedBackpressure(t *testing.T) {
	b := newBed(t)
	c := config()
	c.Ingress[0].Accelerate = true
	a := b.attach(c)
	b.adm.must("whole 127.0.0.1:%d", inPort)
	if err := b.adm.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	full := b.app.ask("flood 127.0.0.1:%d", inPort)
	if err := b.adm.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var n int
	fmt.Sscanf(full, "full %d", &n)
	const budget = 16 << 20
	if n < budget || n > 2*budget {
		t.Errorf("%d bytes were taken without a reader, want about the budget of %d", n, budget)
	}
	if got, want := b.app.line(), fmt.Sprintf("ok %d; intact %d", n, n); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if k := b.counters(a); k.Redirected == 0 || k.ThroughStack == 0 {
		t.Errorf("it should begin redirected and end with the stack: %+v", k)
	}
}

// A node agent needs no more than these capabilities, and not one less.
func TestCapabilities(t *testing.T) {
	b := newBed(t)
	pod, err := json.Marshal(b.pod)
	if err != nil {
		t.Fatal(err)
	}
	with := func(caps string) *proc {
		return b.start(b.podNS, b.pod.CgroupPath+"/app", "setpriv", "--bounding-set=-all,"+caps, "--inh-caps=-all")
	}
	with("+bpf,+net_admin").must("attach steer %s", pod)
	with("+bpf,+net_admin,+perfmon").must("attach accel %s", pod)
	with("+net_admin").wantIn("load the steering object", "attach steer %s", pod)
	with("+bpf").wantIn("load the steering object", "attach steer %s", pod)
	with("+bpf,+net_admin").wantIn("load the acceleration object", "attach accel %s", pod)
}

func TestAttachRefuses(t *testing.T) {
	b := newBed(t)
	for _, tc := range []struct {
		name, want string
		change     func(*Config, *Pod)
	}{
		{"no address", "no address of backend", func(_ *Config, p *Pod) { p.Addresses = nil }},
		{"unspecified address", "0.0.0.0", func(_ *Config, p *Pod) {
			p.Addresses = map[string][]netip.Addr{"backend": {netip.IPv4Unspecified()}}
		}},
		{"shared address", "can't be told apart", func(c *Config, p *Pod) {
			c.Egress = append(c.Egress, Egress{Receiver: "twin", Kind: KindService, Port: closedPort, Listener: 15109, Fail: FailOpen})
			p.Addresses = map[string][]netip.Addr{"backend": {netip.MustParseAddr(peerIP)}, "twin": {netip.MustParseAddr(peerIP)}}
		}},
		{"schema", "schema is 2", func(c *Config, _ *Pod) { c.Schema = 2 }},
		{"objects", "other objects", func(c *Config, _ *Pod) { c.Objects = nil }},
		{"ADM outside the pod", "not below", func(_ *Config, p *Pod) { p.ADMCgroup = p.CgroupPath }},
		{"no such cgroup", "no such file", func(_ *Config, p *Pod) { p.ADMCgroup += "x" }},
		{"no such namespace", "no such file", func(_ *Config, p *Pod) { p.NetNSPath += "x" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, p := config(), b.pod
			tc.change(c, &p)
			a, err := Attach(c, p)
			if err == nil {
				a.Close()
				t.Fatal("attached")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q in it", err, tc.want)
			}
		})
	}
	// nothing of a failed attachment is left
	b.backend()
	b.app.wantIn(fmt.Sprintf("ok backend-%d", closedPort), "call tcp4 %s:%d 10", peerIP, closedPort)
}
