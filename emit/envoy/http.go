package envoy

import (
	"slices"
	"strings"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// httpChain is one HTTP connection manager while it is built. Lowerings add to
// it in the order of the ranks.
type httpChain struct {
	*adm
	l       *layout.Listener
	name    string // of the Envoy listener
	grpc    bool
	calls   []*call // those lowered here
	all     []*call // those of the whole listener
	filters []*hcmv3.HttpFilter
	replies []*hcmv3.ResponseMapper
	logs    []*accesslogv3.AccessLog
	routes  []routeOp
	decided map[string]bool                      // policies whose `when` filter is in place
	mapped  map[string]bool                      // local replies that are mapped already
	tracing *hcmv3.HttpConnectionManager_Tracing // nil: no spans
	tags    []*tracingv3.CustomTag
	tagKeys map[string]string // in the filter state, of tags that hang on a condition, by name
	// perFilter is configuration that a filter looks for at the virtual host, by
	// the filter's name.
	perFilter map[string]*anypb.Any
	bodies    bool   // something waits for the request's body before it passes anything on
	next      string // name of the internal listener behind this one; "": the receiver
}

// httpListener lowers a listener of the http or grpc plane.
func (a *adm) httpListener(l *layout.Listener) {
	calls := a.calls(l)
	var front *listenerv3.Listener
	for i, level := range a.levels(calls) {
		chain := a.newHTTPChain(l, levelName(l, i), level.calls, calls)
		if !level.last {
			chain.next = levelName(l, i+1)
		}
		if i > 0 {
			a.listeners = append(a.listeners, chain.internalListener())
			continue
		}
		front = &listenerv3.Listener{
			Name:             l.Name,
			Address:          address("127.0.0.1", l.Port),
			ListenerFilters:  []*listenerv3.ListenerFilter{originalDst()},
			FilterChains:     chain.filterChains(),
			TrafficDirection: chain.direction(),
		}
		a.listeners = append(a.listeners, a.sealed(l, front)...)
	}
	front.Metadata = policyMetadata(calls)
}

func (a *adm) newHTTPChain(l *layout.Listener, name string, calls, all []*call) *httpChain {
	return &httpChain{
		adm: a, l: l, name: name, grpc: l.Protocol.Plane() == graph.GRPC, calls: calls, all: all, decided: map[string]bool{}, mapped: map[string]bool{},
		perFilter: map[string]*anypb.Any{},
	}
}

// add appends an HTTP filter that acts for a call: always, or when the call's
// policy applies.
func (h *httpChain) add(c *call, filter proto.Message) { h.addIf(c, c.name, filter) }

// addIf is add for a call that needs several filters, or a filter that acts only
// where these hold as well.
func (h *httpChain) addIf(c *call, name string, filter proto.Message, also ...*matcherv3.Matcher_MatcherList_Predicate) {
	if c.when == nil {
		also = append([]*matcherv3.Matcher_MatcherList_Predicate{c.on()}, also...)
	}
	h.addOwn(c, name, filter, also...)
}

// addOwn is addIf for a filter that looks at the policy's switch itself.
func (h *httpChain) addOwn(c *call, name string, filter proto.Message, also ...*matcherv3.Matcher_MatcherList_Predicate) {
	if c.when != nil && c.when.late() {
		h.cannot(c.Action, "%s with a condition on the response", c.Name())
		return
	}
	if c.when != nil {
		also = append([]*matcherv3.Matcher_MatcherList_Predicate{c.when.holds()}, also...)
	}
	if len(also) > 0 {
		filter = onlyIf(all(also...), name, filter)
	}
	h.filters = append(h.filters, httpFilter(name, filter))
}

// lower runs the lowerings. What wrappers read of the actions behind them comes
// first. A policy's condition is decided as early as nothing
// before it changes what it reads: at the top, or just before its first action.
func (h *httpChain) lower() {
	for _, c := range h.all {
		if h.next != "" && c.low.peek != nil && !slices.Contains(h.calls, c) && slices.ContainsFunc(h.calls, func(w *call) bool {
			return w.when != nil && w.when.readsAny(c.low.writes(c))
		}) {
			if c.when != nil {
				h.decide(c.when)
			}
			c.low.peek(h, c)
		}
	}
	h.calls = slowLast(h.calls)
	for i, c := range h.calls {
		if c.when != nil && c.when.early() && (c.when.late() || !h.writtenBefore(c, i)) {
			h.decide(c.when)
		}
	}
	for _, c := range h.calls {
		if c.when != nil && c.when.early() {
			h.decide(c.when)
		}
		c.low.http(h, c)
		c.switched = c.switched || c.byWhen() && !c.low.once
	}
}

// writtenBefore reports whether one of the first n calls is of another policy
// and changes what the condition of c reads.
func (h *httpChain) writtenBefore(c *call, n int) bool {
	return slices.ContainsFunc(h.calls[:n], func(d *call) bool {
		return d.low.writes != nil && d.when != c.when && c.when.readsAny(d.low.writes(d))
	})
}

func (h *httpChain) decide(w *when) {
	if h.decided[w.policy] {
		return
	}
	h.decided[w.policy] = true
	h.filters = append(h.filters, httpFilter(w.policy+"/when", w.decide(h.routed(w))))
}

// routed reports whether the policy chooses the route.
func (h *httpChain) routed(w *when) bool {
	return slices.ContainsFunc(h.calls, func(c *call) bool { return c.when == w && c.low.routed != "" })
}

// manager builds the connection manager: everything in it that is no policy's
// is there to pass requests on as they came.
func (h *httpChain) manager() *hcmv3.HttpConnectionManager {
	h.lower()
	unsaid := strings.Join(append([]string{ir.ControlHeaders}, h.lookalikes()...), "|")
	h.largePatterns = h.largePatterns || len(unsaid) > usualPattern
	m := passThrough(h.name, unsaid, h.plane())
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: h.routeConfig()}
	m.AccessLog = h.logs
	m.Proxy_100Continue = m.Proxy_100Continue && !h.bodies // a client that waits for 100 has it from the proxy that waits for its body
	m.HttpFilters = append(m.HttpFilters, h.filters...)
	m.HttpFilters = append(m.HttpFilters, httpFilter("router", &routerv3.Router{SuppressEnvoyHeaders: true}))
	h.trace(m)
	whens := h.whens()
	if slices.ContainsFunc(whens, (*when).sampled) {
		m.GenerateRequestId = yes()
		m.RequestIdExtension = keepRequestID()
	}
	switch {
	case h.name != levelName(h.l, 0): // the listener in front made one spelling of the path
	case slices.ContainsFunc(whens, func(w *when) bool { return w.readsAny(pathParts) }) ||
		slices.ContainsFunc(h.all, func(c *call) bool { return c.low.byPath != nil && c.low.byPath(c) }):
		h.normalizePath(m)
	case slices.ContainsFunc(h.l.Beside, decidesByPath):
		h.onePath(m) // what is logged and passed on is spelled the same at both ends
	}
	if len(h.replies) > 0 {
		m.LocalReplyConfig = &hcmv3.LocalReplyConfig{Mappers: h.replies}
	}
	return m
}

