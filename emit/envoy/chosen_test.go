//go:build linux

package envoy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"admc.dev/admc/lang/ir"
)

// chosen are rows of lb. The server has four pods; the address that the client
// dials is the one called "-".
var chosen = []row{
	{"lb round_robin", "http", ir.Egress, []policy{do("p", act("lb", nil))},
		spread(40, version("/")), "- p4 v1 v2, evenly", "-", served},
	{"lb round_robin", "tcp", ir.Egress, []policy{do("p", act("lb", nil))},
		spread(40, greeting), "hello from -, echo a hello from p4, echo a hello from v1, echo a hello from v2, echo a, evenly", hello, served},
	{"lb round_robin of one connection's calls", "grpc", ir.Egress, []policy{do("p", act("lb", nil))},
		rpcPods(40), "- p4 v1 v2, evenly", "-", served},
	{"lb random", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("random")}))},
		mix(60, version("/")), "- p4 v1 v2", "-", served},
	{"lb least_request", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("least_request")}))},
		busy(120, "/slowat/v1"), "- p4 v1 v2, v1 seldom", "-", served},
	{"lb round_robin is not least_request", "http", ir.Egress, []policy{do("p", act("lb", nil))},
		busy(120, "/slowat/v1"), "- p4 v1 v2", "-", served},
	{"lb by header", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("header:X-User")}))},
		each(sticks("x-user", ""), mix(60, version("/"))), "same key same pod; 4 pods | - p4 v1 v2", "same key same pod; 1 pods | -", served},
	{"lb by cookie", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("cookie:session")}))},
		sticks("cookie", "a=b; session="), "same key same pod; 4 pods", "same key same pod; 1 pods", served},
	{"lb by source", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("source")}))},
		sourceSticks(versionFrom), "same source same pod; several pods", "same source same pod; one pod", served},
	{"lb by source behind a wrapper", "http", ir.Egress, []policy{
		do("p", act("lb", args{"policy": str("ring_hash"), "key": str("source")})), do("q", act("retry", nil)), do("r", act("access_log", nil))},
		sourceSticks(versionFrom), "same source same pod; several pods", "same source same pod; one pod", served},
	{"lb by source", "tcp", ir.Egress, []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("source")}))},
		sourceSticks(greetingFrom), "same source same pod; several pods", "same source same pod; one pod", served},
	{"lb if", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("lb", nil)}}},
		each(mix(20, version("/")), spread(40, version("/", "x-group", "beta"))), "- | - p4 v1 v2, evenly", "- | -", served},
	{"locality", "http", ir.Egress, []policy{{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("locality", nil)}}},
		each(version("/"), version("/", "x-group", "beta")), "- | p4", "- | -", served},
	{"locality", "grpc", ir.Egress, []policy{do("p", act("locality", nil))}, rpcPods(4), "p4", "-", served},
	{"locality", "tcp", ir.Egress, []policy{do("p", act("locality", nil))}, greeting, "hello from p4, echo a", hello, served},
	{"locality behind a wrapper", "http", ir.Egress, []policy{do("p", act("locality", nil)), do("q", act("retry", args{"attempts": num(1)})), do("r", act("access_log", nil))},
		reached(version("/flaky/2"), requests), "p4; 2 reached the app", "-; 1 reached the app", served},
	{"lb and route", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("least_request")})), do("q", act("route", args{"version": str("v2")}))},
		mix(20, version("/")), "v2", "-", served},
	{"lb and split", "http", ir.Egress, []policy{do("p", act("lb", args{"policy": str("ring_hash"), "key": str("header:x-user")})), do("q", act("split", args{"weights": weights("v1", 0.5, "v2", 0.5)}))},
		mix(40, version("/")), "v1 v2", "-", served},
	{"lb and connect_timeout", "http", ir.Egress, []policy{do("p", act("lb", nil)), do("q", act("connect_timeout", args{"after": dur(time.Second)}))},
		spread(40, version("/")), "- p4 v1 v2, evenly", "-", served},
}

// spread makes n probes one after the other and gives the different outcomes,
// and whether each came about as often as the others.
func spread(n int, f func(*testing.T, probe) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		out := make([]string, n)
		for i := range out {
			out[i] = f(t, p)
		}
		return evenness(out)
	}
}

// evenness: Envoy's two workers each go round by themselves, so that a pod may
// have one more or less for each.
func evenness(out []string) string {
	counts := map[string]int{}
	for _, o := range out {
		counts[o]++
	}
	slices.Sort(out)
	text := strings.Join(slices.Compact(slices.Clone(out)), " ")
	for _, c := range counts {
		if d := c - len(out)/len(counts); d < -2 || d > 2 {
			return fmt.Sprint(text, ", unevenly ", counts)
		}
	}
	if len(counts) > 1 {
		text += ", evenly"
	}
	return text
}

// rpcPods makes n calls on one connection.
func rpcPods(n int) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		client := dialGRPC(t, p.n, p.address)
		var out []string
		for range n {
			var md metadata.MD
			if _, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{}, grpc.Header(&md)); err != nil {
				return err.Error()
			}
			out = append(out, strings.Join(md["x-pod"], ""))
		}
		return evenness(out)
	}
}

// busy makes n requests, eight at a time, and tells whether the pod v1 got less
// than two thirds of its share.
func busy(n int, path string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		var mu sync.Mutex
		counts := map[string]int{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range n / 8 {
					v := version(path)(t, p)
					mu.Lock()
					counts[v]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		var pods []string
		for pod := range counts {
			pods = append(pods, pod)
		}
		slices.Sort(pods)
		text := strings.Join(pods, " ")
		if counts["v1"] > 0 && counts["v1"] < n/6 {
			text += ", v1 seldom"
		}
		return text
	}
}

// sticks sends many keys, each a few times.
func sticks(header, before string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		pods := map[string]bool{}
		for k := range 24 {
			key := fmt.Sprintf("%skey-%d", before, k)
			first := version("/", header, key)(t, p)
			pods[first] = true
			for range 3 {
				if other := version("/", header, key)(t, p); other != first {
					return fmt.Sprintf("key %s at %s and at %s", key, first, other)
				}
			}
		}
		return fmt.Sprintf("same key same pod; %d pods", len(pods))
	}
}

// sourceSticks makes several requests from each of many addresses.
func sourceSticks(from func(p probe, ip string) string) func(*testing.T, probe) string {
	return func(t *testing.T, p probe) string {
		pods := map[string]bool{}
		for _, ip := range manyIPs {
			first := from(p, ip)
			pods[first] = true
			for range 4 {
				if other := from(p, ip); other != first {
					return fmt.Sprintf("%s at %s and at %s", ip, first, other)
				}
			}
		}
		if len(pods) > 1 {
			return "same source same pod; several pods"
		}
		return "same source same pod; one pod"
	}
}

func versionFrom(p probe, ip string) string {
	a := httpRequest{n: p.n, from: ip, address: p.address, path: "/"}.do()
	if a.err != nil {
		return a.err.Error()
	}
	return a.seen.Version
}

func greetingFrom(p probe, ip string) string {
	return greet(p.n.dialFrom(context.Background(), ip, p.address))
}
