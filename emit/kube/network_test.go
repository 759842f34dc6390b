package kube

import (
	"fmt"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// The open ranges and the closed ports are every TCP port, each once.
func TestOtherPorts(t *testing.T) {
	for _, closed := range [][]int{{1}, {65535}, {6379}, {80, 81}, {443, 80}, {80, 80}, {1, 65535}, {1, 2, 3}} {
		times := map[int]int{}
		for _, p := range closed {
			times[p] = 1
		}
		other := map[string]bool{}
		for _, r := range otherPorts(closed) {
			if r.Protocol != "TCP" {
				other[fmt.Sprintf("%s %d-%d", r.Protocol, r.Port, r.EndPort)] = true
				continue
			}
			if r.EndPort < r.Port {
				t.Errorf("%v: range %d-%d", closed, r.Port, r.EndPort)
			}
			for p := r.Port; p <= r.EndPort; p++ {
				times[p]++
			}
		}
		for p := 1; p <= 65535; p++ {
			if times[p] != 1 {
				t.Fatalf("%v: port %d is there %d times", closed, p, times[p])
			}
		}
		if len(times) != 65535 || !other["UDP 1-65535"] || !other["SCTP 1-65535"] {
			t.Errorf("%v: %d ports, %v", closed, len(times), other)
		}
	}
}

// guardWorld has a policy that must not fail open at cart, on its calls to
// redis, and other callers of redis that the policy leaves alone.
func guardWorld(others ...graph.Node) *world {
	cart, redis := serviceOn("cart", 8080, "http"), serviceOn("redis", 6379, "redis")
	w := newWorld(cart, redis)
	w.adm(cart, w.rule(ir.Egress, redis, "guard", true, action("deny", nil), cart))
	for _, o := range others {
		w.l.Graph.Calls = append(w.l.Graph.Calls, &graph.Call{From: o, To: redis, Port: 6379, Protocol: "redis"})
	}
	return w
}

const (
	redisService = "apiVersion: v1\nkind: Service\nmetadata: {name: redis, namespace: shop}\nspec:\n  selector: {app: redis}\n  ports: [{port: 6379, targetPort: 6379}]\n---\n"
	cartWorkload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop}\nspec:\n  template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: cart, image: cart}]}}\n---\n"
)

func workload(name, namespace, pod string) string {
	return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: %s}\nspec:\n  template: {metadata: {labels: {app: %s}}, spec: %s}\n---\n", name, namespace, name, pod)
}

func TestCloseWorld(t *testing.T) {
	job, remote := serviceOn("job", 1, "tcp"), serviceOn("remote", 1, "tcp")
	remote.Namespace = "far"
	const plainPod = "{containers: [{name: a, image: a}]}"
	for _, c := range []struct {
		name   string
		others []graph.Node
		base   string
		has    []string // of the NetworkPolicy; none: it is not made
		warns  string
	}{
		{name: "one caller", base: redisService + cartWorkload, has: []string{"admc.dev/adm: cart", "port: 6379\n"}},
		{name: "a caller without policies", others: []graph.Node{job}, base: redisService + cartWorkload + workload("job", "shop", plainPod),
			has: []string{"admc.dev/adm: cart", "app: job"}},
		{name: "from another namespace", others: []graph.Node{remote}, base: redisService + cartWorkload + workload("remote", "far", plainPod),
			has: []string{"kubernetes.io/metadata.name: far\n          podSelector:\n            matchLabels:\n              app: remote"}},
		{name: "the pods' port", base: strings.Replace(redisService, "targetPort: 6379", "targetPort: 7000", 1) + cartWorkload,
			has: []string{"port: 7000\n"}},
		{name: "from outside", others: []graph.Node{&graph.External{Name: "internet"}}, base: redisService + cartWorkload, warns: "internet calls it too"},
		{name: "an unknown caller", others: []graph.Node{job}, base: redisService + cartWorkload, warns: "its caller job"},
		{name: "an unknown receiver", base: cartWorkload, warns: "no Service or workload of that name"},
		{name: "an unknown port", base: strings.Replace(redisService, "targetPort: 6379", "targetPort: redis", 1) + cartWorkload, warns: "is not known"},
		{name: "on the node's network", base: redisService + cartWorkload + workload("redis", "shop", "{hostNetwork: true}"), warns: "node's network"},
		{name: "policies of the base", base: redisService + cartWorkload +
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all, namespace: shop}\nspec: {podSelector: {}}\n", warns: "NetworkPolicy all"},
		{name: "policies for what goes out", base: redisService + cartWorkload +
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Egress]}\n", has: []string{"app: redis"}},
		{name: "policies of another namespace", base: redisService + cartWorkload +
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all, namespace: far}\nspec: {podSelector: {}}\n", has: []string{"app: redis"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			unpackText(t, dir, map[string]string{"kustomization.yaml": "resources: [all.yaml]\n", "all.yaml": c.base})
			var bag diag.Bag
			base, err := LoadBase(dir, &bag)
			if err != nil {
				t.Fatal(err)
			}
			out := guardWorld(c.others...).emitted(Backend{Base: base, BaseRef: "../base"}, &bag)
			np, made := out.Get("network/redis.yaml")
			if made != (len(c.has) > 0) {
				t.Errorf("made: %v\n%s%s", made, np, text(&bag))
			}
			for _, s := range c.has {
				if !strings.Contains(string(np), s) {
					t.Errorf("no %q in\n%s", s, np)
				}
			}
			said := text(&bag)
			if c.warns == "" && said != "" || !strings.Contains(said, c.warns) {
				t.Errorf("said\n%s", said)
			}
			readme, _ := out.Get("README.md")
			if open := strings.Contains(string(readme), "What stays open"); open == made {
				t.Errorf("the README is wrong about what stays open:\n%s", readme)
			}
		})
	}
}

// Without a base nothing is known of the pods; a policy that may fail open needs
// no closing.
func TestNothingToClose(t *testing.T) {
	var bag diag.Bag
	guardWorld().emitted(Backend{}, &bag)
	if !strings.Contains(text(&bag), "without a base") {
		t.Errorf("%s", text(&bag))
	}
	cart, redis := serviceOn("cart", 8080, "http"), serviceOn("redis", 6379, "redis")
	w := newWorld(cart, redis)
	w.adm(cart, w.rule(ir.Egress, redis, "limit", false, action("rate_limit", nil), cart))
	bag = diag.Bag{}
	if w.emitted(Backend{}, &bag); len(bag.All()) > 0 {
		t.Errorf("%s", text(&bag))
	}
}
