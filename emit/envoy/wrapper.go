package envoy

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	previousv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

// timeoutHTTP: timeout(after), the time from the end of the request to the end
// of the answer, all attempts included. Envoy answers 504, on gRPC as
// UNAVAILABLE; a call that timed out is DEADLINE_EXCEEDED.
func timeoutHTTP(h *httpChain, c *call) {
	h.addRoute(c, func(t *target) { t.action.Timeout = seconds(c.Args["after"].Dur) })
	h.timedOut()
}

// idleTimeoutHTTP: idle_timeout(after), the time in which nothing passes.
func idleTimeoutHTTP(h *httpChain, c *call) {
	h.addRoute(c, func(t *target) { t.action.IdleTimeout = seconds(c.Args["after"].Dur) })
	h.timedOut()
}

func idleTimeoutTCP(t *tcpChain, c *call) { t.idle = c.Args["after"].Dur }

const grpcDeadlineExceeded = "4"

// timedOut gives Envoy's own answers for elapsed time the gRPC code for it.
func (h *httpChain) timedOut() {
	if !h.grpc || h.mapped["timeout"] {
		return
	}
	h.mapped["timeout"] = true
	h.replies = append(h.replies, &hcmv3.ResponseMapper{
		Filter:       flagFilter("UT", "SI"), // of the request, an attempt or silence
		HeadersToAdd: grpcStatus(grpcDeadlineExceeded),
	})
}

func grpcStatus(code string) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{added("grpc-status", code, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)}
}

// maxRepeatedBody is the largest request body that can be sent again; a proxy
// has to keep it until the answer begins. Envoy's own bound is 1 MiB.
const maxRepeatedBody = 64 << 20

// retryHTTP: retry(attempts, on, per_try); attempts are those after the first.
func retryHTTP(h *httpChain, c *call) {
	p := &routev3.RetryPolicy{NumRetries: u32(uint32(c.num("attempts")))}
	var on []string
	for _, cause := range c.Args["on"].List {
		if cause.Str == "unavailable" && !h.grpc { // else Envoy's name for the gRPC code
			on = append(on, "retriable-status-codes")
			p.RetriableStatusCodes = []uint32{503}
			continue
		}
		on = append(on, cause.Str)
	}
	if names := retried(c); h.next != "" && len(names) > 0 {
		on = append(on, "retriable-headers")
		for _, name := range names {
			p.RetriableHeaders = append(p.RetriableHeaders, &routev3.HeaderMatcher{
				Name: failureHeader,
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &envoymatcherv3.StringMatcher{
					MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: name},
				}},
			})
		}
	}
	p.RetryOn = strings.Join(on, ",")
	if d := c.Args["per_try"].Dur; d > 0 {
		p.PerTryTimeout = seconds(d)
		h.timedOut()
	}
	h.addRoute(c, func(t *target) {
		t.action.RetryPolicy = p
		t.repeats = true
	})
}

// picksForAnother is how often a pod that was tried already is put back, before it
// gets the request again: all may have been tried. In turn, one pick more than that
// comes back to the same pod each time where their number divides it; 13 is a prime,
// and who has 13 pods or more needs as many attempts to have tried them all.
const picksForAnother = 12

// elsewhere sends a request that is sent again to a pod that it wasn't sent to,
// where this proxy chooses pods: in turn, several requests at a time may each get
// the same dead one again and again. A `ring_hash` stays with its pod, and Kubernetes'
// choices are not this proxy's.
func (t *target) elsewhere() {
	chosen := len(t.versions) > 0 || t.choice != (choice{})
	if t.action.RetryPolicy == nil || !chosen || t.choice.near || t.choice.policy == "ring_hash" {
		return
	}
	p := proto.Clone(t.action.RetryPolicy).(*routev3.RetryPolicy) // other routes share it
	p.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{{
		Name:       "previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: typed(&previousv3.PreviousHostsPredicate{})},
	}}
	p.HostSelectionRetryMaxAttempts = picksForAnother
	t.action.RetryPolicy = p
}

// hedgeHTTP: hedge(after). Envoy calls the second request a retry on the time
// limit of the first, which goes on; no answer is a reason for another.
func hedgeHTTP(h *httpChain, c *call) {
	h.addRoute(c, func(t *target) {
		t.action.HedgePolicy = &routev3.HedgePolicy{HedgeOnPerTryTimeout: true}
		t.action.RetryPolicy = &routev3.RetryPolicy{
			RetryOn:       "retriable-headers", // of which there are none
			NumRetries:    u32(1),
			PerTryTimeout: seconds(c.Args["after"].Dur),
			RetryBackOff:  &routev3.RetryPolicy_RetryBackOff{BaseInterval: seconds(time.Millisecond)},
		}
		t.repeats = true
	})
}
