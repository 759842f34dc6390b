package testbed

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"admc.dev/admc/bpfgen"
)

// A Pod is a network namespace on the bed's bridge, and a cgroup with one child
// for the application and one for its ADM.
type Pod struct {
	Service string
	Address netip.Addr

	bed    *Bed
	ns     namespace
	cgroup string
	dialer dialer
	etc    string // what its /etc has before the host's: hosts, resolv.conf, an ADM's files
}

func (b *Bed) pod(service string) *Pod {
	b.t.Helper()
	n := len(b.pods) + 1
	name := fmt.Sprintf("%s-%d", b.name, n)
	p := &Pod{
		Service: service,
		Address: netip.AddrFrom4([4]byte{10, 77, byte(1 + n/200), byte(1 + n%200)}),
		bed:     b,
		ns:      b.namespace(name),
		cgroup:  b.mkdirCgroup(filepath.Join(b.cgroup, fmt.Sprintf("pod%d", n))),
		etc:     b.t.TempDir(),
	}
	b.mkdirCgroup(p.appCgroup())
	b.mkdirCgroup(p.admCgroup())
	b.ip("link", "add", fmt.Sprintf("veth%d", n), "netns", b.name, "type", "veth", "peer", "name", "eth0", "netns", name)
	b.ip("-n", b.name, "link", "set", fmt.Sprintf("veth%d", n), "master", "br0", "up")
	b.ip("-n", name, "addr", "add", p.Address.String()+"/16", "dev", "eth0")
	b.ip("-n", name, "link", "set", "eth0", "up")
	b.ip("-n", name, "route", "add", "default", "via", gateway.String())
	p.write("hosts", "127.0.0.1 localhost\n%s %s\n", p.Address, strings.ReplaceAll(service, "/", "."))
	p.write("resolv.conf", "nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n", gateway)
	b.pods = append(b.pods, p)
	return p
}

func (p *Pod) write(file, format string, args ...any) {
	if err := os.WriteFile(filepath.Join(p.etc, file), fmt.Appendf(nil, format, args...), 0o644); err != nil {
		p.bed.t.Fatal(err)
	}
}

// Certify gives the pod a file below /etc/admc/tls, where a certificate or a key
// may be. It takes the place of an older one at once, as in a Kubernetes volume.
func (p *Pod) Certify(name string, data []byte) {
	p.bed.t.Helper()
	p.writeADM(filepath.Join("tls", name), data)
}

// writeADM writes a file below /etc/admc.
func (p *Pod) writeADM(name string, data []byte) {
	path := filepath.Join(p.etc, "admc", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.bed.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		p.bed.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.bed.t.Fatal(err)
	}
}

func (p *Pod) appCgroup() string { return filepath.Join(p.cgroup, "app") }
func (p *Pod) admCgroup() string { return filepath.Join(p.cgroup, "adm") }

// Play starts a process in the pod's application cgroup that plays a role of the
// package's own; it dies with the test.
func (p *Pod) Play(role string, args ...string) *Played {
	p.bed.t.Helper()
	return &Played{pod: p, proc: p.start(p.appCgroup(), os.Stderr, append([]string{role}, args...)...)}
}

// A Played is a process that plays a role.
type Played struct {
	pod  *Pod
	proc *process
}

// Line reads a line of what it writes; it fails the test when there is none.
func (p *Played) Line() string {
	p.pod.bed.t.Helper()
	line := p.proc.line()
	if line == "" {
		p.pod.bed.t.Fatalf("a process in the pod of %s has ended", p.pod.Service)
	}
	return line
}

// Ask writes a line to it and reads one.
func (p *Played) Ask(line string) string {
	p.pod.bed.t.Helper()
	if _, err := fmt.Fprintln(p.proc.stdin, line); err != nil {
		p.pod.bed.t.Fatalf("a process in the pod of %s: %v", p.pod.Service, err)
	}
	return p.Line()
}

// attach redirects the pod's connections until the test ends.
func (p *Pod) attach(c *bpfgen.Config) *bpfgen.Attachment {
	p.bed.t.Helper()
	addresses := map[string][]netip.Addr{}
	for _, r := range c.Egress {
		addresses[r.Receiver] = p.bed.Addresses(r.Receiver)
	}
	a, err := bpfgen.Attach(c, bpfgen.Pod{
		CgroupPath: p.cgroup, NetNSPath: p.ns.path, ADMCgroup: p.admCgroup(), Addresses: addresses,
	})
	if err != nil {
		p.bed.t.Fatal(err)
	}
	p.bed.t.Cleanup(func() {
		if err := a.Close(); err != nil {
			p.bed.t.Error(err)
		}
	})
	return a
}

// A process in a pod. It dies with the test.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner // of its standard output
}

// start runs this binary again in the pod, in a role (see roles_linux.go).
func (p *Pod) start(cgroup string, stderr io.Writer, role ...string) *process {
	p.bed.t.Helper()
	return p.startWith(cgroup, stderr, nil, role...)
}

// startWith is start with files that are open in the process, from descriptor 3 on.
func (p *Pod) startWith(cgroup string, stderr io.Writer, files []*os.File, role ...string) *process {
	t := p.bed.t
	t.Helper()
	cmd := p.command(role...)
	cmd.Stderr, cmd.ExtraFiles = stderr, files
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.launch(cgroup, cmd)
	proc := &process{cmd: cmd, stdin: in, lines: bufio.NewScanner(out)}
	proc.lines.Buffer(nil, 1<<20)
	t.Cleanup(proc.stop)
	return proc
}

// command is this binary in a role.
func (p *Pod) command(role ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", role...)
	cmd.Env = append(os.Environ(), roleVariable+"="+p.etc)
	return cmd
}

// launch starts a command in the pod's namespace and in one of its cgroups.
func (p *Pod) launch(cgroup string, cmd *exec.Cmd) {
	t := p.bed.t
	t.Helper()
	dir, err := os.Open(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD:  true,
		CgroupFD:     int(dir.Fd()),
		Unshareflags: syscall.CLONE_NEWNS, // for an /etc of its own
		Pdeathsig:    syscall.SIGKILL,
	}
	if err := p.ns.do(cmd.Start); err != nil {
		t.Fatalf("start %s in a pod of %s: %v", cmd.Args[1], p.Service, err)
	}
}

// drain reads what the process writes until it ends, for nobody.
func (p *process) drain() {
	for p.lines.Scan() {
	}
}

// stop kills the process and waits for it; a second time does nothing.
func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// line reads a line of the process's output; "" when it is dead.
func (p *process) line() string {
	if !p.lines.Scan() {
		return ""
	}
	return p.lines.Text()
}
