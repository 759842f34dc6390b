//go:build linux

package envoy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

var (
	beta       = headerIs("x-group", "beta")
	betaReads  = []string{`request.headers["x-group"]`}
	hello      = "hello from -, echo a"
	adminPath  = method(urlPath(), "startsWith", lit("/admin"))
	adminReads = []string{"request.url_path"}
)

var rows = []row{
	{"deny", "http", both, []policy{do("p", act("deny", nil))},
		reached(web("/"), requests), "403; 0 reached the app", "200 app; 1 reached the app", served},
	{"deny with status and body", "http", both, []policy{do("p", act("deny", args{"status": num(418), "body": str("100% teapot")}))},
		web("/"), "418 100% teapot", "200 app", served},
	{"deny if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/"), web("/", "x-group", "alpha"), web("/", "x-group", "beta")), "200 app | 200 app | 403", "200 app | 200 app | 200 app", served},
	{"allow, by its negated condition", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("allow", nil)}}},
		each(web("/"), web("/", "x-group", "beta")), "200 app | 403", "200 app | 200 app", served},
	{"allow", "grpc", both, []policy{do("p", act("allow", nil))}, reached(rpc("x"), requests), "PermissionDenied; 0 reached the app", "OK; 1 reached the app", served},
	{"allow", "tcp", both, []policy{do("p", act("allow", nil))},
		reached(greeting, connections), "closed; 0 reached the app", hello + "; 1 reached the app", served},
	{"deny a path", "http", both, []policy{{name: "p", when: adminPath, reads: adminReads, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/a"), web("/admin/x"), web("//admin"), web("/a/../admin"), web("/a%2f..%2fadmin"), web("/a/..;/admin"), web("/a/%2e%2E;x=y/admin"), web("/a/.;/../admin"), web("/a/b;..")),
		"200 app | 403 | 403 | 403 | 400 | 400 | 400 | 200 app | 200 app", "200 app | 200 app | 200 app | 200 app | 200 app | 200 app | 200 app | 200 app | 200 app", served},
	{"deny", "grpc", both, []policy{do("p", act("deny", args{"body": str("not you")}))},
		reached(rpc("x"), requests), "PermissionDenied not you; 0 reached the app", "OK; 1 reached the app", served},
	{"deny with code", "grpc", both, []policy{do("p", act("deny", args{"code": str("FAILED_PRECONDITION")}))},
		rpc("x"), "FailedPrecondition", "OK", served},
	{"deny", "tcp", both, []policy{do("p", act("deny", nil))},
		reached(greeting, connections), "closed; 0 reached the app", hello + "; 1 reached the app", served},

	{"rate_limit", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(3)}))},
		times(5, web("/")), "200 app | 200 app | 200 app | 429 local_rate_limited | 429 local_rate_limited", "200 app | 200 app | 200 app | 200 app | 200 app", served},
	{"rate_limit without burst", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(2, time.Second)}))},
		func(t *testing.T, p probe) string {
			out := times(3, web("/"))(t, p)
			time.Sleep(600 * time.Millisecond) // half a second's rate has come back
			return out + " | " + web("/")(t, p)
		}, "200 app | 200 app | 429 local_rate_limited | 200 app", "200 app | 200 app | 200 app | 200 app", served},
	{"rate_limit", "grpc", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(2)}))},
		times(3, rpc("x")), "OK | OK | ResourceExhausted local_rate_limited", "OK | OK | OK", served},
	{"rate_limit per header", "http", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(1), "per": str("x-user")}))},
		each(web("/", "x-user", "a"), web("/", "X-User", "a"), web("/", "x-user", "b"), web("/", "x-user", "a", "x-user", "b"), web("/", "x-user", "b", "x-user", "a"),
			web("/"), web("/", "x-user", ""), web("/", "x-user", strings.Repeat("x", 257)), web("/", "x-user", strings.Repeat("x", 256)), web("/", "x-user", "b")),
		"200 app | 429 local_rate_limited | 200 app | 200 app | 200 app | 200 app | 429 local_rate_limited | 429 local_rate_limited | 200 app | 429 local_rate_limited",
		strings.Join(slices.Repeat([]string{"200 app"}, 10), " | "), served},
	{"rate_limit per header", "grpc", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(1), "per": str("x-user")}))},
		each(rpc("x", "x-user", "a"), rpc("x", "x-user", "b"), rpc("x", "x-user", "a"), rpc("x"), rpc("x")),
		"OK | OK | ResourceExhausted local_rate_limited | OK | ResourceExhausted local_rate_limited", "OK | OK | OK | OK | OK", served},
	{"rate_limit per header that another policy sets", "http", both, []policy{
		do("p", act("set_header", args{"name": str("x-user"), "value": str("all")})),
		do("q", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(1), "per": str("x-user")}))},
		each(web("/", "x-user", "a"), web("/", "x-user", "b")), "200 app | 429 local_rate_limited", "200 app | 200 app", served},
	{"rate_limit", "tcp", both, []policy{do("p", act("rate_limit", args{"rate": rate(10, time.Hour), "burst": num(2)}))},
		reached(times(3, greeting), connections), hello + " | " + hello + " | closed; 2 reached the app", hello + " | " + hello + " | " + hello + "; 3 reached the app", served},
	{"two rate_limits", "http", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(3)})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)}))},
		times(3, web("/")), "200 app | 200 app | 429 local_rate_limited", "200 app | 200 app | 200 app", served},
	{"a denied request costs no token", "http", both, []policy{
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)}))},
		each(web("/", "x-group", "beta"), web("/", "x-group", "beta"), web("/"), web("/")),
		"403 | 403 | 200 app | 429 local_rate_limited", "200 app | 200 app | 200 app | 200 app", served},

	{"set_header", "http", both, []policy{do("p", act("set_header", args{"name": str("X-Canary"), "value": str("50%")}))},
		each(appSaw("x-canary"), appSaw("x-canary", "X-Canary", "mine")), "[50%] | [50%]", "[] | [mine]", served},
	{"set_header of the response", "http", both, []policy{do("p", act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")}))},
		clientSaw("x-resp", "/"), "200 [adm]", "200 [app]", served},
	{"append_header", "http", both, []policy{do("p", act("append_header", args{"name": str("x-trail"), "value": str("b")}))},
		each(appSaw("x-trail"), appSaw("x-trail", "x-trail", "a")), "[b] | [a b]", "[] | [a]", served},
	{"remove_header", "http", both, []policy{do("p", act("remove_header", args{"name": str("x-secret")}))},
		appSaw("x-secret", "x-secret", "1"), "[]", "[1]", served},
	{"remove_header of the response", "http", both, []policy{do("p", act("remove_header", args{"name": str("server"), "of": str("response")}))},
		clientSaw("server", "/"), "200 []", "200 [app]", served},
	{"set_header of a refusal", "http", both, []policy{do("p", act("deny", nil)),
		{name: "q", when: beta, reads: betaReads, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/", "x-group", "beta")), "403 [] | 403 [adm]", "200 [app] | 200 [app]", served},
	{"set_header if the answer", "http", both, []policy{{name: "p",
		when:  fn("_>=_", selectField(ident("response"), "code"), lit(500)),
		reads: []string{"response.code"}, actions: []*ir.Action{act("set_header", args{"name": str("x-resp"), "value": str("bad"), "of": str("response")})}}},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/status/500")), "200 [app] | 500 [bad]", "200 [app] | 500 [app]", served},
	{"one decision for all actions", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{
		act("set_header", args{"name": str("x-group"), "value": str("gone")}), act("set_header", args{"name": str("x-second"), "value": str("1")})}}},
		each(appSaw("x-second", "x-group", "beta"), appSaw("x-second", "x-group", "alpha")), "[1] | []", "[] | []", served},
	{"parts of a policy with conditions of their own", "http", both, []policy{
		{name: "p", when: adminPath, reads: adminReads, actions: []*ir.Action{act("deny", nil)}},
		{name: "p", part: "set_header", when: beta, reads: betaReads, actions: []*ir.Action{act("set_header", args{"name": str("x-second"), "value": str("1")})}}},
		each(web("/admin"), appSaw("x-second", "x-group", "beta"), appSaw("x-second"), web("/admin", "x-group", "beta")), "403 | [1] | [] | 403", "200 app | [] | [] | 200 app", served},
	{"a condition on what was set before", "http", both, []policy{
		do("p", act("set_header", args{"name": str("x-group"), "value": str("beta")})),
		{name: "q", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}},
		web("/"), "403", "200 app", served},

	{"timeout", "http", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		each(web("/slow/1000"), web("/")), "504 upstream request timeout | 200 app", "200 app | 200 app", served},
	{"timeout if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("timeout", args{"after": dur(200 * time.Millisecond)})}}},
		each(web("/slow/1000"), web("/slow/1000", "x-group", "beta")), "200 app | 504 upstream request timeout", "200 app | 200 app", served},
	{"timeout", "grpc", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		rpc("slow/1000"), "DeadlineExceeded upstream request timeout", "OK", served},
	{"a caller can't lift the timeout", "http", ir.Egress, []policy{do("p", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		web("/slow/1000", "x-envoy-upstream-rq-timeout-ms", "5000"), "504 upstream request timeout", "200 app", served},

	{"retry", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)}))},
		reached(web("/flaky/4"), requests), "200 app; 4 reached the app", "503 app; 1 reached the app", served},
	{"retry of a body above Envoy's own bound", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)}))},
		reached(sending(3<<20, "/flaky/4"), requests), "200 app; 4 reached the app", "503 app; 1 reached the app", served},
	{"retry until it gives up", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3)}))},
		reached(web("/status/503"), requests), "503 app; 4 reached the app", "503 app; 1 reached the app", served},
	{"retry of a reset", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3), "on": strs("reset")}))},
		reached(web("/resets/3"), requests), "200 app; 3 reached the app", "503 upstream connect error or disconnect/reset before headers. reset reason: connection termination; 1 reached the app", served},
	{"retry", "grpc", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(3), "on": strs("unavailable")}))},
		reached(rpc("flaky/4"), requests), "OK; 4 reached the app", "Unavailable flaky; 1 reached the app", served},
	{"retry per try", "http", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(2), "on": strs("reset"), "per_try": dur(100 * time.Millisecond)}))},
		reached(web("/slow/1000"), requests), "504 upstream request timeout; 3 reached the app", "200 app; 1 reached the app", served},

	{"connect_timeout", "http", ir.Egress, []policy{do("p", act("connect_timeout", args{"after": dur(200 * time.Millisecond)}))},
		within(2*time.Second, "/"), "503", "nothing", silent},
	{"connect_timeout", "tcp", ir.Egress, []policy{do("p", act("connect_timeout", args{"after": dur(200 * time.Millisecond)}))},
		silence, "closed", "open, silent", silent},
	{"idle_timeout", "http", ir.Egress, []policy{do("p", act("idle_timeout", args{"after": dur(200 * time.Millisecond)}))},
		web("/slow/1000"), "504 stream timeout", "200 app", served},
	{"idle_timeout", "grpc", ir.Egress, []policy{do("p", act("idle_timeout", args{"after": dur(200 * time.Millisecond)}))},
		rpc("slow/1000"), "DeadlineExceeded stream timeout", "OK", served},
	{"idle_timeout", "tcp", both, []policy{do("p", act("idle_timeout", args{"after": dur(200 * time.Millisecond)}))},
		silence, "hello from -, closed", "hello from -, open, silent", served},

	{"route", "http", ir.Egress, []policy{do("p", act("route", args{"version": str("v2")}))},
		version("/"), "v2", "-", served},
	{"route", "tcp", ir.Egress, []policy{do("p", act("route", args{"version": str("v2")}))},
		greeting, "hello from v2, echo a", hello, served},
	{"route if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("route", args{"version": str("v2")})}}},
		each(version("/"), version("/", "x-group", "beta")), "- | v2", "- | -", served},
	{"route on what was set before", "http", ir.Egress, []policy{
		do("a", act("set_header", args{"name": str("x-group"), "value": str("beta")})),
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("route", args{"version": str("v1")})}}},
		version("/"), "v1", "-", served},
	{"route with a timeout that has a condition of its own", "http", ir.Egress, []policy{
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("route", args{"version": str("v2")})}},
		{name: "q", when: headerIs("x-fast", "1"), reads: []string{`request.headers["x-fast"]`}, actions: []*ir.Action{act("timeout", args{"after": dur(200 * time.Millisecond)})}}},
		each(version("/slow/800"), version("/slow/800", "x-group", "beta"), web("/slow/800", "x-fast", "1"), web("/slow/800", "x-fast", "1", "x-group", "beta"), version("/", "x-fast", "1", "x-group", "beta")),
		"- | v2 | 504 upstream request timeout | 504 upstream request timeout | v2", "- | - | 200 app | 200 app | -", served},
	{"versions by value", "http", ir.Egress, []policy{
		{name: "p", when: headerIs("x-group", "a"), reads: betaReads, actions: []*ir.Action{act("route", args{"version": str("v1")})}},
		{name: "q", when: headerIs("x-group", "b"), reads: betaReads, actions: []*ir.Action{act("route", args{"version": str("v2")})}}},
		each(version("/"), version("/", "x-group", "a"), version("/", "x-group", "b")), "- | v1 | v2", "- | - | -", served},
	{"split", "http", ir.Egress, []policy{do("p", act("split", args{"weights": weights("v1", 0.5, "v2", 0.5)}))},
		mix(40, version("/")), "v1 v2", "-", served},
	{"split", "tcp", ir.Egress, []policy{do("p", act("split", args{"weights": weights("v1", 0.5, "v2", 0.5)}))},
		mix(40, greeting), "hello from v1, echo a hello from v2, echo a", hello, served},
	{"split all to one", "http", ir.Egress, []policy{do("p", act("split", args{"weights": weights("v1", 0.0, "v2", 1.0)}))},
		mix(20, version("/")), "v2", "-", served},

	{"fault with abort", "http", both, []policy{do("p", act("fault", args{"abort": num(503)}))},
		reached(web("/"), requests), "503 fault filter abort; 0 reached the app", "200 app; 1 reached the app", served},
	{"fault with abort", "grpc", both, []policy{do("p", act("fault", args{"abort": num(503)}))},
		rpc("x"), "Unavailable fault filter abort", "OK", served},
	{"fault with delay", "http", both, []policy{do("p", act("fault", args{"delay": dur(700 * time.Millisecond)}))},
		atLeast(600*time.Millisecond, web("/")), "200 app late", "200 app", served},
	{"fault for a share", "http", both, []policy{do("p", act("fault", args{"abort": num(500), "share": float(0.5)}))},
		mix(40, web("/")), "200 app 500 fault filter abort", "200 app", served},
	{"fault with both for a share", "http", both, []policy{do("p", act("fault", args{"delay": dur(3 * time.Second), "abort": num(500), "share": float(0.5)}))},
		mix(40, atLeast(2900*time.Millisecond, web("/"))), "200 app 500 fault filter abort late", "200 app", served},

	{"jwt", "http", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys), "audiences": strs("shop")}))},
		each(web("/"), web("/", "Authorization", "Bearer x.y.z"), web("/", "Authorization", bearer("iss", "other", "a")), web("/", "Authorization", bearer("iss", "shop", "a")), appSaw("Authorization", "Authorization", bearer("iss", "shop", "a"))),
		"401 Jwt is missing | 401 Jwt header is an invalid Base64url encoded | 401 Audiences in Jwt are not allowed | 200 app | []",
		"200 app | 200 app | 200 app | 200 app | [" + bearer("iss", "shop", "a") + "]", served},
	{"jwt with keys from elsewhere", "http", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks_uri": str(keysAt)}))},
		each(web("/"), web("/", "Authorization", bearer("iss", "shop", "a"))), "401 Jwt is missing | 200 app", "200 app | 200 app", served},
	{"jwt that forwards", "http", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys), "forward": boolean(true)}))},
		each(web("/"), appSaw("Authorization", "Authorization", bearer("iss", "shop", "a"))), "401 Jwt is missing | [" + bearer("iss", "shop", "a") + "]", "200 app | [" + bearer("iss", "shop", "a") + "]", served},
	{"jwt", "grpc", both, []policy{do("p", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys), "audiences": strs("shop")}))},
		each(rpc("x"), rpc("x", "authorization", bearer("iss", "other", "a")), rpc("x", "authorization", bearer("iss", "shop", "a"))),
		"Unauthenticated Jwt is missing | Unauthenticated Audiences in Jwt are not allowed | OK", "OK | OK | OK", served},
	{"a condition on a claim", "http", both, []policy{
		do("a", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys)})),
		{name: "p", when: fn("_!=_", claim("sub"), lit("root")), reads: []string{"jwt.claims"}, actions: []*ir.Action{act("deny", nil)}}},
		each(web("/", "Authorization", bearer("iss", "shop", "a")), web("/", "Authorization", bearer("iss", "shop", "root"))), "403 | 200 app", "200 app | 200 app", served},

	{"access_log", "http", both, []policy{do("p", act("access_log", nil))},
		logged(web("/a")), "200 app: policy=p status=200 path=/a", "200 app:", served},
	{"access_log of a refusal", "http", both, []policy{do("a", act("deny", args{"status": num(404)})), do("p", act("access_log", nil))},
		logged(web("/a")), "404: policy=p status=404 path=/a", "200 app:", served},
	{"access_log if", "http", both, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("access_log", nil)}}},
		logged(each(web("/a"), web("/b", "x-group", "beta"))), "200 app | 200 app: policy=p status=200 path=/b", "200 app | 200 app:", served},
	{"access_log if the answer", "http", both, []policy{{name: "p",
		when: fn("_>=_", selectField(ident("response"), "code"), lit(500)), reads: []string{"response.code"}, actions: []*ir.Action{act("access_log", nil)}}},
		logged(each(web("/a"), web("/status/500"))), "200 app | 500 app: policy=p status=500 path=/status/500", "200 app | 500 app:", served},
	{"access_log", "grpc", both, []policy{do("p", act("access_log", nil))},
		logged(rpc("code/5")), "NotFound asked: policy=p status=200 path=/grpc.health.v1.Health/Check", "NotFound asked:", served},
	{"access_log", "tcp", both, []policy{do("p", act("access_log", nil))},
		logged(greeting), hello + ": policy=p sent=20", hello + ":", served},
	{"access_log of a closed connection", "tcp", both, []policy{do("a", act("deny", nil)), do("p", act("access_log", nil))},
		logged(greeting), "closed: policy=p sent=0", hello + ":", served},

	{"sample", "http", both, []policy{{name: "p", sample: 0.5, actions: []*ir.Action{
		act("set_header", args{"name": str("x-a"), "value": str("1")}), act("set_header", args{"name": str("x-b"), "value": str("1")})}}},
		mix(40, each(appSawFor("x-a", "x-request-id"), appSawFor("x-b", "x-request-id"))), "[1] | [1] [] | []", "[] | []", served},
	{"sample without a request id", "http", both, []policy{{name: "p", sample: 0.5, actions: []*ir.Action{act("deny", nil)}}},
		mix(40, web("/")), "200 app 403", "200 app", served},
	{"sample by the request's id", "http", both, []policy{{name: "p", sample: 0.5, actions: []*ir.Action{act("deny", nil)}}},
		denied(16), "0 1 2 8 9 10 11", "none", served},
	{"sample with a condition", "http", both, []policy{{name: "p", sample: 0.5, when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}},
		each(mix(40, web("/")), mix(40, web("/", "x-group", "beta"))), "200 app | 200 app 403", "200 app | 200 app", served},
	{"sample nothing", "http", both, []policy{{name: "p", sample: 1e-9, actions: []*ir.Action{act("deny", nil)}}, do("q", act("deny", args{"status": num(404)}))},
		mix(20, web("/")), "404", "200 app", served},

	{"deny if", "tcp", both, []policy{{name: "p", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("deny", nil)}}},
		reached(each(greeting, greetingFromOther), connections), hello + " | closed; 1 reached the app", hello + " | " + hello + "; 2 reached the app", served},
	{"one bucket for all conditions", "tcp", both, []policy{
		do("p", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)})),
		{name: "q", when: fromOther, reads: []string{"source.address"}, actions: []*ir.Action{act("access_log", nil)}}},
		each(greeting, greetingFromOther, greeting), hello + " | closed | closed", hello + " | " + hello + " | " + hello, served},
	{"deny a server name", "tls", both, []policy{{name: "p",
		when:  fn("_==_", selectField(ident("connection"), "requested_server_name"), lit("bad.test")),
		reads: []string{"connection.requested_server_name"}, actions: []*ir.Action{act("deny", nil)}}},
		each(reached(clientHello("good.test"), connections), reached(clientHello("bad.test"), connections)),
		"; 1 reached the app | ; 0 reached the app", "; 1 reached the app | ; 1 reached the app", served},
}

