package envoy

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// stampHTTP keeps one member of the baggage header of a request (ir.StampAction).
// No filter of Envoy's own changes a part of a header's value, so it is a script.
func stampHTTP(h *httpChain, c *call) {
	h.addOwn(c, c.name, &luav3.Lua{
		DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: stampScript(c)}},
		ClearRouteCache:   no(), // no route depends on the header
	})
}

// stamps reports whether a rule is one of the checker's: it has no switch, because
// what others decide by the member would change with it.
func stamps(r *layout.Rule) bool { return r.Obligation.Actions[0].Name() == ir.StampAction }

// stampScript puts the arguments in front of the script.
func stampScript(c *call) string {
	var b strings.Builder
	fmt.Fprintf(&b, "local header, member = %s, %s\n", luaString(ir.PathHeader), luaString(c.str("member")))
	var to []string
	for _, e := range c.Args["to"].Map {
		to = append(to, fmt.Sprintf("[%s] = %s", luaString(e.Key), luaString(e.Value.Str)))
	}
	fmt.Fprintf(&b, "local to = {%s}\n", strings.Join(to, ", "))
	return b.String() + stampLua
}

// stampLua: W3C Baggage, section 3.3.1. The member is taken out of every line,
// also where its key is escaped; what is not the member stays as it is; the new
// value goes in front of the first line.
const stampLua = `
local function trim(s)
  return s:match("^[ \t]*(.-)[ \t]*$")
end

local function parse(m)
  local i = m:find("[=;]")
  local key, value = m, ""
  if i then
    key = m:sub(1, i - 1)
    if m:sub(i, i) == "=" then value = m:sub(i + 1):match("^[^;]*") end
  end
  key = trim(key):gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)
  return key, trim(value)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local value, found, kept = "", false, {}
  local lines = headers:getNumValues(header)
  for n = 0, lines - 1 do
    local line, rest, ours = headers:getAtIndex(header, n), {}, false
    for m in (line .. ","):gmatch("([^,]*),") do
      local key, v = parse(m)
      if key == member then
        if not found then value, found = v, true end
        ours = true
      else
        rest[#rest + 1] = m
      end
    end
    if not ours then
      kept[#kept + 1] = line
    elseif #rest > 0 then
      kept[#kept + 1] = table.concat(rest, ",")
    end
  end
  local now = to[value] or to[""]
  if not found and now == "" then return end
  if now ~= "" then
    kept[1] = member .. "=" .. now .. (kept[1] and "," .. kept[1] or "")
  end
  headers:remove(header)
  for _, line in ipairs(kept) do headers:add(header, line) end
end
`

// stampWritten is the member, as conditions name it.
func stampWritten(c *call) []string {
	return []string{fmt.Sprintf("request.headers[%q][%q]", ir.PathHeader, c.str("member"))}
}
