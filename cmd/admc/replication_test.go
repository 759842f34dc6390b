//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"admc.dev/admc/cmd/admc/testbed"
)

// replicationGraph: a replica of one service calls the master of another.
const replicationGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: replication, namespace: default}
services:
  master:  {ports: [{port: 6379, protocol: redis}]}
  replica: {}
calls:
  - {from: replica, to: [master]}
`

// TestRedisReplication: a replica copies its master through the ADMs of both, and
// goes on from where it was when either comes back.
func TestRedisReplication(t *testing.T) {
	for _, tc := range []struct {
		name, program string
		adms          []string
		sees          string // the address that the master has of its replica
	}{
		{"at both ends", `
			@egress  @fail(closed) policy out { on replica -> master  rate_limit(rate: 1000/s) }
			@ingress @fail(closed) policy in  { on * -> master  rate_limit(rate: 1000/s, scope: "service") }`,
			[]string{"master", "replica"}, "master"},
		{"at the replica", `
			@egress @fail(closed) policy out { on replica -> master  rate_limit(rate: 1000/s) }`, []string{"replica"}, "replica"},
		{"no policy", ``, nil, "replica"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bed := testbed.New(t)
			pods := map[string]*testbed.Pod{"master": bed.Pod("master", "default"), "replica": bed.Pod("replica", "default")}
			pods["master"].Redis(6379, "--repl-diskless-sync-delay", "0")
			out := compileForTest(t, replicationGraph, tc.program)
			if n := len(glob(t, out, "adm", "*", "envoy.yaml")); n != len(tc.adms) {
				t.Fatalf("%d ADMs, want %q", n, tc.adms)
			}
			adms := map[string]*testbed.ADM{}
			for _, a := range tc.adms {
				adms[a] = pods[a].ADM(out)
			}
			pods["replica"].Redis(6379, "--replicaof", "master", "6379")
			at := func(pod string, command ...string) string {
				t.Helper()
				said, err := pods[pod].Run(append([]string{"redis-cli", "-h", "127.0.0.1"}, command...)...)
				if err != nil {
					t.Fatalf("redis-cli in %s: %v: %s", pod, err, said)
				}
				return said
			}
			follows := func(value string) {
				t.Helper()
				at("master", "set", "k", value)
				await(t, "the replica has "+value, func() bool { return at("replica", "get", "k") == value })
			}
			info := func(section, name string) string {
				for line := range strings.Lines(at("master", "info", section)) {
					if value, ok := strings.CutPrefix(line, name+":"); ok {
						return strings.TrimSpace(value)
					}
				}
				return ""
			}
			at("master", "eval", "for i=1,50000 do redis.call('set', 'k'..i, string.rep('x', 100)) end", "0")
			follows("first")
			if got := at("replica", "dbsize"); got != "50001" {
				t.Errorf("the replica has %s keys, want 50001", got)
			}
			if got, want := info("replication", "slave0"), "ip="+pods[tc.sees].Address.String()+",port=6379,state=online"; !strings.HasPrefix(got, want) {
				t.Errorf("the master sees %q, want %q", got, want)
			}
			for _, a := range tc.adms {
				adms[a].Kill()
				await(t, "the master misses its replica", func() bool { return info("replication", "connected_slaves") == "0" })
				at("master", "set", "k", "while it was away")
				if got := at("replica", "get", "k"); got == "while it was away" {
					t.Error("it was not away")
				}
				adms[a].Start()
				await(t, "the replica is back", func() bool { return at("replica", "get", "k") == "while it was away" })
				follows("after " + a)
			}
			if full, partial := info("stats", "sync_full"), info("stats", "sync_partial_ok"); full != "1" || partial != fmt.Sprint(len(tc.adms)) {
				t.Errorf("%s copies of everything and %s of what was missing, want 1 and %d", full, partial, len(tc.adms))
			}
		})
	}
}

// setGraph: a client of a set whose members have one service.
const setGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: set, namespace: default}
services:
  app:   {}
  mongo: {replicas: 3, workload: StatefulSet/mongo, ports: [{port: 27017, protocol: mongodb}]}
calls:
  - {from: app, to: [mongo]}
`

// TestReplicaSet: whoever is dialled by its address answers, through the ADMs of
// both ends too: no proxy may take one member for another.
func TestReplicaSet(t *testing.T) {
	const members = 3
	for _, tc := range []struct {
		name, program   string
		egress, ingress bool
	}{
		{"at both ends", `
			@egress  policy out { on app -> mongo  rate_limit(rate: 1000/s) }
			@ingress policy in  { on * -> mongo  rate_limit(rate: 1000/s, scope: "pod") }`, true, true},
		{"egress", `@egress policy out { on app -> mongo  rate_limit(rate: 1000/s) }`, true, false},
		{"ingress", `@ingress policy in { on * -> mongo  rate_limit(rate: 1000/s, scope: "pod") }`, false, true},
		{"no policy", ``, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bed := testbed.New(t)
			app := bed.Pod("app", "default")
			var pods []*testbed.Pod
			var hosts []string
			for range members {
				p := bed.Pod("mongo", "default")
				pods, hosts = append(pods, p), append(hosts, p.Address.String()+":27017")
			}
			for i, p := range pods {
				p.Member(27017, hosts[i], hosts...)
			}
			out := compileForTest(t, setGraph, tc.program)
			var adms []*testbed.ADM
			if tc.ingress {
				for _, p := range pods {
					adms = append(adms, p.ADM(out))
				}
			}
			if tc.egress {
				adms = append(adms, app.ADM(out))
			}
			first := member(t, app, "mongo:27017")
			if len(first.Hosts) != members {
				t.Fatalf("the list is %q", first.Hosts)
			}
			// In turns, so that a proxy that goes round its pods is seen.
			const turns = 5
			for range turns {
				for _, h := range first.Hosts {
					if got := member(t, app, h); got.Me != h {
						t.Errorf("%s was dialled and %s answered", h, got.Me)
					}
				}
			}
			for i, a := range adms {
				c, err := a.Counters()
				if err != nil {
					t.Fatal(err)
				}
				want := uint64(turns)
				if tc.egress && i == len(adms)-1 {
					want = members*turns + 1
				}
				if n := c.Accepted + c.Inbound; n < want {
					t.Errorf("%d connections went through ADM %d, want %d", n, i, want)
				}
			}
		})
	}
}

// member asks who is there.
func member(t *testing.T, from *testbed.Pod, addr string) testbed.SetMember {
	t.Helper()
	m, err := from.AskMember(addr)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
