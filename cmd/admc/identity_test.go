//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
)

// addressedGraph is e2eGraph with the addresses that the bed gives its pods.
var addressedGraph = strings.NewReplacer(
	"services:", "identity: addresses\nservices:",
	"front: {", "front: {addresses: [10.77.1.2/32], ",
	"other: {", "other: {addresses: [10.77.1.3/32], ",
).Replace(e2eGraph)

// TestEndToEndAddresses: what is about one caller is enforced at the receiver,
// which tells callers apart by their addresses; the other caller is untouched, or
// has its own.
func TestEndToEndAddresses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		program string
		adms    []string
		check   func(*world)
	}{
		{"deny", `
			@ingress policy no_admin {
			    on   front -> geo
			    when { request.url_path.startsWith("/admin") }
			    deny()
			}`, []string{"geo"}, func(w *world) {
			w.want("front, denied", statuses(w.front, 2, "/admin/x"), "403 403")
			w.want("front, else", statuses(w.front, 1, "/"), "200")
			w.want("other", statuses(w.other, 2, "/admin/x"), "200 200")
			w.want("front, as it claims to be other", fmt.Sprint(w.front.Get(geo+"/admin/x", "x-forwarded-for", "10.77.1.3", "forwarded", "for=10.77.1.3").Status), "403")
		}},
		{"through the caller's own ADM", `
			@ingress policy no_admin { on front -> geo  when { request.url_path == "/admin" }  deny() }
			@egress  policy mark     { on front -> geo  set_header("x-mark", "1") }
			@egress  policy patience { on front -> geo  retry(attempts: 2) }`, []string{"front", "geo"}, func(w *world) {
			w.want("front, denied", statuses(w.front, 1, "/admin"), "403")
			w.want("front, marked", w.header(w.front, "x-mark"), "1")
			w.want("other", statuses(w.other, 1, "/admin"), "200")
		}},
		{"a sample of everything", `
			@ingress policy none { on front -> geo  sample 100%  deny() }`, []string{"geo"}, func(w *world) {
			w.want("front", statuses(w.front, 1, "/"), "403")
			w.want("other", statuses(w.other, 1, "/"), "200")
		}},
		{"a budget for each caller", `
			@ingress policy quota { on * -> geo  rate_limit(rate: 1/h, burst: 2) }`, []string{"geo"}, func(w *world) {
			w.want("front", statuses(w.front, 3, "/"), "200 200 429")
			w.want("other, on its own budget", statuses(w.other, 3, "/"), "200 200 429")
		}},
		{"a budget for one caller", `
			@ingress policy quota { on front -> geo  rate_limit(rate: 1/h, burst: 2) }`, []string{"geo"}, func(w *world) {
			w.want("front", statuses(w.front, 3, "/"), "200 200 429")
			w.want("other", statuses(w.other, 3, "/"), "200 200 200")
		}},
		{"a condition that is another for each caller", `
			@ingress policy own_door {
			    on   * -> geo
			    when { (source.service == "front" && request.url_path == "/f") || (source.service == "other" && request.url_path == "/o") }
			    deny()
			}`, []string{"geo"}, func(w *world) {
			w.want("front", statuses(w.front, 1, "/f")+" "+statuses(w.front, 1, "/o"), "403 200")
			w.want("other", statuses(w.other, 1, "/f")+" "+statuses(w.other, 1, "/o"), "200 403")
		}},
		{"a byte stream", `
			@ingress policy no_cache { on front -> cache  deny() }`, []string{"cache"}, func(w *world) {
			w.want("front", greetings(w.front, 2), "no no")
			w.want("other", greetings(w.other, 2), "yes yes")
		}},
		{"a budget for each caller of a byte stream", `
			@ingress policy quota { on * -> cache  rate_limit(rate: 1/h, burst: 2) }`, []string{"cache"}, func(w *world) {
			w.want("front", greetings(w.front, 3), "yes yes no")
			w.want("other, on its own budget", greetings(w.other, 3), "yes yes no")
		}},
		{"control: the rule never acts", `
			@ingress policy never { on front -> geo  when { request.headers["x-never"] == "yes" }  deny() }
			@ingress policy ample { on front -> cache  rate_limit(rate: 1000/s) }`, []string{"cache", "geo"}, func(w *world) {
			w.everythingPasses()
			if n, m := w.through("geo"), w.through("cache"); n < 12 || m < 8 {
				w.Errorf("%d and %d connections went through the ADMs", n, m)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.check(newWorldOf(t, addressedGraph, tc.program, tc.adms...)) })
	}
}

// sealedGraph is e2eGraph whose receivers know their callers by certificates.
var sealedGraph = strings.Replace(e2eGraph, "services:", "identity: mtls\nservices:", 1)

