//go:build linux

package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
)

// A prophecy is what the interpreter says of a request's outcome, as far as it does.
type prophecy struct {
	upshot
	// why the interpreter doesn't say it: nothing, or with partly only the arrivals.
	why    string
	partly bool
}

func (p prophecy) fits(got upshot) bool {
	switch {
	case p.why == "":
		return got == p.upshot
	case p.partly:
		return got.answer == p.answer
	}
	return true
}

// What the interpreter doesn't know, and says so of each.
const (
	askedGuard  = "ext_authz: what the service answers is not in the program"
	hedgedTwice = "hedge: the interpreter sends no second request"
	ejectedPod  = "outlier_detection: in the interpreter a service has one pod"
	wentIdle    = "idle_timeout: the interpreter's connections are not idle"
)

// An oracle asks the interpreter about the requests of a trial, in order.
type oracle struct {
	x      *trial
	in     *lang.Interp
	calls  map[string]*graph.Call
	acts   map[string]bool // by the names of the program's actions
	traced map[*graph.Call]bool
	state  bool // something is counted
	now    time.Duration
	noted  map[string]int
	lost   string // from here on this keeps the interpreter from knowing
	gaps   bool   // of something it did not know
}

// foresee asks the interpreter.
func (x *trial) foresee() {
	if len(x.cells) == 0 {
		return
	}
	c := x.cells[0]
	o := &oracle{x: x, in: lang.NewInterp(c.program), calls: map[string]*graph.Call{}, acts: map[string]bool{}, noted: map[string]int{}, traced: map[*graph.Call]bool{}}
	for _, call := range c.graph.Calls {
		o.calls[call.From.NodeName()] = call
	}
	for _, b := range c.program.Obligations {
		for _, a := range b.Actions {
			o.acts[a.Name()] = true
			if a.Name() == "trace" {
				for _, e := range b.Edges {
					o.traced[e.Call] = true
				}
			}
			o.state = o.state || a.Decl.State != ""
		}
	}
	for i := 0; i < len(x.requests); i++ {
		first := i
		for x.requests[i].Held && i+1 < len(x.requests) {
			i++
		}
		x.foreseen = append(x.foreseen, o.ask(x.requests[first:i+1])...)
	}
	x.tally = prophecy{upshot: upshot{answer: strings.ReplaceAll(numbers(o.noted), fmt.Sprint(c.port), "PORT")}}
	if o.gaps {
		x.tally.why = "a request before is not known"
	}
}

// ask gives what becomes of requests of which all but the last are held.
func (o *oracle) ask(list []attempted) []prophecy {
	var requests []*lang.Request
	came := make([][]foreseenArrival, len(list))
	for i, r := range list {
		q := &lang.Request{Call: o.calls[cmp.Or(r.From, "client")], At: o.now + time.Duration(i)*time.Millisecond, Receiver: o.receiver(r, i+1 < len(list), &came[i])}
		o.compose(q, r)
		requests = append(requests, q)
	}
	var out []prophecy
	for i, res := range o.in.Run(requests...) {
		o.now = max(o.now, requests[i].At+res.Took+time.Millisecond)
		out = append(out, o.prophesy(list[i], res, came[i]))
	}
	return out
}

// compose makes an interpreter's request of a trial's.
func (o *oracle) compose(q *lang.Request, r attempted) {
	q.Headers = lang.Headers{"x-request-id": {r.ID}, "user-agent": {"test"}}
	for i := 0; i < len(r.Headers); i += 2 {
		q.Headers[r.Headers[i]] = append(q.Headers[r.Headers[i]], r.Headers[i+1])
	}
	switch o.x.proto.Plane() {
	case graph.HTTP:
		q.Method, q.Path, q.Host = cmp.Or(r.Method, "GET"), r.Path, "shop.test"
		if r.Body > 0 {
			q.Headers["content-length"] = []string{fmt.Sprint(r.Body)}
		}
	case graph.GRPC:
		q.Method, q.Path, q.Host = "POST", rpcPath, "shop.test"
		if r.Body > 0 { // a stream has no length; max_body counts what comes
			q.Headers["content-length"] = []string{fmt.Sprint(r.Body + 7)}
		}
	default:
		q.Headers = nil
	}
}

// A foreseenArrival is an attempt that comes to the receiver.
type foreseenArrival struct {
	attempt   int
	pod, what string
	bad       bool // an outlier_detection may count it
}

func (a foreseenArrival) String() string { return " -> " + a.pod + " " + a.what }

