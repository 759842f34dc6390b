package lang

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A TestResult is what became of one test.
type TestResult struct {
	Test     *ir.Test
	Requests int            // sent
	Hits     map[string]int // by policy: in how many requests it acted
	Failures []Failure      // empty: it passed
}

// A Failure is an expectation that did not hold.
type Failure struct {
	Expect   *ir.Expect
	Request  *ir.TestRequest
	Expected string // "deny 429 x 5 by limit"
	Got      string // "55 requests: pass 200; 5 requests: deny 429 by limit"
	// Number says which of the request's Times (from 1) the Result is of: the
	// first that is not as expected, or the first where too many are.
	Number int
	Result *Result
	// Undecided says why nobody can tell here whether it holds; "" when it does not.
	Undecided string
	// Note says why the policy of `by` did not act on it; "" where it did.
	Note string
}

// RunTest runs one test on an interpreter of its own, so that no test sees the
// counters of another.
func RunTest(p *ir.Program, t *ir.Test) *TestResult {
	in, out := NewInterp(p), &TestResult{Test: t, Hits: map[string]int{}}
	for _, r := range t.Requests {
		results := in.send(r)
		out.Requests += len(results)
		for _, res := range results {
			for policy := range res.Hits {
				out.Hits[policy]++
			}
		}
		for _, e := range r.Expects {
			f := undecided(e, r, results)
			if f == nil {
				f = judge(e, r, results)
			}
			if f != nil {
				f.Note = in.idle(e.By, r, f.Result)
				out.Failures = append(out.Failures, *f)
			}
		}
	}
	return out
}

// send sends the requests of one line: the first now, the others evenly over
// the time, at the end of which the clock then stands.
func (in *Interp) send(r *ir.TestRequest) []*Result {
	headers, host := Headers{}, ""
	for _, h := range r.Headers {
		if h.Name == "host" {
			host = h.Value
			continue
		}
		headers[h.Name] = []string{h.Value}
	}
	start := in.Clock()
	requests := make([]*Request, r.Times)
	for i := range requests {
		at := start + time.Duration(float64(r.Within)*float64(i)/float64(r.Times))
		requests[i] = &Request{Call: r.Call, Before: r.Before, Method: r.Method, Path: r.Path, Host: host, Headers: headers, At: at}
	}
	results := in.Run(requests...)
	if end := start + r.Within; end > in.Clock() {
		in.Wait(end - in.Clock())
	}
	return results
}

// judge gives nil where an expectation holds.
func judge(e *ir.Expect, r *ir.TestRequest, results []*Result) *Failure {
	n, other, first := 0, -1, -1
	for i, res := range results {
		if meets(e, res) {
			if n++; first < 0 {
				first = i
			}
		} else if other < 0 {
			other = i
		}
	}
	want := e.Times
	if want == 0 {
		want = len(results)
	}
	if n == want {
		return nil
	}
	show := other
	if n > want || show < 0 {
		show = first
	}
	plane, times := r.Call.Protocol.Plane(), ""
	if len(results) > 1 {
		times = fmt.Sprintf(" x %d", want)
	}
	return &Failure{
		Expect: e, Request: r, Expected: expectText(e, plane, times), Got: tally(e, plane, results),
		Number: show + 1, Result: results[show],
	}
}

// idle says why a policy did not act on a request; "" when it did, or nobody
// asks.
func (in *Interp) idle(policy string, r *ir.TestRequest, res *Result) string {
	if policy == "" || res.Hits[policy] > 0 {
		return ""
	}
	var rules []*rule
	if on := in.calls[r.Call]; on != nil {
		rules = on.rules
	}
	i := slices.IndexFunc(rules, func(r *rule) bool { return r.policy.Name == policy && !r.stamps() })
	switch {
	case i < 0:
		return fmt.Sprintf("%s is not for this call", policy)
	case rules[i].cond != nil:
		return fmt.Sprintf("%s did not act; its condition here is %s", policy, rules[i].cond.Text)
	}
	return fmt.Sprintf("%s did not act", policy)
}

// meets holds a result to an expectation.
func meets(e *ir.Expect, res *Result) bool {
	passed := res.Passed()
	switch e.Kind {
	case "pass":
		return passed && (e.By == "" || res.Hits[e.By] > 0)
	case "deny":
		return (res.By != "" || res.Refused != "") && (e.Status < 0 || res.Status == e.Status) && (e.By == "" || res.By == e.By)
	case "status":
		return res.Status == e.Status && (e.By == "" || res.By == e.By || passed && res.Hits[e.By] > 0)
	case "route":
		return passed && res.Version == e.Value && (e.By == "" || res.VersionBy == e.By)
	}
	return meetsHeader(e, res)
}

