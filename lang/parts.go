package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// A part names a piece of a message, as facts and conditions write it:
// `request`, `request.path`, `request.headers["x"]`, `response`, `jwt.claims`,
// `span.tags["x"]`. A part covers every part that continues it: `request` overlaps
// all of the request, `request.headers` each header.
//
// In the facts of a declaration a word that is a parameter's name stands for its
// argument, whether as the first word (`of.headers`) or as a key
// (`request.headers[name]`).

// putIn gives parts with the arguments of a call in them, canonical and sorted.
func putIn(parts []string, args map[string]ir.Value) []string {
	var out []string
	for _, p := range parts {
		head, key, keyed := strings.Cut(p, "[")
		first, rest, dotted := strings.Cut(head, ".")
		if v, ok := args[first]; ok && v.Kind == ir.String {
			first = v.Str
		}
		p = first
		if dotted {
			p += "." + rest
		}
		if keyed {
			key = strings.TrimSuffix(key, "]")
			if v, ok := args[key]; ok && v.Kind == ir.String {
				if key = v.Str; !strings.HasSuffix(head, ".tags") { // names of headers are the same in any case
					key = strings.ToLower(key)
				}
				key = fmt.Sprintf("%q", key)
			}
			p += "[" + key + "]"
		}
		out = append(out, canonical(p))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// requestID is the part by which requests are sampled.
const requestID = `request.headers["x-request-id"]`

// derived are attributes that are computed from another part, so that writing
// that part changes them.
var derived = map[string]string{
	"request.url_path":  "request.path",
	"request.query":     "request.path",
	"grpc.service":      "request.path",
	"grpc.method":       "request.path",
	"request.id":        requestID,
	"request.useragent": `request.headers["user-agent"]`,
	"request.referer":   `request.headers["referer"]`,
}

func canonical(part string) string {
	if base, ok := derived[part]; ok {
		return base
	}
	return part
}

// covers reports whether part b is a or lies inside it.
func covers(a, b string) bool {
	return strings.HasPrefix(b, a) && (len(a) == len(b) || b[len(a)] == '.' || b[len(a)] == '[')
}

// common gives a part that both lists touch, of the message that is named
// (request or response); "" when there is none.
func common(message string, xs, ys []string) string {
	for _, x := range xs {
		if !covers(message, x) {
			continue
		}
		for _, y := range ys {
			if covers(x, y) {
				return y
			}
			if covers(y, x) {
				return x
			}
		}
	}
	return ""
}

// touches reports whether one of the parts is of the named message.
func touches(message string, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return covers(message, p) })
}
