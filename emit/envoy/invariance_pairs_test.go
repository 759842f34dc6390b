//go:build linux

package envoy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
)

// A specimen is a call of an action that shows what it does. WHO is the header
// that turns its policy on, x-a or x-b, so that requests can choose which of two
// act.
type specimen struct {
	name  string
	call  string
	when  string // "": always
	more  []attempted
	waits bool // needs slow answers to show anything
	picks bool // chooses among pods or versions, which no data plane can beside locality
	// unforeseen and anyPod as in a trial.
	unforeseen, anyPod bool
}

const asked = `request.headers["WHO"] == "1"`

var httpSpecimens = []specimen{
	{name: "deny", call: `deny(status: 503, body: "denied by WHO, with an answer that is long enough")`, when: asked},
	{name: "allow", call: `allow()`, when: `request.headers["WHO"] == ""`},
	{name: "jwt", call: `jwt(issuer: "iss", jwks: JWKS)`, more: []attempted{{path: "/v1/x", headers: []string{"x-lost", "1"}}}},
	{name: "ext_authz", call: `ext_authz(address: "guard.test:19998", timeout: 5s)`, unforeseen: true, more: []attempted{{path: "/v1/x", headers: []string{"x-guard", "no"}}, {path: "/v1/secret"}}},
	{name: "cors", call: `cors(origins: ["https://a.test"], methods: ["PUT"], headers: ["x-a"], max_age: 1m, credentials: true)`, more: []attempted{
		{method: "OPTIONS", path: "/v1/x", headers: []string{"access-control-request-method", "PUT"}}}},
	{name: "set_header", call: `set_header("x-mark", "WHO")`},
	{name: "set_header if asked", call: `set_header("x-mark", "WHO")`, when: asked},
	{name: "set_header of the response", call: `set_header("x-back", "WHO", of: "response")`},
	{name: "set_header of errors", call: `set_header("x-back", "WHO", of: "response")`, when: `response.code >= 500`},
	{name: "append_header", call: `append_header("x-mark", "WHO")`},
	{name: "append_header of the response", call: `append_header("x-back", "WHO", of: "response")`},
	{name: "remove_header", call: `remove_header("x-mark")`},
	{name: "remove_header of the response", call: `remove_header("x-back", of: "response")`},
	{name: "rewrite", call: `rewrite(prefix: "/v1/", with: "/WHO/", host: "WHO.test")`},
	{name: "compress", call: `compress(["text/plain"])`},
	{name: "access_log", call: `access_log()`},
	{name: "metric", call: `metric("METRIC")`},
	{name: "trace", call: `trace("collector.test:19995")`, unforeseen: true},
	{name: "rate_limit", call: `rate_limit(rate: 1/h, burst: 4)`},
	{name: "fault", call: `fault(abort: 503)`, when: asked},
	{name: "concurrency_limit", call: `concurrency_limit(1)`},
	{name: "bandwidth_limit", call: `bandwidth_limit(1MiB)`},
	{name: "max_body", call: `max_body(100B)`, more: []attempted{{method: "POST", path: "/v1/x", body: 100}, {method: "POST", path: "/v1/x", body: 101}}},
	{name: "redirect", call: `redirect(path: "/moved/WHO")`, when: asked},
	{name: "respond", call: `respond(status: 503, body: "a response of WHO, which is long enough")`, when: asked},

	{name: "timeout", call: `timeout(200ms)`, waits: true},
	{name: "idle_timeout", call: `idle_timeout(200ms)`, waits: true},
	{name: "connect_timeout", call: `connect_timeout(2s)`},
	{name: "retry", call: `retry(attempts: 2, on: ["unavailable"])`, more: []attempted{{path: "/v1/x", headers: []string{"x-fail", "503.503"}}, {path: "/v1/x", headers: []string{"x-fail", "503.503.503"}}, {method: "POST", path: "/v1/x", body: 101, headers: []string{"x-fail", "503"}}}},
	{name: "hedge", call: `hedge(after: 100ms)`, waits: true, unforeseen: true},
	{name: "route", picks: true, call: `route(version: "v1")`},
	{name: "split", picks: true, call: `split({"v1": 100%})`},
	{name: "mirror", call: `mirror(version: "v2")`, unforeseen: true},
	{name: "lb", picks: true, call: `lb(policy: least_request)`, anyPod: true},
	{name: "locality", call: `locality()`, anyPod: true},
	{name: "outlier_detection", picks: true, call: `outlier_detection(errors: 1, eject: 1m)`, anyPod: true, unforeseen: true, more: slices.Repeat([]attempted{{path: "/v1/x", headers: []string{"x-a", "1", "x-b", "1"}}}, 6)},
}

