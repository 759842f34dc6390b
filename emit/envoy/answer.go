package envoy

import (
	"cmp"
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// respondHTTP: respond(status, body). A direct_response route would answer after
// every filter, and so after a fault or a log that comes later.
func respondHTTP(h *httpChain, c *call) {
	h.answer(c, &hcmv3.ResponseMapper{
		StatusCode:         u32(uint32(c.num("status"))),
		BodyFormatOverride: format(escapeFormat(c.str("body"))),
	})
}

// redirectHTTP: redirect(host, path, status). A path that says nothing of the
// query keeps the request's.
func redirectHTTP(h *httpChain, c *call) {
	scheme := fmt.Sprintf(`%%CEL(%[1]q in request.headers ? request.headers[%[1]q] : "http")%%`, protoAside)
	host := cmp.Or(escapeFormat(c.str("host")), "%REQ(:AUTHORITY)%")
	path := "%REQ(:PATH)%"
	if p := c.str("path"); p != "" {
		path = escapeFormat(p)
		if !strings.Contains(p, "?") {
			path += `%CEL(request.query == "" ? "" : "?")%%CEL(request.query)%`
		}
	}
	h.answer(c, &hcmv3.ResponseMapper{
		StatusCode:         u32(uint32(c.num("status"))),
		BodyFormatOverride: format(""),
		HeadersToAdd:       []*corev3.HeaderValueOption{added("location", scheme+"://"+host+path, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)},
	})
}
