package envoy

import (
	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	fractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// Each policy has a switch, a key of Envoy's runtime: 0 is off and 100, or no
// value, is on, for requests and connections that begin after that. A policy
// whose `when` is decided on the way in has the switch there, once for all of its
// actions. In any other each action looks at it: by a setting of the filter's own
// where there is one, else by a matcher around the filter or by another route.
//
// What is made only once for all requests has no switch: a cluster (how
// connections are made and pods chosen), the seal of a port, the tracer. The
// metadata names these actions.

// Switch is the runtime key by which an operator switches a policy off at a
// running ADM.
func Switch(policy string) string { return "admc.policies." + policy + ".enabled" }

func (c *call) switchKey() string { return Switch(c.policy().Name) }

// byWhen reports whether the policy's `when` has the switch of the call.
func (c *call) byWhen() bool { return c.when != nil && c.when.early() }

// enabled is a setting of the filter's own, in percent: the policy's switch, and
// nil where its `when` has that.
func (c *call) enabled() *corev3.RuntimeFractionalPercent {
	if c.byWhen() {
		return nil
	}
	c.switched = true
	return &corev3.RuntimeFractionalPercent{RuntimeKey: c.switchKey(), DefaultValue: fraction(1)}
}

// enabledFlag is enabled for settings that are yes or no; any number but 0 is yes.
func (c *call) enabledFlag() *corev3.RuntimeFeatureFlag {
	if c.byWhen() {
		return nil
	}
	c.switched = true
	return &corev3.RuntimeFeatureFlag{RuntimeKey: c.switchKey(), DefaultValue: yes()}
}

// switchedOn is the predicate "the policy is on". The matcher wants an input that
// is there, and hashes it, which at none and all of its values decides nothing.
func switchedOn(policy string, input proto.Message) *matcherv3.Matcher_MatcherList_Predicate {
	return single(input, func(s *matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
		s.Matcher = &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
			CustomMatch: xdsExtension("switch", &fractionv3.RuntimeFraction{
				RuntimeFraction: &corev3.RuntimeFractionalPercent{RuntimeKey: Switch(policy), DefaultValue: fraction(1)},
			}),
		}
	})
}

// on is switchedOn for a filter of the call's.
func (c *call) on() *matcherv3.Matcher_MatcherList_Predicate {
	c.switched = true
	return switchedOn(c.policy().Name, anyRequest())
}

// Inputs that each request and each connection has.
func anyRequest() proto.Message {
	return &envoymatcherv3.HttpRequestHeaderMatchInput{HeaderName: ":method"}
}
func anyConnection() proto.Message { return &networkv3.DestinationPortInput{} }

// logIf gives an access log filters, all of which must hold.
func logIf(log *accesslogv3.AccessLog, filters []*accesslogv3.AccessLogFilter) {
	if len(filters) == 1 {
		log.Filter = filters[0]
		return
	}
	log.Filter = &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: filters},
	}}
}

// logSwitch is the switch of an access log.
func (c *call) logSwitch() *accesslogv3.AccessLogFilter {
	c.switched = true
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_RuntimeFilter{
		RuntimeFilter: &accesslogv3.RuntimeFilter{RuntimeKey: c.switchKey(), PercentSampled: fraction(1)},
	}}
}

// switches are the decisions of policies that have none but their switch, by
// the policy: so that routes and filter chains branch by them as by conditions.
type switches map[*ir.Policy]*when

func (s switches) of(p *ir.Policy) *when {
	if s[p] == nil {
		s[p] = &when{policy: p.Name, seed: p.Name, sample: 1, switchOf: p.Name, onlySwitch: true}
	}
	return s[p]
}

// maxSwitched bounds the routes, or filter chains, of a listener that are there
// because some of its policies can be switched off: there is one for each
// combination. Policies beyond that have no switch.
const maxSwitched = 8

// adminAddress is the admin interface's: the application, which shares the pod's
// network, can neither read nor change anything there.
func adminAddress() *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: layout.AdminSocket}}}
}

// runtime is what can be changed at the running proxy, over what the proxy needs.
func (a *adm) runtime() *bootstrapv3.LayeredRuntime {
	rt := &bootstrapv3.LayeredRuntime{}
	if needs := a.needs(); len(needs) > 0 {
		rt.Layers = append(rt.Layers, &bootstrapv3.RuntimeLayer{
			Name: "admc", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: needs}},
		})
	}
	rt.Layers = append(rt.Layers, &bootstrapv3.RuntimeLayer{
		Name: "admin", LayerSpecifier: &bootstrapv3.RuntimeLayer_AdminLayer_{AdminLayer: &bootstrapv3.RuntimeLayer_AdminLayer{}},
	})
	return rt
}

// usualPattern is how many characters a regular expression may have that Envoy
// takes without being told to: it refuses RE2 programs of more than 100
// instructions, of which a character needs hardly more than one.
const usualPattern = 90

// needs is the runtime that the proxy needs.
func (a *adm) needs() map[string]*structpb.Value {
	needs := map[string]*structpb.Value{}
	if a.unsealed {
		// A connection inside the proxy ends as one between hosts does. By default
		// its end is a reset, which overtakes the last bytes: an HTTP/1 answer with
		// `connection: close` would not arrive.
		needs["envoy.reloadable_features.enable_send_rst_on_user_space_socket"] = structpb.NewBoolValue(false)
	}
	if a.unresolved {
		needs[keepDots] = structpb.NewBoolValue(false)
	}
	if a.largePatterns {
		needs["re2.max_program_size.error_level"] = structpb.NewNumberValue(1 << 20)
	}
	return needs
}
