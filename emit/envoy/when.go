package envoy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	actionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	inputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	ipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/ip/v3"
	fractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// A when decides once for each request whether a policy applies to it, and
// leaves the answer in the filter state, where all of the policy's actions
// find it: they agree even after one of them has changed what the condition
// reads, and on a local reply that never met them on the way in.
type when struct {
	policy string     // and the part of it, where it has several: what the decision is named by
	seed   string     // of the draw: the policy's name, so that its parts agree
	text   string     // the condition in Envoy's CEL; "" when the policy is only sampled
	reads  []string   // attributes of the condition
	sample float64    // 1 when it is not sampled
	except []ir.Proof // callers of whom nothing is the policy's
	// switchOf is the policy by whose switch the answer is no; "": none.
	switchOf   string
	onlySwitch bool // there is nothing else to decide
	sealed     bool // it is decided behind the listener that takes the seal off
}

// newWhen gives nil for a rule that always applies.
func (a *adm) newWhen(l *layout.Listener, r *layout.Rule) *when {
	p := r.Obligation.Policy
	if r.Cond == nil && p.Sample >= 1 && len(r.Except) == 0 {
		return nil
	}
	w := &when{policy: ruleName(r), seed: p.Name, sample: p.Sample, except: r.Except, sealed: l.Seal != nil && l.Side == ir.Ingress}
	if !stamps(r) {
		w.switchOf = p.Name
	}
	if r.Cond != nil {
		printer := &celPrinter{unsealed: w.sealed, unnoted: slices.ContainsFunc(l.Rules, answersPreflights)}
		text, err := printer.text(r.Cond.Expr)
		if err != nil {
			a.bag.Errorf(r.Cond.At, CodeUnsupported, "no data plane can do %s", err)
		}
		w.text, w.reads = text, r.Cond.Reads
		if w.late() && w.readsAny([]string{"request.headers[" + strconv.Quote(forwardedProto) + "]"}) {
			// When there is an answer the header may be back in its place, or not yet.
			a.bag.Errorf(r.Cond.At, CodeUnsupported, "no data plane can do a condition on the answer that reads %s of the request too", forwardedProto).
				WithHint("write two policies, the one on the request with a header of its own")
		}
	}
	return w
}

func answersPreflights(r *layout.Rule) bool {
	return slices.ContainsFunc(r.Obligation.Actions, func(a *ir.Action) bool { return a.Name() == "cors" })
}

// ruleName is the policy's name, with the part and the group of callers where
// the listener has several rules of the policy.
func ruleName(r *layout.Rule) string {
	name := r.Obligation.Policy.Name
	if part := r.Obligation.Part; part != "" {
		name += "#" + part
	}
	if r.Group != "" {
		name += "@" + r.Group
	}
	return name
}

func (w *when) key() string { return "admc." + w.policy }

func (w *when) sampled() bool { return w.sample < 1 }

// early reports whether anything is decided on the way in: the condition, or of
// one that looks at the answer the draw and who calls.
func (w *when) early() bool { return !w.late() || w.sampled() || len(w.except) > 0 }

// late reports whether the condition looks at the answer, so that it can't be
// decided on the way in.
func (w *when) late() bool {
	return slices.ContainsFunc(w.reads, func(r string) bool { return strings.HasPrefix(r, "response") })
}

// readsAny reports whether the condition reads one of the parts. A read of all
// headers (`request.headers`) covers each of them.
func (w *when) readsAny(parts []string) bool {
	for _, r := range w.reads {
		for _, p := range parts {
			if r == p || strings.HasPrefix(p, r+"[") || strings.HasPrefix(p, r+".") || strings.HasPrefix(r, p+"[") || strings.HasPrefix(r, p+".") {
				return true
			}
		}
	}
	return false
}

// decide is the HTTP filter that writes the answer. The route is chosen again
// where that hangs on it.
func (w *when) decide(routed bool) proto.Message {
	value := "true"
	if w.text != "" && !w.late() {
		value = "%CEL(" + w.text + ")%"
	}
	set := &httpstatev3.Config{
		OnRequestHeaders: []*statev3.FilterStateValue{stateValue(w.key(), value)},
		ClearRouteCache:  routed,
	}
	// Where the filter doesn't run the answer stays unset, which is "no".
	var only []*matcherv3.Matcher_MatcherList_Predicate
	if w.switchOf != "" {
		only = append(only, switchedOn(w.switchOf, anyRequest()))
	}
	if w.sampled() {
		only = append(only, sampled(w.seed, w.sample))
	}
	if len(w.except) > 0 {
		only = append(only, w.fromOthers(w.sealed))
	}
	if len(only) == 0 {
		return set
	}
	return onlyIf(all(only...), w.policy+"/when", set)
}

// fromOthers is the predicate "from none of the excepted callers". It looks at the
// connection, not at what a header says of it: on an internal listener, at what the
// one in front says.
func (w *when) fromOthers(inside bool) *matcherv3.Matcher_MatcherList_Predicate {
	var names []*matcherv3.Matcher_MatcherList_Predicate
	var addresses []netip.Prefix
	for _, p := range w.except {
		addresses = append(addresses, p.Addresses...)
		if p.SPIFFE != "" {
			names = append(names, stateIs(peerKey, p.SPIFFE))
		}
	}
	if len(names) > 0 {
		return not(either(names...))
	}
	slices.SortFunc(addresses, func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	ranges := &ipv3.Ip{StatPrefix: "callers"}
	for _, p := range addresses {
		ranges.CidrRanges = append(ranges.CidrRanges, &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: u32(uint32(p.Bits()))})
	}
	var from proto.Message = &inputv3.DirectSourceIPInput{}
	if inside {
		from = &inputv3.FilterStateInput{Key: sourceKey}
	}
	return not(single(from, func(s *matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
		s.Matcher = &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{CustomMatch: xdsExtension("ip", ranges)}
	}))
}

