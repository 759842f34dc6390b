package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Rules that exclude a side, as ir.Reason names them.
const (
	ruleAction     = "action"
	ruleAnnotation = "annotation"
	ruleAttribute  = "attribute"
	ruleExternal   = "external"
	ruleState      = "state"
	ruleStrict     = "strict"
	ruleIdentity   = "identity"
	ruleSelf       = "self"
)

// verdicts derives the sides of one policy's obligations and gathers what is
// wrong with them, so that one mistake on many receivers is one diagnostic.
type verdicts struct {
	c *checker
	p *policy

	stuck   []*stuckAt
	divided []*division
	told    map[string]bool // attributes complained about
}

// stuckAt is obligations that have no side for the same reasons.
type stuckAt struct {
	key   string
	first *obligation
	more  int
}

// judge gives an obligation its sides. Each rule adds its reasons; none is
// skipped because another has decided, so that `explain` can show them all.
func (v *verdicts) judge(o *obligation) {
	o.ir.May = ir.Ingress | ir.Egress
	v.external(o)
	if o.ir.Both {
		v.plaintext(o)
		v.selfCall(o)
		v.wholeConnections(o)
	} else {
		v.actions(o)
		v.annotations(o)
		v.attributes(o)
		v.selfCall(o)
		v.identity(o)
		for _, t := range o.acts {
			if t.act.decl.State == "counter" {
				v.counter(o, t)
			}
		}
	}
	for _, t := range o.acts {
		v.versions(o.ir.Receiver, t)
		v.hashKey(o, t)
	}
	if o.ir.May == 0 || o.ir.Both && len(o.ir.Reasons) > 0 {
		v.noSide(o)
		return
	}
	for _, t := range o.acts {
		if t.act.decl.State == "counter" {
			v.divide(o, t)
		}
	}
}

// wholeConnections refuses conditions and samples on an action at both ends: each
// would decide by itself, and of a connection, not of a request on it.
func (v *verdicts) wholeConnections(o *obligation) {
	i := slices.IndexFunc(o.ir.Edges, func(e *ir.Edge) bool { return e.Cond != nil })
	name := o.acts[0].act.decl.Name
	if v.p.ir.Sample < 1 && !v.complained("sample") {
		v.c.bag.Errorf(v.p.sample.At, TwoEndedCondition, "%s acts on whole connections, at both ends: a sample of requests can't choose them", name)
	}
	if i >= 0 && !v.complained("condition") {
		v.c.bag.Errorf(o.ir.Edges[i].Cond.At, TwoEndedCondition, "%s acts on whole connections, at both ends: a condition on requests can't choose them", name).
			WithHint("what the graph knows, such as source.service, may choose calls; put %s into a policy of its own", name)
	}
}

func (v *verdicts) exclude(o *obligation, side ir.Side, rule string, at diag.Span, format string, args ...any) {
	o.ir.May &^= side
	o.ir.Reasons = append(o.ir.Reasons, ir.Reason{Excludes: side, Rule: rule, Text: fmt.Sprintf(format, args...), At: at})
}

// actions: the intersection of what the actions can do on this protocol.
func (v *verdicts) actions(o *obligation) {
	for _, t := range o.acts {
		name := t.act.decl.Name
		switch t.act.decl.Sides[o.ir.Protocol.Plane()] {
		case ir.EgressOnly:
			v.exclude(o, ir.Ingress, ruleAction, t.ir.At, "%s acts only at the caller's side of %s", name, o.ir.Protocol)
		case ir.IngressOnly:
			v.exclude(o, ir.Egress, ruleAction, t.ir.At, "%s acts only at the receiver's side of %s", name, o.ir.Protocol)
		}
	}
}

