package lang

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// interpret checks a program and gives the interpreter of it, with a request
// for each line of `test` in it.
func interpret(t *testing.T, text string) (*Interp, []*Request) {
	t.Helper()
	p, bag := checkText(shop(t), text)
	if CanInterpret(p, bag); bag.HasErrors() {
		t.Fatal(textOf(bag.All()))
	}
	var requests []*Request
	for _, x := range p.Tests {
		for _, r := range x.Requests {
			headers := Headers{}
			for _, h := range r.Headers {
				headers[h.Name] = []string{h.Value}
			}
			requests = append(requests, &Request{Call: r.Call, Method: r.Method, Path: r.Path, Headers: headers})
		}
	}
	return NewInterp(p), requests
}

// TestReceiver gives attempts answers of a receiver's own.
func TestReceiver(t *testing.T) {
	failing := func(failure string, times int) func(Arrival) Answer {
		return func(a Arrival) Answer {
			if a.Attempt <= times {
				return Answer{Failure: failure, Delay: 10 * time.Millisecond}
			}
			return Answer{Status: 200, Delay: 10 * time.Millisecond}
		}
	}
	status := func(s int) func(Arrival) Answer { return func(Arrival) Answer { return Answer{Status: s} } }
	slow := func(d time.Duration) func(Arrival) Answer {
		return func(Arrival) Answer { return Answer{Status: 200, Delay: d} }
	}
	connecting := func(d time.Duration) func(Arrival) Answer {
		return func(Arrival) Answer { return Answer{Status: 200, Connect: d, Delay: d} }
	}
	const http, grpc, tcp = `frontend -> recommendation GET "/"`, `search -> geo POST "/geo.Geo/Nearby"`, "geo -> mongodb-geo"
	for _, c := range []struct {
		request, actions string
		receiver         func(Arrival) Answer
		want             string
	}{
		{http, `access_log()`, nil, "200 attempts=1 0s by="},
		{http, `access_log()`, status(500), "500 attempts=1 0s by="},
		{http, `access_log()`, failing("reset", 9), "503 reset attempts=1 10ms by="},
		{grpc, `access_log()`, failing("connect-failure", 9), "14 connect-failure attempts=1 10ms by="},
		{tcp, `access_log()`, failing("connect-failure", 9), "0 connect-failure attempts=1 10ms by="},

		{http, `retry(attempts: 3, on: ["reset"])`, failing("reset", 2), "200 attempts=3 30ms by="},
		{http, `retry(attempts: 1, on: ["reset"])`, failing("reset", 2), "503 reset attempts=2 20ms by="},
		{http, `retry(attempts: 3, on: ["reset"])`, failing("connect-failure", 2), "200 attempts=3 30ms by="},
		{http, `retry(attempts: 3, on: ["reset"])`, failing("refused-stream", 2), "503 refused-stream attempts=1 10ms by="},
		{http, `retry(attempts: 3, on: ["connect-failure"])`, failing("reset", 2), "503 reset attempts=1 10ms by="},
		{http, `retry(attempts: 3, on: ["refused-stream"])`, failing("refused-stream", 2), "200 attempts=3 30ms by="},
		{http, `retry(attempts: 3, on: ["5xx"])`, failing("reset", 2), "200 attempts=3 30ms by="},
		{http, `retry(attempts: 3, on: ["5xx"])`, status(501), "501 attempts=4 0s by="},
		{http, `retry(attempts: 3, on: ["gateway-error"])`, status(501), "501 attempts=1 0s by="},
		{http, `retry(attempts: 3, on: ["gateway-error"])`, status(502), "502 attempts=4 0s by="},
		{http, `retry(attempts: 3, on: ["retriable-4xx"])`, status(409), "409 attempts=4 0s by="},
		{http, `retry(attempts: 3, on: ["retriable-4xx"])`, status(429), "429 attempts=1 0s by="},
		{grpc, `retry(attempts: 3, on: ["unavailable"])`, status(14), "14 attempts=4 0s by="},
		{grpc, `retry(attempts: 3, on: ["resource-exhausted"])`, status(8), "8 attempts=4 0s by="},
		{grpc, `retry(attempts: 3, on: ["deadline-exceeded"])`, status(14), "14 attempts=1 0s by="},
		{grpc, `retry(attempts: 3, on: ["5xx"])`, status(14), "14 attempts=1 0s by="},
		{http, `retry(attempts: 2, on: ["reset"], per_try: 1s)`, slow(3 * time.Second), "504 timeout attempts=3 3s by=p"},
		{http, `retry(attempts: 2, on: ["connect-failure"], per_try: 1s)`, slow(3 * time.Second), "504 timeout attempts=1 1s by=p"},

		{http, `timeout(1s)`, slow(3 * time.Second), "504 timeout attempts=1 1s by=p"},
		{http, `timeout(1s)`, slow(time.Second), "200 attempts=1 1s by="},
		{grpc, `timeout(1s)`, slow(3 * time.Second), "4 timeout attempts=1 1s by=p"},
		{http, "idle_timeout(2s)\ntimeout(1s)", slow(3 * time.Second), "504 timeout attempts=1 1s by=p"},
		{http, "timeout(15ms)\nretry(attempts: 9, on: [\"reset\"])", failing("reset", 9), "504 timeout attempts=2 15ms by=p"},
		{http, `connect_timeout(1s)`, connecting(3 * time.Second), "503 connect-failure attempts=1 1s by="},
		{http, `connect_timeout(1s)`, connecting(time.Second / 2), "200 attempts=1 500ms by="},
		{http, `connect_timeout(1s)`, slow(3 * time.Second), "200 attempts=1 3s by="},
		{http, "connect_timeout(1s)\nretry(attempts: 1, on: [\"connect-failure\"])", connecting(3 * time.Second), "503 connect-failure attempts=2 2s by="},

		{http, `fault(abort: 503)`, status(200), "503 attempts=1 0s by=p"},
		{http, `fault(delay: 2s)`, slow(time.Second), "200 attempts=1 3s by="},
		{grpc, `fault(abort: 404)`, nil, "12 attempts=1 0s by=p"},
	} {
		edge, _, _ := strings.Cut(c.request, " GET")
		edge, _, _ = strings.Cut(edge, " POST")
		in, requests := interpret(t, fmt.Sprintf("policy p {\n on %s\n %s\n}\ntest \"t\" {\n %s\n expect pass\n}\n", edge, c.actions, c.request))
		requests[0].Receiver = c.receiver
		r := in.Run(requests...)[0]
		got := fmt.Sprint(r.Status)
		if r.Failure != "" {
			got += " " + r.Failure
		}
		got += fmt.Sprintf(" attempts=%d %s by=%s", r.Attempts, r.Took, r.By)
		if got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.request, c.actions, got, c.want)
		}
	}
}

