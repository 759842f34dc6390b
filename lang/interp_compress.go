package lang

import (
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/lang/ir"
)

// leastCompressed is the length below which an answer is left as it is.
const leastCompressed = 30

// compresses changes the head of an answer that has a body: the body itself is
// whatever its length says. A proxy's own answers are text/plain.
func compresses(a *attempt, c *act) {
	h := a.answer.Headers
	if !compressible(a, c) {
		return
	}
	if !slices.Contains(h["vary"], "Accept-Encoding") {
		h["vary"] = append(h["vary"], "Accept-Encoding")
		a.acts(c, `response.headers["vary"]`, "response header vary appended %q", "Accept-Encoding")
	}
	coding := acceptedCoding(a.msg.headers.Get("accept-encoding"))
	if coding == "" || a.answer.Body == "" {
		return
	}
	delete(h, "content-length")
	if tag := h.Get("etag"); len(tag) > 2 && !strings.EqualFold(tag[:2], "W/") {
		h["etag"] = []string{"W/" + tag}
	}
	a.sets(c, "content-encoding", coding)
}

// writesBody are the actions whose answers have the body that the program says;
// what a proxy says by itself is shorter than what is compressed.
var writesBody = []string{"allow", "cors", "deny", "redirect", "respond"}

// compressible reports whether the answer would be compressed for a caller that
// takes that: one of no media type, too.
func compressible(a *attempt, c *act) bool {
	h, long := a.answer.Headers, len(a.answer.Body) >= leastCompressed
	kind, _, _ := strings.Cut(h.Get("content-type"), ";")
	if by := a.answer.by; by != nil {
		kind = "text/plain"
		empty := a.answer.Body == "" && (slices.Contains(writesBody, by.Name()) || by.Args["global"].Bool)
		if empty { // which has no type, and says nothing of its length
			kind, long = "", true
		}
	}
	kind = strings.TrimSpace(kind)
	typed := kind == "" || slices.ContainsFunc(c.Args["types"].List, func(v ir.Value) bool { return strings.EqualFold(v.Str, kind) })
	return typed && long && a.answer.Status != 206 && h.Get("content-encoding") == "" && !strings.Contains(h.Get("cache-control"), "no-transform")
}

// acceptedCoding is the coding that a caller likes best, brotli where it likes
// both the same; "" for none.
func acceptedCoding(accept string) string {
	weights := map[string]float64{}
	for _, item := range strings.Split(accept, ",") {
		name, param, _ := strings.Cut(strings.TrimSpace(item), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ReplaceAll(param, " ", ""), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64)
		}
		weights[strings.TrimSpace(name)] = weight // Envoy knows the codings in lower case only
	}
	best, most := "", 0.0
	for _, coding := range []string{"br", "gzip"} {
		weight, named := weights[coding]
		if !named {
			weight = weights["*"]
		}
		if weight > most {
			best, most = coding, weight
		}
	}
	if weights["identity"] > most {
		return ""
	}
	return best
}
