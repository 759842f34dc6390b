package envoy

import (
	"fmt"
	"strings"

	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
)

// rewriteHTTP: rewrite(prefix, with, host). A route's own rewriting comes after
// all filters, where what follows in the order of the policies has looked at the
// path already; and no filter but this one cuts a string of any length.
func rewriteHTTP(h *httpChain, c *call) {
	var b strings.Builder
	b.WriteString("function envoy_on_request(request)\n  local headers = request:headers()\n")
	if prefix := c.str("prefix"); prefix != "" {
		b.WriteString("  local path = headers:get(\":path\")\n")
		fmt.Fprintf(&b, "  if path:sub(1, %d) == %s then\n", len(prefix), luaString(prefix))
		fmt.Fprintf(&b, "    headers:replace(\":path\", %s .. path:sub(%d))\n  end\n", luaString(c.str("with")), len(prefix)+1)
	}
	if host := c.str("host"); host != "" {
		fmt.Fprintf(&b, "  headers:replace(\":authority\", %s)\n", luaString(host))
	}
	b.WriteString("end\n")
	h.add(c, &luav3.Lua{DefaultSourceCode: inline(b.String())})
}

// luaString is a string literal of Lua, every byte outside of plain ASCII
// escaped.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\%03d", c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func rewritesPath(c *call) bool { return c.str("prefix") != "" }

// rewritten is what the action changes of the request.
func rewritten(c *call) []string {
	var parts []string
	if rewritesPath(c) {
		parts = append(parts, "request.path", "request.url_path", "request.query")
	}
	if c.str("host") != "" {
		parts = append(parts, "request.host")
	}
	return parts
}

// unread: what changes the request comes out the same in front of a wrapper whose
// condition doesn't read what it changes.
func unread(c, w *call) bool { return w.when == nil || !w.when.readsAny(c.low.writes(c)) }
