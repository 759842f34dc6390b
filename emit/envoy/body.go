package envoy

import (
	"slices"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	bandwidthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/bandwidth_limit/v3"
	sizev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/body_size_limit/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
)

// maxBodyHTTP: max_body(size). On http the body is kept until it is whole, so
// that nothing of one that is too long is passed on. A gRPC stream may never be
// whole: there it is counted as it passes.
func maxBodyHTTP(h *httpChain, c *call) {
	if h.grpc {
		h.add(c, &sizev3.BodySizeLimit{MaxRequestBytes: wrapperspb.UInt64(uint64(c.num("size")))})
		h.exhausted("too long", `response.code_details == "request_payload_too_large"`)
		return
	}
	h.bodies = true
	h.addIf(c, c.name, &bufferv3.Buffer{MaxRequestBytes: u32(uint32(c.num("size")))}, notUpgraded())
	if !h.mapped["too long"] {
		h.mapped["too long"] = true // both filters say it in the buffer's words
		h.replies = append(h.replies, &hcmv3.ResponseMapper{
			Filter: celLogFilter(`response.code_details == "request_payload_too_large"`), BodyFormatOverride: format("Payload Too Large"),
		})
	}
	// The buffer doesn't look at what a filter before it held back and passes on in one
	// piece (ext_authz, bandwidth_limit).
	h.addIf(c, c.name+"/length", &sizev3.BodySizeLimit{MaxRequestBytes: wrapperspb.UInt64(uint64(c.num("size")))}, notUpgraded())
}

// lengthWritten: a body that has been kept has a length, and nobody waits to be
// told to send it.
func lengthWritten(*call) []string {
	return []string{`request.headers["content-length"]`, `request.headers["expect"]`}
}

// notUpgraded holds for requests of which the rest is a body. What follows an
// upgrade is another protocol and has no end; Envoy takes the header out of requests
// that are no upgrade.
func notUpgraded() *matcherv3.Matcher_MatcherList_Predicate {
	return not(single(&envoymatcherv3.HttpRequestHeaderMatchInput{HeaderName: "upgrade"}, func(s *matcherv3.Matcher_MatcherList_Predicate_SinglePredicate) {
		s.Matcher = &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{
				EngineType: &matcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &matcherv3.RegexMatcher_GoogleRE2{}}, Regex: ".+",
			}},
		}}
	}))
}

// exhausted gives Envoy's own answers with these details the gRPC code for limits.
func (h *httpChain) exhausted(what, details string) {
	if !h.grpc || h.mapped[what] {
		return
	}
	h.mapped[what] = true
	h.replies = append(h.replies, &hcmv3.ResponseMapper{Filter: celLogFilter(details), HeadersToAdd: grpcStatus(grpcResourceExhausted)})
}

const grpcResourceExhausted = "8"

// slowLast moves what slows bodies behind what makes requests wait. Envoy's filter
// hands a body on by itself, and one behind it that still waits loses it; what waits
// looks at no body, so that it comes out the same.
func slowLast(calls []*call) []*call {
	out := slices.Clone(calls)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i].Name() != "bandwidth_limit" {
			continue
		}
		for k := len(out) - 1; k > i; k-- {
			if out[k].low.waits != nil && out[k].low.waits(out[k]) {
				slow := out[i]
				copy(out[i:k], out[i+1:k+1])
				out[k] = slow
				break
			}
		}
	}
	return out
}

// bandwidthHTTP: bandwidth_limit(limit, scope). Both directions of one filter
// would share its bucket.
func bandwidthHTTP(h *httpChain, c *call) {
	kib := layout.Share(c.Action, c.num("limit"), c.rule.Replicas) / 1024
	if kib < 1 {
		h.cannot(c.Action, "bandwidth_limit of less than 1 KiB a second for each of %d proxies", c.rule.Replicas)
		return
	}
	for _, way := range []struct {
		name string
		mode bandwidthv3.BandwidthLimit_EnableMode
	}{{"request", bandwidthv3.BandwidthLimit_REQUEST}, {"response", bandwidthv3.BandwidthLimit_RESPONSE}} {
		h.addOwn(c, c.name+"/"+way.name, &bandwidthv3.BandwidthLimit{
			StatPrefix: c.policy().Name, EnableMode: way.mode, LimitKbps: wrapperspb.UInt64(uint64(kib)), RuntimeEnabled: c.enabledFlag(),
		})
	}
}
