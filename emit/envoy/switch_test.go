//go:build linux

package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A switching is a row of which the policies are switched off and on again while
// the proxy runs. While they are off the row gives what its control gives, and
// another policy on the same calls still acts.
type switching struct {
	row string // name/protocol
	// again is what the row gives when its policies are on again, where that is
	// not what it gave at first: a bucket is not refilled.
	again string
	// stat is a counter of Envoy's, with * for the policy's name, that moves when
	// the policy acts and at no other time; "": there is none.
	stat string
}

var switchings = []switching{
	{row: "deny/http", stat: "rbac.*.denied"},
	{row: "deny if/http", stat: "rbac.*.denied"},
	{row: "allow, by its negated condition/http", stat: "rbac.*.denied"},
	{row: "deny/grpc", stat: "rbac.*.denied"},
	{row: "parts of a policy with conditions of their own/http"},
	{row: "a condition besides leaving out a caller/http", stat: "rbac.*.denied"},
	{row: "a condition besides leaving out a caller/tcp"},
	{row: "deny/tcp"},
	{row: "deny if/tcp"},
	{row: "allow/tcp"},
	{row: "rate_limit/http", again: strings.Repeat("429 local_rate_limited | ", 4) + "429 local_rate_limited", stat: "*.http_local_rate_limit.rate_limited"},
	{row: "rate_limit/grpc", again: strings.Repeat("ResourceExhausted local_rate_limited | ", 2) + "ResourceExhausted local_rate_limited", stat: "*.http_local_rate_limit.rate_limited"},
	{row: "rate_limit/tcp", again: "closed | closed | closed; 0 reached the app", stat: "local_rate_limit.*.rate_limited"},
	{row: "a global rate_limit/http", again: "429 | 429 | 429 | 429 []", stat: "ratelimit.*.over_limit"},
	{row: "concurrency_limit/http"},
	{row: "concurrency_limit/tcp", stat: "connection_limit.*.limited_connections"},
	{row: "bandwidth_limit for half a second/http", stat: "*.http_bandwidth_limit.request_enforced"},
	{row: "max_body/http"},
	{row: "max_body/grpc"},
	{row: "set_header/http"},
	{row: "set_header if the answer/http"},
	{row: "rewrite of the host/http"},
	{row: "one decision for all actions/http"},
	{row: "timeout/http", stat: "route.*.upstream_rq_timeout"},
	{row: "timeout/grpc", stat: "route.*.upstream_rq_timeout"},
	{row: "retry until it gives up/http", stat: "route.*.upstream_rq_retry"},
	{row: "idle_timeout/http"},
	{row: "idle_timeout/tcp"},
	{row: "route/http", stat: "route.*.upstream_rq_completed"},
	{row: "route/tcp"},
	{row: "route if/http", stat: "route.*.upstream_rq_completed"},
	{row: "split all to one/http", stat: "route.*.upstream_rq_completed"},
	{row: "mirror/http"},
	{row: "hedge of what is slow/http", stat: "route.*.upstream_rq_retry"},
	{row: "fault with abort/http"},
	{row: "fault with both, nearly always/http"},
	{row: "fault with abort/grpc"},
	{row: "jwt/http", stat: "jwt_authn.*.denied"},
	{row: "jwt/grpc", stat: "jwt_authn.*.denied"},
	{row: "cors/http"},
	{row: "ext_authz/http", stat: "ext_authz.*.denied"},
	{row: "redirect/http", stat: "rbac.*.denied"},
	{row: "respond/http", stat: "rbac.*.denied"},
	{row: "compress/http", stat: "compressor.*.gzip.response.compressed"},
	{row: "access_log/http"},
	{row: "access_log if the answer/http"},
	{row: "access_log/grpc"},
	{row: "access_log/tcp"},
	{row: "metric/http"},
	{row: "metric if the answer/http"},
	{row: "metric/tcp"},
	{row: "sample without a request id/http", stat: "rbac.*.denied"},
	{row: "a timeout counts the fault's delay/http", stat: "route.*.upstream_rq_timeout"},
}

