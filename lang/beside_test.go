package lang

import (
	"fmt"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// A mistake is a part of a program with one error in it.
type mistake struct {
	code        diag.Code
	above, text string // above: an annotation of the policy
	group       string // no two of one group are combined: together they mean something else
}

// TestBesideInPolicy: no two mistakes of one policy hide each other, and together they
// give no third error.
func TestBesideInPolicy(t *testing.T) {
	list := []mistake{
		{code: UnknownAnnotation, above: `@stict`},
		{code: BadAnnotation, above: `@fail(maybe)`},
		{code: BadAnnotation, above: `@priority("high")`},
		{code: BadAnnotation, above: `@egress @ingress`, group: "side"},
		{code: UnknownPolicy, above: `@before(nobody)`},
		{code: NoSide, above: `@ingress`, text: `idle_timeout(1m)`, group: "side"},
		{code: NoSide, text: `on internet -> frontend  idle_timeout(1m)`, group: "side"},

		{code: UnknownService, text: `on serch -> geo`},
		{code: UnknownProtocol, text: `on frontend -> search : gprc`},
		{code: UnknownLet, text: `on $fronts -> search`},

		{code: UnknownAttribute, text: `when { request.heders["x"] == "1" }`, group: "when"},
		{code: CELType, text: `when { request.path == 1 }`, group: "when"},
		{code: CELSyntax, text: `when { request.path == }`, group: "when"},
		{code: DuplicateClause, text: `when { request.path == "/" }  when { request.path == "/x" }`, group: "when"},
		{code: BadValue, text: `sample 0%`, group: "sample"},
		{code: DuplicateClause, text: `sample 1%  sample 2%`, group: "sample"},

		{code: UnknownAction, text: `dney()`},
		{code: WrongProtocol, text: `redirect(path: "/x")`},
		{code: WrongProtocol, text: `compress()`},
		{code: UnknownVersion, text: `route(version: "v9")`, group: "version"},
		{code: UnknownVersion, text: `split({"v1": 50%, "v9": 50%})`, group: "version"},
		{code: Conflict, text: `locality()  locality("only")`},
		{code: Conflict, text: `set_header("x-a", "1")  set_header("x-a", "2")`},
		{code: MissingArgument, text: `timeout()`},
		{code: TooManyArguments, text: `allow(1)`},
		{code: UnknownArgument, text: `ext_authz(addres: "a:1")`},
		{code: DuplicateArgument, text: `hedge(after: 1s, after: 2s)`},
		{code: TypeMismatch, text: `connect_timeout(3)`},
		{code: TypeMismatch, text: `concurrency_limit(max: 5, scope: 3)`},
		{code: TypeMismatch, text: `outlier_detection(errors: 5s)`},
		{code: UnknownLet, text: `trace(collector: $otel)`},
		{code: UnknownWord, text: `retry(on: ["unavialable"])`},
		{code: BadValue, text: `bandwidth_limit(1B)`},
		{code: BadValue, text: `fault(share: 0%, delay: 1s)`},
		{code: BadValue, text: `deny(status: 999)`},
		{code: BadValue, text: `remove_header("host")`},
		{code: BadValue, text: `mirror(version: "v 1")`},
		{code: BadValue, text: `jwt(issuer: "x")`},
	}
	besides(t, list, func(a, b mistake) string {
		return a.above + "\n" + b.above + "\npolicy p {\non frontend -> recommendation\non search -> geo\naccess_log()\n" + a.text + "\n" + b.text + "\n}\n"
	})
}

// TestBesideInCall is the same for the arguments of one call.
func TestBesideInCall(t *testing.T) {
	for call, list := range map[string][]mistake{
		"deny": {
			{code: BadValue, text: `status: 999`, group: "status"}, {code: TypeMismatch, text: `status: "x"`, group: "status"},
			{code: TypeMismatch, text: `body: 3`, group: "body"}, {code: UnknownWord, text: `code: "NOPE"`}, {code: UnknownArgument, text: `stats: 5`},
			{code: UnknownLet, text: `body: $none`, group: "body"}, {code: DuplicateArgument, text: `body: "x", body: "y"`, group: "body"},
		},
		"retry": {
			{code: BadValue, text: `attempts: -1`, group: "attempts"}, {code: DuplicateArgument, text: `attempts: 1, attempts: 2`, group: "attempts"},
			{code: UnknownWord, text: `on: ["unavialable"]`, group: "on"}, {code: BadValue, text: `on: []`, group: "on"}, {code: TypeMismatch, text: `per_try: 3`},
		},
		`jwt issuer: "x", jwks: "{\"keys\": [{\"kty\": \"oct\", \"k\": \"aa\"}]}"`: {
			{code: BadValue, text: `issuer: "", jwks: "{\"keys\": [{\"kty\": \"oct\", \"k\": \"aa\"}]}"`, group: "issuer"},
			{code: MissingArgument, text: `jwks: "{\"keys\": [{\"kty\": \"oct\", \"k\": \"aa\"}]}"`, group: "issuer"},
			{code: BadValue, text: `issuer: "x", jwks: "{}"`, group: "issuer"}, {code: BadValue, text: `issuer: "x", jwks_uri: "ftp://x"`, group: "issuer"},
			{code: TypeMismatch, text: `issuer: "x", jwks_uri: 3`, group: "issuer"}, {code: BadValue, text: `issuer: "x"`, group: "issuer"},
			{code: TypeMismatch, text: `audiences: "me"`}, {code: TypeMismatch, text: `forward: 1`},
		},
		"cors origins: [\"https://a\"]": {
			{code: BadValue, text: `origins: ["x"]`, group: "origins"}, {code: TypeMismatch, text: `origins: [3]`, group: "origins"},
			{code: BadValue, text: `origins: ["*"], credentials: true`, group: "origins"}, {code: MissingArgument, group: "origins"},
			{code: TypeMismatch, text: `origins: ["https://a", 3]`, group: "origins"},
			{code: BadValue, text: `methods: ["G T"]`}, {code: TypeMismatch, text: `max_age: 5`},
		},
		"split": {
			{code: TypeMismatch, text: `{"v1": 50%, "v2": 3}`, group: "map"}, {code: BadValue, text: `{"v1": 50%}`, group: "map"},
			{code: UnknownVersion, text: `{"v1": 50%, "v9": 50%}`, group: "map"}, {code: UnknownArgument, text: `{"v1": 100%}, of: "x"`, group: "map"},
		},
		"rate_limit rate: 1/s": {
			{code: BadValue, text: `rate: 0/s`, group: "rate"}, {code: MissingArgument, group: "rate"}, {code: TypeMismatch, text: `rate: 5`, group: "rate"},
			{code: BadValue, text: `rate: 1/s, global: true, address: "x"`, group: "rate"}, {code: BadValue, text: `rate: 1/s, global: true, burst: 3`, group: "rate"},
			{code: BadValue, text: `per: "host"`}, {code: UnknownWord, text: `scope: "nobody"`},
		},
		"mtls": {
			{code: BadValue, text: `trust_domain: "A"`}, {code: TypeMismatch, text: `mode: 3`}, {code: BadValue, text: `certificates: "x"`, group: "keys"},
			{code: BadValue, text: `sds: "x"`, group: "keys"}, {code: TypeMismatch, text: `sds: 3`, group: "keys"},
		},
		"metric": {
			{code: BadValue, text: `name: "1"`, group: "name"}, {code: TypeMismatch, text: `name: 1`, group: "name"},
			{code: BadValue, text: `name: "m", labels: {"status": "x"}`, group: "name"}, {code: MissingArgument, group: "name"},
			{code: UnknownArgument, text: `name: "m", sort: "x"`, group: "name"},
		},
		"rewrite": {
			{code: BadValue, text: `prefix: "/a b", with: "/c"`, group: "prefix"}, {code: TypeMismatch, text: `prefix: "/a", with: 3`, group: "prefix"},
			{code: BadValue, text: `prefix: "/a", with: "c"`, group: "prefix"},
			{code: BadValue, text: `prefix: "/a", with: "/c", host: "a b"`, group: "prefix"}, {code: UnknownArgument, text: `prefix: "/a", with: "/c", path: "/c"`, group: "prefix"},
		},
	} {
		action, needed, _ := strings.Cut(call, " ") // what it needs, unless a mistake is about it
		t.Run(action, func(t *testing.T) {
			besides(t, list, func(a, b mistake) string {
				third := needed
				if name, _, _ := strings.Cut(needed, ":"); a.group == name || b.group == name {
					third = ""
				}
				return "policy p {\non frontend -> recommendation\n" + action + "(" + commaed(commaed(a.text, b.text), third) + ")\n}\n"
			})
		})
	}
}

// commaed puts a comma between what is there, and each on lines of its own.
func commaed(a, b string) string {
	if a != "" && b != "" {
		a += ","
	}
	return a + "\n" + b
}

// TestBesideInProgram is the same for the declarations of a program.
func TestBesideInProgram(t *testing.T) {
	besides(t, []mistake{
		{code: BadAction, text: `action a1(x: string) { phase auth  on http : either }`},
		{code: BadAction, text: `action a2(x: string) { phase authz  on htp : either  envoy http { "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": x} } }`},
		{code: UnknownArgument, text: `policy p1 { on frontend -> recommendation  quiet(x: "x", z: "x") }`},
		{code: TypeMismatch, text: `policy p2 { on frontend -> recommendation  quiet(x: 3) }`},
		{code: MissingArgument, text: `policy p3 { on frontend -> recommendation  timeout() }`},
		{code: UnknownAction, text: `policy p4 { on frontend -> recommendation  tmeout(1s) }`},
		{code: UnknownPolicy, text: `@before(elsewhere) policy p5 { on frontend -> recommendation  access_log() }`},
		{code: NoSide, text: `@ingress policy p6 { on internet -> frontend  timeout(1s) }`},
		{code: UnknownService, text: `let nodes = {serch, geo}`},
		{code: LetCycle, text: `let self = $self`},
		{code: UnknownAction, text: `require r1 { on frontend -> recommendation  has tls }`},
		{code: UnknownService, text: `require r2 { on fronted -> recommendation  has deny }`},
		{code: UnknownService, text: `test "t1" { frontend -> recomendation GET "/"  expect pass }`},
		{code: BadRequest, text: `test "t2" { frontend -> recommendation GET "x"  expect pass }`},
	}, func(a, b mistake) string {
		return "action quiet(x: string) { phase quota  on http : either }\n" + a.text + "\n" + b.text + "\n"
	})
}

// TestCallOfWrongAction: a mistake in a declaration does not hide those of its calls,
// as far as its parameters are known.
func TestCallOfWrongAction(t *testing.T) {
	for declared, want := range map[string]int{
		`action mine(x: string, y: int = "3") { phase quota  on http : either }`: 3,
		`action mine(x: string) { phase quet  on http : either }`:                3,
		`action mine(x: string, x: int) { phase quota  on http : either }`:       1,
		`action mine(x: endpoints) { phase quota  on http : either }`:            1,
	} {
		text := declared + `policy p { on frontend -> recommendation  mine(x: 3, z: 4) }`
		if got := errorsOf(t, text); len(got) != want {
			t.Errorf("%s\nwant %d errors, got %v", text, want, got)
		}
	}
}

// besides holds each pair to the errors of its two mistakes.
func besides(t *testing.T, list []mistake, layout func(a, b mistake) string) {
	alone := func(m mistake, text string) map[string]bool {
		errors := errorsOf(t, text)
		if len(errors) != 1 || !strings.HasSuffix(first(errors), string(m.code)) {
			t.Errorf("%s %s alone: want %s, got %v", m.above, m.text, m.code, errors)
		}
		return errors
	}
	for i, a := range list {
		for _, b := range list[i+1:] {
			if a.group != "" && a.group == b.group {
				continue
			}
			want := alone(a, layout(a, mistake{}))
			for e := range alone(b, layout(mistake{}, b)) {
				want[e] = true
			}
			text := layout(a, b)
			got := errorsOf(t, text)
			for e := range want {
				if !got[e] {
					t.Errorf("%s is hidden in\n%s", e, text)
				}
			}
			for e := range got {
				if !want[e] {
					t.Errorf("%s is nobody's in\n%s", e, text)
				}
			}
		}
	}
}

func first(of map[string]bool) string {
	for e := range of {
		return e
	}
	return ""
}

// errorsOf are the errors of a program on the shop, as file:line:col and code.
func errorsOf(t *testing.T, text string) map[string]bool {
	t.Helper()
	_, bag := checkText(shop(t), text)
	out := map[string]bool{}
	for _, d := range bag.All() {
		if d.Severity == diag.Error {
			out[fmt.Sprintf("%s %s", d.At, d.Code)] = true
		}
	}
	return out
}

// TestNoFollowUp: what a mistake is the reason of is not told beside it.
func TestNoFollowUp(t *testing.T) {
	proven := `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: g, namespace: g}
identity: mtls
services:
  a: {}
  c: {}
  b: {ports: [{port: 80, protocol: http}], replicas: 2}
calls:
  - {from: a, to: b}
  - {from: c, to: b}
`
	const told = `
@ingress policy told { on a -> b  rate_limit(rate: 1/s, scope: "pod") }`
	for seal, code := range map[string]diag.Code{
		`policy seal { on * -> b  mtls() }`: "", // the control
		`policy seal { on c -> b  mtls() }`: "",
		`policy seal { on a -> b  mtls() }`: NoSide,

		`policy seal { on * -> b  mtls(mode: "stict") }`:                    UnknownWord,
		`policy seal { on * -> b  mtls(trust_domain: "A") }`:                BadValue,
		`policy seal { on * -> b  mtls(3) }`:                                TypeMismatch,
		`policy seal { on * -> b  mtsl() }`:                                 UnknownAction,
		`policy seal { on * -> d  mtls() }`:                                 UnknownService,
		`policy seal { on * -> b  when { source.servise == "c" }  mtls() }`: UnknownAttribute,
	} {
		_, bag := checkText(loadGraph(t, "g.yaml", []byte(proven)), seal+told)
		holdOne(t, seal+told, bag, code)
	}
	for text, code := range map[string]diag.Code{
		`@closd policy p { on search -> geo }`: UnknownAnnotation,
		`@ingres policy p { on frontend -> recommendation  when { source.address == "10.0.0.1" }  deny() }`:                                                    UnknownAnnotation,
		`@ingress @egress policy p { on frontend -> recommendation  when { source.address == "10.0.0.1" }  deny() }`:                                           BadAnnotation,
		`@ingress policy p { on fronted -> recommendation, frontend -> cart  access_log() }`:                                                                   UnknownService,
		`policy p { on frontend -> recommendation, cart -> redis-cart  when { source.servise == "frontend" }  redirect("x") }`:                                 UnknownAttribute,
		`policy p { on frontend -> recommendation, cart -> redis-cart  when { request.path == "/" }  set_header("x", "1") }`:                                   WrongPlane,
		`policy p { on frontend -> recommendation  route(versoin: "v1") }`:                                                                                     UnknownArgument,
		`policy p { on frontend -> recommendation  jwt(issuer: "x", jwks_url: "https://a") }`:                                                                  UnknownArgument,
		`policy p { on frontend -> recommendation  when { response.code == 200 }  set_header("x", "1", of: "respons") }`:                                       UnknownWord,
		`policy p { on frontend -> cart  concurrency_limit(max: "1") }`:                                                                                        TypeMismatch,
		`policy p { on frontend -> cart  concurrency_limit(max: 0) }`:                                                                                          BadValue,
		`@priority(1) policy q { on frontend -> recommendation  route("v1") } policy p { on frontend -> recommendation  route(version: "v9", version: "v1") }`: DuplicateArgument,
	} {
		_, bag := checkText(shop(t), text)
		holdOne(t, text, bag, code)
	}
}

// holdOne wants one error of a code, or none where it is "".
func holdOne(t *testing.T, text string, bag *diag.Bag, code diag.Code) {
	t.Helper()
	var got []diag.Code
	for _, d := range bag.All() {
		if d.Severity == diag.Error {
			got = append(got, d.Code)
		}
	}
	if code == "" && len(got) == 0 || len(got) == 1 && got[0] == code {
		return
	}
	t.Errorf("%s\nwant %q, got\n%s", text, code, textOf(bag.All()))
}
