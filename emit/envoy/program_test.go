package envoy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Small programs, built without the checker.

type policy struct {
	name    string
	when    *exprpb.Expr
	reads   []string
	sample  float64 // 0: 1
	actions []*ir.Action
	front   []string // policies with a wrapper that it stands before
	part    string
	except  []ir.Proof // callers that it leaves out
	closed  bool       // what @fail says
}

// args of an action; the defaults of the prelude are filled in by act.
type args map[string]ir.Value

var defaults = map[string]args{
	"deny":              {"status": num(403), "body": str(""), "code": str("PERMISSION_DENIED")},
	"rate_limit":        {"burst": num(0), "scope": str("caller"), "address": str("limits.test:19997"), "per": str("")},
	"timeout":           {},
	"connect_timeout":   {},
	"idle_timeout":      {},
	"retry":             {"attempts": num(2), "on": strs("connect-failure", "reset", "unavailable"), "per_try": dur(0)},
	"set_header":        {"of": str("request")},
	"append_header":     {"of": str("request")},
	"remove_header":     {"of": str("request")},
	"route":             {},
	"split":             {},
	"fault":             {"delay": dur(0), "abort": num(0), "share": float(1)},
	"jwt":               {"jwks_uri": str(""), "jwks": str(""), "audiences": strs(), "forward": boolean(false)},
	"access_log":        {"format": str("json")},
	"metric":            {},
	"lb":                {"policy": str("round_robin"), "key": str("")},
	"mirror":            {"share": float(1)},
	"hedge":             {},
	"trace":             {"collector": str("collector.test:19998"), "share": float(1)},
	"tag":               {},
	"locality":          {"mode": str("prefer")},
	"outlier_detection": {"errors": num(5), "interval": dur(10 * time.Second), "eject": dur(30 * time.Second)},
	"cors":              {"methods": strs("GET", "HEAD", "POST"), "headers": strs(), "max_age": dur(0), "credentials": boolean(false)},
	"ext_authz":         {"timeout": dur(200 * time.Millisecond)},
	"concurrency_limit": {"scope": str("caller")},
	"bandwidth_limit":   {"scope": str("caller")},
	"rewrite":           {"prefix": str(""), "with": str(""), "host": str("")},
	"redirect":          {"host": str(""), "path": str(""), "status": num(302)},
	"respond":           {"status": num(200), "body": str("")},
	"compress":          {"types": strs("text/html", "application/json")},
}

func str(s string) ir.Value        { return ir.Value{Kind: ir.String, Str: s} }
func num(n int64) ir.Value         { return ir.Value{Kind: ir.Int, Int: n} }
func float(f float64) ir.Value     { return ir.Value{Kind: ir.Float, Float: f} }
func boolean(b bool) ir.Value      { return ir.Value{Kind: ir.Bool, Bool: b} }
func dur(d time.Duration) ir.Value { return ir.Value{Kind: ir.Duration, Dur: d} }
func rate(n int64, per time.Duration) ir.Value {
	return ir.Value{Kind: ir.Rate, Int: n, Dur: per}
}
func strs(list ...string) ir.Value {
	v := ir.Value{Kind: ir.List}
	for _, s := range list {
		v.List = append(v.List, str(s))
	}
	return v
}
func weights(pairs ...any) ir.Value {
	v := ir.Value{Kind: ir.Map}
	for i := 0; i < len(pairs); i += 2 {
		v.Map = append(v.Map, ir.Entry{Key: pairs[i].(string), Value: float(pairs[i+1].(float64))})
	}
	return v
}

func act(name string, a args) *ir.Action {
	full := map[string]ir.Value{}
	for k, v := range defaults[name] {
		full[k] = v
	}
	for k, v := range a {
		full[k] = v
	}
	return &ir.Action{Decl: &ir.ActionDecl{Name: name}, Args: full}
}

// do is a policy of actions that always apply.
func do(name string, actions ...*ir.Action) policy { return policy{name: name, actions: actions} }

// program collects rules on the edge from client to server, port by port.
type program struct {
	src            *diag.Source
	client, server *layout.ADM
}

func newProgram() *program {
	service := func(name string) *layout.ADM {
		return &layout.ADM{
			Service:   &graph.Service{Name: name, Namespace: "test", MinReplicas: 1, MaxReplicas: 1, Versions: []string{"v1", "v2"}},
			Dir:       "adm/" + name,
			ReadyPort: layout.ReadyPort,
		}
	}
	return &program{src: diag.NewSource("shop.adm", nil), client: service("client"), server: service("server")}
}

