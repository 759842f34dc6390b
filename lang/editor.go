package lang

import (
	"slices"

	"admc.dev/admc/graph"
)

// Attributes gives what conditions can read on some protocol, in the order of
// the reference.
func Attributes() []string {
	var names []string
	for _, a := range attributes {
		if a.refused == "" {
			names = append(names, a.name)
		}
	}
	return names
}

// Operators gives what conditions do, by the names that CEL gives the functions
// behind its operators, sorted: "_&&_", "@in", "startsWith". Those of maps are
// "_[_]", "@in" and the macro "has".
func Operators() []string {
	names := []string{"_[_]", string(opIn), string(opHas), "timestamp"}
	for _, op := range accepted {
		names = append(names, string(op))
	}
	for op := range timeParts {
		names = append(names, string(op))
	}
	slices.Sort(names)
	return names
}

// Planes gives what a protocol is called that covers others in `on … : tcp`.
func Planes() []graph.Plane { return []graph.Plane{graph.HTTP, graph.GRPC, graph.TCP} }

// Words documents the words of the language, for editors.
var Words = []struct{ Where, Word, Doc string }{
	{"file", "let", "`let NAME = …` names endpoints or a value; `$NAME` uses it."},
	{"file", "policy", "`policy NAME { on … ACTIONS }`: what happens on which calls."},
	{"file", "require", "`require NAME { on … has … }`: a rule about policies."},
	{"file", "test", "`test \"title\" { … }`: requests, and what is expected of them."},
	{"file", "action", "`action NAME(…) { … }` declares an action."},
	{"policy", "on", "`on CALLERS -> RECEIVERS : PROTOCOLS`: the calls that the policy is about."},
	{"policy", "path", "`path a ~> b -> c`: requests whose chain of calls ends so; `->` is one call, `~>` one or more. `path except …`: the other requests to its last step."},
	{"policy", "when", "`when { … }`: a condition in CEL."},
	{"policy", "sample", "`sample 10%`: a share of the requests, drawn by a hash of `x-request-id`."},
	{"action", "phase", "`phase transport | authn | authz | quota | transform | route | observe`: when it acts on a request."},
	{"action", "reads", "`reads request.path, …`: parts of the message that it looks at."},
	{"action", "writes", "`writes request.headers[name], …`: parts of the message that it changes."},
	{"action", "provides", "`provides session.user`: what it leaves in its proxy for others."},
	{"action", "needs", "`needs jwt.claims`: what another action has to leave in its proxy."},
	{"action", "ends", "`ends request`: it may answer by itself, so that later actions do not run."},
	{"action", "single", "Only one can hold for a request."},
	{"action", "security", "It must not fail open: `@fail(closed)` unless the policy says otherwise."},
	{"action", "state", "`state counter(scope)`: it counts, shared as its parameter says."},
	{"action", "cost", "`cost 12`: microseconds of CPU for each request; `cost tcp 300`: for each connection of a byte stream."},
	{"action", "on", "`on http, grpc : either`: the protocols that it acts on, and the side."},
	{"action", "envoy", "`envoy http { \"@type\": …, … }`: the filter that does it on http and grpc; `envoy tcp` on byte streams."},
	{"endpoints", "except", "`A except B`: A without B."},
	{"endpoints", "external", "Every external."},
	{"expect", "pass", "The request reaches the receiver."},
	{"expect", "deny", "The request is answered on the way, `deny 403` with this status."},
	{"expect", "status", "The caller gets this status."},
	{"expect", "route", "The request goes to this version."},
	{"expect", "header", "The receiver gets this header with this value."},
	{"@", "ingress", "The policy is enforced at the receiver."},
	{"@", "egress", "The policy is enforced at the callers."},
	{"@", "strict", "It must hold even if the caller's pod is compromised: at the receiver."},
	{"@", "fail", "`@fail(closed)`: while its proxy is dead, connections are refused; `@fail(open)`: they pass."},
	{"@", "closed", "The callers in `on` call nothing else: in the graph that is an error, and the network refuses it."},
	{"@", "priority", "`@priority(N)`: of policies that conflict, the one with the higher number holds."},
	{"@", "before", "`@before(POLICY)`: acts before that policy on the same request."},
	{"@", "after", "`@after(POLICY)`: acts after that policy on the same request."},
}
