package kube

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// closes makes the program close a service to what the graph has.
func (w *world) closes(s *graph.Service, calls ...*graph.Call) {
	w.l.Graph.Calls = append(w.l.Graph.Calls, calls...)
	p := &ir.Policy{Name: "only", At: w.src.Span(0, 8), Closed: w.src.Span(0, 8)}
	w.l.Program.Closed = append(w.l.Program.Closed, &ir.Closed{Service: s, Policies: []*ir.Policy{p}, Calls: calls})
}

func callTo(from, to graph.Node, port int) *graph.Call {
	return &graph.Call{From: from, To: to, Port: port, Protocol: "tcp"}
}

// compiled writes the overlay beside the base and renders it, or the base alone.
func (w *world) compiled(t *testing.T, base string) (after, before *cluster, bag *diag.Bag) {
	t.Helper()
	dir := t.TempDir()
	unpackText(t, dir, map[string]string{"base/kustomization.yaml": "resources: [all.yaml]\n", "base/all.yaml": base})
	bag = &diag.Bag{}
	b, err := LoadBase(filepath.Join(dir, "base"), bag)
	if err != nil || bag.HasErrors() {
		t.Fatal(err, text(bag))
	}
	if err := emit.Write(filepath.Join(dir, "out"), w.emitted(Backend{Base: b, BaseRef: "../base"}, bag)); err != nil {
		t.Fatal(err)
	}
	return newCluster(t, renderDir(t, filepath.Join(dir, "out"))), newCluster(t, renderDir(t, filepath.Join(dir, "base"))), bag
}

// closedBase has cart, whose Service maps ports, and what it calls: redis by a
// named port, a headless store, a service of another namespace, and a Service
// that the graph does not have.
const closedBase = `apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template: {metadata: {labels: {app: cart, team: a}}, spec: {containers: [{name: cart, image: cart}]}}
---
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: shop}
spec: {selector: {app: redis}, ports: [{port: 6379, targetPort: db}, {name: metrics, port: 9121}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: shop}
spec:
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template: {metadata: {labels: {app: redis}}, spec: {containers: [{name: redis, image: redis, ports: [{name: db, containerPort: 7000}]}]}}
---
apiVersion: v1
kind: Service
metadata: {name: mongo, namespace: shop}
spec: {clusterIP: None, selector: {app: mongo}, ports: [{port: 27017, targetPort: 27018}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mongo, namespace: shop}
spec:
  serviceName: mongo
  selector: {matchLabels: {app: mongo}}
  template: {metadata: {labels: {app: mongo}}, spec: {containers: [{name: mongo, image: mongo}]}}
---
apiVersion: v1
kind: Service
metadata: {name: audit, namespace: far}
spec: {selector: {app: audit}, ports: [{port: 90}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: audit, namespace: far}
spec:
  selector: {matchLabels: {app: audit}}
  template: {metadata: {labels: {app: audit}}, spec: {containers: [{name: audit, image: audit}]}}
---
apiVersion: v1
kind: Service
metadata: {name: keys, namespace: far}
spec: {selector: {app: keys}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: v1
kind: Service
metadata: {name: otel, namespace: far}
spec: {selector: {app: otel}, ports: [{port: 4317}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: audit, namespace: shop}
spec:
  selector: {matchLabels: {app: audit}}
  template: {metadata: {labels: {app: audit}}, spec: {containers: [{name: audit, image: audit}]}}
---
`

