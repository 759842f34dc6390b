package ir

import "strings"

// What the interpreter and every data plane have to do alike.
const (
	// LongestCounted is how long a header's value may be that a rate_limit with `per`
	// counts by, in bytes: a longer one is taken for none, so that callers can't fill
	// a proxy's memory.
	LongestCounted = 256
	// ControlHeaders matches the names of request headers that are requests to Envoy's
	// router, which would obey them and take them out: a caller could lift its own
	// timeout. No ADM lets them in.
	ControlHeaders = "x-envoy-(upstream-(rq-|alt-).*|max-retries|retry-.*|retriable-.*|hedge-.*)"
	// DotsWithParameters matches, in a path of which there is one spelling, a dot
	// segment that has parameters (`/..;a=b`), on whose meaning services differ.
	DotsWithParameters = `/\.\.?;`
)

// RequestHeader is the name of the header that a part is of: `x` of
// `request.headers["x"]`, and of a member of it. ok is false for other parts.
func RequestHeader(part string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(part, `request.headers["`)
	name, _, _ = strings.Cut(rest, `"]`)
	return name, ok
}
