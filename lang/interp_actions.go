package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A deed is what an action does to a request, in the parts that it has.
type deed struct {
	request  func(a *attempt, c *act)  // on the way to the receiver
	response func(a *attempt, c *act)  // on the way back, whoever answered
	wrap     func(x *exchange, c *act) // before the first attempt
	// claims gives what the action provides to conditions, or why it does not.
	claims func(a *attempt, c *act) (claims map[string]any, why string)
}

// deeds is every action that the interpreter knows.
var deeds = map[string]deed{
	"deny":              {request: denies},
	"allow":             {request: refuses},
	"jwt":               {request: authenticates, claims: tokenClaims},
	"rate_limit":        {request: limits},
	"set_header":        {request: onRequest(setsHeader), response: onResponse(setsHeader)},
	"append_header":     {request: onRequest(appendsHeader), response: onResponse(appendsHeader)},
	"remove_header":     {request: onRequest(removesHeader), response: onResponse(removesHeader)},
	"route":             {request: routes},
	"split":             {request: splits},
	"fault":             {request: faults},
	"mirror":            {request: mirrors},
	"lb":                {request: chooses},
	"connect_timeout":   {request: connects},
	"access_log":        {response: logs},
	"metric":            {response: counts},
	"timeout":           {wrap: times},
	"idle_timeout":      {wrap: times},
	"retry":             {wrap: repeats},
	ir.StampAction:      {request: stamps},
	"hedge":             {wrap: hedges},
	"trace":             {response: traces},
	"tag":               {response: tags},
	"locality":          {request: nears},
	"outlier_detection": {wrap: watches},
	"cors":              {request: crosses, response: crossed},
	"ext_authz":         {request: admits},
	"concurrency_limit": {request: crowds},
	"bandwidth_limit":   {request: slows},
	"max_body":          {request: measures},
	"rewrite":           {request: rewrites},
	"redirect":          {request: redirects},
	"respond":           {request: responds},
	"compress":          {response: compresses},
}

// CanInterpret reports the actions on the calls of tests of which the
// interpreter doesn't know what they do: a test that left them out would say
// nothing.
func CanInterpret(p *ir.Program, bag *diag.Bag) {
	tested := map[*graph.Call]*ir.TestRequest{}
	for _, t := range p.Tests {
		for _, r := range t.Requests {
			if tested[r.Call] == nil {
				tested[r.Call] = r
			}
		}
	}
	for _, o := range p.Obligations {
		for _, e := range o.Edges {
			r := tested[e.Call]
			for _, a := range o.Actions {
				if _, known := deedOf(a.Decl); r != nil && !known {
					bag.Errorf(r.At, NotYet, "tests of calls with %s are not built yet", a.Name()).
						WithNote(a.At, "%s of policy %s is here", a.Name(), o.Policy.Name)
				}
			}
		}
	}
}

// refuses is allow where its condition, negated in its obligation, doesn't hold.
func refuses(a *attempt, c *act) {
	switch a.plane() {
	case graph.HTTP:
		a.end(c, 403, "")
	case graph.GRPC:
		a.end(c, codeNumber("PERMISSION_DENIED"), "")
	default:
		a.end(c, 0, "")
	}
	a.acts(c, "", "refused it%s", a.with(a.answer.Status))
}

func denies(a *attempt, c *act) {
	switch a.plane() {
	case graph.HTTP:
		a.end(c, int(c.Args["status"].Int), c.Args["body"].Str)
	case graph.GRPC:
		a.end(c, codeNumber(c.Args["code"].Str), c.Args["body"].Str)
	default:
		a.end(c, 0, "")
	}
	a.acts(c, "", "refused it%s", a.with(a.answer.Status))
}

// with is the status that an answer has, as a part of a sentence.
func (a *attempt) with(status int) string {
	if a.plane() == graph.TCP {
		return ""
	}
	return " with " + a.statusText(status)
}

// A bucketKey is one counter: of an action on one receiver's port, and of one
// of its callers where each has its own.
type bucketKey struct {
	action     *ir.Action
	obligation *ir.Obligation
	caller     *graph.Call
	value      string // of the header that it is counted by
}

func limits(a *attempt, c *act) {
	ok, left := a.take(c)
	if ok {
		a.acts(c, "", "counted it, %d left", left)
		return
	}
	status := 429
	if a.plane() == graph.GRPC {
		status = codeNumber("RESOURCE_EXHAUSTED")
	}
	if a.plane() == graph.TCP {
		status = 0
	}
	a.end(c, status, "")
	a.acts(c, "", "refused it%s, the bucket is empty", a.with(status))
}

// take takes one of a rate_limit's budget.
func (a *attempt) take(c *act) (ok bool, left int64) {
	key, rate := a.counter(c), c.Args["rate"]
	if c.Args["global"].Bool {
		w := a.in.windows[key]
		if w == nil {
			w = &window{}
			a.in.windows[key] = w
		}
		return w.take(a.at, rate.Dur, rate.Int)
	}
	b := a.in.buckets[key]
	if b == nil {
		b = newBucket(c.Action)
		b.last = a.at
		a.in.buckets[key] = b
	}
	return b.take(a.at)
}