// closedWorld closes cart to redis, mongo, audit of another namespace, and two
// hosts outside. Its ADM asks for keys, and hands in spans.
func closedWorld() *world {
	cart, redis, mongo, audit := serviceOn("cart", 80, "http"), serviceOn("redis", 6379, "redis"), serviceOn("mongo", 27017, "mongodb"), serviceOn("far/audit", 90, "http")
	redis.Workload.Kind, mongo.Workload.Kind = "StatefulSet", "StatefulSet"
	audit.Namespace, audit.Workload.Name = "far", "audit"
	bank := &graph.External{Name: "bank", Host: "bank.example.com", Port: 443, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8::/64")}}
	fixed := &graph.External{Name: "fixed", Host: "198.51.100.7", Port: 8443}
	w := newWorld(cart, redis, mongo, audit)
	w.closes(cart, callTo(cart, redis, 6379), callTo(cart, mongo, 27017), callTo(cart, audit, 90), callTo(cart, bank, 443), callTo(cart, fixed, 8443))
	return w
}

// What a proxy asks is what its policy names, and nobody where it counts by itself.
func TestAsks(t *testing.T) {
	address := ir.Value{Kind: ir.String, Str: "ratelimit.infra:8081"}
	for want, args := range map[string]map[string]ir.Value{
		"ratelimit.infra 8081": {"address": address, "global": {Kind: ir.Bool, Bool: true}},
		" 0":                   {"address": address, "global": {Kind: ir.Bool}},
		"guard 9191":           {"address": {Kind: ir.String, Str: "guard:9191"}},
		"keys.test 443":        {"jwks_uri": {Kind: ir.String, Str: "https://keys.test/a"}},
	} {
		host, port := asks(action("a", args))
		if got := fmt.Sprint(host, " ", port); got != want {
			t.Errorf("%v: got %q, want %q", args, got, want)
		}
	}
}

// The pods of a closed service reach what they call, and nothing else; without
// the policy they reach all of it.
func TestClosed(t *testing.T) {
	w := closedWorld()
	cart := w.l.Graph.Services[0]
	jwt := action("jwt", map[string]ir.Value{"jwks_uri": {Kind: ir.String, Str: "https://keys.far.svc.cluster.local/certs"}})
	trace := action("trace", map[string]ir.Value{"collector": {Kind: ir.String, Str: "otel.far.svc.cluster.local:4317"}})
	l := w.rule(ir.Ingress, cart, "tokens", true, jwt, &graph.External{Name: "internet"})
	spans := w.rule(ir.Ingress, cart, "spans", false, trace, &graph.External{Name: "internet"})
	l.ReceiverPort, spans.ReceiverPort = 8080, 8080
	w.adm(cart, l, spans)
	after, before, bag := w.compiled(t, closedBase)
	if len(bag.All()) > 0 {
		t.Error(text(bag))
	}
	for _, c := range []*cluster{after, before} {
		c.add("dns", "kube-system", map[string]string{"k8s-app": "kube-dns"})
		c.add("api", "kube-system", map[string]string{"component": "kube-apiserver"})
		c.add("fake-dns", "shop", map[string]string{"k8s-app": "kube-dns"})
		c.add("keys", "far", map[string]string{"app": "keys"})
		c.add("otel", "far", map[string]string{"app": "otel"})
		c.add("other cart", "shop", map[string]string{"app": "cart"})
		// The audit of the namespace shop is no call of cart's.
		for i, p := range c.pods {
			if p.name == "audit" {
				c.pods[i].name = p.namespace + "/audit"
			}
		}
	}
	for _, try := range []struct {
		to       string
		protocol corev1.Protocol
		port     int
		want     bool
	}{
		{"redis", "TCP", 7000, true},   // the pods' port
		{"redis", "TCP", 6379, false},  // the Service's, which is rewritten before
		{"redis", "TCP", 9121, false},  // not called
		{"redis", "UDP", 7000, false},  // calls are TCP
		{"mongo", "TCP", 27017, true},  // headless: as dialled
		{"mongo", "TCP", 27018, true},  // or the target port
		{"mongo", "TCP", 22, false},    //
		{"far/audit", "TCP", 90, true}, //
		{"far/audit", "TCP", 91, false},
		{"shop/audit", "TCP", 90, false},
		{"keys", "TCP", 8443, true}, // the ADM's
		{"keys", "TCP", 443, false},
		{"otel", "TCP", 4317, true}, // the ADM's
		{"dns", "UDP", 53, true},
		{"dns", "TCP", 53, true},
		{"dns", "TCP", 9153, false},
		{"fake-dns", "UDP", 53, false},
		{"api", "TCP", 6443, false},
		{"other cart", "TCP", 7946, true},
		{"other cart", "UDP", 7946, true},
		{"169.254.20.10", "UDP", 53, true},
		{"192.0.2.15", "TCP", 443, true},
		{"192.0.2.16", "TCP", 443, false},
		{"192.0.2.15", "TCP", 80, false},
		{"2001:db8::1", "TCP", 443, true},
		{"2001:db8:1::1", "TCP", 443, false},
		{"198.51.100.7", "TCP", 8443, true},
		{"198.51.100.8", "TCP", 8443, false},
		{"203.0.113.1", "TCP", 443, false},
	} {
		to := func(c *cluster) *simPod {
			if strings.ContainsAny(try.to, ":") || try.to[0] >= '0' && try.to[0] <= '9' {
				return outside(try.to)
			}
			return c.pod(t, try.to)
		}
		if got := after.reaches(t, after.pod(t, "cart"), to(after), try.protocol, try.port); got != try.want {
			t.Errorf("cart to %s:%d/%s: %v", try.to, try.port, try.protocol, got)
		}
		if !before.reaches(t, before.pod(t, "cart"), to(before), try.protocol, try.port) {
			t.Errorf("without the policy, cart does not reach %s:%d", try.to, try.port)
		}
	}
	// Others are not closed, and cart is still called.
	if !after.reaches(t, after.pod(t, "redis"), after.pod(t, "mongo"), "TCP", 22) || !after.reaches(t, after.pod(t, "redis"), after.pod(t, "cart"), "TCP", 8080) {
		t.Error("closing cart closes something else")
	}
}

// What can't be closed, or not as written, is said, with a way out.
func TestClosedGaps(t *testing.T) {
	redisOnNode := strings.Replace(closedBase, "spec: {containers: [{name: redis", "spec: {hostNetwork: true, containers: [{name: redis", 1)
	egress := func(spec string) string {
		return closedBase + "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: extra, namespace: shop}\nspec: " + spec + "\n---\n"
	}
	with := func(change func(w *world, cl *ir.Closed)) func() *world {
		return func() *world {
			w := closedWorld()
			change(w, w.l.Program.Closed[0])
			return w
		}
	}
	bank := func(w *world) *graph.External { return w.l.Program.Closed[0].Calls[3].To.(*graph.External) }
	for _, c := range []struct {
		name, base string
		world      func() *world
		says       string // "": nothing
		made       bool
	}{
		{name: "nothing", made: true},
		{name: "pods on the node's network", base: redisOnNode, says: "it calls redis, whose pods use the node's network"},
		{name: "with addresses", base: redisOnNode, made: true, world: with(func(w *world, cl *ir.Closed) {
			cl.Calls[0].To.(*graph.Service).Addresses = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")}
		})},
		{name: "its own pods on the node's network", base: strings.Replace(closedBase, "spec: {containers: [{name: cart", "spec: {hostNetwork: true, containers: [{name: cart", 1), says: "its pods use the node's network"},
		{name: "an unknown service", base: strings.ReplaceAll(closedBase, "name: mongo", "name: mongod"), says: "it calls mongo, of which the base has no Service"},
		{name: "an unknown port", base: strings.Replace(closedBase, "name: db, containerPort", "name: dbs, containerPort", 1), says: "the pods' port behind redis:6379 is not known"},
		{name: "shared labels", base: closedBase +
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: web, image: web}]}}}\n---\n",
			world: with(func(w *world, cl *ir.Closed) {
				w.l.Graph.Services = append(w.l.Graph.Services, serviceOn("web", 1, "http"))
			}), says: "app=cart are those of web's pods, too"},
		{name: "a receiver with shared labels", made: true, base: closedBase +
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {selector: {matchLabels: {app: redis}}, template: {metadata: {labels: {app: redis, part: web}}, spec: {containers: [{name: redis, image: redis, ports: [{name: db, containerPort: 7000}]}]}}}\n---\n",
			world: with(func(w *world, cl *ir.Closed) {
				w.l.Graph.Services = append(w.l.Graph.Services, serviceOn("web", 1, "http"))
			}), says: "@closed of cart is wider than written: the pods of web have the labels app=redis of those of redis, too"},
		{name: "other labels", base: strings.Replace(closedBase, "labels: {app: cart, team: a}", "labels: {app: carts}", 1), says: "do not have the labels app=cart of its Service"},
		{name: "a name outside", made: true, world: with(func(w *world, cl *ir.Closed) { bank(w).Addresses = nil }), says: "port 443 of every address is open, because external bank is bank.example.com"},
		{name: "a name inside", world: with(func(w *world, cl *ir.Closed) { bank(w).Addresses, bank(w).Host = nil, "kafka" }), says: "external bank, which is kafka in the cluster"},
		{name: "a name of another namespace", world: with(func(w *world, cl *ir.Closed) { bank(w).Addresses, bank(w).Host = nil, "kafka.far" }), says: "external bank, which is kafka.far in the cluster"},
		{name: "a Service that the graph lacks", made: true, world: with(func(w *world, cl *ir.Closed) { bank(w).Addresses, bank(w).Host = nil, "keys.far" })},
		{name: "the node's name servers", made: true, base: strings.Replace(closedBase, "spec: {containers: [{name: cart", "spec: {dnsPolicy: Default, containers: [{name: cart", 1), says: "ask the name servers of their nodes"},
		{name: "what is denied", base: egress("{podSelector: {}, policyTypes: [Egress]}"), made: true},
		{name: "for what comes in", base: egress("{podSelector: {}, ingress: [{}]}"), made: true},
		{name: "other pods", base: egress("{podSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}, egress: [{}]}"), made: true},
		{name: "another namespace", base: strings.Replace(egress("{podSelector: {}, egress: [{}]}"), "extra, namespace: shop", "extra, namespace: far", 1), made: true},
		{name: "all", base: egress("{podSelector: {matchExpressions: [{key: team, operator: In, values: [a]}]}, egress: [{}]}"), made: true, says: "NetworkPolicy extra of the base selects the same pods, its egress rule 1 admits more"},
		{name: "lookups anywhere", base: egress("{podSelector: {}, egress: [{ports: [{port: 53, protocol: UDP}]}]}"), made: true, says: "NetworkPolicy extra"},
		{name: "lookups where they belong", base: egress("{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]}"), made: true},
		{name: "what it calls", base: egress("{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: redis}}}], ports: [{port: 7000}]}, {to: [{ipBlock: {cidr: 192.0.2.4/30}}], ports: [{port: 443}]}]}"), made: true},
		{name: "another port of what it calls", base: egress("{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: redis}}}], ports: [{port: 7000}]}, {to: [{podSelector: {matchLabels: {app: redis}}}], ports: [{port: 7000, endPort: 7001}]}]}"), made: true, says: "its egress rule 2"},
		{name: "every port of what it calls", base: egress("{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: redis}}}]}]}"), made: true, says: "NetworkPolicy extra"},
		{name: "the namespace", base: egress("{podSelector: {}, egress: [{to: [{podSelector: {}}], ports: [{port: 7000}]}]}"), made: true, says: "NetworkPolicy extra"},
		{name: "more addresses", base: egress("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]}"), made: true, says: "NetworkPolicy extra"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.base == "" {
				c.base = closedBase
			}
			if c.world == nil {
				c.world = closedWorld
			}
			w := c.world()
			dir := t.TempDir()
			unpackText(t, dir, map[string]string{"kustomization.yaml": "resources: [all.yaml]\n", "all.yaml": c.base})
			var bag diag.Bag
			base, err := LoadBase(dir, &bag)
			if err != nil {
				t.Fatal(err)
			}
			out := w.emitted(Backend{Base: base, BaseRef: "../base"}, &bag)
			np, made := out.Get("network/cart.yaml")
			if made != c.made {
				t.Errorf("made: %v\n%s", made, np)
			}
			said := text(&bag)
			if c.says == "" && said != "" || !strings.Contains(said, c.says) {
				t.Errorf("said\n%s", said)
			}
			if c.says != "" && !strings.Contains(said, "hint: ") {
				t.Errorf("no way out:\n%s", said)
			}
			readme, _ := out.Get("README.md")
			if open := strings.Contains(string(readme), "What stays open"); open != (c.says != "") {
				t.Errorf("the README is wrong about what stays open:\n%s", readme)
			}
			if has := strings.Contains(string(readme), "| cart | redis:6379, mongo:27017, far/audit:90, bank:443"); has != c.made {
				t.Errorf("the README is wrong about what is closed:\n%s", readme)
			}
		})
	}
}