func (v *verdicts) annotations(o *obligation) {
	pins := v.p.pins
	if pins.ingress != nil {
		v.exclude(o, ir.Egress, ruleAnnotation, pins.ingress.At, "the policy says @ingress")
	}
	if pins.egress != nil {
		v.exclude(o, ir.Ingress, ruleAnnotation, pins.egress.At, "the policy says @egress")
	}
	if pins.strict != nil {
		v.exclude(o, ir.Egress, ruleStrict, pins.strict.At, "the policy says @strict: it must hold even if a caller's pod is compromised")
	}
}

// external: an end outside the mesh can't host an ADM.
func (v *verdicts) external(o *obligation) {
	if e, ok := o.ir.Receiver.(*graph.External); ok {
		v.exclude(o, ir.Ingress, ruleExternal, e.At, "%s is outside the mesh and can't have an ADM", e.Name)
	}
	for _, edge := range o.ir.Edges {
		if e, ok := edge.Sender.(*graph.External); ok {
			v.exclude(o, ir.Egress, ruleExternal, e.At, "%s is outside the mesh and can't have an ADM", e.Name)
			return
		}
	}
}

// selfCall: what a pod sends to its own address is not inbound traffic, neither
// for the kernel's redirect nor for a NetworkPolicy; a call of the service to
// itself is seen where it is made.
func (v *verdicts) selfCall(o *obligation) {
	for _, e := range o.ir.Edges {
		if e.Sender == o.ir.Receiver {
			v.exclude(o, ir.Ingress, ruleSelf, e.Call.At, "%s calls itself, and a pod's call to its own address never comes in", e.Sender.NodeName())
			return
		}
	}
}

// attributes: what the residual conditions read may exist at one side only, or
// mean another thing at each.
func (v *verdicts) attributes(o *obligation) {
	for _, part := range o.reads {
		at := v.p.readAt(part, o.ir.Protocol.Plane())
		switch {
		case covers("connection", part):
			v.exclude(o, ir.Egress, ruleAttribute, at, "the condition reads %s, which only the receiver's side knows", part)
		case sideDependent[part]:
			if v.p.pins.placed() || v.p.unplaced || v.complained(part) {
				continue
			}
			v.c.bag.Errorf(at, SideDependent, "%s is not the same at the caller's side and at the receiver's", part).
				WithHint("say which is meant: @ingress or @egress").
				WithNote(v.p.ir.At, "policy %s says neither", v.p.ir.Name)
		}
	}
}

// sideDependent are parts that have another value at either side: addresses of
// a connection that an ADM has remade, and what an ADM adds to a request.
var sideDependent = map[string]bool{
	"source.address": true, "source.port": true, "destination.address": true, "destination.port": true,
	`request.headers["x-envoy-expected-rq-timeout-ms"]`: true,
	`request.headers["x-envoy-attempt-count"]`:          true,
	`request.headers["x-envoy-internal"]`:               true,
	`request.headers["x-envoy-external-address"]`:       true,
}

// complained reports whether a part was complained about in this policy, and
// remembers it.
func (v *verdicts) complained(part string) bool {
	if v.told[part] {
		return true
	}
	if v.told == nil {
		v.told = map[string]bool{}
	}
	v.told[part] = true
	return false
}

// plaintext warns of callers that an action at both ends leaves out: nothing
// changes for them, and they prove nothing about themselves.
func (v *verdicts) plaintext(o *obligation) {
	if v.p.misnamed {
		return // whom it leaves out is not known
	}
	all := v.c.idx.callers[o.key]
	out := slices.IndexFunc(all, func(n int32) bool { _, in := slices.BinarySearch(o.calls, n); return !in })
	if out < 0 {
		return
	}
	for _, n := range all {
		if _, in := slices.BinarySearch(o.calls, n); !in {
			o.ir.LeftOut = append(o.ir.LeftOut, v.c.g.Calls[n])
		}
	}
	if v.complained("plaintext") {
		return
	}
	left := v.c.g.Calls[all[out]]
	v.c.bag.Warnf(o.acts[0].ir.At, PlaintextCallers, "%s of policy %s leaves out %s, which goes on in plaintext", o.acts[0].act.decl.Name, v.p.ir.Name, callName(left)).
		WithNote(left.At, "the call is here")
}

