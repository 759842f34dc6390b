package envoy

import (
	"math"
	"time"

	httplimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	netlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// rateLimitHTTP: rate_limit(rate, burst, scope). One filter, one bucket.
func rateLimitHTTP(h *httpChain, c *call) {
	bucket := h.bucket(c)
	if bucket == nil {
		return
	}
	h.add(c, &httplimitv3.LocalRateLimit{
		StatPrefix:                     c.policy().Name,
		TokenBucket:                    bucket,
		FilterEnabled:                  runtimeFraction(1),
		FilterEnforced:                 runtimeFraction(1),
		RateLimitedAsResourceExhausted: true,
	})
}

// rateLimitTCP counts connections; one too many is closed before any is made to
// the receiver.
func rateLimitTCP(t *tcpChain, c *call) {
	bucket := t.bucket(c)
	if bucket == nil {
		return
	}
	t.add(c, &netlimitv3.LocalRateLimit{StatPrefix: c.policy().Name, TokenBucket: bucket, ShareKey: t.shareKey(c)})
}

// bucket of one proxy. Envoy refills it continuously at tokens_per_fill over
// fill_interval, so `n per period, divided by r` is n tokens in r periods,
// without rounding. It holds the burst, or one second's rate, divided alike and
// rounded down, but at least one token.
func (a *adm) bucket(c *call) *typev3.TokenBucket {
	rate := c.Args["rate"]
	share := int64(1)
	if c.str("scope") != "pod" {
		share = int64(max(1, c.rule.Replicas))
	}
	size := int64(math.Floor(float64(rate.Int) / rate.Dur.Seconds() / float64(share)))
	if burst := c.num("burst"); burst > 0 {
		size = burst / share
		if size < 1 {
			a.cannot(c.Action, "a burst of %d for %d replicas: each of them gets less than one request", burst, share)
			return nil
		}
	}
	interval := time.Duration(share) * rate.Dur
	tokens := rate.Int
	if tokens > math.MaxUint32 || size > math.MaxUint32 {
		a.cannot(c.Action, "a rate of %d in %s", rate.Int, rate.Dur)
		return nil
	}
	// Envoy refuses intervals below 50 ms.
	for interval < 50*time.Millisecond {
		interval, tokens = interval*2, tokens*2
	}
	return &typev3.TokenBucket{
		MaxTokens:     uint32(max(1, size)),
		TokensPerFill: u32(uint32(tokens)),
		FillInterval:  seconds(interval),
	}
}