// call puts policies on a port of server, on one side; ranks follow the order
// written. Without policies it is a listener that enforces nothing.
func (p *program) call(port int, proto graph.Protocol, side ir.Side, policies ...policy) {
	adm, name := p.server, fmt.Sprintf("ingress_%d", port)
	if side == ir.Egress {
		adm, name = p.client, fmt.Sprintf("egress_server_%d", port)
	}
	l := &layout.Listener{
		Name: name, Side: side, Port: layout.FirstPort + len(adm.Listeners),
		Receiver: p.server.Service, ReceiverPort: port, Protocol: proto,
	}
	rank := 0
	for _, pol := range policies {
		if pol.sample == 0 {
			pol.sample = 1
		}
		for _, a := range pol.actions {
			rank++
			a.Rank = rank
		}
		edge := &ir.Edge{Sender: p.client.Service, Call: &graph.Call{From: p.client.Service, To: p.server.Service, Port: port, Protocol: proto}}
		if pol.when != nil {
			text, _ := celText(pol.when)
			edge.Cond = &ir.Condition{Expr: pol.when, Text: text, Reads: pol.reads}
		}
		o := &ir.Obligation{
			Policy: &ir.Policy{Name: pol.name, Actions: pol.actions, Sample: pol.sample, At: p.src.Span(0, 0), FailClosed: pol.closed},
			Part:   pol.part, Actions: pol.actions, Receiver: p.server.Service, Port: port, Protocol: proto, Edges: []*ir.Edge{edge},
		}
		l.Rules = append(l.Rules, &layout.Rule{Obligation: o, Edges: o.Edges, Cond: edge.Cond, Replicas: adm.Service.MaxReplicas, Except: pol.except})
	}
	for i, pol := range policies {
		for _, name := range pol.front {
			j := slices.IndexFunc(policies, func(q policy) bool { return q.name == name })
			l.Rules[i].Obligation.Front = append(l.Rules[i].Obligation.Front, l.Rules[j].Obligation.Policy)
		}
	}
	adm.Listeners = append(adm.Listeners, l)
}

// layout has the ADMs that have a listener.
func (p *program) layout() *layout.Layout {
	l := &layout.Layout{Header: "Generated by admc from shop.adm; do not edit"}
	for _, a := range []*layout.ADM{p.client, p.server} {
		if len(a.Listeners) > 0 {
			l.ADMs = append(l.ADMs, a)
		}
	}
	return l
}

// emitted gives the files of a layout that compiles.
func emitted(t testing.TB, l *layout.Layout) *emit.Files {
	t.Helper()
	var bag diag.Bag
	var files emit.Files
	Backend{}.Emit(l, &files, &bag)
	for _, d := range bag.All() {
		t.Errorf("%s: %s", d.Code, d.Message)
	}
	if bag.HasErrors() {
		t.FailNow()
	}
	return &files
}

// CEL expressions, as the checker leaves them.

func ident(name string) *exprpb.Expr {
	return &exprpb.Expr{ExprKind: &exprpb.Expr_IdentExpr{IdentExpr: &exprpb.Expr_Ident{Name: name}}}
}

func selectField(of *exprpb.Expr, name string) *exprpb.Expr {
	return &exprpb.Expr{ExprKind: &exprpb.Expr_SelectExpr{SelectExpr: &exprpb.Expr_Select{Operand: of, Field: name}}}
}

func fn(name string, a ...*exprpb.Expr) *exprpb.Expr {
	return &exprpb.Expr{ExprKind: &exprpb.Expr_CallExpr{CallExpr: &exprpb.Expr_Call{Function: name, Args: a}}}
}

func method(on *exprpb.Expr, name string, a ...*exprpb.Expr) *exprpb.Expr {
	return &exprpb.Expr{ExprKind: &exprpb.Expr_CallExpr{CallExpr: &exprpb.Expr_Call{Target: on, Function: name, Args: a}}}
}

func lit(v any) *exprpb.Expr {
	c := &exprpb.Constant{}
	switch v := v.(type) {
	case string:
		c.ConstantKind = &exprpb.Constant_StringValue{StringValue: v}
	case int:
		c.ConstantKind = &exprpb.Constant_Int64Value{Int64Value: int64(v)}
	case bool:
		c.ConstantKind = &exprpb.Constant_BoolValue{BoolValue: v}
	default:
		panic(fmt.Sprintf("%T", v))
	}
	return &exprpb.Expr{ExprKind: &exprpb.Expr_ConstExpr{ConstExpr: c}}
}

// header reads as "" when it is absent.
func header(name string) *exprpb.Expr {
	all := selectField(ident("request"), "headers")
	return fn("_?_:_", fn("@in", lit(name), all), fn("_[_]", all, lit(name)), lit(""))
}

func headerIs(name, value string) *exprpb.Expr { return fn("_==_", header(name), lit(value)) }

func urlPath() *exprpb.Expr { return selectField(ident("request"), "url_path") }