func portName(o *ir.Obligation) string { return fmt.Sprintf("%s:%d", o.Receiver.NodeName(), o.Port) }

// noSide remembers an obligation that can be nowhere.
func (v *verdicts) noSide(o *obligation) {
	var key strings.Builder
	for _, r := range o.ir.Reasons {
		fmt.Fprintf(&key, "%s %d;", r.Rule, r.Excludes)
		if r.Rule != ruleIdentity && r.Rule != ruleState {
			fmt.Fprintf(&key, "%s", r.At)
		}
	}
	for _, s := range v.stuck {
		if s.key == key.String() {
			s.more++
			return
		}
	}
	v.stuck = append(v.stuck, &stuckAt{key: key.String(), first: o})
}

// report says what judge gathered.
func (v *verdicts) report() {
	for _, s := range v.stuck {
		v.reportStuck(s)
	}
	if len(v.stuck) == 0 {
		v.reportDivided()
	}
}

func (v *verdicts) reportStuck(s *stuckAt) {
	o := s.first.ir
	where := callName(o.Edges[0].Call)
	if n := len(o.Edges) - 1; n > 0 {
		where += fmt.Sprintf(" (and %s)", count(n, "other caller"))
	}
	if s.more > 0 {
		where += fmt.Sprintf(", nor of calls into %s", count(s.more, "other port"))
	}
	if o.Both {
		where = "both ends, as its action needs, of " + where
	} else {
		where = "either end of " + where
	}
	what := "policy"
	if s.first.acts[0].act == stampAction {
		what = "the stamp of policy"
	}
	d := v.c.bag.Errorf(o.Policy.At, NoSide, "%s %s can't be enforced at %s", what, o.Policy.Name, where)
	for _, r := range o.Reasons {
		d.WithNote(r.At, "not at %s: %s", r.Excludes, r.Text)
	}
	if s.first.acts[0].act == stampAction {
		d.WithHint("%s", v.c.stampWayOut(o))
		return
	}
	for _, rule := range []string{ruleAnnotation, ruleStrict, ruleAction, ruleState, ruleIdentity, ruleAttribute, ruleSelf, ruleExternal} {
		if hint := v.wayOut(o, rule); hint != "" {
			d.WithHint("%s", hint)
		}
	}
}

// stampWayOut says how a stamp on calls of externals could be at the receiver.
func (c *checker) stampWayOut(o *ir.Obligation) string {
	for _, call := range c.g.CallsTo(o.Receiver) {
		if _, external := call.From.(*graph.External); external && call.Port == o.Port && !slices.ContainsFunc(o.Edges, func(e *ir.Edge) bool { return e.Call == call }) {
			return fmt.Sprintf("the path tells %s from %s, and both come in at one port: give each a port of its own", o.Edges[0].Sender.NodeName(), call.From.NodeName())
		}
	}
	return "a client could write what the path is decided by, and services that share its port carry it: give externals a port of their own, or `identity` what tells those services"
}

// wayOut says how to lift a rule, if lifting it alone gives the obligation a
// side.
func (v *verdicts) wayOut(o *ir.Obligation, rule string) string {
	may, used := ir.Ingress|ir.Egress, false
	var texts []string
	for _, r := range o.Reasons {
		if r.Rule == rule {
			used = true
			texts = append(texts, r.At.Text())
		} else {
			may &^= r.Excludes
		}
	}
	if may &^= neverAt(o); !used || may == 0 {
		return ""
	}
	switch rule {
	case ruleAnnotation, ruleStrict:
		return fmt.Sprintf("without %s it could be enforced at %s", strings.Join(texts, " and "), may)
	case ruleAction:
		if len(o.Actions) > 1 {
			return fmt.Sprintf("put %s into a policy of its own", strings.Join(slices.Compact(texts), " and "))
		}
	case ruleState:
		return "choose another scope: caller is counted at the callers, service and pod at the receiver"
	case ruleIdentity:
		return fmt.Sprintf("let the policy treat all callers of %s alike, or let the graph say how they are told apart (identity: addresses, or mtls)", portName(o))
	case ruleAttribute:
		return "leave the attribute out of the condition"
	case ruleSelf:
		if v.others(func(call *graph.Call) bool { return call.From == call.To }) {
			return "name the service's calls to itself in a policy of their own"
		}
	case ruleExternal:
		if v.others(func(call *graph.Call) bool { return external(call.From) || external(call.To) }) {
			return "name the calls from and to externals in a policy of their own"
		}
	}
	return ""
}

