package graph

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// clean loads a graph that has no mistakes.
func clean(t *testing.T, body string) *Graph {
	t.Helper()
	g, bag := load(t, "graph.yaml", header+body)
	if len(bag.All()) > 0 {
		t.Fatal(shown(bag))
	}
	return g
}

func callTexts(calls []*Call) []string {
	var out []string
	for _, c := range calls {
		out = append(out, fmt.Sprintf("%s->%s:%d %s", c.From.NodeName(), c.To.NodeName(), c.Port, c.Protocol))
	}
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDefaults(t *testing.T) {
	g := clean(t, "services: {web: {}}\n")
	if g.Name != "graph" || g.Namespace != "default" || g.Identity != IdentityNone || !g.IdentityAt.IsZero() {
		t.Errorf("graph %q in %q, identity %s", g.Name, g.Namespace, g.Identity)
	}
	s := g.Service("web")
	if s.Namespace != "default" || s.MinReplicas != 1 || s.MaxReplicas != 1 || s.Workload != (Workload{"Deployment", "web"}) ||
		s.ADM != ADMAuto || s.Cost.String() != "1" || s.Capacity.Set || !s.Starts || !s.ADMAt.IsZero() {
		t.Errorf("web = %+v", s)
	}
}

func TestNamespaces(t *testing.T) {
	g := clean(t, "metadata: {namespace: shop}\nservices: {cart: {}, store/cart: {}, user: {namespace: people}}\nidentity: mtls\n")
	for name, want := range map[string]string{"cart": "shop", "store/cart": "store", "user": "people"} {
		if s := g.Service(name); s.Namespace != want || s.Workload.Name != name[strings.IndexByte(name, '/')+1:] {
			t.Errorf("%s is in %s, run by %s", name, s.Namespace, s.Workload.Name)
		}
	}
	if g.IdentityAt.Text() != "mtls" {
		t.Errorf("IdentityAt is %q", g.IdentityAt.Text())
	}
}

func TestCallsOfANode(t *testing.T) {
	g := clean(t, `
services:
  a: {ports: [{port: 81, protocol: http}, {port: 80, protocol: grpc, name: rpc}]}
  b: {ports: [{port: 90, protocol: tcp}]}
  c: {}
externals: {internet: {}, stripe: {host: api.stripe.com, port: 443, protocol: tls}}
calls:
  - {from: internet, to: a, port: 81}
  - {from: c, to: stripe}
  - {from: c, to: b}
  - {from: c, to: a, port: 81}
  - {from: c, to: a, port: rpc}
  - {from: a, to: a, port: rpc}   # itself
  - {from: b, to: a, port: 80}
  - {from: a, to: b}              # and a cycle
`)
	equal(t, "to a", callTexts(g.CallsTo(g.Lookup("a"))), []string{"a->a:80 grpc", "b->a:80 grpc", "c->a:80 grpc", "c->a:81 http", "internet->a:81 http"})
	equal(t, "from c", callTexts(g.CallsFrom(g.Lookup("c"))), []string{"c->a:80 grpc", "c->a:81 http", "c->b:90 tcp", "c->stripe:443 tls"})
	equal(t, "to internet", callTexts(g.CallsTo(g.Lookup("internet"))), nil)
	equal(t, "from a stranger", callTexts(g.CallsFrom(&Service{Name: "a"})), nil)
	if g.Lookup("nobody") != nil || g.Service("stripe") != nil {
		t.Error("found what is not there")
	}
}

// TestIndexAgrees holds CallsTo and CallsFrom to a look at every call.
func TestIndexAgrees(t *testing.T) {
	rnd := rand.New(rand.NewSource(7))
	for range 50 {
		var services []*Service
		for i := range 1 + rnd.Intn(8) {
			services = append(services, &Service{Name: fmt.Sprintf("s%d", i), Ports: []*Port{{Number: 80, Protocol: "http"}}})
		}
		rnd.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
		var calls []*Call
		for _, f := range services {
			for _, to := range services {
				if rnd.Intn(3) == 0 {
					calls = append(calls, &Call{From: f, To: to})
				}
			}
		}
		rnd.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		g, err := New("random", services, nil, calls)
		if err != nil {
			t.Fatal(err)
		}
		texts := callTexts(g.Calls)
		if !slices.IsSorted(texts) {
			t.Errorf("calls are not sorted: %v", texts)
		}
		for _, s := range g.Services {
			var from, to []string
			for i, c := range g.Calls {
				if c.From == s {
					from = append(from, texts[i])
				}
				if c.To == s {
					to = append(to, texts[i])
				}
			}
			equal(t, "from "+s.Name, callTexts(g.CallsFrom(s)), from)
			equal(t, "to "+s.Name, callTexts(g.CallsTo(s)), to)
		}
	}
}

func TestImpliedPorts(t *testing.T) {
	g := clean(t, `
services: {web: {}, ops: {}, db: {}}
calls:
  - {from: web, to: db, port: 6379, protocol: redis}
  - {from: ops, to: db, port: 6379, protocol: redis}
  - {from: ops, to: db, port: 80, protocol: http}
`)
	var ports []string
	for _, p := range g.Service("db").Ports {
		ports = append(ports, fmt.Sprint(p.Number, " ", p.Protocol, " ", p.At.Text()))
	}
	equal(t, "ports of db", ports, []string{"80 http 80", "6379 redis 6379"})
	equal(t, "calls", callTexts(g.Calls), []string{"ops->db:80 http", "ops->db:6379 redis", "web->db:6379 redis"})
}

func TestTopics(t *testing.T) {
	const body = `
services:
  shop: {}
  mail: {}
  bus: {ports: [{name: clients, port: 9092, protocol: kafka}, {name: admin, port: 80, protocol: http}]}
calls:
  - {from: shop, to: bus, port: clients, rps: 4}
topics:
  orders: {broker: bus, port: clients, producers: [shop], consumers: [mail, shop]}
  returns: {broker: bus, port: 9092, protocol: kafka, consumers: [mail]}
  visits: {broker: kafka, protocol: kafka, producers: [shop]}
`
	g := clean(t, body)
	equal(t, "calls", callTexts(g.Calls), []string{"mail->bus:9092 kafka", "shop->bus:9092 kafka", "shop->kafka:9092 kafka"})
	if c := g.CallsFrom(g.Lookup("shop"))[0]; c.RPS.String() != "4" {
		t.Errorf("the topic's call replaced the one with a rate: %q", c.RPS)
	}
	if e, ok := g.Lookup("kafka").(*External); !ok || e.Host != "kafka" || e.At.Text() != "kafka" {
		t.Errorf("the broker that is declared nowhere is %+v", g.Lookup("kafka"))
	}
}

func TestStarts(t *testing.T) {
	g := clean(t, `
services:
  web: {ports: [{port: 80, protocol: http}]}
  mail: {ports: [{port: 80, protocol: http}]}
  audit: {starts: false, ports: [{port: 80, protocol: http}]}
  called: {ports: [{port: 80, protocol: http}]}
  cron: {starts: true, ports: [{port: 80, protocol: http}]}
  itself: {ports: [{port: 80, protocol: http}]}
  quiet: {starts: false}
  bus: {ports: [{port: 9092, protocol: kafka}]}
calls:
  - {from: web, to: [mail, audit, called, cron]}
  - {from: itself, to: itself}
topics:
  orders: {broker: bus, producers: [web], consumers: [mail, audit]}
`)
	var starts []string
	for _, s := range g.Services {
		if s.Starts {
			starts = append(starts, s.Name)
		}
	}
	equal(t, "services that start chains", starts, []string{"cron", "itself", "mail", "web"})
}

// TestAliases: anchors, aliases and merge keys say the same as the text written
// out.
func TestAliases(t *testing.T) {
	g := clean(t, `
services:
  web: &plain
    replicas: 3
    adm: never
    ports: &http [{port: 80, protocol: http}]
  api: {<<: *plain, adm: always}
  old: {<<: [{cost: 4}, *plain, {cost: 5, replicas: 9}]}
  new: {ports: *http, labels: &l {tier: a}}
  last: {labels: {<<: *l, zone: b}}
calls:
  - {from: web, to: &all [api, old]}
  - {from: new, to: *all}
`)
	for name, want := range map[string]string{"web": "3 never 1 80", "api": "3 always 1 80", "old": "3 never 4 80", "new": "1 auto 1 80"} {
		s := g.Service(name)
		if got := fmt.Sprint(s.MaxReplicas, " ", s.ADM, " ", s.Cost, " ", s.Ports[0].Number); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if l := g.Service("last").Labels; len(l) != 2 || l["tier"] != "a" || l["zone"] != "b" {
		t.Errorf("labels %v", l)
	}
	equal(t, "calls", callTexts(g.Calls), []string{"new->api:80 http", "new->old:80 http", "web->api:80 http", "web->old:80 http"})
}

// TestNested: mappings that merge each other a hundred times over, or
// themselves, are read in time.
func TestNested(t *testing.T) {
	var b strings.Builder
	b.WriteString(header + "services:\n  s0: &a0 {replicas: 2}\n")
	for i := 1; i < 100; i++ {
		fmt.Fprintf(&b, "  s%d: &a%d {<<: [*a%d, *a%d]}\n", i, i, i-1, i-1)
	}
	b.WriteString("  round: &r {<<: *r}\n")
	g, bag := load(t, "graph.yaml", b.String())
	if bag.HasErrors() {
		t.Fatal(shown(bag))
	}
	if n := g.Service("s99").MaxReplicas; n != 2 {
		t.Errorf("s99 has %d replicas", n)
	}
}

func TestNew(t *testing.T) {
	web, db := &Service{Name: "shop/web", MinReplicas: 2}, &Service{Name: "db", Ports: []*Port{{Number: 6379, Protocol: "redis", Name: "r"}}}
	stripe := &External{Name: "stripe", Host: "api.stripe.com", Port: 443, Protocol: "tls"}
	g, err := New("small", []*Service{web, db}, []*External{stripe}, []*Call{{From: web, To: stripe}, {From: web, To: db}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "calls", callTexts(g.Calls), []string{"shop/web->db:6379 redis", "shop/web->stripe:443 tls"})
	if g.Services[0] != db || web.Namespace != "shop" || web.MaxReplicas != 2 || web.Workload.Name != "web" || !web.Starts || db.Starts || g.Calls[0].PortName != "r" {
		t.Errorf("web = %+v, db = %+v", web, db)
	}
	for want, calls := range map[string][]*Call{
		"twice":    {{From: web, To: db}, {From: web, To: db, Port: 6379}},
		"port 80":  {{From: web, To: db, Port: 80}},
		"port 0":   {{From: db, To: web}},
		"none of":  {{From: &Service{Name: "db"}, To: db}},
		"an end t": {{From: nil, To: db}},
	} {
		if _, err := New("small", []*Service{web, db}, []*External{stripe}, calls); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := New("small", []*Service{db}, []*External{{Name: "db"}}, nil); err == nil {
		t.Error("two nodes of one name are taken")
	}
}

func TestPositions(t *testing.T) {
	for name, text := range map[string]string{
		"plain":         header + "services: {web: {replicas: @@many}}\n",
		"CRLF":          strings.ReplaceAll(header, "\n", "\r\n") + "services:\r\n  web:\r\n    replicas: @@many\r\n",
		"CR":            strings.ReplaceAll(header, "\n", "\r") + "services:\r  web:\r    replicas: @@many\r",
		"byte order":    "\uFEFF" + `{"apiVersion": "admc.dev/v1alpha1", "kind": "ServiceGraph", "services": {"web": {"replicas": @@"2"}}}`,
		"wide":          header + "services: {web: {labels: {\"größe\u2003日本語\": a}, replicas: @@many}}\n",
		"very wide":     header + "services: {web: {labels: {tier: \"" + strings.Repeat("日", 3*stride) + "\"}, replicas: @@many}}\n",
		"one line":      `{"apiVersion": "admc.dev/v1alpha1", "kind": "ServiceGraph", "services": {"web": {"replicas": @@"2"}}}`,
		"anchored":      header + "services: {web: {replicas: &n @@many}}\n",
		"tagged":        header + "services: {web: {replicas: !!str @@many}}\n",
		"single quotes": header + "services: {web: {replicas: @@'it''s', adm: auto}}\n",
		"double quotes": header + `services: {web: {replicas: @@"a \"b\" \\", adm: auto}}` + "\n",
		"line sep":      header + "services: # a\u2028  web: {replicas: @@many}\n",
	} {
		at := strings.Index(text, "@@")
		_, bag := load(t, name, text[:at]+text[at+2:])
		var found bool
		for _, d := range bag.All() {
			found = found || d.Code == WrongType && int(d.At.Start) == at && (strings.HasPrefix("many", d.At.Text()) || strings.ContainsAny(d.At.Text()[:1], `'"`) && d.At.Text()[0] == d.At.Text()[len(d.At.Text())-1])
		}
		if !found {
			t.Errorf("%s: nothing at byte %d:\n%s", name, at, shown(bag))
		}
	}
}

func TestNotText(t *testing.T) {
	for _, text := range []string{header + "services: {web\xff: {}}\n", "\xff\xfea\x00", header + "services: {\"a\x00b\": {}}\n"} {
		_, bag := load(t, "graph.yaml", text)
		if all := bag.All(); len(all) != 1 || all[0].Code != YAMLSyntax {
			t.Errorf("%q:\n%s", text, shown(bag))
		}
	}
}

func TestDecimals(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1": "1", "007": "7", "1.50": "1.5", "0.050": "0.05", "120": "120", "50m": "0.05", "1000m": "1", "0.0": "0",
		"9223372036854775806": "9223372036854775806", "0.000000000000000001": "0.000000000000000001",
		"9223372036854775807": "inexact", "0.0000000000000000001": "inexact", "12345678901234567890.5": "inexact",
		"": "no", ".5": "no", "5.": "no", "-1": "no", "+1": "no", "1e3": "no", "0x10": "no", "1_000": "no", "0.5m": "no", "m": "no", "NaN": "no",
	} {
		d, ok, exact := parseCPU(text)
		got := d.String()
		if !ok {
			got = "no"
		} else if !exact {
			got = "inexact"
		}
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	if _, ok, _ := parseDecimal("50m"); ok {
		t.Error("a rate takes CPU's suffix")
	}
}

// TestHints holds the "did you mean" of every kind of name, and that applying
// the fix of a diagnostic gives what is meant.
func TestHints(t *testing.T) {
	for text, want := range map[string]string{
		"services: {web: {replica: 2}}":                          "replicas",
		"services: {web: {ports: [{port: 80, protocol: gprc}]}}": "grpc",
		"services: {web: {adm: Never}}":                          "never",
		"services: {Web_1: {}}":                                  "web-1",
		"services: {web: {workload: deployment/web}}":            "Deployment/web",
		"services: {web: {labels: {v: 2}}}":                      `"2"`,
		"services: {web: {replicas: \"2\"}}":                     "2",
		"services: {web: {starts: on}}":                          "true",
		"services: {web: {cost: .5}}":                            "0.5",
		"services: {web: {addresses: [10.2.0.7/24]}}":            "10.2.0.0/24",
		"services: {web: {addresses: [10.2.0.7]}}":               "10.2.0.7/32",
		"services: {frontend: {}}\ncalls: [{from: frontent, to: frontend, port: 80, protocol: http}]":           "frontend",
		"services: {shop/cart: {ports: [{port: 80, protocol: http}]}, web: {}}\ncalls: [{from: web, to: cart}]": "shop/cart",
	} {
		src := diag.NewSource("graph.yaml", []byte(header+text))
		bag := &diag.Bag{}
		Load(src, bag)
		all := bag.All()
		if len(all) != 1 || len(all[0].Fixes) != 1 || all[0].Fixes[0].Replace != want || len(all[0].Hints) == 0 {
			t.Errorf("%s:\n%s", text, shown(bag))
			continue
		}
		f := all[0].Fixes[0]
		fixed := string(src.Text[:f.At.Start]) + f.Replace + string(src.Text[f.At.End:])
		if _, bag := load(t, "fixed", fixed); len(bag.All()) > 0 {
			t.Errorf("%s, fixed:\n%s", text, shown(bag))
		}
	}
}
