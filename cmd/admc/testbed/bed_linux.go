package testbed

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"admc.dev/admc/bpfgen"
)

// prefix of the names of namespaces and cgroups: admcbed-<process>-<bed>[-<pod>].
const prefix = "admcbed-"

// A Bed is one network of pods, with a name server.
type Bed struct {
	Workers int // of each Envoy; 2 unless it is set before one starts

	t      testing.TB
	name   string
	cgroup string    // directory of the unified hierarchy
	bridge namespace // holds the bridge and the name server
	pods   []*Pod
	names  names
}

var (
	beds    atomic.Int32
	gateway = netip.MustParseAddr("10.77.0.1") // the bridge; the name server is here
)

// New makes an empty bed that lasts as long as the test. As non-root the test is
// skipped.
func New(t testing.TB) *Bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces, cgroups and BPF programs need root")
	}
	root, err := bpfgen.CgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	sweep(root)
	b := &Bed{Workers: 2, t: t, name: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), beds.Add(1))}
	b.cgroup = b.mkdirCgroup(filepath.Join(root, b.name))
	b.bridge = b.namespace(b.name)
	b.ip("-n", b.name, "link", "add", "br0", "type", "bridge")
	b.ip("-n", b.name, "addr", "add", gateway.String()+"/16", "dev", "br0")
	b.ip("-n", b.name, "link", "set", "br0", "up")
	b.serveNames()
	return b
}

// External makes a pod outside the mesh: it is reached by a host's name as it
// stands, and known to configurations by the external's name in the graph.
func (b *Bed) External(name, host string) *Pod {
	p := b.pod(name)
	if host != "" {
		b.names.add(host, p.Address)
	}
	return p
}

// Pod makes a pod of a service. More pods of one service share its name.
func (b *Bed) Pod(service, ns string) *Pod {
	p := b.pod(service)
	short := service[strings.LastIndexByte(service, '/')+1:]
	b.names.add(short+"."+ns+".svc.cluster.local", p.Address)
	return p
}

// Name gives a pod another host name, as the Services that are emitted for the
// versions of a service do.
func (b *Bed) Name(host string, p *Pod) { b.names.add(host, p.Address) }

// Addresses of a service's or an external's pods.
func (b *Bed) Addresses(service string) []netip.Addr {
	var out []netip.Addr
	for _, p := range b.pods {
		if p.Service == service {
			out = append(out, p.Address)
		}
	}
	return out
}

func (b *Bed) ip(args ...string) {
	b.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		b.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// mkdirCgroup makes a cgroup that is removed with the bed.
func (b *Bed) mkdirCgroup(dir string) string {
	b.t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) // what a server started by itself
		if err := removeCgroup(dir); err != nil {
			b.t.Error(err)
		}
	})
	return dir
}

// removeCgroup waits for the processes in it to be gone: a killed one stays for
// as long as it takes to reap.
func removeCgroup(dir string) error {
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// sweep removes what beds of processes that are no more have left.
func sweep(root string) {
	stale := func(name string) bool {
		rest, ours := strings.CutPrefix(name, prefix)
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		return ours && err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	dirs, _ := filepath.Glob(filepath.Join(root, prefix+"*"))
	for _, dir := range dirs {
		if !stale(filepath.Base(dir)) {
			continue
		}
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		inner, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		pods, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, d := range append(append(inner, pods...), dir) {
			if st, err := os.Stat(d); err == nil && st.IsDir() {
				removeCgroup(d)
			}
		}
	}
	handles, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, h := range handles {
		if name := filepath.Base(h); stale(name) {
			exec.Command("ip", "netns", "del", name).Run()
		}
	}
}
