//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/cmd/admc/testbed"
)

// A process that the bed starts is this binary again. It plays its role before
// anything of the tests runs, whichever TestMain they have.
func init() {
	testbed.Main()
	if os.Getenv(asCommand) != "" {
		main()
	}
}

// asCommand makes this binary the command itself: in a pod, as in the image of
// an ADM, it stands for admc.
const asCommand = "ADMC_TEST_AS_COMMAND"

// admcIn runs the command beside the Envoy of an ADM.
func admcIn(t *testing.T, a *testbed.ADM, args ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return a.Run(append([]string{"env", asCommand + "=1", self}, args...)...)
}

// Two callers of two receivers, one of HTTP and one of a byte stream.
const e2eGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: e2e, namespace: default}
services:
  front: {ports: [{port: 8080, protocol: http}]}
  other: {ports: [{port: 8080, protocol: http}]}
  geo:   {ports: [{port: 8080, protocol: http}]}
  cache: {ports: [{port: 6379, protocol: redis}]}
calls:
  - {from: front, to: [geo, cache]}
  - {from: other, to: [geo, cache]}
`

// A world is the pods of e2eGraph, the ADMs that a program gave them, and a
// client at each caller.
type world struct {
	*testing.T
	pods         map[string]*testbed.Pod
	ca           *testbed.Authority
	adms         map[string]*testbed.ADM
	front, other *testbed.Client
}

// newWorld compiles a program with the command itself, wants ADMs at exactly
// these services, and starts everything.
func newWorld(t *testing.T, program string, adms ...string) *world {
	t.Helper()
	return newWorldOf(t, e2eGraph, program, adms...)
}

// newWorldOf is newWorld with a graph of the same services.
func newWorldOf(t *testing.T, graph, program string, adms ...string) *world {
	t.Helper()
	return newCertifiedWorld(t, nil, nil, graph, program, adms...)
}

// newCertifiedWorld is newWorldOf in which each pod has the certificate of an
// account; ca is nil where none has one.
func newCertifiedWorld(t *testing.T, ca *testbed.Authority, accounts map[string]string, graph, program string, adms ...string) *world {
	t.Helper()
	bed := testbed.New(t)
	pods := map[string]*testbed.Pod{}
	for _, service := range []string{"front", "other", "geo", "cache"} {
		pods[service] = bed.Pod(service, "default")
	}
	for _, service := range []string{"front", "other", "geo"} {
		pods[service].HTTP(8080)
	}
	pods["cache"].TCP(6379)

	out := compileForTest(t, graph, program)
	got := []string{}
	for _, d := range glob(t, out, "adm", "*", "envoy.yaml") {
		got = append(got, filepath.Base(filepath.Dir(d)))
	}
	if !slices.Equal(got, adms) && len(got)+len(adms) > 0 {
		t.Fatalf("ADMs at %q, want %q", got, adms)
	}
	w := &world{T: t, pods: pods, ca: ca, adms: map[string]*testbed.ADM{}}
	for service, account := range accounts {
		w.certify(service, account)
	}
	for _, service := range adms {
		w.adms[service] = pods[service].ADM(out)
	}
	w.front, w.other = pods["front"].Client(), pods["other"].Client()
	return w
}

// certify gives the pod of a service the certificate of an account.
func (w *world) certify(service, account string) { w.ca.Certify(w.pods[service], account) }

// compileForTest runs `admc compile` and gives the directory that it wrote.
func compileForTest(t *testing.T, graph, program string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"graph.yaml": graph, "e2e.adm": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	var said bytes.Buffer
	args := []string{"compile", "-q", "-g", filepath.Join(dir, "graph.yaml"), "-o", out, filepath.Join(dir, "e2e.adm")}
	if status := run(t.Context(), args, streams{strings.NewReader(""), &said, &said}); status != 0 {
		t.Fatalf("exit status %d of\n%s\n%s", status, program, &said)
	}
	return out
}

func glob(t *testing.T, elem ...string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// through gives how many connections the ADM of a service was brought.
func (w *world) through(service string) uint64 {
	w.Helper()
	c, err := w.adms[service].Counters()
	if err != nil {
		w.Fatal(err)
	}
	return c.Accepted + c.Inbound
}

const (
	geo   = "http://geo:8080"
	cache = "cache:6379"
)

// statuses sends n requests to geo and gives the answers' statuses, such as
// "200 200 429"; a broken connection is its error.
func statuses(c *testbed.Client, n int, path string) string {
	var out []string
	for range n {
		r := c.Get(geo + path)
		if r.Err != "" {
			out = append(out, r.Err)
		} else {
			out = append(out, fmt.Sprint(r.Status))
		}
	}
	return strings.Join(out, " ")
}

// greetings dials the cache n times and gives "yes" or "no" for each: whether
// the server answered.
func greetings(c *testbed.Client, n int) string {
	var out []string
	for range n {
		if r := c.TCP(cache, "ping"); r.Body == "cache\nping\n" {
			out = append(out, "yes")
		} else {
			out = append(out, "no")
		}
	}
	return strings.Join(out, " ")
}

func (w *world) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %q, want %q", what, got, want)
	}
}

// header gives what the server at geo saw of a header.
func (w *world) header(c *testbed.Client, name string) string {
	w.Helper()
	r := c.Get(geo + "/")
	if r.Status != 200 {
		w.Fatalf("%+v", r)
	}
	return strings.Join(c.Echo(r).Header.Values(name), ", ")
}

// TestEndToEnd: each policy on a real Envoy with the emitted, unmodified files.
// At egress the policy is of front's calls, and other is left out of it; at
// ingress it is of everybody's.
func TestEndToEnd(t *testing.T) {
	for _, tc := range []struct {
		name    string
		program string
		adms    []string
		check   func(*world)
	}{
		{"deny at egress", `
			@egress policy no_admin {
			    on   front -> geo
			    when { request.url_path.startsWith("/admin") }
			    deny(status: 403)
			}`, []string{"front"}, func(w *world) {
			w.want("front, denied", statuses(w.front, 2, "/admin/x"), "403 403")
			w.want("front, else", statuses(w.front, 2, "/"), "200 200")
			w.want("other", statuses(w.other, 2, "/admin/x"), "200 200")
		}},
		{"deny at ingress", `
			@ingress policy no_admin {
			    on   * -> geo
			    when { request.url_path.startsWith("/admin") }
			    deny(status: 403)
			}`, []string{"geo"}, func(w *world) {
			w.want("front, denied", statuses(w.front, 2, "/admin/x"), "403 403")
			w.want("front, else", statuses(w.front, 2, "/"), "200 200")
			w.want("other, denied", statuses(w.other, 2, "/admin/x"), "403 403")
			w.want("other, else", statuses(w.other, 2, "/"), "200 200")
		}},
		{"rate_limit at egress", `
			@egress policy quota {
			    on front -> geo
			    rate_limit(rate: 1/h, burst: 3)
			}`, []string{"front"}, func(w *world) {
			w.want("front", statuses(w.front, 5, "/"), "200 200 200 429 429")
			w.want("other", statuses(w.other, 5, "/"), "200 200 200 200 200")
		}},
		{"rate_limit at ingress", `
			@ingress policy quota {
			    on * -> geo
			    rate_limit(rate: 1/h, burst: 3, scope: "service")
			}`, []string{"geo"}, func(w *world) {
			w.want("front", statuses(w.front, 2, "/"), "200 200")
			w.want("other, on the same budget", statuses(w.other, 2, "/"), "200 429")
			w.want("front, then", statuses(w.front, 1, "/"), "429")
		}},
		{"set_header at egress", `
			@egress policy mark {
			    on front -> geo
			    set_header("x-mark", "by the caller")
			}`, []string{"front"}, func(w *world) {
			w.want("front", w.header(w.front, "x-mark"), "by the caller")
			w.want("other", w.header(w.other, "x-mark"), "")
		}},
		{"set_header at ingress", `
			@ingress policy mark {
			    on * -> geo
			    set_header("x-mark", "by the receiver")
			}`, []string{"geo"}, func(w *world) {
			w.want("front", w.header(w.front, "x-mark"), "by the receiver")
			w.want("other", w.header(w.other, "x-mark"), "by the receiver")
		}},
		{"deny on a byte stream at egress", `
			@egress policy no_cache {
			    on front -> cache
			    deny()
			}`, []string{"front"}, func(w *world) {
			w.want("front", greetings(w.front, 2), "no no")
			w.want("other", greetings(w.other, 2), "yes yes")
		}},
		{"deny on a byte stream at ingress", `
			@ingress policy no_cache {
			    on * -> cache
			    deny()
			}`, []string{"cache"}, func(w *world) {
			w.want("front", greetings(w.front, 2), "no no")
			w.want("other", greetings(w.other, 2), "no no")
		}},
		{"rate_limit on a byte stream at egress", `
			@egress policy quota {
			    on front -> cache
			    rate_limit(rate: 1/h, burst: 2)
			}`, []string{"front"}, func(w *world) {
			w.want("front", greetings(w.front, 4), "yes yes no no")
			w.want("other", greetings(w.other, 4), "yes yes yes yes")
		}},
		{"rate_limit on a byte stream at ingress", `
			@ingress policy quota {
			    on * -> cache
			    rate_limit(rate: 1/h, burst: 2, scope: "service")
			}`, []string{"cache"}, func(w *world) {
			w.want("front", greetings(w.front, 1), "yes")
			w.want("other, on the same budget", greetings(w.other, 3), "yes no no")
		}},
		// where the user names no side, the fewest ADMs: one at the receiver of all callers
		{"deny where the compiler puts it", `
			policy no_admin {
			    on   * -> geo
			    when { request.url_path.startsWith("/admin") }
			    deny(status: 403)
			}`, []string{"geo"}, func(w *world) {
			w.want("front, denied", statuses(w.front, 1, "/admin/x"), "403")
			w.want("front, else", statuses(w.front, 1, "/"), "200")
			w.want("other, denied", statuses(w.other, 1, "/admin/x"), "403")
		}},
		// one proxy, several policies: those of one edge don't act on another
		{"three policies on one ADM", `
			@egress policy no_admin {
			    on   front -> geo
			    when { request.url_path == "/admin" }
			    deny(status: 404, body: "nothing here")
			}
			@egress policy mark  { on front -> geo  set_header("x-mark", "1") }
			@egress policy quota { on front -> cache  rate_limit(rate: 1/h, burst: 1) }`,
			[]string{"front"}, func(w *world) {
				w.want("front, denied", statuses(w.front, 3, "/admin"), "404 404 404")
				w.want("front, marked", w.header(w.front, "x-mark"), "1")
				w.want("front, cache", greetings(w.front, 2), "yes no")
				w.want("other", w.header(w.other, "x-mark"), "")
			}},

		// The controls. Without a policy nothing is redirected …
		{"control: no policy", ``, nil, func(w *world) { w.everythingPasses() }},
		// … and with policies that never act everything is, and passes.
		{"control: redirected at egress", `
			@egress policy never {
			    on   front -> geo
			    when { request.headers["x-never"] == "yes" }
			    deny()
			}
			@egress policy ample { on front -> cache  rate_limit(rate: 1000/s) }`,
			[]string{"front"}, func(w *world) {
				w.everythingPasses()
				if n := w.through("front"); n < 8 {
					w.Errorf("%d connections went through the ADM", n)
				}
			}},
		{"control: redirected at ingress", `
			@ingress policy never {
			    on   * -> geo
			    when { request.headers["x-never"] == "yes" }
			    deny()
			}
			@ingress policy ample { on * -> cache  rate_limit(rate: 1000/s, scope: "service") }`,
			[]string{"cache", "geo"}, func(w *world) {
				w.everythingPasses()
				if n, m := w.through("geo"), w.through("cache"); n < 12 || m < 8 {
					w.Errorf("%d and %d connections went through the ADMs", n, m)
				}
			}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.check(newWorld(t, tc.program, tc.adms...)) })
	}
}

func (w *world) everythingPasses() {
	w.Helper()
	for name, c := range map[string]*testbed.Client{"front": w.front, "other": w.other} {
		w.want(name, statuses(c, 5, "/admin/x"), "200 200 200 200 200")
		w.want(name+"'s header", w.header(c, "x-mark"), "")
		w.want(name+" at the cache", greetings(c, 4), "yes yes yes yes")
	}
}

// TestEndToEndDeadADMOtherwise: the same where the policies say the opposite of
// what their actions would, at the receivers.
func TestEndToEndDeadADMOtherwise(t *testing.T) {
	w := newWorld(t, `
		@ingress @fail(open) policy no_admin {
		    on   * -> geo
		    when { request.url_path == "/admin" }
		    deny()
		}
		@ingress @fail(closed) policy quota { on * -> cache  rate_limit(rate: 1/h, burst: 1, scope: "service") }`, "cache", "geo")
	w.want("alive", statuses(w.front, 2, "/admin"), "403 403")
	w.want("alive", greetings(w.front, 2), "yes no")
	w.adms["geo"].Kill()
	w.adms["cache"].Kill()
	w.want("a security policy that fails open", statuses(w.front, 2, "/admin"), "200 200")
	w.want("a quota that fails closed", greetings(w.front, 2), "no no")
	w.adms["cache"].Start()
	w.want("restarted", greetings(w.front, 2), "yes no")
}

// TestEndToEndDeadADM: what holds while the proxy is dead is what the policy
// says, and a restarted one enforces again.
func TestEndToEndDeadADM(t *testing.T) {
	w := newWorld(t, `
		@egress policy no_admin {
		    on   front -> geo
		    when { request.url_path == "/admin" }
		    deny()
		}
		@egress policy quota { on front -> cache  rate_limit(rate: 1/h, burst: 1) }`, "front")
	w.want("alive", statuses(w.front, 1, "/"), "200")
	w.adms["front"].Kill()
	if got := statuses(w.front, 1, "/"); !strings.Contains(got, "connection refused") {
		t.Errorf("a security policy fails closed: %q", got)
	}
	w.want("other", statuses(w.other, 1, "/"), "200")
	w.want("a quota fails open", greetings(w.front, 3), "yes yes yes")
	w.adms["front"].Start()
	w.want("restarted", statuses(w.front, 1, "/admin"), "403")
	w.want("restarted", statuses(w.front, 1, "/"), "200")
}
