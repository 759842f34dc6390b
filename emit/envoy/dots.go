package envoy

import (
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"admc.dev/admc/lang/ir"
)

// dotsName is what refuses dot segments that have parameters.
const dotsName = "admc/dots"

// keepDots keeps Envoy from resolving dot segments that have parameters, of which
// it resolves those that nothing of is escaped (CVE-2026-73551 and its mending):
// `/x/%2e%2e;/y` would be passed on as `/x/..;/y`.
const keepDots = "envoy.reloadable_features.strip_dotdot_segments_with_parameters"

// refuseDots refuses, before any policy looks, a path with a dot segment that has
// parameters (`/x/..;/admin`), as an escaped slash is: to some services it is
// /admin, and to others a name.
func (h *httpChain) refuseDots(m *hcmv3.HttpConnectionManager) {
	dots := &rbacconfigv3.Policy{
		Permissions: []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_UrlPath{UrlPath: &envoymatcherv3.PathMatcher{
			Rule: &envoymatcherv3.PathMatcher_Path{Path: &envoymatcherv3.StringMatcher{
				MatchPattern: &envoymatcherv3.StringMatcher_SafeRegex{SafeRegex: &envoymatcherv3.RegexMatcher{Regex: ".*" + ir.DotsWithParameters + ".*"}},
			}},
		}}}},
		Principals: []*rbacconfigv3.Principal{{Identifier: &rbacconfigv3.Principal_Any{Any: true}}},
	}
	filter := httpFilter(dotsName, &rbacv3.RBAC{
		Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: map[string]*rbacconfigv3.Policy{dotsName: dots}},
	})
	m.HttpFilters = append([]*hcmv3.HttpFilter{filter}, m.HttpFilters...)
	reply := h.refusal(400, "INTERNAL", "") // which is what Envoy makes of 400 on grpc
	reply.Filter = refusedBy(dotsName)
	h.replies = append(h.replies, reply)
}
