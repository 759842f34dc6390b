package envoy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// TestCheck breaks a good file in one place at a time; Check must say what.
func TestCheck(t *testing.T) {
	p := newProgram()
	p.call(8080, "http", ir.Egress,
		do("limit", act("rate_limit", args{"rate": rate(10, time.Second)})), do("again", act("retry", nil)))
	p.call(9090, "tcp", ir.Egress, do("slow", act("connect_timeout", args{"after": dur(time.Second)})))
	good := string(render("test", configurationOf(emitted(t, p.layout()), "adm/client").merged(t)))
	check := func(text string) []error { return Check("x", [][]byte{[]byte(text)}) }
	if errs := check(good); len(errs) > 0 {
		t.Fatalf("the good file: %v", errs)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"not YAML", "node:", "node: [", "yaml"},
		{"an unknown field", "stream_idle_timeout:", "stream_idel_timeout:", "stream_idel_timeout"},
		{"an unknown type", "local_ratelimit.v3.LocalRateLimit", "local_ratelimit.v3.Nothing", "Nothing"},
		{"a field rule", "stat_prefix: limit", `stat_prefix: ""`, "LocalRateLimit"},
		{"a cluster that isn't there", "cluster: original_dst_http", "cluster: elsewhere", "no cluster elsewhere"},
		{"a cluster for nothing", "cluster: original_dst_http", "cluster: original_dst_tcp_within_1s", "nothing refers to cluster original_dst_http"},
		{"an internal listener that isn't there", "server_listener_name: egress_server_8080_attempt", "server_listener_name: other", "no internal listener other"},
		{"no internal listeners at all", "bootstrap_extensions:", "x_extensions:", "x_extensions"},
		{"a name twice", "name: egress_server_9090\n", "name: egress_server_8080\n", `listener "egress_server_8080" is there twice`},
		{"an address twice", "port_value: 15101", "port_value: 15100", `address "127.0.0.1:15100" is there twice`},
		{"a filter name twice", "name: limit/rate_limit", "name: router", "two HTTP filters are named router"},
		{"a regular expression", "regex: x-envoy-(", "regex: x-envoy-((", "missing closing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatalf("the file has no %q", c.old)
			}
			errs := check(bad)
			for _, err := range errs {
				if strings.Contains(err.Error(), c.want) && strings.HasPrefix(err.Error(), "x: ") {
					return
				}
			}
			t.Errorf("got %v, want %q", errs, c.want)
		})
	}
}

// TestCheckGRPC asks a service over gRPC: what names its cluster is seen.
func TestCheckGRPC(t *testing.T) {
	p := newProgram()
	p.call(8080, "http", ir.Egress, do("ask", act("ext_authz", args{"address": str("guard.sec:9191")})))
	c := configurationOf(emitted(t, p.layout()), "adm/client")
	data := c.policies
	if errs := c.check(string(data)); len(errs) > 0 {
		t.Fatalf("the good file: %v", errs)
	}
	bad := strings.Replace(string(data), "envoy_grpc: {cluster_name: grpc_guard.sec_9191", "envoy_grpc: {cluster_name: elsewhere", 1)
	if bad == string(data) {
		t.Fatalf("unexpected file:\n%s", data)
	}
	errs := fmt.Sprint(c.check(bad))
	for _, want := range []string{"no cluster elsewhere", "nothing refers to cluster grpc_guard.sec_9191"} {
		if !strings.Contains(errs, want) {
			t.Errorf("got %s, want %q", errs, want)
		}
	}
}

// TestCheckFilterOrder moves filters about: what takes the request comes last.
func TestCheckFilterOrder(t *testing.T) {
	p := newProgram()
	p.call(8080, "tcp", ir.Egress, do("limit", act("rate_limit", args{"rate": rate(10, time.Second)})))
	c := configurationOf(emitted(t, p.layout()), "adm/client")
	data := c.policies
	i := strings.Index(string(data), "      - name: limit/rate_limit")
	j := strings.Index(string(data), "      - name: tcp_proxy")
	k := j + strings.Index(string(data)[j:], "    listener_filters:")
	if i < 0 || j < i || k < j {
		t.Fatalf("unexpected file:\n%s", data)
	}
	swapped := string(data[:i]) + string(data[j:k]) + string(data[i:j]) + string(data[k:])
	if errs := c.check(swapped); len(errs) != 2 {
		t.Errorf("swapped: %v", errs)
	}
	p = newProgram()
	p.call(8080, "http", ir.Egress, do("limit", act("rate_limit", args{"rate": rate(10, time.Second)})))
	c = configurationOf(emitted(t, p.layout()), "adm/client")
	data = c.policies
	none := strings.Replace(string(data), "- {name: router,", "- {name: nobody,", 1)
	none = strings.Replace(none, "http.router.v3.Router", "http.rbac.v3.RBAC", 1)
	none = strings.Replace(none, "suppress_envoy_headers: true", "rules_stat_prefix: x.", 1)
	if errs := c.check(none); len(errs) != 1 || !strings.Contains(errs[0].Error(), "router must be the last") {
		t.Errorf("without a router: %v", errs)
	}
}

// TestMistakeReachesCaller: a file that fails is a panic of Emit's own, which its
// caller can tell the user of, though files are written beside each other.
func TestMistakeReachesCaller(t *testing.T) {
	p := newProgram()
	p.call(8080, "http", ir.Egress, do("limit", act("rate_limit", args{"rate": rate(10, time.Second)})))
	l := p.layout()
	l.Header = "a comment\nthat: [ends"
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "emitted an invalid configuration") {
			t.Errorf("it says %.200s", said)
		}
	}()
	Backend{}.Emit(l, &emit.Files{}, &diag.Bag{})
}