// TestPathsOfNoRequest: a proxy refuses them whatever the policies of the call look
// at, and without any there is no proxy.
func TestPathsOfNoRequest(t *testing.T) {
	const fragment, slash = "400 its path has a fragment", "404 its path doesn't begin with a slash"
	for _, policy := range []string{"", `set_header("x", "1")`, `when { request.url_path == "/a" }  deny()`, `when { request.method == "OPTIONS" }  deny()`, `fault(abort: 503)`} {
		if policy != "" {
			policy = "policy p { on frontend -> recommendation  " + policy + " }\n"
		}
		for path, want := range map[string]string{"/a#b": fragment, "/#": fragment, "/?a#b": fragment, "*": slash, "?a": slash, "": slash, "a": slash, "*#": slash} {
			if policy == "" {
				want = "200 "
			}
			in, requests := interpret(t, policy+`test "t" { frontend -> recommendation OPTIONS "/"  expect pass }`)
			requests[0].Path = path
			res := in.Run(requests...)[0]
			if got := fmt.Sprint(res.Status, " ", res.Refused); got != want || res.Reached != (policy == "") {
				t.Errorf("%q with %q: got %s, want %s", path, policy, got, want)
			}
		}
	}
}

// TestWrapperAnswers: what a wrapper answers by itself has not met the response
// actions, wherever they are; what ends inside has.
func TestWrapperAnswers(t *testing.T) {
	in, requests := interpret(t, `
policy bound { on frontend -> recommendation  timeout(1s) }
policy mark { on frontend -> recommendation  set_header("x-mark", "1", of: "response") }
policy ill {
    on   frontend -> recommendation
    when { request.url_path == "/ill" }
    deny(status: 500, body: "ill")
}
test "t" {
    frontend -> recommendation GET "/slow"
    frontend -> recommendation GET "/ill"
    frontend -> recommendation GET "/"
    expect pass
}`)
	requests[0].Receiver = func(Arrival) Answer { return Answer{Status: 200, Delay: time.Minute} }
	for i, want := range []string{`504 "" `, `500 "1" ill`, `200 "1" `} {
		r := in.Run(requests[i])[0]
		if got := fmt.Sprintf("%d %q %s", r.Status, r.Headers.Get("x-mark"), r.Body); got != want {
			t.Errorf("request %d: got %s, want %s", i, got, want)
		}
	}
}

