package lang

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAtWork: a request is at work from its arrival to the end of its answer, or
// until what bounds it ends it.
func TestAtWork(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		actions string
		at      []time.Duration
		delay   time.Duration
		want    string
	}{
		{"concurrency_limit(2)", []time.Duration{0, 0, 0, 0}, 0, "200 200 503 503"},
		{"concurrency_limit(2)", []time.Duration{0, 1, 2, 3}, 0, "200 200 200 200"},
		{"concurrency_limit(2)", []time.Duration{0, 10 * ms, 20 * ms, 99 * ms, 100 * ms, 110 * ms}, 100 * ms, "200 200 503 503 200 200"},
		{"concurrency_limit(1) fault(delay: 50ms)", []time.Duration{0, 49 * ms, 50 * ms}, 0, "200 503 200"},
		{"concurrency_limit(1) timeout(30ms)", []time.Duration{0, 29 * ms, 30 * ms}, 100 * ms, "504 503 504"},
		// the second attempt of the first begins when the second request is gone
		{`concurrency_limit(1) retry(attempts: 1, on: ["reset"], per_try: 30ms)`, []time.Duration{0, 10 * ms, 60 * ms}, 100 * ms, "504 503 504"},
		{"deny() concurrency_limit(1)", []time.Duration{0, 0}, 0, "403 403"},
		{"concurrency_limit(1) fault(abort: 500)", []time.Duration{0, 1}, 0, "500 500"},
	} {
		in, requests := interpret(t, fmt.Sprintf("policy p { on frontend -> recommendation  %s }\ntest \"t\" { frontend -> recommendation GET \"/\"  expect status 200 }", c.actions))
		var run []*Request
		for _, at := range c.at {
			r := *requests[0]
			r.At, r.Receiver = at, func(Arrival) Answer { return Answer{Status: 200, Delay: c.delay} }
			run = append(run, &r)
		}
		var got []string
		for _, res := range in.Run(run...) {
			got = append(got, fmt.Sprint(res.Status))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s at %v with answers after %s: got %s, want %s", c.actions, c.at, c.delay, text, c.want)
		}
	}
}

// TestWindows: a global budget begins anew with each period of the clock.
func TestWindows(t *testing.T) {
	w, got := &window{}, ""
	for _, at := range []time.Duration{0, 1, 2, 59 * time.Second, 60 * time.Second, 61 * time.Second, 62 * time.Second, 600 * time.Second} {
		ok, left := w.take(at, time.Minute, 2)
		got += fmt.Sprintf("%v %d, ", ok, left)
	}
	if want := "true 1, true 0, false 0, false 0, true 1, true 0, false 0, true 1, "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
