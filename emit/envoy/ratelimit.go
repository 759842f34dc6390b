package envoy

import (
	"cmp"
	"fmt"
	"math"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	httplimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	netlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	exprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// rateLimitHTTP: rate_limit(rate, burst, scope). One filter, one bucket.
func rateLimitHTTP(h *httpChain, c *call) {
	if c.Args["global"].Bool {
		globalLimitHTTP(h, c)
		return
	}
	bucket := h.bucket(c)
	if bucket == nil {
		return
	}
	limit := &httplimitv3.LocalRateLimit{
		StatPrefix:                     c.policy().Name,
		TokenBucket:                    bucket,
		FilterEnabled:                  cmp.Or(c.enabled(), runtimeFraction(1)),
		FilterEnforced:                 runtimeFraction(1),
		RateLimitedAsResourceExhausted: true,
	}
	if per := c.str("per"); per != "" {
		// An entry without a value stands for every value. What has none takes the
		// bucket of the filter.
		limit.RateLimits = []*routev3.RateLimit{{Actions: []*routev3.RateLimit_Action{valueOf(per)}}}
		limit.Descriptors = []*commonlimitv3.LocalRateLimitDescriptor{{Entries: []*commonlimitv3.RateLimitDescriptor_Entry{{Key: per}}, TokenBucket: bucket}}
		limit.MaxDynamicDescriptors = u32(countedValues)
		limit.AlwaysConsumeDefaultTokenBucket = wrapperspb.Bool(false)
	}
	h.addOwn(c, c.name, limit)
}

// countedValues of a header have a bucket of their own at a time.
const countedValues = 10000

// valueOf makes a descriptor's entry of a request header, as conditions read it:
// several values joined, and "" where it is absent or too long.
func valueOf(header string) *routev3.RateLimit_Action {
	read := fmt.Sprintf(`request.headers[%s]`, celString(header))
	text := fmt.Sprintf(`%s in request.headers && size(%s) <= %d ? %s : ""`, celString(header), read, ir.LongestCounted, read)
	return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_Extension{Extension: &corev3.TypedExtensionConfig{
		Name:        "per",
		TypedConfig: typed(&exprv3.Descriptor{DescriptorKey: header, ExprSpecifier: &exprv3.Descriptor_Text{Text: text}}),
	}}}
}

// rateLimitTCP counts connections; one too many is closed before any is made to
// the receiver.
func rateLimitTCP(t *tcpChain, c *call) {
	if c.Args["global"].Bool {
		// Envoy's network filter leaves the limit out of its question.
		t.cannot(c.Action, "rate_limit with global: true on %s", t.l.Protocol)
		return
	}
	bucket := t.bucket(c)
	if bucket == nil {
		return
	}
	t.add(c, &netlimitv3.LocalRateLimit{StatPrefix: c.policy().Name, TokenBucket: bucket, ShareKey: t.shareKey(c), RuntimeEnabled: c.enabledFlag()})
}

// bucket of one proxy. Envoy refills it continuously at tokens_per_fill over
// fill_interval, so a budget of n events in a period is just that, without
// rounding.
func (a *adm) bucket(c *call) *typev3.TokenBucket {
	b := layout.BudgetOf(c.Action, c.rule.Replicas)
	if b.Burst < 1 {
		a.cannot(c.Action, "a burst of %d for %d replicas: each of them gets less than one request", c.num("burst"), c.rule.Replicas)
		return nil
	}
	if b.Events > math.MaxUint32 || b.Burst > math.MaxUint32 {
		a.cannot(c.Action, "a budget of %s", b)
		return nil
	}
	// Envoy refuses intervals below 50 ms.
	for b.Per < 50*time.Millisecond {
		b.Per, b.Events = b.Per*2, b.Events*2
	}
	return &typev3.TokenBucket{
		MaxTokens:     uint32(b.Burst),
		TokensPerFill: u32(uint32(b.Events)),
		FillInterval:  seconds(b.Per),
	}
}