// TestDecidedOnce: a policy's actions agree, and see what policies before them
// wrote.
func TestDecidedOnce(t *testing.T) {
	in, requests := interpret(t, `
policy a { on frontend -> recommendation  set_header("x-a", "new") }
policy b {
    on   frontend -> recommendation
    when { request.headers["x-a"] == "new" }
    set_header("x-b", "1")
}
policy c {
    on   frontend -> recommendation
    when { request.headers["x-c"] == "old" }
    set_header("x-c", "new")
    set_header("x-d", "1", of: "response")
}
policy deny_new {
    on   frontend -> recommendation
    when { request.headers["x-a"] == "stop" }
    deny()
}
test "t" {
    frontend -> recommendation GET "/" { "x-a": "old", "x-c": "old" }
    frontend -> recommendation GET "/" { "x-a": "stop" }
    expect pass
}`)
	results := in.Run(requests...)
	seen := results[0].Arrival.Headers
	if seen.Get("x-b") != "1" || seen.Get("x-c") != "new" || results[0].Headers.Get("x-d") != "1" {
		t.Errorf("got %v, and %v back", seen, results[0].Headers)
	}
	if want := map[string]int{"a": 1, "b": 1, "c": 1}; fmt.Sprint(results[0].Hits) != fmt.Sprint(want) {
		t.Errorf("hits %v, want %v", results[0].Hits, want)
	}
	if r := results[1]; r.By != "deny_new" || r.Reached || r.Hits["a"] != 0 {
		t.Errorf("got %+v", r)
	}
}

// TestRequestsAreLeftAlone: the caller's headers are not what policies change.
func TestRequestsAreLeftAlone(t *testing.T) {
	in, requests := interpret(t, `policy p {
    on frontend -> recommendation
    append_header("x-a", "2")
    append_header("x-b", "2", of: "response")
}
test "t" { frontend -> recommendation GET "/" { "x-a": "1" }  expect pass }`)
	answer := Headers{"x-b": {"1"}}
	requests[0].Receiver = func(Arrival) Answer { return Answer{Status: 200, Headers: answer} }
	for range 2 {
		r := in.Run(requests...)[0]
		if r.Arrival.Headers.Get("x-a") != "1,2" || r.Headers.Get("x-b") != "1,2" {
			t.Errorf("got %v, and %v back", r.Arrival.Headers, r.Headers)
		}
	}
	if requests[0].Headers.Get("x-a") != "1" || answer.Get("x-b") != "1" {
		t.Error("what the caller or the receiver gave was changed")
	}
}