// Every example with all of its services closed: each pod reaches each port that
// the graph says it calls, its own pods, and no other port of any pod.
func TestClosedExamples(t *testing.T) {
	bases, err := filepath.Glob("../../examples/*/base")
	if err != nil || len(bases) < 3 {
		t.Fatalf("%v, %v", bases, err)
	}
	for _, dir := range bases {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			g := loadGraph(t, filepath.Join(filepath.Dir(dir), "graph.yaml"))
			w := &world{src: g.Src, l: &layout.Layout{Graph: g, Program: &ir.Program{}, Placement: &solver.Placement{}, Header: header}}
			for _, s := range g.Services {
				p := &ir.Policy{Name: "all", At: s.At, Closed: s.At}
				calls := slices.DeleteFunc(slices.Clone(g.CallsFrom(s)), func(c *graph.Call) bool { return c.To == graph.Node(s) })
				w.l.Program.Closed = append(w.l.Program.Closed, &ir.Closed{Service: s, Policies: []*ir.Policy{p}, Calls: calls})
			}
			abs, err := filepath.Abs(dir)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			ref, err := filepath.Rel(out, abs)
			if err != nil {
				t.Fatal(err)
			}
			var bag diag.Bag
			b, err := LoadBase(dir, &bag)
			if err != nil {
				t.Fatal(err)
			}
			if err := emit.Write(out, w.emitted(Backend{Base: b, BaseRef: filepath.ToSlash(ref)}, &bag)); err != nil {
				t.Fatal(err)
			}
			if len(bag.All()) > 0 {
				t.Fatal(text(&bag))
			}
			after, before := newCluster(t, renderDir(t, out)), newCluster(t, renderDir(t, dir))
			admitted := 0
			for _, from := range after.pods {
				for _, to := range after.pods {
					admitted += reachesAsCalled(t, g, b, after, before, from, to)
				}
			}
			if admitted == 0 {
				t.Error("nothing is admitted")
			}
		})
	}
}