// holds is the predicate "the policy applies".
func (w *when) holds() *matcherv3.Matcher_MatcherList_Predicate {
	if w.onlySwitch {
		return switchedOn(w.switchOf, anyRequest())
	}
	return stateIs(w.key(), "true")
}

// decided is holds for rules and routes, which look into the filter state themselves.
func (w *when) decided() *envoymatcherv3.FilterStateMatcher {
	return &envoymatcherv3.FilterStateMatcher{
		Key: w.key(),
		Matcher: &envoymatcherv3.FilterStateMatcher_StringMatch{StringMatch: &envoymatcherv3.StringMatcher{
			MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: "true"},
		}},
	}
}

// stateIs is the predicate "the filter state has the value under the key".
func stateIs(key, value string) *matcherv3.Matcher_MatcherList_Predicate {
	return single(&inputv3.FilterStateInput{Key: key}, func(s *matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
		s.Matcher = &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value},
		}}
	})
}

// answered is the CEL expression of a late condition, with its draw and who calls.
func (w *when) answered() string {
	if !w.early() {
		return w.text
	}
	return fmt.Sprintf("%s && (%s)", w.drawn(), w.text)
}

// drawn is the CEL expression "the decision on the way in was yes".
func (w *when) drawn() string {
	return fmt.Sprintf("filter_state[%s] == b\"true\"", celString(w.key()))
}

// sampled draws by the request's id, so that retries and proxies agree; the
// seed is the policy's name, so that policies don't.
func sampled(policy string, share float64) *matcherv3.Matcher_MatcherList_Predicate {
	return single(&envoymatcherv3.HttpRequestHeaderMatchInput{HeaderName: "x-request-id"}, draw(policy, share))
}

// draw matches a share of the values of an input by their hash.
func draw(seed string, share float64) func(*matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
	h := fnv.New64a()
	h.Write([]byte(seed))
	return func(s *matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
		s.Matcher = &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
			CustomMatch: xdsExtension("sample", &fractionv3.RuntimeFraction{RuntimeFraction: runtimeFraction(share), Seed: h.Sum64()}),
		}
	}
}

func single(input proto.Message, match func(*matcherv3.Matcher_MatcherList_Predicate_SinglePredicate)) *matcherv3.Matcher_MatcherList_Predicate {
	s := &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate{Input: xdsExtension("input", input)}
	match(s)
	return &matcherv3.Matcher_MatcherList_Predicate{
		MatchType: &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{SinglePredicate: s},
	}
}

// onlyIf runs an HTTP filter only for requests on which the predicate holds.
func onlyIf(p *matcherv3.Matcher_MatcherList_Predicate, name string, filter proto.Message) proto.Message {
	return &matchingv3.ExtensionWithMatcher{
		XdsMatcher: matchOne(
			not(p),
			matchAction("skip", &actionv3.SkipFilter{}), nil),
		ExtensionConfig: extension(name, filter),
	}
}

func not(p *matcherv3.Matcher_MatcherList_Predicate) *matcherv3.Matcher_MatcherList_Predicate {
	return &matcherv3.Matcher_MatcherList_Predicate{MatchType: &matcherv3.Matcher_MatcherList_Predicate_NotMatcher{NotMatcher: p}}
}

// either holds where one of the list does. A matcher wants at least two in a list.
func either(list ...*matcherv3.Matcher_MatcherList_Predicate) *matcherv3.Matcher_MatcherList_Predicate {
	if len(list) == 1 {
		return list[0]
	}
	return &matcherv3.Matcher_MatcherList_Predicate{MatchType: &matcherv3.Matcher_MatcherList_Predicate_OrMatcher{
		OrMatcher: &matcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: list},
	}}
}

// all holds where each of the list does.
func all(list ...*matcherv3.Matcher_MatcherList_Predicate) *matcherv3.Matcher_MatcherList_Predicate {
	if len(list) == 1 {
		return list[0]
	}
	return &matcherv3.Matcher_MatcherList_Predicate{MatchType: &matcherv3.Matcher_MatcherList_Predicate_AndMatcher{
		AndMatcher: &matcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: list},
	}}
}

// matchOne is a matcher with one predicate.
func matchOne(p *matcherv3.Matcher_MatcherList_Predicate, yes, no *matcherv3.Matcher_OnMatch) *matcherv3.Matcher {
	return &matcherv3.Matcher{
		MatcherType: &matcherv3.Matcher_MatcherList_{MatcherList: &matcherv3.Matcher_MatcherList{
			Matchers: []*matcherv3.Matcher_MatcherList_FieldMatcher{{Predicate: p, OnMatch: yes}},
		}},
		OnNoMatch: no,
	}
}

func matchAction(name string, m proto.Message) *matcherv3.Matcher_OnMatch {
	return &matcherv3.Matcher_OnMatch{OnMatch: &matcherv3.Matcher_OnMatch_Action{Action: xdsExtension(name, m)}}
}

func xdsExtension(name string, m proto.Message) *xdscorev3.TypedExtensionConfig {
	return &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: typed(m)}
}

// stateValue writes a string into the filter state.
func stateValue(key, value string) *statev3.FilterStateValue {
	return &statev3.FilterStateValue{
		Key:        &statev3.FilterStateValue_ObjectKey{ObjectKey: key},
		FactoryKey: "envoy.string",
		Value:      &statev3.FilterStateValue_FormatString{FormatString: format(value)},
	}
}
