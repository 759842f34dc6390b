package lang

import (
	"slices"

	"admc.dev/admc/lang/diag"
)

// What the checker reports. Conditions have their own codes.
const (
	DuplicateName   diag.Code = "duplicate-name"
	DuplicateClause diag.Code = "duplicate-clause"
	MissingClause   diag.Code = "missing-clause"
	NotYet          diag.Code = "not-yet"

	UnknownService  diag.Code = "unknown-service"
	UnknownLabel    diag.Code = "unknown-label"
	UnknownProtocol diag.Code = "unknown-protocol"
	UnknownLet      diag.Code = "unknown-let"
	UnusedLet       diag.Code = "unused-let"
	LetCycle        diag.Code = "let-cycle"

	UnknownAnnotation diag.Code = "unknown-annotation"
	BadAnnotation     diag.Code = "bad-annotation"

	BadAction       diag.Code = "bad-action"
	UnusedAction    diag.Code = "unused-action"
	UnusedParameter diag.Code = "unused-parameter"
	UndividedBudget diag.Code = "undivided-budget"

	UnknownAction     diag.Code = "unknown-action"
	UnknownArgument   diag.Code = "unknown-argument"
	MissingArgument   diag.Code = "missing-argument"
	DuplicateArgument diag.Code = "duplicate-argument"
	TooManyArguments  diag.Code = "too-many-arguments"
	TypeMismatch      diag.Code = "type-mismatch"
	UnknownWord       diag.Code = "unknown-word"
	BadValue          diag.Code = "bad-value"
	UnknownVersion    diag.Code = "unknown-version"
	UnusedArgument    diag.Code = "unused-argument"

	NoEdges       diag.Code = "no-edges"
	AlwaysFalse   diag.Code = "always-false"
	WrongProtocol diag.Code = "wrong-protocol"

	NoSide          diag.Code = "no-side"
	SideDependent   diag.Code = "side-dependent"
	DividedBudget   diag.Code = "divided-budget"
	NoProvider      diag.Code = "no-provider"
	AgainstOrder    diag.Code = "against-order"
	ClosedCall      diag.Code = "closed-call"
	Conflict        diag.Code = "conflict"
	RequireUnmet    diag.Code = "require-unmet"
	UnknownPolicy   diag.Code = "unknown-policy"
	OrderCycle      diag.Code = "order-cycle"
	UnusedOrder     diag.Code = "unused-order"
	HeaderLookalike diag.Code = "header-lookalike"
	Overruled       diag.Code = "overruled"

	RefusesNothing    diag.Code = "refuses-nothing"
	TwoEndedCondition diag.Code = "two-ended-condition"
	PlaintextCallers  diag.Code = "plaintext-callers"

	PathTooLarge   diag.Code = "path-too-large"
	PathMixed      diag.Code = "path-mixed"
	PathLost       diag.Code = "path-lost"
	ForwardBaggage diag.Code = "forward-baggage"

	NoExpectation diag.Code = "no-expectation"
	UnknownCall   diag.Code = "unknown-call"
	AmbiguousCall diag.Code = "ambiguous-call"
	BadRequest    diag.Code = "bad-request"
)

// Codes documents them. The examples are checked against testdata/shop.yaml,
// unless one names a graph.
var Codes = slices.Concat(checkCodes, actionCodes, pathCodes, testCodes, celCodes)

