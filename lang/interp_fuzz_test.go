package lang

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// randomProgram writes policies for few calls, so that they meet. Some
// programs have conflicts.
func randomProgram(r *rand.Rand) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	signed := r.IntN(3) == 0
	if signed {
		b.WriteString("policy a { on * -> recommendation  jwt(\"me\", \"https://keys.example.com/\") }\n")
	}
	for i := range 1 + r.IntN(6) {
		edge, actions := one("frontend -> recommendation", "frontend -> recommendation", "search -> geo", "geo -> mongodb-geo"), 1+r.IntN(2)
		fmt.Fprintf(&b, "policy p%d {\n    on %s\n", i, edge)
		if edge == "geo -> mongodb-geo" {
			for range actions {
				b.WriteString("    " + one("deny()", "rate_limit(3/s)", "connect_timeout(100ms)", "idle_timeout(700ms)", "access_log()") + "\n")
			}
			b.WriteString("}\n")
			continue
		}
		switch when := r.IntN(8); {
		case when == 0 && signed && edge != "search -> geo":
			b.WriteString("    when { jwt.claims[\"sub\"] == \"bob\" }\n")
		case when < 5:
			b.WriteString("    when { " + one(`request.headers["x-a"] != "b"`, `request.headers["x-a"] == "b"`, `request.url_path.startsWith("/a")`, `request.method == "GET"`,
				`request.time.getSeconds() < 30`, `"x-request-id" in request.headers`, `source.service == "search"`) + " }\n")
		}
		if r.IntN(4) == 0 {
			b.WriteString("    sample 30%\n")
		}
		for range actions {
			b.WriteString("    " + one("deny()", "rate_limit(3/s)", `rate_limit(rate: 2/m, burst: 4, scope: "service")`, "timeout(1s)", "idle_timeout(700ms)", "connect_timeout(100ms)", "access_log()",
				`retry(attempts: 3, on: ["reset", "5xx", "unavailable"], per_try: 300ms)`, "fault(delay: 400ms, share: 40%)", "fault(abort: 503, share: 50%)", `set_header("x-a", "b")`,
				`append_header("x-c", "d", of: "response")`, `append_header("x-c", "e")`, `remove_header("x-b")`, `route("v2")`, `split({"v1": 20%, "v2": 80%})`) + "\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func randomRequests(r *rand.Rand, p *ir.Program) []*Request {
	var out []*Request
	for i := range 1 + r.IntN(20) {
		if len(p.Obligations) == 0 {
			break
		}
		o := p.Obligations[r.IntN(len(p.Obligations))]
		headers := Headers{"x-a": {[]string{"a", "b"}[r.IntN(2)]}}
		if r.IntN(2) == 0 {
			headers["authorization"] = []string{`Bearer {"iss": "me", "sub": "bob"}`}
		}
		answer := Answer{Status: []int{200, 500, 503}[r.IntN(3)], Delay: time.Duration(r.IntN(500)) * time.Millisecond}
		if r.IntN(4) == 0 {
			answer.Failure = "reset"
		}
		out = append(out, &Request{
			Call: o.Edges[0].Call, Method: "GET", Path: []string{"/", "/a/b", "/x/../a", "/%2f"}[r.IntN(4)], Headers: headers,
			At: time.Duration(i*r.IntN(100)) * time.Millisecond, Receiver: func(Arrival) Answer { return answer },
		})
	}
	return out
}

// FuzzInterp holds the interpreter to what is true of every program.
func FuzzInterp(f *testing.F) {
	for i := range uint64(200) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		p, bag := checkText(shop(t), randomProgram(r))
		if bag.HasErrors() {
			return
		}
		requests := randomRequests(r, p)
		results := NewInterp(p).Run(requests...)
		if again := NewInterp(p).Run(requests...); !reflect.DeepEqual(results, again) {
			t.Fatal("two runs differ")
		}
		for i, res := range results {
			saneResult(t, requests[i], res)
		}
	})
}

func saneResult(t *testing.T, req *Request, res *Result) {
	t.Helper()
	policyAnswered := res.By != ""
	switch {
	case res.Passed() && (!res.Reached || policyAnswered):
		t.Errorf("passed, and %+v", res)
	case res.Refused != "" && (res.Attempts > 0 || res.Reached):
		t.Errorf("refused, and %+v", res)
	case res.Took < 0 || res.Attempts > 4:
		t.Errorf("took %s in %d attempts", res.Took, res.Attempts)
	case policyAnswered && res.Hits[res.By] == 0:
		t.Errorf("%s answered and did not act", res.By)
	}
	acted := map[string]bool{}
	for _, s := range res.Steps {
		if s.Action.Name() != ir.StampAction { // on a call that is only on the policy's way
			acted[s.Policy] = true
		}
	}
	for p, n := range res.Hits {
		if n < 1 || n > max(1, res.Attempts) {
			t.Errorf("%s acted in %d of %d attempts", p, n, res.Attempts)
		}
	}
	for p := range acted {
		if res.Hits[p] == 0 {
			t.Errorf("%s took a step and did not act", p)
		}
	}
	if len(req.Headers) > 2 {
		t.Error("the request's headers were changed")
	}
}

// TestRandomPrograms: most of them mean something.
func TestRandomPrograms(t *testing.T) {
	n := 0
	for seed := range uint64(200) {
		p, bag := checkText(shop(t), randomProgram(rand.New(rand.NewPCG(seed, 0))))
		if !bag.HasErrors() && len(p.Obligations) > 0 {
			n++
		}
	}
	if n < 100 {
		t.Errorf("only %d of 200", n)
	}
}
