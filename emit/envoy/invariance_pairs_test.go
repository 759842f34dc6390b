//go:build linux

package envoy

import (
	"cmp"
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
	name   string
	call   string
	when   string // "": always
	more   []attempted
	waits  bool // needs slow answers to show anything
	picks  bool // chooses among pods or versions, which no data plane can beside locality
	anyPod bool // as in a trial
}

const asked = `request.headers["WHO"] == "1"`

var httpSpecimens = []specimen{
	{name: "deny", call: `deny(status: 503, Body: "denied by WHO, with an answer that is long enough")`, when: asked},
	{name: "allow", call: `allow()`, when: `request.headers["WHO"] == ""`},
	{name: "jwt", call: `jwt(issuer: "iss", jwks: JWKS)`, more: []attempted{{Path: "/v1/x", Headers: []string{"x-lost", "1"}}}},
	{name: "ext_authz", call: `ext_authz(address: "guard.test:19998", timeout: 5s)`, more: []attempted{{Path: "/v1/x", Headers: []string{"x-guard", "no"}}, {Path: "/v1/secret"}}},
	{name: "cors", call: `cors(origins: ["https://a.test"], methods: ["PUT"], Headers: ["x-a"], max_age: 1m, credentials: true)`, more: []attempted{
		{Method: "OPTIONS", Path: "/v1/x", Headers: []string{"access-control-request-method", "PUT"}}}},
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
	{name: "trace", call: `trace("collector.test:19995")`},
	{name: "rate_limit", call: `rate_limit(rate: 1/h, burst: 4)`},
	{name: "global rate_limit", call: globalLimit},
	{name: "fault", call: `fault(abort: 503)`, when: asked},
	{name: "fault that delays", call: `fault(delay: 20ms)`},
	{name: "concurrency_limit", call: `concurrency_limit(1)`, more: overlapping},
	{name: "bandwidth_limit", call: `bandwidth_limit(1MiB)`},
	{name: "max_body", call: `max_body(100B)`, more: []attempted{{Method: "POST", Path: "/v1/x", Body: 100}, {Method: "POST", Path: "/v1/x", Body: 101}}},
	{name: "redirect", call: `redirect(path: "/moved/WHO")`, when: asked},
	{name: "respond", call: `respond(status: 503, Body: "a response of WHO, which is long enough")`, when: asked},

	{name: "timeout", call: `timeout(600ms)`, waits: true},
	{name: "idle_timeout", call: `idle_timeout(600ms)`, waits: true},
	{name: "connect_timeout", call: `connect_timeout(2s)`},
	{name: "retry", call: `retry(attempts: 2, on: ["unavailable"])`, more: []attempted{{Path: "/v1/x", Headers: []string{"x-fail", "503.503"}}, {Path: "/v1/x", Headers: []string{"x-fail", "503.503.503"}}, {Method: "POST", Path: "/v1/x", Body: 101, Headers: []string{"x-fail", "503"}}}},
	{name: "hedge", call: `hedge(after: 600ms)`, waits: true},
	{name: "route", picks: true, call: `route(version: "v1")`},
	{name: "split", picks: true, call: `split({"v1": 100%})`},
	{name: "mirror", call: `mirror(version: "v2")`},
	{name: "lb", picks: true, call: `lb(policy: least_request)`, anyPod: true},
	{name: "locality", call: `locality()`, anyPod: true},
	{name: "mtls", call: sealing},
	{name: "outlier_detection", picks: true, call: `outlier_detection(errors: 1, eject: 1m)`, anyPod: true, more: slices.Repeat([]attempted{{Path: "/v1/x", Headers: []string{"x-a", "1", "x-b", "1"}}}, 6)},
}

const (
	globalLimit = `rate_limit(rate: 4/h, global: true, address: "limits.test:19997")`
	sealing     = `mtls(sds: "SDS")`
)

// overlapping are three requests at a time.
var overlapping = []attempted{{Path: "/v1/x", Held: true}, {Path: "/v1/x", Headers: []string{"x-b", "1"}, Held: true}, {Path: "/v1/x"}}

