package lang

import (
	"slices"
	"strings"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// An attempt is one way of a request through the policies to the receiver and
// back.
type attempt struct {
	*exchange
	msg     message
	decided map[*rule]bool
	version string
	delay   time.Duration // that policies added
	connect time.Duration // how long a policy waits for the connection; 0: for ever
	answer  *reply        // nil: none yet
	acted   map[*rule]bool
	list    []*act   // what acts in it, by rank
	message []func() // what waits for the message after the head (grpc)
	crossed []*act   // cors that the request met, which alone mark its answer
}

// attempt makes one. The policies that nothing before them can change are
// decided at its start; the others just before their first action, and never
// when the request ends before.
func (x *exchange) attempt() reply {
	a := &attempt{exchange: x, decided: map[*rule]bool{}, acted: map[*rule]bool{}, msg: x.msg, list: x.on.acts}
	a.msg.headers = x.msg.headers.Clone()
	for _, r := range x.on.rules {
		if r.first != nil && !r.late && !r.answered {
			a.decide(r)
		}
	}
	a.forth()
	if a.answer == nil {
		a.reach()
	}
	a.back()
	a.answer.Delay += a.delay
	return *a.answer
}

// forth takes the request to the receiver, or to what answers it.
func (a *attempt) forth() {
	for _, c := range a.list {
		if a.doubt(c); !c.rule.answered && a.decide(c.rule) && c.deed.request != nil {
			if c.deed.request(a, c); a.answer != nil {
				return
			}
		}
	}
	for _, f := range a.message {
		if f(); a.answer != nil {
			return
		}
	}
}

// back takes the answer to the caller, whoever gave it. What observes sees it as
// the caller does, after the others have changed it.
func (a *attempt) back() {
	for _, observing := range []bool{false, true} {
		for _, c := range slices.Backward(a.list) {
			if c.Decl.Phase == ir.Observe == observing && c.deed.response != nil && a.applies(c.rule) {
				c.deed.response(a, c)
			}
		}
	}
	for r := range a.acted {
		a.res.Hits[r.policy.Name]++
	}
}

// applies says on the way back whether a policy does.
func (a *attempt) applies(r *rule) bool {
	if r.answered {
		a.doubtCondition(r)
		return a.sampled(r) && a.holds(r.cond)
	}
	return a.decided[r]
}

func (a *attempt) sampled(r *rule) bool {
	return r.policy.Sample >= 1 || drawn(r.policy.Name, r.policy.Sample, a.msg.headers.Get("x-request-id"))
}

// refuse answers a request that no policy can judge with an HTTP status, before any
// is decided: what acts on every answer acts on this one too.
func (x *exchange) refuse(status int, why string) {
	a := &attempt{exchange: x, decided: map[*rule]bool{}, acted: map[*rule]bool{}, msg: x.msg, list: slices.Concat(x.on.fronts, x.on.acts)}
	for _, r := range x.on.rules {
		a.decided[r] = r.cond == nil && r.policy.Sample >= 1
	}
	a.answer = &reply{Answer: Answer{Status: a.localStatus(status), Headers: Headers{}}}
	a.back()
	x.res.Refused, x.res.Answer = why, a.answer.Answer
}

// reach hands the request to the receiver.
func (a *attempt) reach() {
	x := a.exchange
	got := Answer{}
	if a.plane() == graph.HTTP {
		got.Status = 200
	}
	arrival := Arrival{Attempt: x.res.Attempts, Version: a.version, Path: a.msg.path, Host: a.msg.host, Headers: a.msg.headers}
	if x.req.Receiver != nil {
		got = x.req.Receiver(arrival)
	}
	got.Headers = got.Headers.Clone()
	if a.connect > 0 && got.Connect > a.connect {
		got = Answer{Failure: "connect-failure", Delay: a.connect, Headers: Headers{}}
	}
	if got.Failure == "connect-failure" || got.Failure == "refused-stream" {
		got.Headers = Headers{}
	} else {
		x.res.Reached, x.res.Arrival = true, arrival
	}
	if got.Failure != "" {
		got.Status = a.localStatus(503)
	}
	a.answer = &reply{Answer: got}
}

// localStatus is a proxy's own answer with an HTTP status, as the caller sees
// it.
func (a *attempt) localStatus(status int) int {
	switch a.plane() {
	case graph.GRPC:
		return grpcOf(status)
	case graph.TCP:
		return 0
	}
	return status
}

// end answers the request for an action.
func (a *attempt) end(c *act, status int, body string) {
	a.answer = &reply{Answer{Status: status, Headers: Headers{}, Body: body}, c}
}

// acts notes that an action acted.
func (a *attempt) acts(c *act, part, format string, args ...any) {
	a.acted[c.rule] = true
	a.note(c, part, format, args...)
}

// peek gives the wrappers' conditions the claims of a token that one of the
// attempts will find valid.
func (a *attempt) peek() {
	for _, c := range slices.Concat(a.on.fronts, a.on.acts) {
		if c.deed.claims != nil && a.decide(c.rule) {
			if claims, why := c.deed.claims(a, c); why == "" {
				a.msg.claims = claims
			}
		}
	}
}

// decide says whether a policy applies to the request. It is asked once for each
// attempt, so that all actions of a policy agree.
func (a *attempt) decide(r *rule) bool {
	yes, known := a.decided[r]
	if !known {
		yes = a.sampled(r) && (r.cond == nil || a.holds(r.cond))
		a.decided[r] = yes
	}
	return yes
}

// holds evaluates a condition as the proxy would: the expression that the proxy
// gets, over the attributes that it has. It can't fail; if it does, the lowering
// of conditions is wrong.
func (a *attempt) holds(c *ir.Condition) bool {
	p := a.in.programs[c]
	if p == nil {
		var err error
		p, err = interpProgram(c.Expr)
		if err != nil {
			panic("condition " + c.Text + ": " + err.Error())
		}
		a.in.programs[c] = p
	}
	v, _, err := p.Eval(a.attributes())
	if err != nil {
		panic("condition " + c.Text + ": " + err.Error())
	}
	yes, ok := v.Value().(bool)
	if !ok {
		panic("condition " + c.Text + " is no bool")
	}
	return yes
}

// attributes is the request in Envoy's names.
func (a *attempt) attributes() map[string]any {
	urlPath, query, _ := strings.Cut(a.msg.path, "?")
	headers := make(map[string]string, len(a.msg.headers))
	for name := range a.msg.headers {
		headers[name] = a.msg.headers.Get(name)
	}
	metadata := map[string]any{}
	if a.msg.claims != nil {
		metadata[ir.JWTMetadata] = map[string]any{ir.JWTPayload: a.msg.claims}
	}
	from, to := a.source(), a.destination()
	out := map[string]any{
		"request": map[string]any{
			"path": a.msg.path, "url_path": urlPath, "query": query, "host": a.msg.host, "method": a.msg.method,
			"headers": headers, "time": Epoch.Add(a.at),
		},
		"source":      map[string]any{"address": from.String(), "port": int64(from.Port())},
		"destination": map[string]any{"address": to.String(), "port": int64(to.Port())},
		"connection":  map[string]any{"mtls": a.req.MTLS, "requested_server_name": a.req.SNI},
		"metadata":    map[string]any{"filter_metadata": metadata},
	}
	if a.answer != nil {
		headers := make(map[string]string, len(a.answer.Headers))
		for name := range a.answer.Headers {
			headers[name] = a.answer.Headers.Get(name)
		}
		out["response"] = map[string]any{"code": int64(a.answer.Status), "headers": headers}
	}
	return out
}
