package lang

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// What the interpreter knows of the actions that answer, redirect and refuse by
// what only a request's head says.

func responds(a *attempt, c *act) {
	a.end(c, int(c.Args["status"].Int), c.Args["body"].Str)
	a.acts(c, "", "answered it%s", a.with(a.answer.Status))
}

// redirects gives the location as the caller would have written it: the scheme is
// what the first proxy of all says, else the connection's.
func redirects(a *attempt, c *act) {
	path := a.msg.path
	if to := c.Args["path"].Str; to != "" {
		_, query, _ := strings.Cut(path, "?")
		if path = to; query != "" && !strings.Contains(to, "?") {
			path += "?" + query
		}
	}
	scheme := cmp.Or(a.msg.headers.Get("x-forwarded-proto"), "http")
	location := scheme + "://" + cmp.Or(c.Args["host"].Str, a.msg.host) + path
	a.end(c, int(c.Args["status"].Int), "")
	a.answer.Headers["location"] = []string{location}
	a.acts(c, `response.headers["location"]`, "sent it%s to %s", a.with(a.answer.Status), location)
}

func rewrites(a *attempt, c *act) {
	prefix, host := c.Args["prefix"].Str, c.Args["host"].Str
	if rest, ok := strings.CutPrefix(a.msg.path, prefix); ok && prefix != "" {
		a.msg.path = c.Args["with"].Str + rest
		a.acts(c, "request.path", "made its path %s", a.msg.path)
	}
	if host != "" {
		a.msg.host = host
		a.acts(c, "request.host", "made its host %s", host)
	}
}

// decidesByPath: what the action does hangs on the path, so that all spellings of
// one are made one, as where a condition reads it.
func decidesByPath(a *ir.Action) bool {
	return a.Name() == "ext_authz" || a.Name() == "rewrite" && a.Args["prefix"].Str != ""
}

// admits: what an authorization service says of a request is not known here.
func admits(a *attempt, c *act) { a.acts(c, "", "asked %s, taken to admit it", c.Args["address"].Str) }

// measures holds a body to its limit: it is as long as `content-length` says.
func measures(a *attempt, c *act) {
	length, err := strconv.ParseUint(a.msg.headers.Get("content-length"), 10, 64)
	if err != nil || int64(length) <= c.Args["size"].Int {
		a.acts(c, "", "let its body pass")
		return
	}
	refuse := func(status int) {
		a.end(c, status, "")
		a.acts(c, "", "refused it%s, its body has %d bytes", a.with(a.answer.Status), length)
	}
	if a.plane() == graph.GRPC {
		a.message = append(a.message, func() { refuse(codeNumber("RESOURCE_EXHAUSTED")) })
		return
	}
	refuse(413)
}

func slows(a *attempt, c *act) {
	a.acts(c, "", "slows its bodies to %d bytes in a second", c.Args["limit"].Int)
}

// crosses answers preflight requests (Fetch standard, CORS protocol).
func crosses(a *attempt, c *act) {
	h := a.msg.headers
	a.crossed = append(a.crossed, c)
	if !originAllowed(a, c) || a.msg.method != "OPTIONS" || h.Get("access-control-request-method") == "" {
		return
	}
	a.end(c, 200, "")
	a.acts(c, "", "answered the preflight")
	a.allows(c, "methods", listed(c.Args["methods"]))
	a.allows(c, "headers", listed(c.Args["headers"]))
	if age := c.Args["max_age"].Dur; age > 0 {
		a.sets(c, "access-control-max-age", strconv.FormatInt(int64(age.Seconds()), 10))
	}
}

// crossed marks the answers that a page may read, preflights' too.
func crossed(a *attempt, c *act) {
	if slices.Contains(a.crossed, c) && originAllowed(a, c) {
		a.allows(c, "origin", a.msg.headers.Get("origin"))
		if c.Args["credentials"].Bool {
			a.allows(c, "credentials", "true")
		}
	}
}

func originAllowed(a *attempt, c *act) bool {
	origin := a.msg.headers.Get("origin")
	return origin != "" && slices.ContainsFunc(c.Args["origins"].List, func(v ir.Value) bool { return v.Str == "*" || v.Str == origin })
}

func (a *attempt) allows(c *act, what, value string) {
	if value != "" {
		a.sets(c, "access-control-allow-"+what, value)
	}
}

// sets writes a header of the answer.
func (a *attempt) sets(c *act, name, value string) {
	a.answer.Headers[name] = []string{value}
	a.acts(c, fmt.Sprintf("response.headers[%q]", name), "response header %s set to %q", name, value)
}

func listed(v ir.Value) string {
	words := make([]string, len(v.List))
	for i, x := range v.List {
		words[i] = x.Str
	}
	return strings.Join(words, ", ")
}