// rpcSpecimens are the same actions on grpc, as far as they are for it.
var rpcSpecimens = specimensFor("grpc", httpSpecimens, map[string]specimen{
	"deny":                 {call: `deny(code: "UNAVAILABLE", body: "denied by WHO")`, when: asked},
	"set_header of errors": {name: "set_header if the answer", call: `set_header("x-back", "WHO", of: "response")`, when: `response.headers["x-powered-by"] == "go"`},
	"max_body":             {call: `max_body(100B)`, more: []attempted{{Body: 10}, {Body: 300}}},
	"retry":                {call: `retry(attempts: 2, on: ["unavailable"])`, more: []attempted{{Headers: []string{"x-fail", "14.14"}}, {Headers: []string{"x-fail", "14.14.14"}}, {Headers: []string{"x-fail", "5"}}}},
	"ext_authz":            {call: `ext_authz(address: "guard.test:19998", timeout: 5s)`, more: []attempted{{Headers: []string{"x-guard", "no"}}}},
})

// streamSpecimens are those for byte streams.
var streamSpecimens = specimensFor("redis", []specimen{
	{name: "deny", call: `deny()`},
	{name: "allow", call: `allow()`, when: "source.service == \"nobody\""},
	{name: "rate_limit", call: `rate_limit(rate: 1/h, burst: 4)`},
	{name: "concurrency_limit", call: `concurrency_limit(1)`, more: overlapping},
	{name: "access_log", call: `access_log()`},
	{name: "metric", call: `metric("METRIC")`},
	{name: "connect_timeout", call: `connect_timeout(2s)`},
	{name: "idle_timeout", call: `idle_timeout(600ms)`, more: []attempted{{Idle: 1200}}},
	{name: "route", picks: true, call: `route(version: "v1")`},
	{name: "split", picks: true, call: `split({"v1": 100%})`},
	{name: "lb", picks: true, call: `lb(policy: least_request)`, anyPod: true},
	{name: "locality", call: `locality()`, anyPod: true},
	{name: "outlier_detection", picks: true, call: `outlier_detection(errors: 1, eject: 1m)`, anyPod: true},
	{name: "mtls", call: sealing},
}, nil)

// specimensFor gives the specimens that a protocol has, with others in the place of
// some.
func specimensFor(proto graph.Protocol, all []specimen, others map[string]specimen) []specimen {
	var out []specimen
	for _, s := range all {
		if other, ok := others[s.name]; ok {
			other.name = cmp.Or(other.name, s.name)
			s = other
		}
		if _, _, bag := alone(0, proto, s).checked(1); !bag.HasErrors() {
			out = append(out, s)
		}
	}
	return out
}

// policy is one of a specimen on some calls; who is a or b.
func (s specimen) policy(number int, who, calls string) string {
	when := ""
	if s.when != "" {
		when = "    when { " + s.when + " }\n"
	}
	text := fmt.Sprintf("policy p%d_%s {\n    on %s\n%s    %s\n}\n", number, who, calls, when, s.call)
	return strings.NewReplacer("WHO", "x-"+who, "JWKS", fmt.Sprintf("%q", testKeys), "METRIC", who+"_PORT").Replace(text)
}

// usual is a request that has something for every action.
func usual(headers ...string) attempted {
	return attempted{Path: "/v1/x?q=1", Headers: headers}
}

// richly adds what makes actions act.
func (r attempted) richly() attempted {
	add := func(name, value string) {
		if r.header(name) == "" {
			r.Headers = append(slices.Clone(r.Headers), name, value)
		}
	}
	add("origin", "https://a.test")
	add("accept-encoding", "gzip")
	add("x-mark", "old")
	if r.header("x-lost") == "" {
		add("authorization", bearer("iss", "shop", "ann"))
	}
	return r
}

const oneCall = "client -> server"

// trialOf is a trial of specimens, with the requests that each needs.
func trialOf(text string, proto graph.Protocol, specimens ...specimen) *trial {
	x := &trial{proto: proto, text: text}
	failing := "503"
	if proto.Plane() == graph.GRPC {
		failing = "14"
	}
	list := []attempted{usual(), usual("x-a", "1"), usual("x-b", "1"), usual("x-a", "1", "x-b", "1"), usual("x-fail", failing)}
	waits := slices.ContainsFunc(specimens, func(s specimen) bool { return s.waits })
	for _, s := range specimens {
		x.anyPod = x.anyPod || s.anyPod
		if s.more != nil && s.more[0].Held && waits {
			continue // how long a request is held is nobody's to say
		}
		list = append(list, s.more...)
	}
	if waits {
		list = append(list, usual("x-slow", "1000"))
	}
	list = append(list, usual("x-a", "1", "x-b", "1"), usual())
	for i, r := range list {
		r.ID = fmt.Sprintf("id-%d", i)
		if proto.Plane() != graph.TCP {
			r = r.richly()
		}
		x.requests = append(x.requests, r)
	}
	return x
}