// switchRows are rows that give the same however often they are tried, or sooner
// than those of the same actions elsewhere.
var switchRows = []row{
	{"fault with both, nearly always", "http", both, []policy{do("p", act("fault", args{"delay": dur(300 * time.Millisecond), "abort": num(500), "share": float(0.999999)}))},
		atLeast(250*time.Millisecond, web("/")), "500 fault filter abort late", "200 app", served},
	{"bandwidth_limit for half a second", "http", both, []policy{do("p", act("bandwidth_limit", args{"limit": num(64 << 10)}))},
		slowly(96<<10, 800*time.Millisecond), "200 app slow", "200 app", served},
	{"hedge of what is slow", "http", ir.Egress, []policy{do("p", act("hedge", args{"after": dur(100 * time.Millisecond)}))},
		reached(web("/slow/400"), requests), "200 app; 2 reached the app", "200 app; 1 reached the app", served},
}

// TestSwitches switches policies off and on, each at both sides where it acts at
// both, through the admin socket of the real Envoy with the emitted file.
func TestSwitches(t *testing.T) {
	client, server := newPair(t)
	prog := newProgram()
	type place struct {
		switching
		row   row
		side  ir.Side
		port  [2]int // what is switched, and the same policies under other names
		app   [2]*app
		still string // the other policy on the first port
	}
	var places []*place
	for _, s := range switchings {
		r := rowNamed(t, s.row)
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			if r.sides&side == 0 {
				continue
			}
			p := &place{switching: s, row: r, side: side}
			for k := range p.port {
				p.port[k] = 20000 + 2*len(places) + k
				policies := renamed(r.policies, p.port[k])
				if k == 0 {
					p.still = fmt.Sprintf("still_%d", p.port[k])
					policies = append(policies, do(p.still, another(r.proto)))
				}
				prog.call(p.port[k], r.proto, side, policies...)
				p.app[k] = serve(t, server, p.port[k], r.proto.Plane())
			}
			places = append(places, p)
		}
	}
	serveAsked(t, client, server)
	running := runAll(t, client, server, prog)
	adms := map[ir.Side]*output{ir.Ingress: running["server"].stdout, ir.Egress: running["client"].stdout}
	dumps := map[ir.Side]string{ir.Ingress: adms[ir.Ingress].ask(t, "GET", "/config_dump"), ir.Egress: adms[ir.Egress].ask(t, "GET", "/config_dump")}
	for _, p := range places {
		said := dumped(t, dumps[p.side], p.port[0])
		for _, name := range []string{fmt.Sprintf("p_%d", p.port[0]), p.still} {
			if got, want := said[name], (saidOf{name, "shop.adm:1", Switch(name)}); got != want {
				t.Errorf("%s: the configuration says of a policy %+v, want %+v", p.switching.row, got, want)
			}
		}
		t.Run(fmt.Sprintf("%s/%s", p.switching.row, p.side), func(t *testing.T) {
			t.Parallel()
			adm := adms[p.side]
			see := func(k int) string {
				printed := len(adm.String())
				name := func(of string) string { return fmt.Sprintf("%s_%d", of, p.port[k]) }
				return p.row.probe(t, probe{
					n: client, server: server, address: fmt.Sprintf("%s:%d", serverIP, p.port[k]), side: p.side, app: p.app[k], id: "id",
					log: func() string {
						var out []string
						for _, line := range strings.Split(adm.String()[printed:], "\n") {
							if line = strings.ReplaceAll(line, `"`+name("p")+`"`, `"p"`); strings.Contains(line, strconv.Itoa(p.port[k])) && !strings.Contains(line, p.still) {
								out = append(out, line)
							}
						}
						return strings.Join(out, "\n")
					},
				})
			}
			counters := func() [2]int {
				var out [2]int
				for k := range out {
					out[k] = adm.stat(t, strings.ReplaceAll(p.stat, "*", fmt.Sprintf("p_%d", p.port[k])))
				}
				return out
			}
			before := counters()
			if got := see(0); got != p.row.want {
				t.Fatalf("on: got %q, want %q", got, p.row.want)
			}
			if now := counters(); p.stat != "" && (now[0] == before[0] || now[1] != before[1]) {
				t.Errorf("%s of the policy and of another one were %v and are %v", p.stat, before, now)
			}
			adm.turn(t, p.row.policies, p.port[0], "0")
			eventually(t, "off", p.row.control, func() string { return see(0) })
			before = counters()
			if got := see(0); got != p.row.control {
				t.Errorf("off: got %q, want %q", got, p.row.control)
			}
			if now := counters(); now != before {
				t.Errorf("off: %s of the policy and of another one were %v and are %v", p.stat, before, now)
			}
			if !acts(t, adm, p.still, p.row.proto, probe{n: client, address: fmt.Sprintf("%s:%d", serverIP, p.port[0])}) {
				t.Errorf("off: the other policy on the same calls doesn't act")
			}
			if got := see(1); got != p.row.want {
				t.Errorf("off: the same policy on other calls gives %q, want %q", got, p.row.want)
			}
			adm.turn(t, p.row.policies, p.port[0], "100")
			again := p.row.want
			if p.again != "" {
				again = p.again
			}
			eventually(t, "on again", again, func() string { return see(0) })
		})
	}
}