// policy is one of a specimen; who is a or b.
func (s specimen) policy(number int, who string) string {
	when := ""
	if s.when != "" {
		when = "    when { " + s.when + " }\n"
	}
	text := fmt.Sprintf("policy p%d_%s {\n    on client -> server\n%s    %s\n}\n", number, who, when, s.call)
	return strings.NewReplacer("WHO", "x-"+who, "JWKS", fmt.Sprintf("%q", testKeys), "METRIC", who+"_PORT").Replace(text)
}

// usual is a request that has something for every action.
func usual(headers ...string) attempted {
	return attempted{path: "/v1/x?q=1", headers: headers}
}

// richly adds what makes actions act.
func (r attempted) richly() attempted {
	has := func(name string) bool {
		for i := 0; i < len(r.headers); i += 2 {
			if r.headers[i] == name {
				return true
			}
		}
		return false
	}
	add := func(name, value string) {
		if !has(name) {
			r.headers = append(slices.Clone(r.headers), name, value)
		}
	}
	add("origin", "https://a.test")
	add("accept-encoding", "gzip")
	add("x-mark", "old")
	if !has("x-lost") {
		add("authorization", bearer("iss", "shop", "ann"))
	}
	return r
}

// pairOf is a trial of two specimens.
func pairOf(number int, proto graph.Protocol, a, b specimen) *trial {
	x := &trial{proto: proto, text: a.policy(number, "a") + b.policy(number, "b"), unforeseen: a.unforeseen || b.unforeseen, anyPod: a.anyPod || b.anyPod}
	list := []attempted{usual(), usual("x-a", "1"), usual("x-b", "1"), usual("x-a", "1", "x-b", "1"), usual("x-fail", "503")}
	list = append(append(list, a.more...), b.more...)
	if a.waits || b.waits {
		list = append(list, usual("x-slow", "400"))
	}
	list = append(list, usual("x-a", "1", "x-b", "1"), usual())
	for i, r := range list {
		r.id = fmt.Sprintf("id-%d", i)
		x.requests = append(x.requests, r.richly())
	}
	return x
}

// everyPair is a trial of each pair of specimens that may stand on one call; of two
// in one phase the names say which is first, so that there are two trials.
func everyPair(all []specimen, proto graph.Protocol) []*trial {
	var out []*trial
	for i, a := range all {
		for _, b := range all[i:] {
			if b.name == "locality" && a.picks || a.name == "locality" && b.picks {
				continue
			}
			x := pairOf(len(out), proto, a, b)
			_, p, bag := x.checked(1)
			if bag.HasErrors() {
				continue // they exclude each other
			}
			out = append(out, x)
			if a.name != b.name && p.Policies[0].Actions[0].Decl.Phase == p.Policies[1].Actions[0].Decl.Phase {
				out = append(out, pairOf(len(out), proto, b, a))
			}
		}
	}
	return out
}

// TestPlacementInvariance: every pair of actions on one call, at every pair of
// sides that the rows allow.
func TestPlacementInvariance(t *testing.T) {
	all := everyPair(httpSpecimens, "http")
	for batch := range slices.Chunk(all, 200) {
		t.Run("", func(t *testing.T) { invariant(t, batch, 4) })
	}
}
