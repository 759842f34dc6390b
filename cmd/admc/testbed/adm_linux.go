package testbed

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"admc.dev/admc/bpfgen"
	"admc.dev/admc/emit/layout"
)

// An ADM is a real Envoy in a pod, with the redirect programs that bring it its
// connections.
type ADM struct {
	*bpfgen.Attachment
	pod    *Pod
	config *bpfgen.Config
	envoy  *process
}

// HTTP starts a server on a port of the pod, see Echo.
func (p *Pod) HTTP(port int) { p.bed.t.Helper(); p.server("http", port) }

// TCP starts a server that greets with the pod's name and echoes.
func (p *Pod) TCP(port int) { p.bed.t.Helper(); p.server("tcp", port) }

func (p *Pod) server(role string, port int) {
	t := p.bed.t
	t.Helper()
	proc := p.start(p.appCgroup(), os.Stderr, role, p.Service, fmt.Sprint(port))
	if got := proc.line(); got != "ready" {
		t.Fatalf("the %s server of %s does not start", role, p.Service)
	}
}

// Redirect attaches what out/bpf/<service>.json says, without an Envoy.
func (p *Pod) Redirect(out string) *bpfgen.Attachment {
	p.bed.t.Helper()
	return p.attach(p.redirects(out))
}

func (p *Pod) redirects(out string) *bpfgen.Config {
	t := p.bed.t
	t.Helper()
	path := filepath.Join(out, "bpf", layout.FileName(p.Service)+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bpfgen.ParseConfig(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

// ADM redirects the pod and starts its Envoy with the files of a directory that
// the compiler wrote; it returns when every listener is open. The pods that it
// calls must be there already.
func (p *Pod) ADM(out string) *ADM {
	p.bed.t.Helper()
	a := &ADM{pod: p, config: p.redirects(out)}
	if err := os.Mkdir(filepath.Join(p.etc, runDir), 0o755); err != nil && !os.IsExist(err) {
		p.bed.t.Fatal(err)
	}
	p.configure(out)
	a.Attachment = p.attach(a.config)
	a.Start()
	return a
}

// configure brings the bootstrap, and the files beside it, as its ConfigMap does.
func (p *Pod) configure(out string) {
	t := p.bed.t
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "adm", layout.FileName(p.Service), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p.writeADM(filepath.Base(f), data)
	}
}

// Start starts the Envoy, again after Kill.
func (a *ADM) Start() {
	t := a.pod.bed.t
	t.Helper()
	log, err := os.CreateTemp(a.pod.etc, "envoy*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	before := a.listening()
	bootstrap, err := os.ReadFile(filepath.Join(a.pod.etc, "admc", "bootstrap.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a.envoy = a.pod.start(a.pod.admCgroup(), log, "adm", Envoy(t), "-c", "/etc/admc/envoy.yaml", "--config-yaml", string(bootstrap),
		"--concurrency", fmt.Sprint(a.workers()), "--disable-hot-restart", "--log-level", "warning")
	go a.envoy.drain() // an access log that nobody reads would stop it
	if err := a.awaitListeners(before); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("the ADM of %s: %v; it says:\n%s", a.pod.Service, err, said)
	}
}

// Kill ends the Envoy at once. The redirect programs stay.
func (a *ADM) Kill() { a.envoy.stop() }

// Terminate asks the Envoy to end (SIGTERM) and waits until it has.
func (a *ADM) Terminate() {
	a.envoy.cmd.Process.Signal(syscall.SIGTERM)
	a.envoy.cmd.Wait()
}

// Run runs a program beside the Envoy, in its container, until it ends, and
// gives what it wrote.
func (a *ADM) Run(argv ...string) (string, error) {
	a.pod.bed.t.Helper()
	return a.pod.begin(a.pod.admCgroup(), append([]string{"adm"}, argv...)).Wait()
}

// Replace gives the Envoy the file of another output directory, for when it
// starts again. What is redirected must be the same in both.
func (a *ADM) Replace(out string) {
	t := a.pod.bed.t
	t.Helper()
	if c := a.pod.redirects(out); !bytes.Equal(c.JSON(), a.config.JSON()) {
		t.Fatalf("the redirect of %s is another one in %s", a.pod.Service, out)
	}
	a.pod.configure(out)
}

func (a *ADM) listening() uint64 {
	c, err := a.Counters()
	if err != nil {
		a.pod.bed.t.Fatal(err)
	}
	return c.Listening
}

// workers of its Envoy; each opens every listener once more.
func (a *ADM) workers() int { return a.pod.bed.Workers }

// awaitListeners waits until the kernel has seen each listening socket.
func (a *ADM) awaitListeners(before uint64) error {
	want := uint64(len(a.config.Ingress)+len(a.config.Egress)) * uint64(a.workers())
	deadline := time.Now().Add(20 * time.Second)
	for a.listening()-before < want {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of its %d listening sockets are open", a.listening()-before, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// CPU is the processor time that the Envoy has taken so far, in all its threads
// and in the kernel for them.
func (a *ADM) CPU() time.Duration {
	t := a.pod.bed.t
	t.Helper()
	stat, err := os.ReadFile(filepath.Join(a.pod.admCgroup(), "cpu.stat"))
	if err != nil {
		t.Fatal(err)
	}
	var micros int64
	if _, err := fmt.Sscanf(string(stat), "usage_usec %d", &micros); err != nil {
		t.Fatalf("cpu.stat begins with %.40q: %v", stat, err)
	}
	return time.Duration(micros) * time.Microsecond
}

// Resident is how many bytes of memory the Envoy holds, its program's included.
func (a *ADM) Resident() int64 {
	t := a.pod.bed.t
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", a.envoy.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// Envoy finds the proxy: the variable ENVOY, then PATH, then the place where
// `make demo` installs it. It fails the test when there is none.
func Envoy(t testing.TB) string {
	t.Helper()
	if e := os.Getenv("ENVOY"); e != "" {
		return e
	}
	if e, err := exec.LookPath("envoy"); err == nil {
		return e
	}
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err == nil {
		e := filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), ".tools", "envoy", "bin", "envoy")
		if _, err := os.Stat(e); err == nil {
			return e
		}
	}
	t.Fatal("no Envoy is here: `make demo` installs it, or set ENVOY to one")
	return ""
}
