//go:build linux

package envoy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// The tests' pods are two network namespaces on one wire: a client and a
// server, the server with an address for each of its versions. Connections are
// brought to an ADM by iptables, so that the emitted file runs unmodified; the
// ADM's own connections are told apart by its group.
const (
	clientIP   = "10.77.0.1"
	otherIP    = "10.77.0.3" // the client's too
	serverIP   = "10.77.0.2"
	v1IP       = "10.77.0.11"
	v2IP       = "10.77.0.12"
	p4IP       = "10.77.0.13" // a pod of no version
	otherPodIP = "10.78.0.1"  // of another caller, on a wire of its own
	admGroup   = "1337"
	readyWait  = 20 * time.Second
)

// manyIPs are more of the client's, for what hangs on the caller's address.
var manyIPs = []string{"10.77.0.21", "10.77.0.22", "10.77.0.23", "10.77.0.24", "10.77.0.25", "10.77.0.26", "10.77.0.27", "10.77.0.28"}

type namespace struct{ name string }

// namespaces counts those that were made: tests beside each other have their own.
var namespaces atomic.Int64

func run(t testing.TB, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// newNamespace makes a network namespace that lives as long as the test.
func newNamespace(t testing.TB, role string) *namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	n := &namespace{fmt.Sprintf("admc-envoy-%d-%d-%s", os.Getpid(), namespaces.Add(1), role)}
	run(t, "", "ip", "netns", "add", n.name)
	t.Cleanup(func() {
		exec.Command("ip", "netns", "del", n.name).Run()
		os.RemoveAll("/etc/netns/" + n.name)
	})
	run(t, "", "ip", "-n", n.name, "link", "set", "lo", "up")
	return n
}

// newPair gives a client and a server that reach each other.
func newPair(t testing.TB) (client, server *namespace) {
	client, server = newNamespace(t, "c"), newNamespace(t, "s")
	run(t, "", "ip", "link", "add", "eth0", "netns", client.name, "type", "veth", "peer", "name", "eth0", "netns", server.name)
	for n, ips := range map[*namespace][]string{client: append(slices.Clone(manyIPs), clientIP, otherIP), server: {serverIP, v1IP, v2IP, p4IP}} {
		for _, ip := range ips {
			run(t, "", "ip", "-n", n.name, "addr", "add", ip+"/24", "dev", "eth0")
		}
		run(t, "", "ip", "-n", n.name, "link", "set", "eth0", "up")
		run(t, "", "ip", "netns", "exec", n.name, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
	}
	return client, server
}

// newNeighbour gives another caller of a server.
func newNeighbour(t testing.TB, server *namespace) *namespace {
	n := newNamespace(t, "o")
	run(t, "", "ip", "link", "add", "eth0", "netns", n.name, "type", "veth", "peer", "name", "eth1", "netns", server.name)
	run(t, "", "ip", "-n", n.name, "addr", "add", otherPodIP+"/24", "dev", "eth0")
	run(t, "", "ip", "-n", server.name, "addr", "add", "10.78.0.2/24", "dev", "eth1")
	run(t, "", "ip", "-n", n.name, "link", "set", "eth0", "up")
	run(t, "", "ip", "-n", server.name, "link", "set", "eth1", "up")
	run(t, "", "ip", "-n", n.name, "route", "add", "default", "via", "10.78.0.2")
	run(t, "", "ip", "netns", "exec", n.name, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
	return n
}

// do runs f on a thread that is in the namespace.
func (n *namespace) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open("/var/run/netns/" + n.name)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	defer unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
	return f()
}

func (n *namespace) dial(ctx context.Context, address string) (net.Conn, error) {
	return n.dialFrom(ctx, clientIP, address)
}

// A dialer connects from one address of a pod.
type dialer struct {
	n    *namespace
	from string
}

func (d dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	return d.n.dialFrom(ctx, d.from, address)
}

// dialFrom connects from one of the client's addresses.
func (n *namespace) dialFrom(ctx context.Context, from, address string) (c net.Conn, err error) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if !strings.HasPrefix(address, "127.") {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	err = n.do(func() error {
		c, err = d.DialContext(ctx, "tcp4", address)
		return err
	})
	return c, err
}

func (n *namespace) listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// output is what an Envoy wrote, to be read while it runs.
type output struct {
	admin string // the socket of its admin interface, as it is seen from here
	mu    sync.Mutex
	b     bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// ownRun gives a process a /run/admc of its own, as the ADM's container has; the
// mount namespace that `ip netns exec` makes is the process's alone.
const ownRun = `mount -t tmpfs admc /run/admc && exec "$@"`

// A proxy is an ADM that runs.
type proxy struct {
	stdout, stderr *output
	pid            int
}

// runADM gives the standard output of startADM's Envoy.
func runADM(t testing.TB, n *namespace, a *layout.ADM, c configuration) *output {
	t.Helper()
	return startADM(t, n, a, c).stdout
}

// startADM starts Envoy with the emitted configuration in the namespace of its
// pod, waits for the startup probe's answer, and steers the pod's connections
// to it. A command in front, such as prlimit, sets the process up.
func startADM(t testing.TB, n *namespace, a *layout.ADM, c configuration, front ...string) *proxy {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(layout.AdminSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &proxy{stdout: &output{}, stderr: &output{}}
	// Each of these becomes the next, so that the process is Envoy's.
	args := slices.Concat([]string{"netns", "exec", n.name, "sh", "-c", ownRun, "sh", "setpriv", "--regid", admGroup, "--clear-groups"}, front,
		[]string{envoyBinary(t)}, c.arguments(t), []string{"--concurrency", "2", "--log-level", "warning", "--use-dynamic-base-id", "--file-flush-interval-msec", "50"})
	cmd := exec.Command("ip", args...)
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	p.stdout.admin = fmt.Sprintf("/proc/%d/root%s", p.pid, layout.AdminSocket)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("Envoy of %s:\n%.4000s", a.Service.Name, p.stderr)
		}
	})
	deadline := time.Now().Add(readyWait)
	for {
		if status, _ := get(n, fmt.Sprintf("127.0.0.1:%d", a.ReadyPort), layout.ReadyPath); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Envoy of %s is not ready:\n%.4000s", a.Service.Name, p.stderr)
		}
		time.Sleep(50 * time.Millisecond)
	}
	steer(t, n, a)
	return p
}

