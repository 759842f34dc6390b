//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
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
