package envoy

import (
	"time"

	concurrencyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	connlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
)

// concurrencyHTTP: concurrency_limit(max, scope). A circuit breaker of a cluster
// acts where the route is chosen, after everything else, and for all policies on
// it; this filter stands in its place. It is made not to adapt: both its bounds
// are the limit, and it measures nothing.
func concurrencyHTTP(h *httpChain, c *call) {
	limit := h.concurrent(c)
	if limit == 0 {
		return
	}
	h.addOwn(c, c.name, &concurrencyv3.AdaptiveConcurrency{Enabled: c.enabledFlag(), ConcurrencyControllerConfig: &concurrencyv3.AdaptiveConcurrency_GradientControllerConfig{
		GradientControllerConfig: &concurrencyv3.GradientControllerConfig{
			ConcurrencyLimitParams: &concurrencyv3.GradientControllerConfig_ConcurrencyLimitCalculationParams{
				MaxConcurrencyLimit: u32(limit), MinConcurrencyLimit: u32(limit), ConcurrencyUpdateInterval: seconds(time.Hour),
			},
			MinRttCalcParams: &concurrencyv3.GradientControllerConfig_MinimumRTTCalculationParams{
				FixedValue: seconds(time.Second), MinConcurrency: u32(limit),
			},
		},
	}})
	h.exhausted("concurrency", `response.code_details == "reached_concurrency_limit"`)
}

// concurrencyTCP closes a connection too many before any is made to the receiver.
// The filter counts for its own filter chain; where a call is in several, the
// connections that are passed on are counted instead, at a cluster that they share.
// So they are where a filter in front may close a connection: Envoy's filter takes
// such a one out of its count, into which it never came, and then refuses all. For
// the same reason the filter's own switch is of no use.
func concurrencyTCP(t *tcpChain, c *call) {
	limit := t.concurrent(c)
	if limit == 0 {
		return
	}
	if c != t.level.counted && !t.repeated(c) && !t.mayEnd() {
		t.add(c, &connlimitv3.ConnectionLimit{StatPrefix: c.policy().Name, MaxConnections: wrapperspb.UInt64(uint64(limit))})
		return
	}
	t.most = most{limit, c}
}

// most is how many connections a cluster makes at a time for a call; the zero
// value: any number.
type most struct {
	limit uint32
	by    *call
}

// concurrent is the limit of one proxy; 0 after an error.
func (a *adm) concurrent(c *call) uint32 {
	limit := layout.Share(c.Action, c.num("max"), c.rule.Replicas)
	if limit < 1 {
		a.cannot(c.Action, "concurrency_limit of %d for %d replicas: each of them gets less than one", c.num("max"), c.rule.Replicas)
		return 0
	}
	return uint32(limit)
}