// reachesAsCalled tries every port that a call of the graph arrives at, and one
// that none does.
func reachesAsCalled(t *testing.T, g *graph.Graph, b *Base, after, before *cluster, from, to *simPod) int {
	t.Helper()
	owner := func(p *simPod) *graph.Service {
		for _, s := range g.Services {
			if labels, _ := b.podLabels(s); selects(labels, p.labels) {
				return s
			}
		}
		t.Fatalf("whose pod is %s?", p.name)
		return nil
	}
	caller, receiver, admitted := owner(from), owner(to), 0
	called := map[int]bool{1: false}
	for _, c := range g.Calls {
		if r, is := c.To.(*graph.Service); is {
			for _, p := range b.dialledPorts(b.serviceOf(r), c.Port) {
				called[p] = called[p] || r == receiver && c.From == graph.Node(caller)
			}
		}
	}
	for port, want := range called {
		want = want || caller == receiver
		if got := after.reaches(t, from, to, "TCP", port); got != want {
			t.Errorf("%s to %s:%d: %v", from.name, to.name, port, got)
		}
		if want && caller != receiver {
			admitted++
		}
		if !before.reaches(t, before.pod(t, from.name), before.pod(t, to.name), "TCP", port) {
			t.Errorf("the base keeps %s from %s:%d", from.name, to.name, port)
		}
	}
	return admitted
}