// counter is the one that an action keeps for a request.
func (a *attempt) counter(c *act) bucketKey {
	key := bucketKey{action: c.Action, obligation: c.rule.obligation}
	if c.Args["scope"].Str == "caller" {
		key.caller = a.req.Call
	}
	if per := c.Args["per"].Str; per != "" {
		if v := a.msg.headers.Get(per); len(v) <= ir.LongestCounted {
			key.value = v
		}
	}
	return key
}

// headerChange gives the new values of a header, and what was done in words.
type headerChange func(old []string, value string) (values []string, did string)

func setsHeader(_ []string, value string) ([]string, string) { return []string{value}, "set to" }

func appendsHeader(old []string, value string) ([]string, string) {
	return append(slices.Clone(old), value), "appended"
}

func removesHeader([]string, string) ([]string, string) { return nil, "removed" }

func onRequest(change headerChange) func(*attempt, *act) {
	return func(a *attempt, c *act) {
		if c.Args["of"].Str == "request" {
			a.change(c, "request", a.msg.headers, change)
		}
	}
}

func onResponse(change headerChange) func(*attempt, *act) {
	return func(a *attempt, c *act) {
		if c.Args["of"].Str == "response" {
			a.change(c, "response", a.answer.Headers, change)
		}
	}
}

func (a *attempt) change(c *act, of string, h Headers, change headerChange) {
	name := strings.ToLower(c.Args["name"].Str)
	values, did := change(h[name], c.Args["value"].Str)
	if h[name] = values; len(values) == 0 {
		delete(h, name)
	} else {
		did = fmt.Sprintf("%s %q", did, c.Args["value"].Str)
	}
	a.acts(c, fmt.Sprintf("%s.headers[%q]", of, name), "%s header %s %s", of, name, did)
}

func routes(a *attempt, c *act) { a.choose(c, c.Args["version"].Str) }

// splits draws a version by the request's id: the shares follow one another in
// the order written.
func splits(a *attempt, c *act) {
	id, share, weights := a.drawID(), 0.0, c.Args["weights"].Map
	for _, w := range weights {
		if share += w.Value.Float; drawn(c.rule.policy.Name+"/split", share, id) {
			a.choose(c, w.Key)
			return
		}
	}
	a.choose(c, weights[len(weights)-1].Key)
}

// mirrors draws as splits does. Nothing that a test can see hangs on the copy.
func mirrors(a *attempt, c *act) {
	if share := c.Args["share"].Float; share >= 1 || drawn(c.rule.policy.Name+"/mirror", share, a.drawID()) {
		a.acts(c, "", "sent a copy to version %s", c.Args["version"].Str)
	}
}

// chooses has no choice: each service has one pod in a test.
func chooses(a *attempt, c *act) { a.acts(c, "", "chose a pod by %s", c.Args["policy"].Str) }

func nears(a *attempt, c *act) { a.acts(c, "", "prefers a pod in the caller's zone") }

// drawID is what draws are made by that a proxy makes at random. A request
// without an id of its own has one for this, which nobody else sees.
func (a *attempt) drawID() string {
	if id := a.msg.headers.Get("x-request-id"); id != "" {
		return id
	}
	if a.exchange.ownID == "" {
		a.exchange.ownID = a.in.requestID()
	}
	return a.exchange.ownID
}

func (a *attempt) choose(c *act, version string) {
	a.version = version
	a.res.Version, a.res.VersionBy = version, c.rule.policy.Name
	a.acts(c, "upstream.version", "chose version %s", version)
}

func faults(a *attempt, c *act) {
	if share := c.Args["share"].Float; share < 1 && !drawn(c.rule.policy.Name+"/fault", share, a.drawID()) {
		return
	}
	delay, abort := c.Args["delay"].Dur, int(c.Args["abort"].Int)
	a.delay += delay
	if abort == 0 {
		a.acts(c, "", "delayed it by %s", delay)
		return
	}
	a.end(c, a.localStatus(abort), "")
	late := ""
	if delay > 0 {
		late = fmt.Sprintf(" after %s", delay)
	}
	a.acts(c, "", "answered it%s%s", a.with(a.answer.Status), late)
}

func connects(a *attempt, c *act) {
	a.connect = c.Args["after"].Dur
	a.acts(c, "", "waits %s for the connection", a.connect)
}

func logs(a *attempt, c *act) { a.acts(c, "", "logged it") }

func counts(a *attempt, c *act) { a.acts(c, "", "counted it in %s", c.Args["name"].Str) }

// traces leaves the headers alone: which trace it is nobody can expect.
func traces(a *attempt, c *act) { a.acts(c, "", "recorded a span of it") }

func tags(a *attempt, c *act) { a.acts(c, "", "tagged its span with %s", c.Args["name"].Str) }

// times bounds the whole. On tcp nothing that a test says of a connection
// depends on it.
func times(x *exchange, c *act) {
	if after := c.Args["after"].Dur; x.plane() == graph.TCP {
		x.note(c, "", "closes it when idle for %s", after)
	} else {
		x.bounded(c, after)
	}
}

// hedges has no second request to make where the first is answered at once.
func hedges(x *exchange, c *act) { x.note(c, "", "would hedge it after %s", c.Args["after"].Dur) }

func watches(x *exchange, c *act) { x.note(c, "", "watches the pod that it goes to") }

func repeats(x *exchange, c *act) {
	x.retry, x.left = c, int(c.Args["attempts"].Int)
}