var fromOther = method(selectField(ident("source"), "address"), "startsWith", lit(otherIP+":"))

// wrapped are rows where a wrapper meets what acts behind it.
var wrapped = []row{
	{"a body above Envoy's own bound behind a chain", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(4)}))},
		each(reached(sending(3<<20, "/flaky/4"), requests), web("/")), "200 app; 4 reached the app | 429 local_rate_limited", "503 app; 1 reached the app | 200 app", served},
	{"four attempts use four tokens", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(4)}))},
		each(reached(web("/flaky/4"), requests), web("/")), "200 app; 4 reached the app | 429 local_rate_limited", "503 app; 1 reached the app | 200 app", served},
	{"four attempts use four tokens", "grpc", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3), "on": strs("unavailable")})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(4)}))},
		each(reached(rpc("flaky/4"), requests), rpc("x")), "OK; 4 reached the app | ResourceExhausted local_rate_limited", "Unavailable flaky; 1 reached the app | OK", served},
	{"pinned before a retry, four attempts use one token", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})),
		{name: "q", front: []string{"p"}, actions: []*ir.Action{act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)})}}},
		each(reached(web("/flaky/4"), requests), web("/"), web("/")), "200 app; 4 reached the app | 200 app | 429 local_rate_limited", "503 app; 1 reached the app | 200 app | 200 app", served},
	{"pinned before a retry, beside what it repeats", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})),
		{name: "q", when: beta, reads: betaReads, front: []string{"p"}, actions: []*ir.Action{act("deny", args{"status": num(503)}), act("access_log", nil)}},
		do("r", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(4)}))},
		each(web("/", "x-group", "beta"), reached(web("/flaky/4"), requests), web("/")), "503 | 200 app; 4 reached the app | 429 local_rate_limited", "200 app | 503 app; 1 reached the app | 200 app", served},
	{"a timeout counts the fault's delay", "http", ir.Egress, []policy{
		do("p", act("timeout", args{"after": dur(300 * time.Millisecond)})),
		do("q", act("fault", args{"delay": dur(2 * time.Second)}))},
		web("/"), "504 upstream request timeout", "200 app", served},
	{"a fault is retried", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(1)})),
		do("q", act("fault", args{"abort": num(503)}), act("access_log", nil))},
		logged(web("/a")), "503 fault filter abort: policy=q status=503 path=/a policy=q status=503 path=/a", "200 app:", served},
	{"a retried refusal", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(2)})),
		do("q", act("deny", args{"status": num(503)}), act("access_log", nil))},
		logged(web("/a")), "503: policy=q status=503 path=/a policy=q status=503 path=/a policy=q status=503 path=/a", "200 app:", served},
	{"a reset behind a chain", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3), "on": strs("reset")})), do("q", act("access_log", nil))},
		reached(clientSaw("x-admc-failure", "/resets/3"), requests), "200 []; 3 reached the app", "503 []; 1 reached the app", served},
	{"a receiver that says its answer is a reset", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3), "on": strs("reset")})), do("q", act("access_log", nil))},
		reached(clientSaw("x-admc-failure", "/", "answer-x-admc-failure", "reset"), requests), "200 []; 1 reached the app", "200 [reset]; 1 reached the app", served},
	{"a reset that is no connect-failure", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3), "on": strs("connect-failure")})), do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)}))},
		reached(each(clientSaw("x-admc-failure", "/resets/3"), web("/"), web("/")), requests),
		"503 [] | 200 app | 429 local_rate_limited; 2 reached the app", "503 [] | 200 app | 200 app; 3 reached the app", served},
	{"a connection refused behind a chain", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(2), "on": strs("connect-failure")})), do("q", act("access_log", nil))},
		func(t *testing.T, p probe) string { return logged(within(10*time.Second, "/a"))(t, p) },
		"503: policy=q status=503 path=/a policy=q status=503 path=/a policy=q status=503 path=/a", "503:", closed},
	{"a refused stream", "grpc", ir.Egress, []policy{do("p", act("retry", args{"attempts": num(2), "on": strs("refused-stream")}))},
		refusing(2), "OK", "Unavailable", closed},
	{"a refused stream behind a chain", "grpc", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(2), "on": strs("refused-stream")})),
		do("q", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(9)}))},
		refusing(2), "OK", "Unavailable", closed},
	{"no header on the wrapper's own answer", "http", ir.Egress, []policy{
		do("p", act("timeout", args{"after": dur(300 * time.Millisecond)})),
		do("q", act("set_header", args{"name": str("x-resp"), "value": str("adm"), "of": str("response")}))},
		each(clientSaw("x-resp", "/"), clientSaw("x-resp", "/slow/1000")), "200 [adm] | 504 []", "200 [app] | 200 [app]", served},
	{"a wrapper's condition sees the request as it came", "http", ir.Egress, []policy{
		do("a", act("set_header", args{"name": str("x-group"), "value": str("beta")})),
		{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("timeout", args{"after": dur(300 * time.Millisecond)})}}},
		each(web("/slow/1000"), web("/slow/1000", "x-group", "beta"), appSaw("x-group")), "200 app | 504 upstream request timeout | [beta]", "200 app | 200 app | []", served},
	{"a wrapper's condition on a claim", "http", ir.Egress, []policy{
		do("a", act("jwt", args{"issuer": str("iss"), "jwks": str(testKeys)})),
		{name: "p", when: fn("_==_", claim("sub"), lit("fast")), reads: []string{"jwt.claims"}, actions: []*ir.Action{act("timeout", args{"after": dur(300 * time.Millisecond)})}}},
		each(web("/"), web("/slow/1000", "Authorization", bearer("iss", "shop", "slow")), web("/slow/1000", "Authorization", bearer("iss", "shop", "fast"))),
		"401 Jwt is missing | 200 app | 504 upstream request timeout", "200 app | 200 app | 200 app", served},
	{"retry, split and deny together", "http", ir.Egress, []policy{
		do("p", act("retry", args{"attempts": num(3)})),
		{name: "q", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}},
		do("r", act("route", args{"version": str("v1")}))},
		each(version("/"), web("/", "x-group", "beta"), reached(web("/status/503"), requests)), "v1 | 403 | 503 app; 4 reached the app", "- | 200 app | 503 app; 1 reached the app", served},
}
