package lang

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// An exchange is a request on its way, with the wrappers around its attempts.
type exchange struct {
	in     *Interp
	on     *interpreted
	req    *Request
	res    *Result
	number int // among the requests of a run

	msg   message
	start time.Duration // on the interpreter's clock
	at    time.Duration // of the next attempt

	begun    bool
	front    *attempt // what is done once, before the attempts and after them
	ownID    string   // for draws, of a request without an id
	bound    *act     // the wrapper that ends the whole first; nil: none
	limit    time.Duration
	retry    *act
	left     int             // attempts after the first
	flights  []*flight       // of the attempt that is being made
	wrapHits map[string]bool // policies whose wrappers apply
}

// A message is a request as it is at one point of its way.
type message struct {
	method, path, host string
	headers            Headers
	claims             map[string]any
}

// A reply is the answer of an attempt and the action that gave it; nil: the
// receiver.
type reply struct {
	Answer
	by *act
}

func (in *Interp) exchange(r *Request, number int) *exchange {
	on := in.calls[r.Call]
	if on == nil {
		on = &interpreted{}
	}
	x := &exchange{in: in, on: on, req: r, number: number, res: &Result{Hits: map[string]int{}}, at: max(r.At, in.clock)}
	x.start = x.at
	x.msg = message{method: r.Method, path: r.Path, host: cmp.Or(r.Host, clientHost(r.Call)), headers: r.Headers.Clone()}
	taken(x.msg.headers, r.Call.Protocol.Plane())
	maps.DeleteFunc(x.msg.headers, func(name string, _ []string) bool {
		return slices.ContainsFunc(on.names, func(of string) bool { return looksLike(name, of) })
	})
	in.carry(x.msg.headers, r.Before)
	if on.sampled && x.msg.headers.Get("x-request-id") == "" {
		x.msg.headers["x-request-id"] = []string{in.requestID()}
	}
	return x
}

func (x *exchange) plane() graph.Plane { return x.req.Call.Protocol.Plane() }

// step makes one attempt; true when there is another one to make, at x.at.
func (x *exchange) step() bool {
	if !x.begun {
		x.begun = true
		if !x.begin() {
			return false
		}
	}
	x.res.Attempts++
	got := x.attempt()
	if x.retry != nil {
		if per := x.retry.Args["per_try"].Dur; per > 0 && got.Delay > per {
			got = reply{x.timedOut(per), x.retry}
			x.note(x.retry, "", "gave up the attempt after %s", per)
		}
	}
	end := x.at + got.Delay
	if x.bound != nil {
		x.landed(min(end, x.start+x.limit))
	} else {
		x.landed(end)
	}
	if x.bound != nil && end-x.start > x.limit {
		x.note(x.bound, "", "ended it after %s", x.limit)
		x.finish(reply{x.timedOut(x.limit), x.bound}, x.start+x.limit)
		return false
	}
	if x.retry != nil && x.left > 0 && x.retries(got) {
		x.left--
		x.at = end
		x.note(x.retry, "", "sent it again after %s", x.describe(got.Answer))
		return true
	}
	x.finish(got, end)
	return false
}

// begin does what is done before the first attempt; false when the request
// ends there. Two paths a proxy refuses whatever its policies are about, where it
// has any: one that doesn't begin with a slash, which is that of `OPTIONS *` and of
// the target `http://geo?q=1` (Envoy: absolute_path_rejected), and one with a
// fragment (http_reject_path_with_fragment), for which RFC 9112, section 3.2, has no
// place.
func (x *exchange) begin() bool {
	if len(x.on.rules) > 0 && x.plane() != graph.TCP {
		switch {
		case !strings.HasPrefix(x.msg.path, "/"):
			x.refuse(404, "its path doesn't begin with a slash")
			return false
		case strings.Contains(x.msg.path, "#"):
			x.refuse(400, "its path has a fragment")
			return false
		}
	}
	if x.on.byPath {
		path, refused := normalPath(x.msg.path)
		if refused != "" {
			x.refuse(400, refused)
			return false
		}
		x.msg.path = path
	}
	front := &attempt{exchange: x, msg: x.msg, decided: map[*rule]bool{}, acted: map[*rule]bool{}, list: x.on.fronts}
	front.peek()
	front.forth()
	x.front, x.msg = front, front.msg
	if x.at += front.delay; front.answer != nil {
		x.finish(*front.answer, x.at)
		return false
	}
	for _, w := range x.on.wrappers {
		if !front.decide(w.rule) {
			continue
		}
		if x.wrapHits == nil {
			x.wrapHits = map[string]bool{}
		}
		x.wrapHits[w.rule.policy.Name] = true
		w.deed.wrap(x, w)
	}
	return true
}