// others reports whether the policy is about calls beside those of a kind.
func (v *verdicts) others(kind func(*graph.Call) bool) bool {
	return slices.ContainsFunc(v.p.live, func(e liveEdge) bool { return !kind(v.c.g.Calls[e.call]) })
}

func external(n graph.Node) bool { _, out := n.(*graph.External); return out }

// neverAt gives the sides at which the graph has no place for an ADM, whatever the
// program says.
func neverAt(o *ir.Obligation) (sides ir.Side) {
	never := func(n graph.Node) bool {
		s, inside := n.(*graph.Service)
		return inside && s.ADM == graph.ADMNever
	}
	if never(o.Receiver) {
		sides |= ir.Ingress
	}
	if slices.ContainsFunc(o.Edges, func(e *ir.Edge) bool { return never(e.Sender) }) {
		sides |= ir.Egress
	}
	return sides
}

// versions: an action that chooses a version needs the receiver to have it.
func (v *verdicts) versions(receiver graph.Node, t *typedCall) {
	if len(versionsOf(t.ir.Args)) == 0 || !touches("upstream", t.writes) || v.complained(t.act.decl.Name+" "+receiver.NodeName()) {
		return
	}
	s, ok := receiver.(*graph.Service)
	if !ok {
		v.c.bag.Errorf(t.ir.At, UnknownVersion, "%s is outside the mesh: %s can't choose a version of it", receiver.NodeName(), t.act.decl.Name).
			WithNote(receiver.Span(), "%s is declared here", receiver.NodeName())
		return
	}
	for _, want := range versionsOf(t.ir.Args) {
		if slices.Contains(s.Versions, want) || !isVersion(want) {
			continue
		}
		if len(s.Versions) == 0 {
			v.c.bag.Warnf(t.ir.At, UnknownVersion, "the graph lists no versions of %s, so nothing says that it has %q", s.Name, want).
				WithHint("add `versions: [%s]` to it in the graph", want).
				WithNote(s.At, "%s is declared here", s.Name)
			return
		}
		v.c.bag.Errorf(t.ir.At, UnknownVersion, "%s has no version %q", s.Name, want).
			WithHint("its versions are %s", quoted(s.Versions)).
			WithNote(s.At, "%s is declared here", s.Name)
	}
}

// hashKey: what an lb hashes must be there on a byte stream.
func (v *verdicts) hashKey(o *obligation, t *typedCall) {
	key := t.ir.Args["key"]
	if t.act.decl.Name != "lb" || o.ir.Protocol.Plane() != graph.TCP || key.Str == "" || key.Str == "source" || v.complained("lb key") {
		return
	}
	v.c.bag.Errorf(key.At, BadValue, "a connection of %s has no %s, only a source", o.ir.Protocol, strings.Split(key.Str, ":")[0]).
		WithNote(o.ir.Edges[0].Call.At, "the call is here")
}

// versionsOf gives the versions that the arguments of route, mirror or split name.
func versionsOf(args map[string]ir.Value) []string {
	if v, ok := args["version"]; ok {
		return []string{v.Str}
	}
	var out []string
	for _, e := range args["weights"].Map {
		out = append(out, e.Key)
	}
	return out
}