// TestEndToEndMTLS: both ends prove themselves, plaintext is refused where it is
// said to be, and who is proved is told apart.
func TestEndToEndMTLS(t *testing.T) {
	const files = `certificates: "/etc/admc/tls"`
	everybody := map[string]string{"front": "front", "other": "other", "geo": "geo", "cache": "cache"}
	with := func(pod, account string) map[string]string {
		m := map[string]string{}
		for k, v := range everybody {
			m[k] = v
		}
		m[pod] = account
		return m
	}
	for _, tc := range []struct {
		name     string
		program  string
		adms     []string
		accounts map[string]string // of the certificate in each pod
		check    func(*world)
	}{
		{"all callers", `
			policy sealed { on * -> geo  mtls(` + files + `) }`, []string{"front", "geo", "other"}, everybody, func(w *world) {
			w.want("front", statuses(w.front, 2, "/"), "200 200")
			w.want("other", statuses(w.other, 2, "/"), "200 200")
			w.want("from", w.from(w.front), "10.77.1.4")
			w.adms["other"].Close()
			w.want("other, in plaintext", w.answers(w.other), "no")
		}},
		{"a byte stream", `
			policy sealed { on * -> cache  mtls(` + files + `) }`, []string{"cache", "front", "other"}, everybody, func(w *world) {
			w.want("front", greetings(w.front, 2), "yes yes")
			w.adms["other"].Close()
			w.want("other, in plaintext", greetings(w.other, 1), "no")
		}},
		{"permissive", `
			policy sealed { on * -> geo  mtls(mode: "permissive", ` + files + `) }`, []string{"front", "geo", "other"}, everybody, func(w *world) {
			w.want("front", statuses(w.front, 2, "/"), "200 200")
			w.adms["other"].Close()
			w.want("other, in plaintext", statuses(w.other, 1, "/"), "200")
		}},
		{"a caller that is left out", `
			policy sealed { on front -> geo  mtls(` + files + `) }`, []string{"front", "geo"}, everybody, func(w *world) {
			w.want("front", statuses(w.front, 2, "/"), "200 200")
			w.want("other, in plaintext", statuses(w.other, 2, "/"), "200 200")
		}},
		{"a caller with another's certificate", `
			policy sealed { on front -> geo  mtls(` + files + `) }`, []string{"front", "geo"}, with("front", "mallory"), func(w *world) {
			w.want("front", statuses(w.front, 1, "/"), "503")
		}},
		{"a receiver with another's certificate", `
			policy sealed { on front -> geo  mtls(` + files + `) }`, []string{"front", "geo"}, with("geo", "mallory"), func(w *world) {
			w.want("front", statuses(w.front, 1, "/"), "503")
		}},
		{"who is proved is told apart", `
			policy sealed { on * -> geo  mtls(` + files + `) }
			@ingress policy no_admin { on front -> geo  when { request.url_path == "/admin" && connection.mtls }  deny() }
			@ingress policy quota { on * -> geo  rate_limit(rate: 1/h, burst: 3) }`, []string{"front", "geo", "other"}, everybody, func(w *world) {
			w.want("front, denied", statuses(w.front, 2, "/admin"), "403 403")
			w.want("other", statuses(w.other, 4, "/admin"), "200 200 200 429")
			w.want("front, on its own budget", statuses(w.front, 4, "/"), "200 200 200 429")
		}},
		{"who is proved is told apart on a byte stream", `
			policy sealed { on * -> cache  mtls(` + files + `) }
			@ingress policy no_cache { on front -> cache  deny() }`, []string{"cache", "front", "other"}, everybody, func(w *world) {
			w.want("front", greetings(w.front, 2), "no no")
			w.want("other", greetings(w.other, 2), "yes yes")
		}},
		{"plaintext proves nobody", `
			policy sealed { on * -> geo  mtls(mode: "permissive", ` + files + `) }
			@ingress policy no_admin { on front -> geo  when { request.url_path == "/admin" }  deny() }`, []string{"front", "geo", "other"}, everybody, func(w *world) {
			w.want("front, denied", statuses(w.front, 1, "/admin"), "403")
			w.want("other, proved", statuses(w.other, 1, "/admin"), "200")
			w.adms["other"].Close()
			w.want("other, in plaintext", statuses(w.other, 1, "/admin"), "403")
		}},
		{"a certificate that is renewed", `
			policy sealed { on front -> geo  mtls(` + files + `) }`, []string{"front", "geo"}, with("geo", "mallory"), func(w *world) {
			w.want("before", statuses(w.front, 1, "/"), "503")
			w.certify("geo", "geo")
			var got string
			for range 50 {
				if got = statuses(w.front, 1, "/"); got == "200" {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			w.want("after", got, "200")
		}},
		{"control: no policy", ``, nil, everybody, func(w *world) { w.everythingPasses() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ca := testbed.NewAuthority(t)
			tc.check(newCertifiedWorld(t, ca, tc.accounts, sealedGraph, tc.program, tc.adms...))
		})
	}
}

// from is the address that geo saw a client of.
func (w *world) from(c *testbed.Client) string {
	w.Helper()
	r := c.Get(geo + "/")
	if r.Status != 200 {
		w.Fatalf("%+v", r)
	}
	host, _, _ := strings.Cut(c.Echo(r).From, ":")
	return host
}

// answers is whether geo answers a client at all.
func (w *world) answers(c *testbed.Client) string {
	if r := c.Get(geo + "/"); r.Err == "" {
		return fmt.Sprint(r.Status)
	}
	return "no"
}
