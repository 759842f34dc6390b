package envoy

import (
	"strconv"
	"strings"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"admc.dev/admc/lang/ir"
)

// corsHTTP: cors(origins, methods, headers, max_age, credentials). The filter
// finds what it allows at the virtual host, by its own name.
func corsHTTP(h *httpChain, c *call) {
	allow := &corsv3.CorsPolicy{
		AllowMethods: strings.Join(texts(c.Args["methods"]), ", "),
		AllowHeaders: strings.Join(texts(c.Args["headers"]), ", "),
	}
	for _, origin := range texts(c.Args["origins"]) { // Envoy takes an exact "*" for any
		allow.AllowOriginStringMatch = append(allow.AllowOriginStringMatch, &envoymatcherv3.StringMatcher{
			MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: origin},
		})
	}
	if age := c.Args["max_age"].Dur; age > 0 {
		allow.MaxAge = strconv.FormatInt(int64(age.Seconds()), 10)
	}
	if c.Args["credentials"].Bool {
		allow.AllowCredentials = yes()
	}
	allow.FilterEnabled = c.enabled()
	h.addOwn(c, c.name, &corsv3.Cors{})
	h.perFilter[c.name] = typed(allow)
}

func texts(v ir.Value) []string {
	out := make([]string, len(v.List))
	for i, x := range v.List {
		out[i] = x.Str
	}
	return out
}
