package envoy

import (
	"fmt"
	"slices"
	"time"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	liststatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/set_filter_state/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	netstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// tcpChain is one network filter chain while it is built: the one for
// connections on which exactly the conditions of held hold.
type tcpChain struct {
	*adm
	l        *layout.Listener
	level    tcpLevel
	held     []*when
	filters  []*listenerv3.Filter
	logs     *[]*accesslogv3.AccessLog // of the listener
	ended    bool                      // the last filter answers; nothing may follow it
	idle     time.Duration
	connect  time.Duration
	choice   choice
	near     *call // nil: no locality
	hash     []*typev3.HashPolicy
	versions []weighted
	most     most
}

// maxConditions bounds the conditional policies of a listener of byte streams:
// there is a filter chain for each combination of them.
const maxConditions = 6

// tcpListener lowers a listener that forwards a byte stream: mostly to one listener
// of Envoy's.
func (a *adm) tcpListener(l *layout.Listener) {
	calls := a.calls(l)
	switchChains(calls)
	var all []*listenerv3.Listener
	for i, level := range a.tcpLevels(l, calls) {
		if i > 0 && !a.reached(levelName(l, i)) {
			break // every connection is refused before
		}
		listener := &listenerv3.Listener{Name: levelName(l, i), ListenerFilters: []*listenerv3.ListenerFilter{originalDst()}}
		a.tcpFilterChains(l, listener, level)
		if i > 0 {
			listener.ListenerSpecifier = &listenerv3.Listener_InternalListener{InternalListener: &listenerv3.Listener_InternalListenerConfig{}}
		}
		all = append(all, listener)
	}
	all[0].Address, all[0].Metadata = address("127.0.0.1", l.Port), policyMetadata(calls)
	a.listeners = append(append(a.listeners, a.sealed(l, all[0])...), all[1:]...)
}

// tcpFilterChains gives a listener what a level has. Conditions are decided when a
// connection is accepted, by a listener filter, and choose its filter chain.
func (a *adm) tcpFilterChains(l *layout.Listener, listener *listenerv3.Listener, level tcpLevel) {
	var whens []*when
	for _, c := range level.calls {
		if c.when != nil && !slices.Contains(whens, c.when) {
			whens = append(whens, c.when)
		}
	}
	switch {
	case len(whens) > maxConditions:
		a.cannot(level.calls[0].Action, "more than %d conditional policies on the connections of one edge", maxConditions)
	case len(whens) == 0:
		listener.FilterChains = []*listenerv3.FilterChain{a.tcpFilterChain(l, &listener.AccessLog, level, nil)}
	default:
		if l.Protocol == "tls" && slices.ContainsFunc(whens, func(w *when) bool { return slices.Contains(w.reads, "connection.requested_server_name") }) {
			listener.ListenerFilters = append(listener.ListenerFilters, tlsInspector())
		}
		if conditional := slices.DeleteFunc(slices.Clone(whens), func(w *when) bool { return w.text == "" }); len(conditional) > 0 {
			listener.ListenerFilters = append(listener.ListenerFilters, decideAtAccept(conditional))
		}
		listener.FilterChainMatcher = a.tcpTree(l, listener, level, whens, nil)
	}
}

// switchChains lets policies without a condition be decided by their switch,
// where they do something that only another filter chain leaves undone. A counter
// that each chain would keep for itself stays in one.
func switchChains(calls []*call) {
	counts := func(c *call) bool { return c.Name() == "concurrency_limit" || c.Decl.User && c.Decl.State != "" }
	chains := 1
	var seen []*when
	for _, c := range calls {
		if c.when != nil && !slices.Contains(seen, c.when) {
			seen, chains = append(seen, c.when), 2*chains
		}
	}
	decided := switches{}
	for _, c := range calls {
		p := c.policy()
		others := func(d *call) bool { return d.policy() != p && counts(d) }
		if c.when != nil || !c.low.chained || decided[p] != nil || 2*chains > maxSwitched || slices.ContainsFunc(calls, others) {
			continue
		}
		chains *= 2
		for _, d := range calls {
			if d.policy() == p && d.when == nil {
				d.when = decided.of(p)
			}
		}
	}
}

// decideAtAccept writes the answers of the conditions into the filter state.
func decideAtAccept(whens []*when) *listenerv3.ListenerFilter {
	set := &liststatev3.Config{}
	for _, w := range whens {
		set.OnAccept = append(set.OnAccept, stateValue(w.acceptKey(), "%CEL("+w.text+")%"))
	}
	return &listenerv3.ListenerFilter{
		Name: "when", ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: typed(set)},
	}
}

// tlsInspector reads the server name of the client's first message. It waits for
// that message, so it stands only where the client speaks first.
func tlsInspector() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name: "tls_inspector", ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: typed(&tlsinspectorv3.TlsInspector{})},
	}
}

// tcpTree matches the first condition and branches to the others; each leaf is
// a filter chain of its own.
func (a *adm) tcpTree(l *layout.Listener, listener *listenerv3.Listener, level tcpLevel, whens, held []*when) *matcherv3.Matcher {
	branch := func(held []*when) *matcherv3.Matcher_OnMatch {
		if len(whens) > 1 {
			return &matcherv3.Matcher_OnMatch{OnMatch: &matcherv3.Matcher_OnMatch_Matcher{
				Matcher: a.tcpTree(l, listener, level, whens[1:], held),
			}}
		}
		chain := a.tcpFilterChain(l, &listener.AccessLog, level, held)
		chain.Name = fmt.Sprintf("chain_%d", len(listener.FilterChains))
		listener.FilterChains = append(listener.FilterChains, chain)
		return matchAction("chain", wrapperspb.String(chain.Name))
	}
	yes := branch(append(slices.Clone(held), whens[0]))
	return matchOne(whens[0].accepted(whens[0].sealed || level.inside), yes, branch(held))
}