// saidOf is what the metadata of a running proxy's listener says of one policy.
type saidOf struct{ Policy, Source, Switch string }

// dumped gives that by the policies' names, from a config dump and for the listener of a port.
func dumped(t *testing.T, dump string, port int) map[string]saidOf {
	t.Helper()
	var all struct {
		Configs []struct {
			StaticListeners []struct {
				Listener struct {
					Name     string
					Metadata struct {
						Filter struct {
							Admc struct{ Policies []saidOf }
						} `json:"filter_metadata"`
					}
				}
			} `json:"static_listeners"`
		}
	}
	if err := json.Unmarshal([]byte(dump), &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]saidOf{}
	for _, c := range all.Configs {
		for _, l := range c.StaticListeners {
			if strings.HasSuffix(l.Listener.Name, fmt.Sprintf("_%d", port)) {
				for _, p := range l.Listener.Metadata.Filter.Admc.Policies {
					out[p.Policy] = p
				}
			}
		}
	}
	return out
}

// rowNamed finds a row in the tables of enforcement.
func rowNamed(t *testing.T, name string) row {
	t.Helper()
	for _, r := range slices.Concat(switchRows, rows, wrapped, observed, apart, copied, hedged, answers) {
		if r.name+"/"+string(r.proto) == name {
			return r
		}
	}
	t.Fatalf("no row is called %q", name)
	return row{}
}

// renamed gives policies names that no other port has.
func renamed(list []policy, port int) []policy {
	out := copyPolicies(list)
	for i := range out {
		out[i].name = fmt.Sprintf("%s_%d", out[i].name, port)
		for j, front := range out[i].front {
			out[i].front[j] = fmt.Sprintf("%s_%d", front, port)
		}
	}
	return out
}

// another is an action that changes no row of the protocol.
func another(p graph.Protocol) *ir.Action {
	if p.Plane() == graph.TCP {
		return act("access_log", nil)
	}
	return act("set_header", args{"name": str("x-still"), "value": str("yes")})
}

// acts reports whether that action does.
func acts(t *testing.T, adm *output, policy string, proto graph.Protocol, p probe) bool {
	switch proto.Plane() {
	case graph.HTTP:
		return appSaw("x-still")(t, p) == "[yes]"
	case graph.GRPC:
		md, _ := grpcCall(t, p, "x")
		return slices.Equal(md["seen-x-still"], []string{"yes"})
	}
	lines := func() int { return strings.Count(adm.String(), policy) }
	before := lines()
	greeting(t, p)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if lines() > before {
			return true
		}
	}
	return false
}

// eventually waits until the proxy's threads have heard of a switch.
func eventually(t *testing.T, when, want string, see func() string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := see()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %q, want %q", when, got, want)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// turn sets the switches of the policies that have this port in their names.
func (o *output) turn(t *testing.T, policies []policy, port int, to string) {
	t.Helper()
	values := url.Values{}
	for _, p := range policies {
		values.Set(Switch(fmt.Sprintf("%s_%d", p.name, port)), to)
	}
	if got := o.ask(t, "POST", "/runtime_modify?"+values.Encode()); got != "OK\n" {
		t.Fatalf("the admin socket says %q", got)
	}
}

// stat sums the counters whose names end with this.
func (o *output) stat(t *testing.T, suffix string) int {
	t.Helper()
	if suffix == "" {
		return 0
	}
	var all struct {
		Stats []struct {
			Name  string
			Value int
		}
	}
	text := o.ask(t, "GET", "/stats?format=json&type=Counters&filter="+url.QueryEscape(strings.ReplaceAll(suffix, ".", `\.`)+"$"))
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	sum := 0
	for _, s := range all.Stats {
		sum += s.Value
	}
	return sum
}

// ask makes a request of the admin interface.
func (o *output) ask(t testing.TB, method, path string) string {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", o.admin)
	}}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest(method, "http://adm"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
