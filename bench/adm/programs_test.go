package adm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
)

// outside is where the parties answer that some actions ask, see serveOutside.
const outside = "outside.test:9000"

// A program is a policy of one action. What could end the request lets it pass,
// so that all rows do the same work at both ends.
type program struct {
	action  string // "": none of the standard library's
	variant string // "": the one that the action's cost is
	clauses string // of the policy, on http and grpc
	streams string // on byte streams, where they are others
	beside  string // the action whose policy stands beside it, and is not counted to it
	planes  []graph.Plane
	side    ir.Side // 0: what the action can be
}

// never is a condition that the requests of the load don't fulfil, and always one
// that they do; a deny that they meet would be no call.
const (
	never        = `when { request.headers["x-bench"] == "never" } `
	always       = `when { request.headers["x-bench"] == "bench" } `
	neverStream  = `when { source.address.startsWith("192.0.2.") } `
	alwaysStream = `when { source.address.startsWith("10.77.") } `
)

var (
	messages = []graph.Plane{graph.HTTP, graph.GRPC}
	every    = lang.Planes()
)

// stamped stands for the stamp of a path, which no policy can call: a policy that
// has to know at s's calls to t whether c or o had called s, which c's ADM notes on
// the request. No request goes on to t.
const stamped = "stamped"

// nothing is the action of an empty ADM.
const nothing = `action nothing() {
    phase observe
    on http, grpc, tcp : either
    envoy http { "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC" }
    envoy tcp  { "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "stat_prefix": "nothing" }
}
`

// programs has each action of the standard library, and what is worth to be known
// besides.
func programs(jwks string) []program {
	return []program{
		{variant: "nothing, again", clauses: "nothing()", planes: every, side: ir.Ingress},
		{variant: "nothing, again", clauses: "nothing()", planes: every, side: ir.Egress},
		{variant: "a condition on a header", clauses: never + "nothing()", planes: messages, side: ir.Ingress},
		{action: ir.StampAction, clauses: stamped, planes: messages, side: ir.Egress},
		{action: "access_log", clauses: "access_log()"},
		{action: "allow", clauses: always + "allow()", streams: alwaysStream + "allow()"},
		{action: "append_header", clauses: `append_header("x-trail", "a")`},
		{action: "bandwidth_limit", clauses: "bandwidth_limit(1GiB)"},
		{action: "compress", clauses: "compress()"},
		{action: "concurrency_limit", clauses: "concurrency_limit(1000)"},
		{action: "connect_timeout", clauses: "connect_timeout(250ms)"},
		{action: "cors", clauses: `cors(origins: ["https://shop.example.com"])`},
		{action: "deny", clauses: never + "deny()", streams: neverStream + "deny()"},
		{action: "ext_authz", clauses: fmt.Sprintf("ext_authz(address: %q, timeout: 5s)", outside)},
		{action: "fault", clauses: never + "fault(abort: 503)"},
		{action: "hedge", clauses: "hedge(after: 5s)"},
		{action: "idle_timeout", clauses: "idle_timeout(10m)"},
		{action: "jwt", clauses: fmt.Sprintf("jwt(issuer: %q, jwks: %q, forward: true)", issuer, jwks)},
		{action: "lb", clauses: "lb()"},
		{action: "locality", clauses: "locality()"},
		{action: "max_body", clauses: "max_body(1MiB)"},
		{action: "metric", clauses: `metric("orders_total", labels: {"team": "sales"})`},
		{action: "mirror", clauses: `mirror(version: "v2")`},
		{action: "mtls", clauses: `mtls(certificates: "/etc/admc/tls")`},
		{action: "outlier_detection", clauses: "outlier_detection()"},
		{action: "rate_limit", clauses: "rate_limit(rate: 1000000/s)"},
		{action: "rate_limit", variant: "per header", clauses: `rate_limit(rate: 1000000/s, per: "x-bench")`, planes: messages},
		{action: "rate_limit", variant: "global", clauses: fmt.Sprintf("rate_limit(rate: 1000000/s, global: true, address: %q)", outside), planes: messages},
		{action: "redirect", clauses: never + `redirect(path: "/new")`},
		{action: "remove_header", clauses: `remove_header("x-bench")`},
		{action: "respond", clauses: never + "respond()"},
		{action: "retry", clauses: "retry()"},
		{action: "rewrite", clauses: `rewrite(prefix: "/orders/", with: "/v2/orders/")`},
		{action: "route", clauses: `route(version: "v2")`},
		{action: "set_header", clauses: `set_header("x-canary", "1")`},
		{action: "split", clauses: `split({"v1": 90%, "v2": 10%})`},
		{action: "timeout", clauses: "timeout(1m)"},
		{action: "trace", clauses: fmt.Sprintf("trace(%q)", outside)},
		{action: "tag", clauses: `tag("team", "search")`, beside: "trace"},
	}
}

// A row is a program on one protocol.
type row struct {
	program
	plane graph.Plane
	sides ir.Side
}

func (r row) name() string {
	return strings.Trim(r.action+", "+r.variant, ", ")
}

// rows are those of the programs, in the order in which they are measured.
func rows(list []program) []row {
	var out []row
	for _, p := range list {
		sides := map[graph.Plane]ir.DeclSide{}
		if p.action == "" || p.action == ir.StampAction {
			for _, plane := range p.planes {
				sides[plane] = ir.Either
			}
		} else if d := lang.StandardActions().Decl(p.action); d != nil {
			sides = maps.Clone(d.Sides)
		}
		for plane, side := range sides {
			if p.planes != nil && !slices.Contains(p.planes, plane) {
				continue
			}
			r := row{program: p, plane: plane, sides: p.side}
			if r.sides == 0 {
				r.sides = map[ir.DeclSide]ir.Side{
					ir.Either: ir.Ingress, ir.IngressOnly: ir.Ingress, ir.EgressOnly: ir.Egress, ir.BothEnds: ir.Ingress | ir.Egress,
				}[side]
			}
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b row) int {
		return cmp.Or(planeOrder(a.plane)-planeOrder(b.plane), cmp.Compare(a.sides, b.sides))
	})
	return out
}

func planeOrder(p graph.Plane) int { return slices.Index(every, p) }

// policy is the row's part of a program for the calls of pair number n.
func (r row) policy(n int) string {
	text := r.clauses
	if r.plane == graph.TCP && r.streams != "" {
		text = r.streams
	}
	if text == stamped {
		return fmt.Sprintf("@egress policy p%d_stamp { path c%d -> s%d -> t%d append_header(\"x-path\", \"c\") }\n", n, n, n, n)
	}
	pin := map[ir.Side]string{ir.Ingress: "@ingress ", ir.Egress: "@egress "}[r.sides]
	return fmt.Sprintf("%spolicy p%d_%s { on c%d -> s%d %s }\n", pin, n, cmp.Or(r.action, "nothing"), n, n, text)
}

// at names the sides of a row.
func at(s ir.Side) string {
	if s == ir.Ingress|ir.Egress {
		return "both"
	}
	return s.String()
}
