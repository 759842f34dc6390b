package lang

import (
	"regexp"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// oneLine are the request headers that Envoy keeps as one line each
// (envoy/http/headers.h and what filters register): several become one, without
// those that are empty.
var oneLine = []string{
	"accept", "accept-encoding", "access-control-request-headers", "access-control-request-method", "authorization", "cache-control",
	"content-encoding", "content-type", "expect", "grpc-accept-encoding", "grpc-timeout", "if-match", "if-modified-since", "if-none-match",
	"if-range", "origin", "pragma", "referer", "te", "user-agent", "via", "x-client-trace-id", "x-envoy-attempt-count", "x-envoy-decorator-operation",
	"x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "x-envoy-external-address", "x-envoy-original-path",
	"x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id",
}

// untaken are request headers that no policy and no receiver sees: the ADM's own,
// those that would instruct it, and those that Envoy takes out.
var untaken = regexp.MustCompile(`^(` + ir.ControlHeaders + `|x-envoy-internal|x-envoy-force-trace|x-envoy-ip-tags|x-envoy-expected-rq-timeout-ms|x-admc-forwarded-proto)$`)

// taken makes of a request's headers what the proxy takes of them, before any
// policy.
func taken(h Headers, plane graph.Plane) {
	if crumbs := h["cookie"]; plane == graph.GRPC && len(crumbs) > 1 { // RFC 9113, 8.2.3
		whole := ""
		for _, c := range crumbs {
			if whole != "" {
				whole += "; "
			}
			whole += c
		}
		h["cookie"] = []string{whole}
	}
	if plane == graph.HTTP {
		ofConnection(h)
	}
	for name, lines := range h {
		switch {
		case untaken.MatchString(name):
			delete(h, name)
		case len(lines) > 1 && slices.Contains(oneLine, name):
			h[name] = []string{strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" }), ",")}
		}
	}
	if h.Get("x-forwarded-proto") == "" {
		delete(h, "x-forwarded-proto") // it is carried past Envoy, which carries no empty one
	}
	if te := h.Get("te"); te != "" { // RFC 9110, 10.1.4: it is about one hop
		if delete(h, "te"); slices.Contains(strings.FieldsFunc(te, func(r rune) bool { return r == ',' || r == ' ' }), "trailers") {
			h["te"] = []string{"trailers"}
		}
	}
}

// ofConnection takes off what is about one connection, and what `connection` says
// is, but for WebSockets, which are passed on.
func ofConnection(h Headers) {
	socket := strings.EqualFold(h.Get("upgrade"), "websocket")
	for _, line := range h["connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); !socket || name != "upgrade" {
				delete(h, name)
			}
		}
	}
	for _, name := range ofOneConnection {
		if !socket || name != "connection" {
			delete(h, name)
		}
	}
	if !socket {
		delete(h, "upgrade")
	}
}