var checkCodes = []diag.CodeDoc{{
	Code:    DuplicateName,
	Summary: "Two declarations of one kind have the same name.",
	Bad: `policy a { on search -> geo  timeout(1s) }
policy a { on frontend -> search  timeout(1s) }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
policy b { on frontend -> search  timeout(1s) }
`,
}, {
	Code:    DuplicateClause,
	Summary: "A policy has a clause twice of which it can have one.",
	Bad: `policy a {
    on   search -> geo
    when { request.method == "GET" }
    when { request.host == "geo" }
    deny()
}
`,
	Good: `policy a {
    on   search -> geo
    when { request.method == "GET" && request.host == "geo" }
    deny()
}
`,
}, {
	Code:    MissingClause,
	Summary: "A policy says on no edges, or has neither an action nor @closed.",
	Bad: `policy a {
    on search -> geo
}
`,
	Good: `policy a {
    on search -> geo
    deny()
}
`,
}, {
	Code:    NotYet,
	Summary: "The language has it, and this release does not: it is refused, never ignored.",
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
identity: ports
services:
  checkout: {}
  cart: {ports: [{port: 8080, protocol: http}]}
calls:
  - {from: checkout, to: cart}
`,
	GoodGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
identity: none
services:
  checkout: {}
  cart: {ports: [{port: 8080, protocol: http}]}
calls:
  - {from: checkout, to: cart}
`,
	Bad:  "policy a { on checkout -> cart  deny() }\n",
	Good: "policy a { on checkout -> cart  deny() }\n",
}, {
	Code:    ClosedCall,
	Summary: "A policy says @closed of a service, which then calls nothing else, and the graph has another call of it.",
	Bad: `@closed
policy frontend_calls { on frontend -> {search, cart, checkout} }
`,
	Good: `@closed
policy frontend_calls { on frontend -> {search, cart, checkout, recommendation} }
`,
}, {
	Code:    UnknownService,
	Summary: "The graph has no service or external of that name, or no service that the pattern matches.",
	Bad: `policy a { on search -> goe  deny() }
`,
	Good: `policy a { on search -> geo  deny() }
`,
}, {
	Code:    UnknownLabel,
	Summary: "No service has that label, or that value of it.",
	Bad: `policy a { on * -> {[teir=web], geo}  deny() }
`,
	Good: `policy a { on * -> {[tier=web], geo}  deny() }
`,
}, {
	Code:    UnknownProtocol,
	Summary: "There is no protocol of that name.",
	Bad: `policy a { on search -> geo : grcp  deny() }
`,
	Good: `policy a { on search -> geo : grpc  deny() }
`,
}, {
	Code:    UnknownLet,
	Summary: "A $name that no let declares.",
	Bad: `policy a { on search -> geo  timeout($patience) }
`,
	Good: `let patience = 2s
policy a { on search -> geo  timeout($patience) }
`,
}, {
	Code:    UnusedLet,
	Summary: "A let that nothing refers to.",
	Bad: `let patience = 2s
policy a { on search -> geo  timeout(2s) }
`,
	Good: `let patience = 2s
policy a { on search -> geo  timeout($patience) }
`,
}, {
	Code:    LetCycle,
	Summary: "A let that is defined by itself.",
	Bad: `let a = {$b, geo}
let b = {$a, search}
policy p { on * -> $a  deny() }
`,
	Good: `let a = {$b, geo}
let b = {search}
policy p { on * -> $a  deny() }
`,
}, {
	Code:    UnknownAnnotation,
	Summary: "There is no annotation of that name.",
	Bad: `@egres
policy a { on search -> geo  deny() }
`,
	Good: `@egress
policy a { on search -> geo  deny() }
`,
}, {
	Code:    BadAnnotation,
	Summary: "An annotation stands there twice, contradicts another, or has an argument that it doesn't take.",
	Bad: `@ingress
@egress
policy a { on search -> geo  deny() }
`,
	Good: `@ingress
policy a { on search -> geo  deny() }
`,
}, {
	Code:    UnknownAction,
	Summary: "There is no action of that name.",
	Bad: `policy a { on search -> geo  rate_limt(5/s) }
`,
	Good: `policy a { on search -> geo  rate_limit(5/s) }
`,
}, {
	Code:    UnknownArgument,
	Summary: "An action has no argument of that name, or an argument without a name follows one with a name.",
	Bad: `policy a { on search -> geo  rate_limit(rate: 5/s, brust: 3) }
`,
	Good: `policy a { on search -> geo  rate_limit(rate: 5/s, burst: 3) }
`,
}, {
	Code:    MissingArgument,
	Summary: "An argument that has no default is not given.",
	Bad: `policy a { on search -> geo  timeout() }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
`,
}, {
	Code:    DuplicateArgument,
	Summary: "An argument is given twice.",
	Bad: `policy a { on search -> geo  timeout(1s, after: 2s) }
`,
	Good: `policy a { on search -> geo  timeout(after: 2s) }
`,
}, {
	Code:    TooManyArguments,
	Summary: "More arguments are given than the action takes.",
	Bad: `policy a { on search -> geo  timeout(1s, 2s) }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
`,
}, {
	Code:    TypeMismatch,
	Summary: "A value is of another kind than is wanted.",
	Bad: `policy a { on search -> geo  timeout(500/s) }
`,
	Good: `policy a { on search -> geo  timeout(500ms) }
`,
}, {
	Code:    UnknownWord,
	Summary: "A value is none of the words that can stand there.",
	Bad: `policy a { on search -> geo  rate_limit(5/s, scope: "callers") }
`,
	Good: `policy a { on search -> geo  rate_limit(5/s, scope: "caller") }
`,
}, {
	Code:    BadValue,
	Summary: "A value is of the right kind and still makes no sense.",
	Bad: `policy a { on internet -> frontend  deny(status: 99) }
`,
	Good: `policy a { on internet -> frontend  deny(status: 404) }
`,
}, {
	Code:    UnknownVersion,
	Summary: "A version that the graph does not list for the receiver.",
	Bad: `policy a { on frontend -> recommendation  route("v3") }
`,
	Good: `policy a { on frontend -> recommendation  route("v2") }
`,
}, {
	Code:    UnusedArgument,
	Summary: "What is written means nothing on the protocols of the policy's calls.",
	Bad: `policy a { on search -> geo : grpc  deny(status: 404) }
`,
	Good: `policy a { on search -> geo : grpc  deny(code: "NOT_FOUND") }
`,
}, {
	Code:    NoEdges,
	Summary: "A policy matches no call of the graph.",
	Bad: `policy a { on geo -> frontend  deny() }
`,
	Good: `policy a { on search -> geo  deny() }
`,
}, {
	Code:    AlwaysFalse,
	Summary: "A condition is false on every call that its policy matches.",
	Bad: `policy a {
    on   search -> geo
    when { source.service == "frontend" }
    deny()
}
`,
	Good: `policy a {
    on   * -> geo
    when { source.service == "search" }
    deny()
}
`,
}, {
	Code:    WrongProtocol,
	Summary: "An action, or a sample, can't act on the protocol of a call that the policy matches.",
	Bad: `policy a { on geo -> mongodb-geo  timeout(1s) }
`,
	Good: `policy a { on geo -> mongodb-geo  connect_timeout(1s) }
`,
}, {
	Code:    NoSide,
	Summary: "A policy can be enforced at neither end of a call. The notes say why, for each end.",
	Bad: `@ingress
policy a { on search -> geo  timeout(1s) }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
`,
}, {
	Code:    SideDependent,
	Summary: "A condition reads what is not the same at either end of a call, and the policy does not say which end is meant.",
	Bad: `policy a {
    on   search -> geo
    when { source.address.startsWith("10.") }
    deny()
}
`,
	Good: `@ingress
policy a {
    on   search -> geo
    when { source.address.startsWith("10.") }
    deny()
}
`,
}, {
	Code:    DividedBudget,
	Summary: "A budget is divided between the replicas that count it.",
	Bad: `policy a { on cart -> redis-cart  rate_limit(300/s) }
`,
	Good: `policy a { on geo -> mongodb-geo  rate_limit(300/s) }
`,
}, {
	Code:    NoProvider,
	Summary: "A condition reads what no policy on the call provides, or not in time.",
	Bad: `policy a {
    on   frontend -> recommendation
    when { jwt.claims["role"] != "admin" }
    deny()
}
`,
	Good: `policy signed_in { on frontend -> recommendation  jwt("me", "https://login.example.com/keys.json") }
policy a {
    on   frontend -> recommendation
    when { jwt.claims["role"] != "admin" }
    deny()
}
`,
}, {
	Code:    AgainstOrder,
	Summary: "Two policies are pinned by hand to sides where they act in another order than they would together.",
	Bad: `@ingress
policy a { on search -> geo  rate_limit(5/s) }
@egress
policy b { on search -> geo  fault(abort: 503) }
`,
	Good: `@egress
policy a { on search -> geo  rate_limit(5/s) }
@egress
policy b { on search -> geo  fault(abort: 503) }
`,
}, {
	Code:    Conflict,
	Summary: "Two actions of which only one can hold for a request both match it.",
	Bad: `policy a { on search -> geo  timeout(1s) }
policy b { on * -> geo  timeout(2s) }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
policy b { on frontend -> search  timeout(2s) }
`,
}, {
	Code:    RequireUnmet,
	Summary: "On a call that a `require` names, no policy does what it asks for to every request.",
	Bad: `policy log { on * -> geo  when { request.method == "POST" }  access_log() }
require audited { on * -> geo  has access_log }
`,
	Good: `policy log { on * -> geo  access_log() }
require audited { on * -> geo  has access_log }
`,
}, {
	Code:    UnknownPolicy,
	Summary: "An annotation or a test names a policy that is not in the program.",
	Bad: `@before(cuont)
policy cut { on search -> geo  fault(abort: 503) }
policy count { on search -> geo  rate_limit(5/s) }
`,
	Good: `@before(count)
policy cut { on search -> geo  fault(abort: 503) }
policy count { on search -> geo  rate_limit(5/s) }
`,
}, {
	Code:    OrderCycle,
	Summary: "@before and @after lead from a policy back to itself.",
	Bad: `@before(count)
policy cut { on search -> geo  fault(abort: 503) }
@before(cut)
policy count { on search -> geo  rate_limit(5/s) }
`,
	Good: `@before(count)
policy cut { on search -> geo  fault(abort: 503) }
@after(cut)
policy count { on search -> geo  rate_limit(5/s) }
`,
}, {
	Code:    UnusedOrder,
	Summary: "@before or @after between policies that share no call.",
	Bad: `@before(count)
policy cut { on frontend -> search  fault(abort: 503) }
policy count { on search -> geo  rate_limit(5/s) }
`,
	Good: `@before(count)
policy cut { on search -> geo  fault(abort: 503) }
policy count { on search -> geo  rate_limit(5/s) }
`,
}, {
	Code:    HeaderLookalike,
	Summary: "Two policies on one port go by headers that many servers take for one, such as `x-user` and `x_user`.",
	Bad: `policy a { on search -> geo  set_header("x-user", "search") }
policy b { on search -> geo  when { request.headers["x_user"] == "bob" }  deny() }
`,
	Good: `policy a { on search -> geo  set_header("x-mark", "search") }
policy b { on search -> geo  when { request.headers["x-user"] == "bob" }  deny() }
`,
}, {
	Code:    Overruled,
	Summary: "An action gives way to policies of higher priority on every call that it matches.",
	Bad: `@priority(1)
policy a { on * -> geo  timeout(1s) }
policy b { on search -> geo  timeout(2s) }
`,
	Good: `policy a { on * -> cart  timeout(1s) }
@priority(1)
policy b { on checkout -> cart  timeout(2s) }
`,
}, {
	Code:    RefusesNothing,
	Summary: "An allow whose condition always holds refuses nothing.",
	Bad: `policy a { on search -> geo  allow() }
`,
	Good: `policy a { on * -> cart  when { source.service == "checkout" }  allow() }
`,
}, {
	Code:    PlaintextCallers,
	Summary: "An action that needs both ends of a call, such as mtls, leaves out callers of its receiver.",
	Bad: `policy a { on checkout -> cart  mtls() }
`,
	Good: `policy a { on * -> cart  mtls() }
`,
}, {
	Code:    TwoEndedCondition,
	Summary: "An action that needs both ends of a call, such as mtls, can't hang on a request's contents or a sample.",
	Bad: `policy a { on * -> cart  when { request.method == "GET" }  mtls() }
`,
	Good: `policy a { on * -> cart  when { destination.service == "cart" }  mtls() }
`,
}}
