//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"admc.dev/admc/cmd/admc/testbed"
)

// Actions that a program declares: a filter in Lua for http that names its
// parameters in the code, one that may answer by itself, and one for streams.
const ownActions = `
	// Marks a request, and its answer.
	action stamp(name: string, text: string) {
	    phase transform
	    writes request.headers[name], response.headers[name]
	    on http, grpc : either
	    envoy http {
	        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
	        "default_source_code": {"inline_string": ` + "`" + `
function envoy_on_request(handle)
  handle:headers():replace("${name}", "${text}")
end
function envoy_on_response(handle)
  handle:headers():replace("${name}", "${text} \"back\"")
end` + "`" + `},
	    }
	}
	// Refuses bodies that are longer.
	action shorter(most: size) {
	    phase quota
	    reads request.body
	    ends request
	    on http, grpc : either
	    envoy http {
	        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
	        "max_request_bytes": most,
	    }
	}
	// Admits a few connections.
	action few(budget: rate) {
	    phase quota
	    ends request
	    on tcp : either
	    envoy tcp {
	        "@type": "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
	        "stat_prefix": "few",
	        "token_bucket": budget,
	    }
	}
	@%[1]s policy mark {
	    on %[2]s -> geo
	    when { request.url_path.startsWith("/m") }
	    stamp("x-mark", text: "by lua")
	}
	@%[1]s policy small { on %[2]s -> geo  shorter(1KiB) }
	@%[1]s policy quota { on %[2]s -> cache  few(2/h) }`

// marks tells what the server and the client saw of the mark.
func (w *world) marks(c *testbed.Client, path string) string {
	w.Helper()
	r := c.Get(geo + path)
	return strings.Join(c.Echo(r).Header.Values("x-mark"), ",") + " | " + strings.Join(r.Header.Values("x-mark"), ",")
}

func upload(c *testbed.Client, size int) string {
	r := c.Do(testbed.Request{Method: "POST", URL: geo + "/", Body: strings.Repeat("x", size)})
	return fmt.Sprint(r.Status, r.Err)
}

func (w *world) policed(who string, c *testbed.Client, connections int) {
	w.Helper()
	w.want(who+", marked", w.marks(c, "/m"), `by lua | by lua "back"`)
	w.want(who+", not marked", w.marks(c, "/"), " | ")
	w.want(who+", a short body", upload(c, 1000), "200")
	w.want(who+", a long body", upload(c, 4000), "413")
	w.want(who+", streams", greetings(c, connections+1), strings.Repeat("yes ", connections)+"no")
}

func (w *world) unpoliced(who string, c *testbed.Client) {
	w.Helper()
	w.want(who+", marked", w.marks(c, "/m"), " | ")
	w.want(who+", a long body", upload(c, 4000), "200")
	w.want(who+", streams", greetings(c, 3), "yes yes yes")
}

// timed is what the example's timing adds.
var timed = regexp.MustCompile(`^geo;dur=[0-9]+$`)

// TestOwnActions: the filters of declared actions act where the compiler puts
// them, under the condition of their policies, and on no other call.
func TestOwnActions(t *testing.T) {
	t.Run("egress", func(t *testing.T) {
		w := newWorld(t, fmt.Sprintf(ownActions, "egress", "front"), "front")
		w.policed("front", w.front, 2)
		w.unpoliced("other", w.other)
	})
	t.Run("ingress", func(t *testing.T) {
		w := newWorld(t, fmt.Sprintf(ownActions, "ingress", "*"), "cache", "geo")
		w.policed("front", w.front, 2)
		w.want("other, marked", w.marks(w.other, "/m"), `by lua | by lua "back"`)
		w.want("other, a long body", upload(w.other, 4000), "413")
		w.want("other, on the same budget", greetings(w.other, 1), "no")
	})
	t.Run("example", func(t *testing.T) {
		actions, err := os.ReadFile("../../examples/own-actions/policies/actions.adm")
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, string(actions)+`
			policy forms   { on * -> geo  same_site(suffix: ".example.com") }
			policy timings { on * -> geo  timing("geo") }
			policy few     { on front -> cache  at_once(1000) }`, "front", "geo")
		post := func(c *testbed.Client, origin string) string {
			r := c.Do(testbed.Request{Method: "POST", URL: geo + "/", Header: http.Header{"Origin": {origin}}})
			return fmt.Sprint(r.Status, timed.MatchString(r.Header.Get("server-timing")))
		}
		w.want("front, of the same site", post(w.front, "https://www.example.com"), "200 true")
		w.want("front, of another site", post(w.front, "https://www.example.org"), "403 false")
		w.want("other, of another site", post(w.other, "https://www.example.org"), "403 false")
		w.want("front, streams", greetings(w.front, 2), "yes yes")
	})
	t.Run("control", func(t *testing.T) {
		w := newWorld(t, `
			@egress policy never {
			    on   front -> geo
			    when { request.headers["x-never"] == "yes" }
			    deny()
			}`, "front")
		w.unpoliced("front", w.front)
	})
}
