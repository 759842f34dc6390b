package lang

import "testing"

// TestClientHost: what is assumed of a client that a test says nothing of.
func TestClientHost(t *testing.T) {
	g := loadGraph(t, "hosts.yaml", []byte(`
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: hosts, namespace: shop}
services:
  web: {ports: [{name: main, port: 80, protocol: http}, {name: admin, port: 8080, protocol: http}]}
  rates: {ports: [{name: main, port: 80, protocol: grpc}, {name: next, port: 9000, protocol: grpc}]}
  db: {ports: [{port: 5432, protocol: tcp}]}
  infra/keys: {ports: [{name: main, port: 80, protocol: http}, {name: admin, port: 8080, protocol: http}]}
externals:
  internet: {}
  bank: {host: api.bank.test, port: 80, protocol: http}
  gate: {host: api.gate.test, port: 8080, protocol: http}
  six: {host: "2001:db8::1", port: 80, protocol: http}
calls:
  - {from: internet, to: web, port: main}
  - {from: infra/keys, to: web, port: admin}
  - {from: web, to: [rates, infra/keys], port: main}
  - {from: web, to: rates, port: next}
  - {from: web, to: infra/keys, port: admin}
  - {from: web, to: [db, bank, gate, six]}
`))
	want := map[string]string{
		"internet -> web:80": "web", "infra/keys -> web:8080": "web.shop:8080",
		"web -> rates:80": "rates:80", "web -> rates:9000": "rates:9000", "web -> db:5432": "",
		"web -> infra/keys:80": "keys.infra", "web -> infra/keys:8080": "keys.infra:8080",
		"web -> bank:80": "api.bank.test", "web -> gate:8080": "api.gate.test:8080", "web -> six:80": "[2001:db8::1]",
	}
	if len(g.Calls) != len(want) {
		t.Fatalf("%d calls", len(g.Calls))
	}
	for _, c := range g.Calls {
		host, known := want[callName(c)]
		if got := clientHost(c); !known || got != host {
			t.Errorf("%s: got %q, want %q", callName(c), got, host)
		}
	}
}