// receiver is the witness, as the interpreter sees it.
func (o *oracle) receiver(r attempted, held bool, came *[]foreseenArrival) func(lang.Arrival) lang.Answer {
	return func(a lang.Arrival) lang.Answer {
		here := foreseenArrival{attempt: a.Attempt, pod: o.pod(a.Version)}
		answer := lang.Answer{Headers: lang.Headers{}, Body: receiverBody}
		fail, slow, headers := a.Headers.Get("x-fail"), a.Headers.Get("x-slow"), receiverHeaders
		switch o.x.proto.Plane() {
		case graph.HTTP:
			here.what = fmt.Sprintf("%s %s%s", cmp.Or(r.Method, "GET"), a.Host, a.Path)
			answer.Status, answer.Delay = answering(fail, slow, len(*came)+1, 200)
			here.bad = answer.Status >= 500
		case graph.GRPC:
			here.what, headers = a.Host+a.Path, rpcHeaders
			answer.Status, answer.Delay = answering(fail, slow, len(*came)+1, 0)
			if here.bad = answer.Status != 0; !here.bad {
				answer.Body = ""
			}
		default:
			here.what, headers, answer.Body = "said it", nil, ""
		}
		for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
			if o.x.proto.Plane() == graph.GRPC && seenOfRPC(name) || o.x.proto.Plane() == graph.HTTP && !slices.Contains(unseen, http.CanonicalHeaderKey(name)) {
				here.what += fmt.Sprintf(" %s=%q", name, a.Headers.Get(name))
			}
		}
		if r.Body > 0 {
			here.what += fmt.Sprintf(" body=%d", r.Body)
		}
		if o.traced[o.calls[cmp.Or(r.From, "client")]] {
			here.what += " traced"
		}
		for name, value := range headers {
			answer.Headers[name] = []string{value}
		}
		here.bad = here.bad || answer.Delay > 0
		*came = append(*came, here)
		if held && len(*came) == 1 {
			answer.Delay = 50 * time.Millisecond
		}
		return answer
	}
}

func (o *oracle) pod(version string) string {
	if o.x.anyPod {
		return "?"
	}
	return cmp.Or(version, "-")
}

// prophesy tells a request's outcome, and notes what is logged and counted of it.
func (o *oracle) prophesy(r attempted, res *lang.Result, arrivals []foreseenArrival) prophecy {
	var all []string
	for _, a := range arrivals {
		all = append(all, a.String())
	}
	for _, s := range res.Steps {
		switch s.Action.Name() {
		case "access_log":
			o.noted[s.Policy+" logged"]++
		case "metric":
			o.noted[s.Action.Args["name"].Str+" counted"]++
		case "mirror":
			for _, a := range arrivals {
				if a.attempt == s.Attempt {
					a.pod = o.pod(s.Action.Args["version"].Str)
					all = append(all, a.String())
				}
			}
		}
	}
	slices.Sort(all)
	p := prophecy{upshot: upshot{came(res.Status, res.Body, res.Headers.Get), strings.Join(all, "")}}
	if o.x.proto.Plane() == graph.TCP {
		if p.answer = "closed"; res.Reached {
			o.noted["connections"]++
			p.answer = fmt.Sprintf("hello from %s, echo %s", arrivals[0].pod, r.ID)
		}
	}
	o.doubt(&p, r, res, arrivals)
	return p
}

// doubt says what the interpreter does not know of a request, or of those after it.
func (o *oracle) doubt(p *prophecy, r attempted, res *lang.Result, arrivals []foreseenArrival) {
	p.why = o.lost
	acted := func(name string) bool {
		return slices.ContainsFunc(res.Steps, func(s lang.Step) bool { return s.Action.Name() == name })
	}
	var why string
	partly := false
	switch {
	case acted("ext_authz") && (strings.Contains(r.Path, "secret") || r.header("x-guard") == "no"):
		why = askedGuard
	case acted("hedge") && r.header("x-slow") != "":
		why, partly = hedgedTwice, !o.state
	case acted("idle_timeout") && r.Idle > 0:
		why = wentIdle
	}
	if p.why == "" {
		p.why, p.partly = why, partly
	}
	switch {
	case o.lost != "":
	case why != "" && o.state:
		o.lost = why
	case o.acts["outlier_detection"] && (r.Idle > 0 || o.failed(res) || slices.ContainsFunc(arrivals, func(a foreseenArrival) bool { return a.bad })):
		o.lost = ejectedPod
	}
	o.gaps = o.gaps || p.why != ""
}

// failed: an answer of which a proxy can't tell whether a pod gave it.
func (o *oracle) failed(res *lang.Result) bool {
	switch o.x.proto.Plane() {
	case graph.HTTP:
		return res.Status >= 500
	case graph.GRPC:
		return res.Status != 0
	}
	return !res.Reached
}

func (r attempted) header(name string) string {
	for i := 0; i < len(r.Headers); i += 2 {
		if r.Headers[i] == name {
			return r.Headers[i+1]
		}
	}
	return ""
}

// ownWords are what Envoy says where an action gives its answer no body.
var ownWords = regexp.MustCompile(`^(\d+) "(Jwt is missing|fault filter abort|Payload Too Large|content length too large|request payload too large|no healthy upstream|upstream request timeout|stream timeout|local_rate_limited|overload|request too long|reached concurrency limit)"`)

// foreseeable is the part of an answer that the interpreter knows.
func foreseeable(got string) string { return ownWords.ReplaceAllString(got, `$1 ""`) }