// meetsHeader: the request's headers are those that the receiver got, so there
// are none of a request that did not get there.
func meetsHeader(e *ir.Expect, res *Result) bool {
	headers := res.Headers
	if e.Of == "request" {
		if !res.Reached {
			return false
		}
		headers = res.Arrival.Headers
	}
	part := fmt.Sprintf("%s.headers[%q]", e.Of, e.Name)
	wrote := func(s Step) bool { return s.Policy == e.By && s.Part == part && s.Attempt == res.Attempts }
	return headers.Get(e.Name) == e.Value && (e.By == "" || slices.ContainsFunc(res.Steps, wrote))
}

// Passed reports whether the answer is the receiver's.
func (r *Result) Passed() bool { return r.By == "" && r.Refused == "" && r.Failure == "" }

// expectText is an expectation as it is written.
func expectText(e *ir.Expect, plane graph.Plane, times string) string {
	text := e.Kind
	switch {
	case e.Kind == "route":
		text += fmt.Sprintf(" %q", e.Value)
	case e.Kind == "header":
		text += fmt.Sprintf(" %q %q of %s", e.Name, e.Value, e.Of)
	case e.Status >= 0:
		text += " " + statusText(plane, e.Status)
	}
	text += times
	if e.By != "" {
		text += " by " + e.By
	}
	return text
}

// Outcome is what became of a request in the words of expectations.
func (r *Result) Outcome(plane graph.Plane) string {
	word := "pass"
	switch {
	case r.By != "" || r.Refused != "":
		word = "deny"
	case r.Failure != "":
		word = "fail"
	}
	if plane != graph.TCP {
		word += " " + statusText(plane, r.Status)
	}
	switch {
	case r.Refused != "":
		word += " (" + r.Refused + ")"
	case r.By != "":
		word += " by " + r.By
	case r.Failure != "":
		word += " (" + r.Failure + ")"
	case r.Version != "":
		word += fmt.Sprintf(", version %s by %s", r.Version, r.VersionBy)
	}
	return word
}

// tally counts the outcomes, in the order of their first requests. Of an
// expectation of a header it tells the header, and of one with `by` the policies
// that acted.
func tally(e *ir.Expect, plane graph.Plane, results []*Result) string {
	var texts []string
	counts := map[string]int{}
	for _, res := range results {
		text := res.Outcome(plane)
		switch {
		case e.Kind == "header":
			text += headerText(e, res)
		case e.By != "" && res.Passed():
			text += ", " + actedText(res)
		}
		if counts[text]++; counts[text] == 1 {
			texts = append(texts, text)
		}
	}
	if len(results) == 1 {
		return texts[0]
	}
	const most = 6
	for i, text := range texts {
		texts[i] = count(counts[text], "request") + ": " + text
	}
	if len(texts) > most {
		texts = append(texts[:most], "…")
	}
	return strings.Join(texts, "; ")
}

func headerText(e *ir.Expect, res *Result) string {
	if e.Of == "response" {
		return fmt.Sprintf(", %s %q at the caller", e.Name, res.Headers.Get(e.Name))
	}
	if !res.Reached {
		return ", and the receiver got nothing"
	}
	return fmt.Sprintf(", %s %q at the receiver", e.Name, res.Arrival.Headers.Get(e.Name))
}

func actedText(res *Result) string {
	var names []string
	for p := range res.Hits {
		names = append(names, p)
	}
	if len(names) == 0 {
		return "no policy acted"
	}
	slices.Sort(names)
	return "acted: " + strings.Join(names, ", ")
}

// Testable gives the policies that can act on a request: what has @closed and
// no action is about the calls that there are.
func Testable(p *ir.Program) []*ir.Policy {
	return slices.DeleteFunc(slices.Clone(p.Policies), func(p *ir.Policy) bool { return len(p.Actions) == 0 })
}

// Untouched gives those of them that acted in none of the tests.
func Untouched(p *ir.Program, results []*TestResult) []*ir.Policy {
	var out []*ir.Policy
	for _, policy := range Testable(p) {
		if !slices.ContainsFunc(results, func(r *TestResult) bool { return r.Hits[policy.Name] > 0 }) {
			out = append(out, policy)
		}
	}
	return out
}
