package envoy

import (
	"fmt"
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	"google.golang.org/protobuf/proto"
)

// setHeader: set_header(name, value, of).
func setHeader(h *httpChain, c *call) {
	h.mutate(c, writeHeader(c, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
}

// appendHeader: append_header(name, value, of).
func appendHeader(h *httpChain, c *call) {
	h.mutate(c, writeHeader(c, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
}

// removeHeader: remove_header(name, of).
func removeHeader(h *httpChain, c *call) {
	h.mutate(c, remove(c.header()))
}

func (h *httpChain) mutate(c *call, m *mutationv3.HeaderMutation) {
	if name := strings.ToLower(c.str("name")); name == "host" || strings.HasPrefix(name, ":") {
		h.cannot(c.Action, "%s of %q: it decides where the request goes", c.Name(), c.str("name"))
		return
	}
	muts := &headerv3.Mutations{}
	if c.str("of") == "response" {
		muts.ResponseMutations = []*mutationv3.HeaderMutation{m}
	} else {
		muts.RequestMutations = []*mutationv3.HeaderMutation{m}
	}
	filter := &headerv3.HeaderMutation{Mutations: muts}
	if c.when != nil && c.when.late() && c.Name() != "remove_header" && c.str("of") == "response" {
		var acts proto.Message = filter
		if !c.byWhen() { // which would be in the value
			acts = onlyIf(c.on(), c.name, filter)
		}
		h.filters = append(h.filters, httpFilter(c.name, acts))
		return
	}
	h.add(c, filter)
}

// writeHeader gives the mutation. Where the condition looks at the answer, the
// value itself is conditional: Envoy leaves a header alone whose new value is
// empty.
func writeHeader(c *call, how corev3.HeaderValueOption_HeaderAppendAction) *mutationv3.HeaderMutation {
	value := escapeFormat(c.str("value"))
	late := c.when != nil && c.when.late()
	if late {
		value = fmt.Sprintf(`%%CEL((%s) ? %s : "")%%`, c.when.answered(), celString(c.str("value")))
	}
	option := added(c.header(), value, how)
	option.KeepEmptyValue = !late
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: option}}
}

// header is the name of the header that the call changes, as the proxy has it.
func (c *call) header() string {
	if c.str("of") == "request" {
		return requestHeader(c.str("name"))
	}
	return c.str("name")
}

// escapeFormat makes a constant of a substitution format.
func escapeFormat(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// headerWritten is the request header that a header action changes.
func headerWritten(c *call) []string {
	if c.str("of") != "request" {
		return nil
	}
	return []string{fmt.Sprintf("request.headers[%q]", strings.ToLower(c.str("name")))}
}
