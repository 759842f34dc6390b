package bpfgen

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	podIP  = "10.99.0.2"
	peerIP = "10.99.0.3"
	pod6   = "fd99::2"
	peer6  = "fd99::3"
)

// A bed is one pod, with a cgroup for its application and one for its ADM, and a
// peer in a namespace of its own.
type bed struct {
	t           *testing.T
	pod         Pod
	app         *proc
	adm         *proc
	peer        *proc
	podNS, name string
}

var beds atomic.Int32

func newBed(t *testing.T) *bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces, cgroups and BPF programs need root")
	}
	root, err := CgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, name: fmt.Sprintf("admc-%d-%d", os.Getpid(), beds.Add(1))}
	b.podNS = b.namespace("p")
	peerNS := b.namespace("x")
	b.ip("link", "add", "eth0", "netns", b.name+"p", "type", "veth", "peer", "name", "eth0", "netns", b.name+"x")
	for ns, addrs := range map[string][]string{"p": {podIP + "/24", pod6 + "/64"}, "x": {peerIP + "/24", peer6 + "/64"}} {
		for _, a := range addrs {
			cmd := []string{"-n", b.name + ns, "addr", "add", a, "dev", "eth0"}
			if strings.Contains(a, ":") {
				cmd = append(cmd, "nodad") // usable at once
			}
			b.ip(cmd...)
		}
		b.ip("-n", b.name+ns, "link", "set", "lo", "up")
		b.ip("-n", b.name+ns, "link", "set", "eth0", "up")
	}
	cg := filepath.Join(root, b.name)
	for _, d := range []string{"", "pod", "pod/app", "pod/adm", "peer"} {
		dir := filepath.Join(cg, d)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
	}
	b.pod = Pod{
		CgroupPath: filepath.Join(cg, "pod"),
		NetNSPath:  b.podNS,
		ADMCgroup:  filepath.Join(cg, "pod/adm"),
		Addresses:  map[string][]netip.Addr{"backend": {netip.MustParseAddr(peerIP), netip.MustParseAddr(peer6)}},
	}
	b.app = b.start(b.podNS, filepath.Join(cg, "pod/app"))
	b.adm = b.start(b.podNS, b.pod.ADMCgroup)
	b.peer = b.start(peerNS, filepath.Join(cg, "peer"))
	return b
}

func (b *bed) namespace(suffix string) string {
	name := b.name + suffix
	b.ip("netns", "add", name)
	b.t.Cleanup(func() { b.ip("netns", "del", name) })
	return "/run/netns/" + name
}

func (b *bed) ip(args ...string) {
	b.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		b.t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// A proc is a worker.
type proc struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out chan string
}

// start runs a worker, with a wrapper such as setpriv(1) before it.
func (b *bed) start(ns, cgroup string, wrapper ...string) *proc {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	command := append(wrapper, self)
	dir, err := os.Open(cgroup)
	if err != nil {
		b.t.Fatal(err)
	}
	defer dir.Close()
	p := &proc{t: b.t, cmd: exec.Command(command[0], command[1:]...), out: make(chan string, 16)}
	p.cmd.Env = append(os.Environ(), "ADMC_WORKER=1")
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	p.in, _ = p.cmd.StdinPipe() // its end ends the worker, should this process die
	out, _ := p.cmd.StdoutPipe()
	if err := inNamespace(ns, p.cmd.Start); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			p.out <- sc.Text()
		}
		close(p.out)
	}()
	b.t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

// inNamespace runs f on a thread that is thrown away.
func inNamespace(path string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(path)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// ask gives a worker's answer to a command.
func (p *proc) ask(format string, args ...any) string {
	p.t.Helper()
	fmt.Fprintf(p.in, format+"\n", args...)
	return p.line()
}

func (p *proc) line() string {
	p.t.Helper()
	select {
	case s, ok := <-p.out:
		if !ok {
			p.t.Fatal("the worker died")
		}
		return s
	case <-time.After(time.Minute):
		p.t.Fatal("the worker does not answer")
	}
	return ""
}

// must is ask for a command that answers "ok" and nothing else.
func (p *proc) must(format string, args ...any) {
	p.t.Helper()
	p.want("ok", format, args...)
}

// want fails the test unless the answer is this one.
func (p *proc) want(answer, format string, args ...any) {
	p.t.Helper()
	if got := p.ask(format, args...); got != answer {
		p.t.Errorf("%s: %q, want %q", fmt.Sprintf(format, args...), got, answer)
	}
}

// wantIn fails the test unless the answer contains this.
func (p *proc) wantIn(part, format string, args ...any) {
	p.t.Helper()
	if got := p.ask(format, args...); !strings.Contains(got, part) {
		p.t.Errorf("%s: %q, want %q in it", fmt.Sprintf(format, args...), got, part)
	}
}

// attach redirects the pod until the test ends.
func (b *bed) attach(c *Config) *Attachment {
	b.t.Helper()
	a, err := Attach(c, b.pod)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := a.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return a
}

// counters of an attachment.
func (b *bed) counters(a *Attachment) Counters {
	b.t.Helper()
	c, err := a.Counters()
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}
