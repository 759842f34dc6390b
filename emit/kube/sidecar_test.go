package kube

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// envoy finds the real proxy.
func envoy(t *testing.T) string {
	t.Helper()
	if e := os.Getenv("ENVOY"); e != "" {
		return e
	}
	if e, err := exec.LookPath("envoy"); err == nil {
		return e
	}
	e, err := filepath.Abs("../../.tools/envoy/bin/envoy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(e); err != nil {
		t.Fatal("no Envoy: set ENVOY, or run `make demo`")
	}
	return e
}

const readyBootstrap = `static_resources:
  listeners:
  - name: ready
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ready
          route_config:
            virtual_hosts:
            - name: ready
              domains: ["*"]
              routes:
              - {match: {path: /ready}, direct_response: {status: 200}}
              - match: {path: /policy, runtime_fraction: {default_value: {numerator: 100}, runtime_key: admc.policies.p.enabled}}
                direct_response: {status: 403}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`

// The sidecar's command line is one that Envoy takes, as a user without a name
// and without a file system to write to: the process answers the startup
// probe's request, and hears of switches in their ConfigMap.
func TestSidecarRuns(t *testing.T) {
	binary := envoy(t)
	w := newWorld(serviceOn("cart", 8080, "http"))
	adm := w.adm(w.l.Graph.Services[0])
	adm.ReadyPort = freePort(t)
	c := (&overlay{l: w.l}).sidecar(adm, "files")

	// Beneath a directory that any user may enter, unlike t.TempDir.
	dir, err := os.MkdirTemp("", "admc-sidecar")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "envoy.yaml"), []byte("layered_runtime: {layers: [{name: admin, admin_layer: {}}]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	switches := filepath.Join(dir, "switches") // empty, as of a ConfigMap that is not there
	if err := os.Mkdir(switches, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if len(c.Env) != 1 || c.Env[0].ValueFrom.ConfigMapKeyRef != (keyRef{Name: "files", Key: "bootstrap.yaml"}) {
		t.Fatalf("environment: %v", c.Env)
	}
	bootstrap := strings.Replace(readyBootstrap, "port_value: 0", fmt.Sprintf("port_value: %d", adm.ReadyPort), 1)
	args := slices.Clone(c.Args)
	for i, a := range args {
		args[i] = strings.NewReplacer(switchesDir, switches, configDir, dir, "$("+c.Env[0].Name+")", bootstrap).Replace(a)
	}
	if slices.Equal(args, c.Args) {
		t.Fatal("no argument names the configuration")
	}
	cmd, log, err := startAs(sidecarUser, dir, binary, args)
	if os.IsPermission(err) && os.Geteuid() == 0 {
		t.Logf("only root can run %s here: it runs as root", binary)
		cmd, log, err = startAs(0, dir, binary, args)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	await := func(path string, status int) {
		t.Helper()
		url, got := fmt.Sprintf("http://127.0.0.1:%d%s", adm.ReadyPort, path), 0
		for got != status {
			select {
			case err := <-ended:
				t.Fatalf("%s %v: %v\n%s", binary, args, err, log)
			case <-ctx.Done():
				t.Fatalf("%d from %s, want %d", got, url, status)
			case <-time.After(50 * time.Millisecond):
			}
			if resp, err := http.Get(url); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				got = resp.StatusCode
			}
		}
	}
	await(c.StartupProbe.HTTPGet.Path, http.StatusOK)
	await("/policy", http.StatusForbidden)
	bringConfigMap(t, switches, "..1", map[string]string{"admc.policies.p.enabled": "0"})
	await("/policy", http.StatusNotFound)
	bringConfigMap(t, switches, "..2", nil)
	await("/policy", http.StatusForbidden)
}

// bringConfigMap writes a ConfigMap's keys as the kubelet does: into a directory of
// this name, to which ..data then leads at once.
func bringConfigMap(t *testing.T, volume, name string, data map[string]string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(volume, name), 0o755); err != nil {
		t.Fatal(err)
	}
	for key, value := range data {
		if err := os.WriteFile(filepath.Join(volume, name, key), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(volume, "..data")
	if err := os.Symlink(name, link+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		t.Fatal(err)
	}
}

// startAs starts a program as another user where this one is root.
func startAs(user uint32, dir, program string, args []string) (*exec.Cmd, *strings.Builder, error) {
	cmd, log := exec.Command(program, args...), &strings.Builder{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	return cmd, log, cmd.Start()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A change of the configuration changes the ConfigMap's name and the pods'
// template; nothing else does.
func TestConfigRollsPods(t *testing.T) {
	w := newWorld(serviceOn("cart", 8080, "http"))
	adm := w.adm(w.l.Graph.Services[0])
	o := &overlay{l: w.l}
	patch := func(config string) string {
		cm := o.configMap(adm, "shop", map[string]string{"envoy.yaml": config})
		return string(render(header, o.patch(adm, target{kind: "Deployment", name: "cart"}, cm.Metadata.Name, map[string]string{"envoy.yaml": config})))
	}
	first, again, other := patch("a: 1\n"), patch("a: 1\n"), patch("a: 2\n")
	if first != again {
		t.Error("the same configuration gives two patches")
	}
	if first == other {
		t.Error("another configuration gives the same patch")
	}
}

// Other images, and rates that ask for more than a core.
func TestSidecarOptions(t *testing.T) {
	cart, web := serviceOn("cart", 8080, "http"), serviceOn("web", 80, "http")
	w := newWorld(cart, web)
	l := w.rule(ir.Ingress, cart, "log", false, action("access_log", nil), web)
	w.l.Graph.Calls[0].RPS = graph.Decimal{Set: true, Units: 4_000_000 / ir.HopMicros}
	adm := w.adm(cart, l)
	c := (&overlay{Backend: Backend{Image: "registry.example/envoy:1"}, l: w.l}).sidecar(adm, "files")
	if c.Image != "registry.example/envoy:1" {
		t.Errorf("image %s", c.Image)
	}
	// Hops of four seconds of CPU in a second are 4 cores, and half as much again.
	if got := c.Resources.Requests["cpu"]; got != "6000m" {
		t.Errorf("cpu %s", got)
	}
	if i := slices.Index(c.Args, "--concurrency"); i < 0 || c.Args[i+1] != "6" {
		t.Errorf("args %v", c.Args)
	}
	if c.StartupProbe.HTTPGet.Port != adm.ReadyPort || c.StartupProbe.HTTPGet.Path != layout.ReadyPath {
		t.Errorf("probe %+v", c.StartupProbe)
	}
}
