package envoy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	limitconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/ratelimit/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httplimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"admc.dev/admc/graph"
)

// limitDomain is how a rate-limit service knows our questions.
const limitDomain = "admc"

// limitPatience is how long a rate-limit service has for its answer; then @fail
// decides.
const limitPatience = 200 * time.Millisecond

// globalLimitHTTP: rate_limit(rate, scope, global: true, address). Each question
// says the limit, so that the service needs no configuration for it.
func globalLimitHTTP(h *httpChain, c *call) {
	unit, ok := h.unit(c)
	if !ok {
		return
	}
	limit := &routev3.RateLimit{Limit: &routev3.RateLimit_Override{OverrideSpecifier: &routev3.RateLimit_Override_RateLimit{
		RateLimit: &routev3.RateLimit_Override_RateLimitOverride{RequestsPerUnit: uint32(c.Args["rate"].Int), Unit: unit},
	}}}
	for _, e := range descriptor(c) {
		limit.Actions = append(limit.Actions, &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_GenericKey_{
			GenericKey: &routev3.RateLimit_Action_GenericKey{DescriptorKey: e.key, DescriptorValue: e.value},
		}})
	}
	if per := c.str("per"); per != "" {
		limit.Actions = append(limit.Actions, valueOf(per))
	}
	h.addOwn(c, c.name, &httplimitv3.RateLimit{
		Domain:                         limitDomain,
		FilterEnabled:                  c.enabled(),
		StatPrefix:                     c.policy().Name,
		RateLimits:                     []*routev3.RateLimit{limit},
		RateLimitService:               &limitconfigv3.RateLimitServiceConfig{GrpcService: h.asked(c, limitPatience), TransportApiVersion: corev3.ApiVersion_V3},
		Timeout:                        seconds(limitPatience),
		FailureModeDeny:                c.policy().FailClosed,
		StatusOnError:                  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		RateLimitedAsResourceExhausted: true,
		DisableXEnvoyRatelimitedHeader: true,
	})
}

func asksGlobally(c *call) bool { return c.Args["global"].Bool }

type entry struct{ key, value string }

// descriptor names one counter, the same for every proxy that holds the policy:
// the policy, which of its budgets where it has several, the receiver's port, and
// with scope "caller" who calls.
func descriptor(c *call) []entry {
	o := c.rule.Obligation
	out := []entry{{"policy", o.Policy.Name}}
	if i := slices.Index(o.Policy.Actions, c.Action); i > 0 {
		out = append(out, entry{"action", strconv.Itoa(i + 1)})
	}
	out = append(out, entry{"receiver", fmt.Sprintf("%s:%d", globalName(o.Receiver), o.Port)})
	if c.str("scope") == "caller" {
		out = append(out, entry{"caller", globalName(c.rule.Edges[0].Sender)})
	}
	return out
}

// globalName tells services of several graphs apart.
func globalName(n graph.Node) string {
	if s, ok := n.(*graph.Service); ok && !strings.Contains(s.Name, "/") {
		return s.Namespace + "/" + s.Name
	}
	return n.NodeName()
}

// unit of a rate in the protocol; false after an error.
func (a *adm) unit(c *call) (typev3.RateLimitUnit, bool) {
	switch per := c.Args["rate"].Dur; per {
	case time.Second:
		return typev3.RateLimitUnit_SECOND, true
	case time.Minute:
		return typev3.RateLimitUnit_MINUTE, true
	case time.Hour:
		return typev3.RateLimitUnit_HOUR, true
	case 24 * time.Hour:
		return typev3.RateLimitUnit_DAY, true
	default:
		a.cannot(c.Action, "rate_limit of a global budget for each %s", per)
		return 0, false
	}
}