// bounded ends the whole after a time, unless another wrapper does so before.
func (x *exchange) bounded(w *act, after time.Duration) {
	if x.bound == nil || after < x.limit {
		x.bound, x.limit = w, after
	}
	x.note(w, "", "bounds it to %s", after)
}

func (x *exchange) finish(got reply, end time.Duration) {
	if x.front != nil {
		x.front.answer = &got
		x.front.back()
	}
	x.res.Answer = got.Answer
	x.res.Took = end - x.start
	x.res.Delay = x.res.Took
	if got.by != nil {
		x.res.By, x.res.Action = got.by.rule.policy.Name, got.by.Name()
	}
	for p := range x.wrapHits {
		x.res.Hits[p] = max(x.res.Hits[p], x.res.Attempts)
	}
}

func (x *exchange) note(a *act, part, format string, args ...any) {
	x.res.Steps = append(x.res.Steps, Step{
		Attempt: x.res.Attempts, Policy: a.rule.policy.Name, Action: a.Action, Part: part, Text: fmt.Sprintf(format, args...),
	})
}

// timedOut is the answer of a wrapper that waited long enough.
func (x *exchange) timedOut(after time.Duration) Answer {
	a := Answer{Failure: "timeout", Delay: after, Headers: Headers{}}
	switch x.plane() {
	case graph.HTTP:
		a.Status = 504
	case graph.GRPC:
		a.Status = grpcDeadlineExceeded
	}
	return a
}

// retries reports whether the retry reacts to an attempt's answer.
func (x *exchange) retries(got reply) bool {
	return slices.ContainsFunc(x.retry.Args["on"].List, func(cause ir.Value) bool { return x.caused(cause.Str, got.Answer) })
}

// caused holds an answer to one word of retry's `on`.
func (x *exchange) caused(cause string, a Answer) bool {
	grpc := x.plane() == graph.GRPC
	is := func(statuses ...int) bool { return !grpc && slices.Contains(statuses, a.Status) }
	code := func(c int) bool { return grpc && a.Status == c }
	switch cause {
	case "connect-failure", "refused-stream":
		return a.Failure == cause
	case "reset":
		return a.Failure != "" && a.Failure != "refused-stream"
	case "unavailable":
		return is(503) || code(grpcUnavailable)
	case "gateway-error":
		return a.Failure != "" || is(502, 503, 504)
	case "5xx":
		return a.Failure != "" || !grpc && a.Status >= 500
	case "retriable-4xx":
		return is(409)
	}
	return grpc && a.Status == codeNumber(cause)
}

// source and destination are the ends of the connection.
func (x *exchange) source() netip.AddrPort {
	if x.req.Source.IsValid() {
		return x.req.Source
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), 50000)
}

func (x *exchange) destination() netip.AddrPort {
	if x.req.Destination.IsValid() {
		return x.req.Destination
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2}), uint16(x.req.Call.Port))
}

// describe is an answer for a person.
func (x *exchange) describe(a Answer) string {
	switch {
	case a.Failure != "" && x.plane() == graph.TCP:
		return a.Failure
	case a.Failure != "":
		return fmt.Sprintf("%s (%s)", x.statusText(a.Status), a.Failure)
	}
	return x.statusText(a.Status)
}

func (x *exchange) statusText(status int) string { return statusText(x.plane(), status) }