// One NetworkPolicy closes a receiver's port to callers without an ADM, and
// keeps the same pods from calling.
func TestClosedBothWays(t *testing.T) {
	w := guardWorld()
	redis := w.l.Graph.Services[1]
	w.closes(redis)
	after, before, bag := w.compiled(t, redisService+cartWorkload+workload("redis", "shop", "{containers: [{name: redis, image: redis}]}"))
	if len(bag.All()) > 0 {
		t.Error(text(bag))
	}
	for _, c := range []struct {
		from, to string
		port     int
		want     bool
	}{
		{"cart", "redis", 6379, true}, {"cart", "redis", 22, true}, {"other", "redis", 6379, false}, {"other", "redis", 22, true},
		{"redis", "cart", 8080, false}, {"redis", "other", 1, false}, {"cart", "other", 1, true},
	} {
		for _, in := range []*cluster{after, before} {
			if !slices.ContainsFunc(in.pods, func(p *simPod) bool { return p.name == "other" }) {
				in.add("other", "shop", map[string]string{"app": "cart"}) // of the old template
			}
			want := c.want || in == before
			if got := in.reaches(t, in.pod(t, c.from), in.pod(t, c.to), "TCP", c.port); got != want {
				t.Errorf("%s to %s:%d: %v (without policies: %v)", c.from, c.to, c.port, got, in == before)
			}
		}
	}
}
