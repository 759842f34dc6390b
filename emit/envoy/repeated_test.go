//go:build linux

package envoy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// copied are rows of mirror.
var copied = []row{
	{"mirror", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")}))},
		arrived(sending(1000, "/a?b=c")), "200 app: - POST /a?b=c 1000, v2 POST /a?b=c 1000", "200 app: - POST /a?b=c 1000", served},
	{"mirror of a large body", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")}))},
		arrived(sending(3<<20, "/a")), "200 app: - POST /a 3145728, v2 POST /a 3145728", "200 app: - POST /a 3145728", served},
	{"mirror if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("mirror", args{"version": str("v2")})}}},
		arrived(each(web("/a"), web("/b", "x-group", "beta"))), "200 app | 200 app: - GET /a 0, - GET /b 0, v2 GET /b 0", "200 app | 200 app: - GET /a 0, - GET /b 0", served},
	{"two mirrors", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("mirror", args{"version": str("v2")})}},
		{name: "q", when: headerIs("x-fast", "1"), reads: []string{`request.headers["x-fast"]`}, actions: []*ir.Action{act("mirror", args{"version": str("v1")})}}},
		arrived(web("/a", "x-group", "beta", "x-fast", "1")), "200 app: - GET /a 0, v1 GET /a 0, v2 GET /a 0", "200 app: - GET /a 0", served},
	{"mirror of a share", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2"), "share": float(0.5)}))},
		copiesOf(80), "about half", "none", served},
	{"mirror to nowhere", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v9")})), do("q", act("mirror", args{"version": str("v1")}))},
		arrived(web("/a")), "200 app: - GET /a 0, v1 GET /a 0", "200 app: - GET /a 0", served},
	{"mirror and route", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")})), do("q", act("route", args{"version": str("v1")}))},
		arrived(web("/a")), "200 app: v1 GET /a 0, v2 GET /a 0", "200 app: - GET /a 0", served},
	{"mirror of what was changed", "http", ir.Egress, []policy{
		{name: "a", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}}, do("p", act("mirror", args{"version": str("v2")}))},
		arrived(each(web("/a"), web("/a", "x-group", "beta"))), "200 app | 403: - GET /a 0, v2 GET /a 0", "200 app | 200 app: - GET /a 0, - GET /a 0", served},
	{"mirror of each attempt", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")})), do("q", act("retry", args{"attempts": num(2)}))},
		arrived(web("/status/503")), "503 app: - GET /status/503 0, - GET /status/503 0, - GET /status/503 0, v2 GET /status/503 0, v2 GET /status/503 0, v2 GET /status/503 0", "503 app: - GET /status/503 0", served},
	{"mirror with a timeout", "http", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")})), do("q", act("timeout", args{"after": dur(200 * time.Millisecond)}))},
		each(web("/slow/1000"), arrived(web("/a"))), "504 upstream request timeout | 200 app: - GET /a 0, v2 GET /a 0", "200 app | 200 app: - GET /a 0", served},
	{"mirror", "grpc", ir.Egress, []policy{do("p", act("mirror", args{"version": str("v2")}))},
		arrived(rpc("x")), "OK: - x, v2 x", "OK: - x", served},
}

// hedged are rows of hedge. Only the first request to each port is slow.
var hedged = []row{
	{"hedge", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)}))},
		each(reached(atLeast(800*time.Millisecond, web("/steps/s900")), requests), reached(web("/"), requests)), "200 app; 2 reached the app | 200 app; 1 reached the app", "200 app late; 1 reached the app | 200 app; 1 reached the app", served},
	{"hedge", "grpc", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)}))},
		reached(atLeast(800*time.Millisecond, rpc("steps/s900")), requests), "OK; 2 reached the app", "OK late; 1 reached the app", served},
	{"hedge if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("hedge", args{"after": dur(100 * time.Millisecond)})}}},
		each(reached(web("/slow/300"), requests), reached(web("/slow/300", "x-group", "beta"), requests)), "200 app; 1 reached the app | 200 app; 2 reached the app", "200 app; 1 reached the app | 200 app; 1 reached the app", served},
	{"hedge is no retry", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)}))},
		each(reached(web("/status/503"), requests), reached(web("/slow/300"), requests)), "503 app; 1 reached the app | 200 app; 2 reached the app", "503 app; 1 reached the app | 200 app; 1 reached the app", served},
	{"hedge with a timeout", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)})), do("q", act("timeout", args{"after": dur(400 * time.Millisecond)}))},
		reached(web("/slow/1000"), requests), "504 upstream request timeout; 2 reached the app", "200 app; 1 reached the app", served},
	{"hedge outside retry", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(150 * time.Millisecond)})), do("q", act("retry", args{"attempts": num(1)}))},
		reached(atLeast(900*time.Millisecond, web("/steps/s1000,503,200")), requests), "200 app; 3 reached the app", "200 app late; 1 reached the app", served},
	{"hedge outside retry and a counter", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(150 * time.Millisecond)})), do("q", act("retry", args{"attempts": num(1)})),
		do("r", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(3)}))},
		each(reached(atLeast(900*time.Millisecond, web("/steps/s1000,503,200")), requests), web("/")), "200 app; 3 reached the app | 429 local_rate_limited", "200 app late; 1 reached the app | 200 app", served},
	{"hedged attempts are counted", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)})),
		do("r", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(2)}))},
		each(reached(web("/steps/s600"), requests), web("/")), "200 app; 2 reached the app | 429 local_rate_limited", "200 app; 1 reached the app | 200 app", served},
	{"a large body is hedged", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(300 * time.Millisecond)}))},
		reached(sending(3<<20, "/steps/s1500"), requests), "200 app; 2 reached the app", "200 app; 1 reached the app", served},
}

