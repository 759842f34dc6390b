package envoy

import (
	"fmt"
	"slices"
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	directv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"admc.dev/admc/lang/ir"
)

// grpcCodes in the order of their numbers (google.rpc.Code).
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// denyHTTP: deny(status, body, code).
func denyHTTP(h *httpChain, c *call) {
	h.answer(c, h.refusal(uint32(c.num("status")), c.str("code"), c.str("body")))
}

// refusal is an answer with a status, or on grpc with the code of a name.
func (h *httpChain) refusal(status uint32, code, body string) *hcmv3.ResponseMapper {
	reply := &hcmv3.ResponseMapper{BodyFormatOverride: format(escapeFormat(body))}
	if h.grpc {
		reply.HeadersToAdd = grpcStatus(strconv.Itoa(slices.Index(grpcCodes, code)))
	} else {
		reply.StatusCode = u32(status)
	}
	return reply
}

// answer ends requests with a reply. The filter stands in its place among the
// others, so that nothing after it counts the request; it always answers 403,
// and what it says is rewritten by the details that name the policy. The body
// is given as a format, since an empty inline_string would leave Envoy's.
func (h *httpChain) answer(c *call, reply *hcmv3.ResponseMapper) {
	rule := &rbacconfigv3.Policy{
		Permissions: []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_Any{Any: true}}},
		Principals:  []*rbacconfigv3.Principal{{Identifier: &rbacconfigv3.Principal_Any{Any: true}}},
	}
	filter := &rbacv3.RBAC{
		Rules:           &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: map[string]*rbacconfigv3.Policy{c.name: rule}},
		RulesStatPrefix: c.policy().Name + ".",
	}
	if c.byWhen() && !c.when.late() { // the rule looks at the decision itself
		rule.Principals[0].Identifier = &rbacconfigv3.Principal_FilterState{FilterState: c.when.decided()}
		h.filters = append(h.filters, httpFilter(c.name, filter))
	} else {
		h.add(c, filter)
	}
	reply.Filter = refusedBy(c.name)
	h.replies = append(h.replies, reply)
}

// allowHTTP: allow() refuses as deny() does. Its rule holds where the condition of
// the policy does not.
func allowHTTP(h *httpChain, c *call) {
	refuse, action := *c, *c.Action
	action.Args = map[string]ir.Value{"status": {Kind: ir.Int, Int: 403}, "body": {Kind: ir.String}, "code": {Kind: ir.String, Str: "PERMISSION_DENIED"}}
	refuse.Action = &action
	denyHTTP(h, &refuse)
	c.switched = refuse.switched
}

// denyTCP closes the connection as soon as it is accepted. It ends the filter
// chain: there is no tcp_proxy behind it that could connect. (A network RBAC
// filter acts on the first bytes of the client, and so lets the greeting of a
// server that speaks first go out.)
func denyTCP(t *tcpChain, c *call) {
	t.end(c, &directv3.Config{})
}

// refusedBy is the condition that the rule of a name refused a request.
func refusedBy(rule string) *accesslogv3.AccessLogFilter {
	return celLogFilter(fmt.Sprintf("response.code_details == %s", celString("rbac_access_denied_matched_policy["+rule+"]")))
}

// celLogFilter is a condition on a finished request or a local reply.
func celLogFilter(expr string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name:       "cel",
			ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: typed(&celv3.ExpressionFilter{Expression: expr})},
		},
	}}
}
