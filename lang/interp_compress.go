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
	if coding == "" {
		return
	}
	delete(h, "content-length")
	if tag := h.Get("etag"); strings.HasPrefix(tag, `"`) {
		h["etag"] = []string{"W/" + tag}
	}
	a.sets(c, "content-encoding", coding)
}

func compressible(a *attempt, c *act) bool {
	h := a.answer.Headers
	kind, _, _ := strings.Cut(h.Get("content-type"), ";")
	if a.answer.by != nil {
		kind = "text/plain"
	}
	typed := slices.ContainsFunc(c.Args["types"].List, func(v ir.Value) bool { return strings.EqualFold(v.Str, strings.TrimSpace(kind)) })
	return typed && len(a.answer.Body) >= leastCompressed && a.answer.Status != 206 &&
		h.Get("content-encoding") == "" && !strings.Contains(h.Get("cache-control"), "no-transform")
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
		weights[strings.ToLower(strings.TrimSpace(name))] = weight
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