// ejected are rows of outlier_detection. The pod v1 is ill.
var ejected = []row{
	{"outlier_detection", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3))},
		each(failuresOf(24, web("/illat/v1")), later(failuresOf(24, web("/illat/v1")))), "3 failed | 3 failed", "0 failed | 0 failed", served},
	{"outlier_detection", "grpc", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3))},
		failuresOf(24, rpc("illat/v1")), "3 failed", "0 failed", served},
	{"outlier_detection", "tcp", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3))},
		failuresOf(24, greeting), "3 failed", "0 failed", refusingAtV1},
	{"outlier_detection of connections", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3))},
		failuresOf(24, web("/")), "3 failed", "0 failed", refusingAtV1},
	{"outlier_detection of all pods", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3))},
		paced(16, web("/status/500")), "12 times 500 app, 4 times 503 no healthy upstream", "16 times 500 app", served},
	{"outlier_detection if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("outlier_detection", avoiding3)}}},
		each(mix(10, version("/")), failuresOf(24, web("/illat/v1", "x-group", "beta"))), "- | 3 failed", "- | 0 failed", served},
	{"outlier_detection with retry", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoidingLong)), do("q", act("retry", args{"on": strs("5xx")}))},
		reached(failuresOf(24, unhurried(web("/illat/v1"))), requests), "0 failed; 27 reached the app", "0 failed; 24 reached the app", served},
	{"outlier_detection with lb and a counter behind a retry", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoidingLong)), do("q", act("retry", args{"on": strs("5xx")})),
		do("r", act("lb", nil)), do("s", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(26)}))},
		reached(failuresOf(24, unhurried(web("/illat/v1"))), requests), "1 failed; 26 reached the app", "0 failed; 24 reached the app", served},
	{"outlier_detection of one version", "http", ir.Egress, []policy{do("p", act("outlier_detection", avoiding3)), do("q", act("split", args{"weights": weights("v1", 0.5, "v2", 0.5)}))},
		func(t *testing.T, p probe) string {
			mix(40, web("/illat/v1"))(t, p)
			time.Sleep(time.Second) // the workers hear of it from the main thread
			return mix(40, web("/illat/v1"))(t, p)
		}, "200 app 503 no healthy upstream", "200 app", served},
	{"a hedged request is no failed one", "http", ir.Egress, []policy{do("p", act("outlier_detection", args{"errors": num(1), "interval": dur(100 * time.Millisecond), "eject": dur(time.Minute)})),
		do("q", act("hedge", args{"after": dur(50 * time.Millisecond)}))},
		reached(mix(8, web("/slow/200")), requests), "200 app; 16 reached the app", "200 app; 8 reached the app", served},
}

var avoiding3 = args{"errors": num(3), "interval": dur(100 * time.Millisecond), "eject": dur(1500 * time.Millisecond)}

var avoidingLong = args{"errors": num(3), "interval": dur(100 * time.Millisecond), "eject": dur(time.Minute)}

// unhurried lets Envoy's main thread, which ejects pods, keep up.
func unhurried(f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		time.Sleep(pace)
		return f(t, p)
	}
}

// failuresOf makes n probes one after the other.
func failuresOf(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		failed := 0
		for range n {
			if out := f(t, p); !strings.HasPrefix(out, "200") && !strings.HasPrefix(out, "OK") && !strings.HasPrefix(out, "hello") {
				failed++
				time.Sleep(pace)
			}
		}
		return fmt.Sprintf("%d failed", failed)
	}
}

// pace gives Envoy's main thread, which ejects pods, the time to do so.
const pace = 60 * time.Millisecond

// paced counts the outcomes of n probes.
func paced(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		counts := map[string]int{}
		for range n {
			counts[f(t, p)]++
			time.Sleep(pace)
		}
		var out []string
		for outcome, c := range counts {
			out = append(out, fmt.Sprintf("%d times %s", c, outcome))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
}

// later waits until what was ejected is back.
func later(f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		time.Sleep(2 * time.Second)
		return f(t, p)
	}
}

// arrived adds what came to the app, at which pod; without the host, which is
// the one dialled.
func arrived(f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		before := len(p.app.arrivals())
		out := f(t, p)
		time.Sleep(400 * time.Millisecond) // nobody waits for a copy
		list := p.app.arrivals()[before:]
		for i := range list {
			list[i] = strings.Replace(list[i], " "+p.address+"/", " /", 1)
		}
		slices.Sort(list)
		return out + ": " + strings.Join(list, ", ")
	}
}

// copiesOf counts the copies of n requests.
func copiesOf(n int) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		before := p.app.requests.Load()
		mix(n, web("/"))(t, p)
		time.Sleep(400 * time.Millisecond)
		switch copies := int(p.app.requests.Load()-before) - n; {
		case copies == 0:
			return "none"
		case copies > n/4 && copies < n*3/4:
			return "about half"
		default:
			return fmt.Sprint(copies)
		}
	}
}