// TestBucket holds a bucket to what it admits over any time.
func TestBucket(t *testing.T) {
	action := func(n int64, per time.Duration, burst int64) *ir.Action {
		return &ir.Action{Args: map[string]ir.Value{"rate": {Int: n, Dur: per}, "burst": {Int: burst}}}
	}
	b := newBucket(action(3, time.Second, 2))
	third := time.Second / 3 // a little less than what brings one token
	var got []bool
	for _, at := range []time.Duration{0, 0, 0, third, third + 1, third + 1, time.Hour, time.Hour, time.Hour} {
		ok, _ := b.take(at)
		got = append(got, ok)
	}
	if want := []bool{true, true, false, false, true, false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	b, n := newBucket(action(4_000_000_000, time.Hour, 4_000_000_000)), 0
	for i := range 1000 {
		if ok, _ := b.take(time.Duration(i) * time.Hour); ok {
			n++
		}
	}
	if n != 1000 {
		t.Errorf("%d of 1000", n)
	}
}

// TestHash: values of the reference implementation.
func TestHash(t *testing.T) {
	for _, c := range []struct {
		text string
		seed uint64
		want uint64
	}{
		{"", 0, 0xef46db3751d8e999}, {"a", 0, 0xd24ec4f1a98c6e5b}, {"abc", 1, 0xbea9ca8199328908},
		{"id-1", 0xcbf29ce484222325, 0xc5edc630f52a2b82},
		{"00000000-0000-4000-8000-000000000001", 0xaf63dc4c8601ec8c, 0x6824b7fb07f3a1df},
		{"0123456789abcdef0123456789abcdef0123456789", 7, 0x9cdb6129259b938e},
	} {
		if got := xxHash64([]byte(c.text), c.seed); got != c.want {
			t.Errorf("%q %d: got %x, want %x", c.text, c.seed, got, c.want)
		}
	}
}

// TestUnknownActionIsRefused: a test of a call with an action that the interpreter
// doesn't know is refused, and only that.
func TestUnknownActionIsRefused(t *testing.T) {
	p, bag := checkText(shop(t), `policy p { on frontend -> recommendation  access_log() }
policy q { on search -> geo  access_log() }
test "t" { frontend -> recommendation GET "/"  expect pass }`)
	if CanInterpret(p, bag); len(bag.All()) > 0 {
		t.Fatal(textOf(bag.All()))
	}
	for _, o := range p.Obligations {
		decl := *o.Actions[0].Decl
		decl.Name = "teleport"
		act := *o.Actions[0]
		act.Decl = &decl
		o.Actions = []*ir.Action{&act}
	}
	CanInterpret(p, bag)
	if all := bag.All(); len(all) != 1 || all[0].Code != NotYet || all[0].At.Text() != "frontend -> recommendation" {
		t.Errorf("got\n%s", textOf(all))
	}
}

// TestPatternsAreCompiledOnce: what a request costs does not hang on how long a
// pattern is to compile.
func TestPatternsAreCompiledOnce(t *testing.T) {
	allocated := func(pattern string) float64 {
		in, requests := interpret(t, fmt.Sprintf(`
policy p { on frontend -> recommendation  when { request.headers["x-a"].matches(%q) }  deny() }
test "t" { frontend -> recommendation GET "/"  expect pass }`, pattern))
		requests[0].Headers = Headers{"x-a": {"b"}}
		return testing.AllocsPerRun(50, func() {
			if got := in.Run(requests...)[0].Status; got != 403 {
				t.Fatal(got)
			}
		})
	}
	short, long := allocated("b"), allocated("b|"+strings.Repeat("(c[d-f])", 12))
	if long > short+20 {
		t.Errorf("%v allocations for a request with a long pattern, %v with a short one", long, short)
	}
}
