package envoy

import (
	"slices"
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	netstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// Wrappers (timeout, idle_timeout, hedge, retry) stand outside everything that acts on
// the edge: each attempt is counted, delayed and judged, as it is when the other
// actions are at the receiver. Envoy's filters run before its router, which
// holds the wrappers. So where one of the other actions would come out
// differently, the listener's router passes each attempt to an internal
// listener, which has all the other actions and then dials the receiver.

// A level is the calls that one connection manager has. All but the last pass
// attempts on to the next.
type level struct {
	calls []*call
	last  bool
}

// levels of a listener, the outermost first: mostly one. A hedge stands outside
// a retry, so that each of its two requests is repeated by itself; one router
// can't hold both.
func (a *adm) levels(calls []*call) []level {
	front, behind := a.divided(calls)
	retry := func(c *call) bool { return c.Name() == "retry" }
	if slices.ContainsFunc(front, retry) && slices.ContainsFunc(front, func(c *call) bool { return c.Name() == "hedge" }) {
		var outer, inner []*call
		for _, c := range front {
			if c.low.wrapper && !retry(c) || len(behind) > 0 && !c.low.wrapper {
				outer = append(outer, c)
			} else {
				inner = append(inner, c)
			}
		}
		if len(behind) == 0 {
			return []level{{outer, false}, {inner, true}}
		}
		return []level{{outer, false}, {inner, false}, {behind, true}}
	}
	if len(behind) == 0 {
		return []level{{front, true}}
	}
	return []level{{front, false}, {behind, true}}
}

// levelName is what the i-th level's listener is called.
func levelName(l *layout.Listener, i int) string {
	return l.Name + strings.Repeat("_attempt", i)
}

// divided parts calls into those of the listener and those of the internal
// listener behind it; the second list is empty where none is needed. What the
// program pins before a wrapper (@before) stays in front.
func (a *adm) divided(calls []*call) (front, behind []*call) {
	for _, c := range calls {
		if c.low.wrapper || a.pinned(c, calls) {
			front = append(front, c)
		} else {
			behind = append(behind, c)
		}
	}
	needed := slices.ContainsFunc(front, func(w *call) bool {
		return w.low.wrapper && slices.ContainsFunc(behind, func(c *call) bool {
			return c.low.commutes == nil || !c.low.commutes(c, w)
		})
	})
	if !needed {
		return calls, nil
	}
	return front, behind
}

// pinned reports whether a call stands before a wrapper by hand. One router
// holds all wrappers of an edge, so that nothing can stand between two of them.
func (a *adm) pinned(c *call, calls []*call) bool {
	var before, within *call
	for _, w := range calls {
		switch {
		case !w.low.wrapper || w == c:
		case slices.Contains(c.rule.Obligation.Front, w.policy()):
			before = w
		case c.low.commutes == nil || !c.low.commutes(c, w):
			within = w
		}
	}
	if before != nil && within != nil {
		a.cannot(c.Action, "%s between wrappers: before %s of policy %s and within %s of policy %s", c.Name(), before.Name(), before.policy().Name, within.Name(), within.policy().Name)
	}
	return before != nil && c.low.routed == "" // a route is chosen behind them, and comes out the same
}

// requestOnly is for actions that change a header: in front of a wrapper they
// come out the same if the header is the request's and the wrapper's condition
// doesn't read it. An answer of the wrapper's own (504) would get a response
// header that it doesn't have when the action is at the receiver.
func requestOnly(c, w *call) bool {
	return c.str("of") == "request" && (w.when == nil || !w.when.readsAny(c.low.writes(c)))
}

// Filter state from which an internal listener's original_dst takes the
// addresses of the connection.
const (
	localAddressKey  = "envoy.filters.listener.original_dst.local_ip"
	remoteAddressKey = "envoy.filters.listener.original_dst.remote_ip"
)

// carryAddresses hands the addresses of a connection on to the attempts made
// for it.
func carryAddresses() *listenerv3.Filter {
	carry := func(key, value string) *statev3.FilterStateValue {
		v := stateValue(key, value)
		v.FactoryKey = ""
		v.SharedWithUpstream = statev3.FilterStateValue_ONCE
		return v
	}
	return networkFilter("original_dst", &netstatev3.Config{OnNewConnection: []*statev3.FilterStateValue{
		carry(localAddressKey, "%DOWNSTREAM_LOCAL_ADDRESS%"),
		carry(remoteAddressKey, "%DOWNSTREAM_REMOTE_ADDRESS%"),
	}})
}

// sourceKey is where the address of the caller is left for internal listeners: what
// original_dst takes from the filter state is the connection's address to everybody
// but to Envoy's matchers.
const sourceKey = "admc.source"

// carrySource hands on where a connection comes from, as the host sees it, if a rule
// leaves out callers by their addresses.
func carrySource(l *layout.Listener) []*listenerv3.Filter {
	if !slices.ContainsFunc(l.Rules, func(r *layout.Rule) bool {
		return slices.ContainsFunc(r.Except, func(p ir.Proof) bool { return len(p.Addresses) > 0 })
	}) {
		return nil
	}
	v := stateValue(sourceKey, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")
	v.SharedWithUpstream = statev3.FilterStateValue_TRANSITIVE
	return []*listenerv3.Filter{networkFilter("source", &netstatev3.Config{OnNewConnection: []*statev3.FilterStateValue{v}})}
}

// internalListener is the one behind a wrapper.
func (h *httpChain) internalListener() *listenerv3.Listener {
	if h.next == "" {
		h.reportFailures()
	}
	return &listenerv3.Listener{
		Name:              h.name,
		ListenerSpecifier: &listenerv3.Listener_InternalListener{InternalListener: &listenerv3.Listener_InternalListenerConfig{}},
		ListenerFilters:   []*listenerv3.ListenerFilter{originalDst()},
		FilterChains:      h.filterChains(),
		TrafficDirection:  h.direction(),
	}
}

func (h *httpChain) filterChains() []*listenerv3.FilterChain {
	filters := []*listenerv3.Filter{networkFilter("http", h.manager())}
	if h.next != "" {
		filters = append([]*listenerv3.Filter{carryAddresses()}, filters...)
	}
	return []*listenerv3.FilterChain{{Filters: filters}}
}

// failureHeader tells the listener in front why the receiver gave no answer: it
// only sees the 503 that Envoy made of it, and `retry` tells a connection that
// failed from one that broke. It is taken out there.
const failureHeader = "x-admc-failure"

// failures that retry tells apart, each with the causes of retry that it is an
// instance of. Envoy knows them by response flags or code details; the first
// that fits is reported.
var failures = []struct {
	name   string
	causes []string
	filter *accesslogv3.AccessLogFilter
}{
	{"refused-stream", []string{"refused-stream"}, celLogFilter(`response.code_details.contains("remote_refused_stream_reset")`)},
	{"connect-failure", []string{"connect-failure", "reset"}, flagFilter("UF")},
	{"reset", []string{"reset"}, flagFilter("UC", "UR", "LR", "UPE")},
}

// retried gives the failures that a retry reacts to.
func retried(c *call) []string {
	var out []string
	for _, f := range failures {
		if slices.ContainsFunc(c.Args["on"].List, func(v ir.Value) bool { return slices.Contains(f.causes, v.Str) }) {
			out = append(out, f.name)
		}
	}
	return out
}

// reportFailures reports what some retry in front asks for.
func (h *httpChain) reportFailures() {
	for _, f := range failures {
		if slices.ContainsFunc(h.all, func(c *call) bool { return c.Name() == "retry" && slices.Contains(retried(c), f.name) }) {
			h.replies = append(h.replies, &hcmv3.ResponseMapper{
				Filter:       f.filter,
				HeadersToAdd: []*corev3.HeaderValueOption{added(failureHeader, f.name, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)},
			})
		}
	}
}

func flagFilter(flags ...string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: flags},
	}}
}