// decidesByPath reports whether an obligation's conditions or actions look at the
// path.
func decidesByPath(o *ir.Obligation) bool {
	return slices.ContainsFunc(o.Edges, func(e *ir.Edge) bool {
		return e.Cond != nil && (&when{reads: e.Cond.Reads}).readsAny(pathParts)
	}) || slices.ContainsFunc(o.Actions, func(a *ir.Action) bool {
		low := lowerings[a.Name()]
		return low != nil && low.byPath != nil && low.byPath(&call{Action: a})
	})
}

// pathParts are the attributes that a request's path decides. Where a decision
// reads one, the path is normalised, so that no other spelling of it walks
// round the decision.
var pathParts = []string{"request.path", "request.url_path", "grpc.service", "grpc.method"}

// whens of the listener's calls: both halves of a chain keep the request's id.
func (h *httpChain) whens() []*when {
	var out []*when
	for _, c := range h.all {
		if c.when != nil {
			out = append(out, c.when)
		}
	}
	return out
}

func httpFilter(name string, m proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed(m)}}
}

func networkFilter(name string, m proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: typed(m)}}
}

// originalDst restores the address that was dialled before the redirect.
func originalDst() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       "original_dst",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: typed(&originaldstv3.OriginalDst{})},
	}
}

// added is a header to set or append.
func added(name, value string, how corev3.HeaderValueOption_HeaderAppendAction) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: how}
}