// acceptKey is where the answer of the condition is left when a connection is
// accepted. The answer of the rule needs more where it leaves out callers.
func (w *when) acceptKey() string {
	if len(w.except) > 0 {
		return w.key() + ".when"
	}
	return w.key()
}

// accepted is the predicate "the policy applies to the connection".
func (w *when) accepted(inside bool) *matcherv3.Matcher_MatcherList_Predicate {
	var each []*matcherv3.Matcher_MatcherList_Predicate
	if w.switchOf != "" {
		each = append(each, switchedOn(w.switchOf, anyConnection()))
	}
	if w.text != "" {
		each = append(each, stateIs(w.acceptKey(), "true"))
	}
	if len(w.except) > 0 {
		each = append(each, w.fromOthers(inside))
	}
	return all(each...)
}

func (a *adm) tcpFilterChain(l *layout.Listener, logs *[]*accesslogv3.AccessLog, level tcpLevel, held []*when) *listenerv3.FilterChain {
	t := &tcpChain{adm: a, l: l, level: level, held: held, logs: logs}
	t.answer(held)
	for _, c := range level.calls {
		if c.when == nil || slices.Contains(held, c.when) {
			c.low.tcp(t, c)
			c.switched = c.switched || c.when != nil && !c.low.once
		}
	}
	if !t.ended {
		if t.level.next != "" {
			t.filters = append(t.filters, carryAddresses())
			if !t.level.inside && (t.l.Seal == nil || t.l.Side == ir.Egress) {
				t.filters = append(t.filters, carrySource(t.l)...)
			}
		}
		t.filters = append(t.filters, networkFilter("tcp_proxy", t.proxy()))
	}
	return &listenerv3.FilterChain{Filters: t.filters}
}

// answer leaves in the filter state, for the access log, which rules hold that
// leave out callers.
func (t *tcpChain) answer(held []*when) {
	set := &netstatev3.Config{}
	for _, w := range held {
		if len(w.except) > 0 {
			set.OnNewConnection = append(set.OnNewConnection, stateValue(w.key(), "true"))
		}
	}
	if len(set.OnNewConnection) > 0 {
		t.filters = append(t.filters, networkFilter("when", set))
	}
}

// conditioned reports whether others of the calls have conditions that one hasn't.
func conditioned(c *call, calls []*call) bool {
	return slices.ContainsFunc(calls, func(d *call) bool { return d.when != nil && d.when != c.when })
}

// mayEnd reports whether one of the filters so far may close a connection.
func (t *tcpChain) mayEnd() bool {
	return slices.ContainsFunc(t.filters, func(f *listenerv3.Filter) bool { return f.Name != "when" })
}

func (t *tcpChain) add(c *call, filter proto.Message) {
	if !t.ended {
		t.filters = append(t.filters, networkFilter(c.name, filter))
	}
}

// end adds the filter that answers the connection.
func (t *tcpChain) end(c *call, filter proto.Message) {
	t.add(c, filter)
	t.ended = true
}

// repeated reports whether a call is in several filter chains of the listener:
// in one for each combination of the other policies' conditions.
func (t *tcpChain) repeated(c *call) bool {
	return conditioned(c, t.level.calls)
}

// shareKey makes the filter chains of one listener share a bucket; a single one
// has no need to.
func (t *tcpChain) shareKey(c *call) string {
	if !t.repeated(c) {
		return ""
	}
	return t.l.Name + "/" + c.name
}

// log adds an access log to the listener, once for all of its filter chains.
func (t *tcpChain) log(c *call, log *accesslogv3.AccessLog) {
	for _, have := range *t.logs {
		if have.Name == log.Name {
			return
		}
	}
	filters := []*accesslogv3.AccessLogFilter{c.logSwitch()}
	if c.when != nil && !c.when.onlySwitch {
		filters = append(filters, c.when.logged())
	}
	logIf(log, filters)
	*t.logs = append(*t.logs, log)
}

// proxy forwards the connection.
func (t *tcpChain) proxy() *tcpv3.TcpProxy {
	p := &tcpv3.TcpProxy{StatPrefix: t.l.Name, IdleTimeout: seconds(t.idle), HashPolicy: t.hash}
	if t.level.next != "" {
		p.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: t.nextCluster(t.level.next, t.most)}
		return p
	}
	t.choice = t.nearby(t.near, t.choice, t.versions)
	to := func(version string) string {
		return t.clusterFor(t.l, receiver{plane: graph.TCP, version: version, connect: t.connect, choice: t.choice, most: t.most})
	}
	if len(t.versions) < 2 {
		version := ""
		if len(t.versions) == 1 {
			version = t.versions[0].version
		}
		p.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: to(version)}
		return p
	}
	w := &tcpv3.TcpProxy_WeightedCluster{}
	for _, v := range t.versions {
		w.Clusters = append(w.Clusters, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{Name: to(v.version), Weight: v.weight})
	}
	p.ClusterSpecifier = &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: w}
	return p
}
