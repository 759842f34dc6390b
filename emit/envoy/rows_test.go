package envoy

import (
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// do is a policy of actions that always apply.
func do(name string, actions ...*ir.Action) policy { return policy{name: name, actions: actions} }

var (
	beta       = headerIs("x-group", "beta")
	betaReads  = []string{`request.headers["x-group"]`}
	hello      = "hello from -, echo a"
	adminPath  = method(urlPath(), "startsWith", lit("/admin"))
	adminReads = []string{"request.url_path"}
)

var rows = []row{
	{"deny", "http", both, []policy{do("p", act("deny", nil))},
		reached(web("/"), requests), "403; 0 reached the app", "200 app; 1 reached the app"},
	{"deny with status and body", "http", both, []policy{do("p", act("deny", args{"status": num(418), "body": str("100% teapot")}))},
		web("/"), "418 100% teapot", "200 app"},
	{"deny if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/"), web("/", "x-group", "alpha"), web("/", "x-group", "beta")), "200 app | 200 app | 403", "200 app | 200 app | 200 app"},
	{"deny a path", "http", both, []policy{{name: "p", when: adminPath, reads: adminReads, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/a"), web("/admin/x"), web("//admin"), web("/a/../admin"), web("/a%2f..%2fadmin")),
		"200 app | 403 | 403 | 403 | 400", "200 app | 200 app | 200 app | 200 app | 200 app"},
	{"deny", "grpc", both, []policy{do("p", act("deny", args{"body": str("not you")}))},
		reached(rpc("x"), requests), "PermissionDenied not you; 0 reached the app", "OK; 1 reached the app"},
	{"deny with code", "grpc", both, []policy{do("p", act("deny", args{"code": str("FAILED_PRECONDITION")}))},
		rpc("x"), "FailedPrecondition", "OK"},
	{"deny", "tcp", both, []policy{do("p", act("deny", nil))},
		reached(greeting, connections), "closed; 0 reached the app", hello + "; 1 reached the app"},

	{"rate_limit", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(3)}))},
		times(5, web("/")), "200 app | 200 app | 200 app | 429 local_rate_limited | 429 local_rate_limited", "200 app | 200 app | 200 app | 200 app | 200 app"},
	{"rate_limit without burst", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(2, time.Second)}))},
		func(t *testing.T, p probe) string {
			out := times(3, web("/"))(t, p)
			time.Sleep(600 * time.Millisecond) // half a second's rate has come back
			return out + " | " + web("/")(t, p)
		}, "200 app | 200 app | 429 local_rate_limited | 200 app", "200 app | 200 app | 200 app | 200 app"},
	{"rate_limit", "grpc", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(2)}))},
		times(3, rpc("x")), "OK | OK | ResourceExhausted local_rate_limited", "OK | OK | OK"},
	{"rate_limit", "tcp", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(2)}))},
		reached(times(3, greeting), connections), hello + " | " + hello + " | closed; 2 reached the app", hello + " | " + hello + " | " + hello + "; 3 reached the app"},
	{"two rate_limits", "http", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(3)})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)}))},
		times(3, web("/")), "200 app | 200 app | 429 local_rate_limited", "200 app | 200 app | 200 app"},
	{"a denied request costs no token", "http", both, []policy{
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)}))},
		each(web("/", "x-group", "beta"), web("/", "x-group", "beta"), web("/"), web("/")),
		"403 | 403 | 200 app | 429 local_rate_limited", "200 app | 200 app | 200 app | 200 app"},

	{"set_header", "http", both, []policy{do("p", act("set_header", args{"name": str("X-Canary"), "value": str("50%")}))},
		each(appSaw("x-canary"), appSaw("x-canary", "X-Canary", "mine")), "[50%] | [50%]", "[] | [mine]"},
	{"set_header of the response", "http", both, []policy{do("p", act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")}))},
		clientSaw("x-resp", "/"), "200 [adm]", "200 [app]"},
	{"append_header", "http", both, []policy{do("p", act("append_header", args{"name": str("x-trail"), "value": str("b")}))},
		each(appSaw("x-trail"), appSaw("x-trail", "x-trail", "a")), "[b] | [a b]", "[] | [a]"},
	{"remove_header", "http", both, []policy{do("p", act("remove_header", args{"name": str("x-secret")}))},
		appSaw("x-secret", "x-secret", "1"), "[]", "[1]"},
	{"remove_header of the response", "http", both, []policy{do("p", act("remove_header", args{"name": str("server"), "of": str("response")}))},
		clientSaw("server", "/"), "200 []", "200 [app]"},
	{"set_header of a refusal", "http", both, []policy{do("p", act("deny", nil)),
		{name: "q", when: beta, reads: betaReads, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/", "x-group", "beta")), "403 [] | 403 [adm]", "200 [app] | 200 [app]"},
	{"set_header if the answer", "http", both, []policy{{name: "p",
		when:  fn("_>=_", selectField(ident("response"), "code"), lit(500)),
		reads: []string{"response.code"}, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("bad"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/status/500")), "200 [app] | 500 [bad]", "200 [app] | 500 [app]"},
	{"one decision for all actions", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{
		act("set_header", args{"name": str("x-group"), "value": str("gone")}), act("set_header", args{"name": str("x-second"), "value": str("1")})}}},
		each(appSaw("x-second", "x-group", "beta"), appSaw("x-second", "x-group", "alpha")), "[1] | []", "[] | []"},
	{"a condition on what was set before", "http", both, []policy{
		do("p", act("set_header", args{"name": str("x-group"), "value": str("beta")})),
		{name: "q", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}},
		web("/"), "403", "200 app"},

	{"timeout", "http", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		each(web("/slow/1000"), web("/")), "504 upstream request timeout | 200 app", "200 app | 200 app"},
	{"timeout if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("timeout", args{"after": dur(200 * time.Millisecond)})}}},
		each(web("/slow/1000"), web("/slow/1000", "x-group", "beta")), "200 app | 504 upstream request timeout", "200 app | 200 app"},
	{"timeout", "grpc", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		rpc("slow/1000"), "DeadlineExceeded upstream request timeout", "OK"},
	{"a caller can't lift the timeout", "http", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		web("/slow/1000", "x-envoy-upstream-rq-timeout-ms", "5000"), "504 upstream request timeout", "200 app"},

	{"retry", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)}))},
		reached(web("/flaky/4"), requests), "200 app; 4 reached the app", "503 app; 1 reached the app"},
	{"retry until it gives up", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)}))},
		reached(web("/status/503"), requests), "503 app; 4 reached the app", "503 app; 1 reached the app"},
	{"retry of a reset", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3), "on": strs("reset")}))},
		reached(web("/resets/3"), requests), "200 app; 3 reached the app", "503 upstream connect error or disconnect/reset before headers. reset reason: connection termination; 1 reached the app"},
	{"retry", "grpc", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3), "on": strs("unavailable")}))},
		reached(rpc("flaky/4"), requests), "OK; 4 reached the app", "Unavailable flaky; 1 reached the app"},
	{"retry per try", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(2), "on": strs("reset"), "per_try": dur(100 * time.Millisecond)}))},
		reached(web("/slow/1000"), requests), "504 upstream request timeout; 3 reached the app", "200 app; 1 reached the app"},
}