// runAll starts the ADMs of a program and gives them by their service's name.
func runAll(t testing.TB, client, server *namespace, prog *program, front ...string) map[string]*proxy {
	t.Helper()
	return runLayout(t, map[string]*namespace{"client": client, "server": server}, prog.layout(), front...)
}

// runLayout starts the ADMs of a layout in their services' pods.
func runLayout(t testing.TB, pods map[string]*namespace, l *layout.Layout, front ...string) map[string]*proxy {
	t.Helper()
	files := emitted(t, l)
	out := map[string]*proxy{}
	for _, a := range l.ADMs {
		c := configurationOf(files, a.Dir)
		begin, name := time.Now(), a.Service.Name
		out[name] = startADM(t, pods[name], a, c, front...)
		t.Logf("%s: %d listeners in %d bytes, ready after %s", name, len(a.Listeners), len(c.policies), time.Since(begin).Round(time.Millisecond))
	}
	return out
}

// steer redirects as the node's programs do: inbound connections by port,
// outbound ones by address and port.
func steer(t testing.TB, n *namespace, a *layout.ADM) {
	var rules strings.Builder
	rules.WriteString("*nat\n")
	for _, l := range a.Listeners {
		if l.Side == ir.Ingress {
			fmt.Fprintf(&rules, "-A PREROUTING -p tcp --dport %d -j DNAT --to-destination 127.0.0.1:%d\n", l.ReceiverPort, l.Port)
		} else {
			fmt.Fprintf(&rules, "-A OUTPUT -p tcp -d %s --dport %d -m owner ! --gid-owner %s -j DNAT --to-destination 127.0.0.1:%d\n",
				serverIP, l.ReceiverPort, admGroup, l.Port)
		}
	}
	rules.WriteString("COMMIT\n")
	run(t, rules.String(), "ip", "netns", "exec", n.name, "iptables-restore", "--noflush")
}

// get is one plain HTTP/1 request.
func get(n *namespace, address, path string) (int, string) {
	r := httpRequest{n: n, address: address, path: path}.do()
	return r.status, r.body
}