func alone(number int, proto graph.Protocol, s specimen) *trial {
	return trialOf(s.policy(number, "a", oneCall), proto, s)
}

func pairOf(number int, proto graph.Protocol, a, b specimen) *trial {
	return trialOf(a.policy(number, "a", oneCall)+b.policy(number, "b", oneCall), proto, a, b)
}

// everyPair is a trial of each specimen, and of each pair of them that may stand on
// one call; of two in one phase the names say which is first, so that there are two
// trials.
func everyPair(all []specimen, proto graph.Protocol) []*trial {
	var out []*trial
	for i, a := range all {
		out = append(out, alone(len(out), proto, a))
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

// TestPlacementInvariance: every action and every pair of actions on one call, at
// every pair of sides that the rows allow.
func TestPlacementInvariance(t *testing.T) {
	for _, plane := range []struct {
		proto     graph.Protocol
		specimens []specimen
		least     int // of all
	}{
		{"http", httpSpecimens, 39}, {"grpc", rpcSpecimens, 34}, {"redis", streamSpecimens, 14}, {"tcp", streamSpecimens, 14}, {"postgres", streamSpecimens, 14},
	} {
		if len(plane.specimens) < plane.least {
			t.Errorf("%d actions on %s", len(plane.specimens), plane.proto)
		}
		all := everyPair(plane.specimens, plane.proto)
		for batch := range slices.Chunk(all, 250) {
			t.Run(string(plane.proto), func(t *testing.T) {
				t.Parallel()
				invariant(t, batch, 4)
			})
		}
	}
}

// TestCallersInvariance: each action twice, once on the calls of one of two callers
// and once on all, which the receiver tells apart by nothing, by their addresses, or
// by their certificates.
func TestCallersInvariance(t *testing.T) {
	t.Parallel()
	var all []*trial
	for _, plane := range []struct {
		proto     graph.Protocol
		specimens []specimen
	}{{"http", httpSpecimens}, {"grpc", rpcSpecimens}, {"redis", streamSpecimens}} {
		for _, s := range plane.specimens {
			for k, identity := range []string{"none", "addresses", "mtls", "addresses"} {
				for _, calls := range [][2]string{{oneCall, "* -> server"}, {"* -> server", "other -> server"}}[k/3:] {
					n := len(all)
					text := s.policy(n, "a", calls[0]) + s.policy(n, "b", calls[1])
					if k > 1 { // addresses are looked at behind a seal, too
						text += specimen{call: sealing}.policy(n, "z", "* -> server")
					}
					x := trialOf(text, plane.proto, s, s)
					x.identity = identity
					x.requests = fromBoth(x.requests)
					if _, _, bag := x.checked(1); bag.HasErrors() { // only one can hold for a request
						x.text = strings.Replace(text, calls[0], "client -> server", 1)
						x.text = strings.Replace(x.text, calls[1], "other -> server", 1)
					}
					if _, _, bag := x.checked(1); !bag.HasErrors() {
						all = append(all, x)
					}
				}
			}
		}
	}
	if len(all) < 400 {
		t.Errorf("%d programs", len(all))
	}
	for batch := range slices.Chunk(all, 250) {
		invariant(t, batch, 4)
	}
}

// fromBoth has each request made by both callers; those that overlap, by one after
// the other.
func fromBoth(list []attempted) []attempted {
	var out []attempted
	for i, r := range list {
		for _, from := range []string{"client", "other"} {
			if overlaps := r.Held || i > 0 && list[i-1].Held; overlaps && (i%2 == 0) != (from == "client") {
				continue
			}
			r.From, r.ID = from, fmt.Sprintf("id-%d", len(out))
			out = append(out, r)
		}
	}
	return out
}
