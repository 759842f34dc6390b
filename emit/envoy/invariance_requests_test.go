//go:build linux

package envoy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
)

// attempted is a request of a trial. Its id tells its arrivals apart.
type attempted struct {
	id      string
	method  string // "": GET
	path    string
	headers []string // names and values
	body    int      // its length
}

func (r attempted) String() string {
	return fmt.Sprintf("%s %s %s %q, %d bytes", r.id, r.method, r.path, r.headers, r.body)
}

// A witness is the receiver on one port. It answers a request's n-th arrival with
// the n-th status of x-fail, after x-slow milliseconds, and notes what arrived.
type witness struct {
	mu      sync.Mutex
	arrived map[string][]arrival
}

type arrival struct {
	pod, what string
	copied    bool
}

// unseen headers of a request say nothing: they hang on the connection. The last two
// are those that a proxy adds to a copy.
var unseen = []string{"X-Request-Id", "Traceparent", "Content-Length", "Transfer-Encoding", "X-Envoy-Internal", "X-Forwarded-For"}

func bearWitness(t testing.TB, n *namespace, port int, plane graph.Plane) *witness {
	w := &witness{arrived: map[string][]arrival{}}
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	srv := &http.Server{Handler: w}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return w
}

const receiverBody = "an answer of the receiver, which is long enough to be made smaller"

func (w *witness) ServeHTTP(res http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	told := fmt.Sprintf("%s %s%s", r.Method, r.Host, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.Contains(unseen, name) {
			told += fmt.Sprintf(" %s=%q", strings.ToLower(name), strings.Join(r.Header[name], ","))
		}
	}
	if len(body) > 0 {
		told += fmt.Sprintf(" body=%d", len(body))
	}
	if r.Header.Get("traceparent") != "" {
		told += " traced"
	}
	id := r.Header.Get("x-request-id")
	w.mu.Lock()
	pod := localVersion(r.Context().Value(http.LocalAddrContextKey).(net.Addr))
	w.arrived[id] = append(w.arrived[id], arrival{pod, told, r.Header.Get("x-forwarded-for") != ""})
	n := 0
	for _, a := range w.arrived[id] {
		if a.copied == (r.Header.Get("x-forwarded-for") != "") { // which copies have
			n++
		}
	}
	w.mu.Unlock()
	status, delay := answering(r.Header.Get("x-fail"), r.Header.Get("x-slow"), n)
	time.Sleep(delay)
	for name, value := range receiverHeaders {
		res.Header().Set(name, value)
	}
	res.WriteHeader(status)
	io.WriteString(res, receiverBody)
}

var receiverHeaders = map[string]string{"content-type": "text/plain", "etag": `"1"`, "x-back": "app", "x-powered-by": "go"}

// answering is what the n-th arrival of a request gets.
func answering(fail, slow string, n int) (status int, delay time.Duration) {
	status = 200
	if list := strings.Split(fail, "."); n <= len(list) {
		if code, err := strconv.Atoi(list[n-1]); err == nil {
			status = code
		}
	}
	ms, _ := strconv.Atoi(slow)
	return status, time.Duration(ms) * time.Millisecond
}

// told is what arrived of a request.
func (w *witness) told(id string, anyPod bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, a := range w.arrived[id] {
		if anyPod {
			a.pod = "?"
		}
		out = append(out, " -> "+a.pod+" "+a.what)
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// ask sends the requests of a trial to a cell, one after the other.
func (x *trial) ask(n *namespace, c *cell) []string {
	tr := &http.Transport{
		DialContext:        func(ctx context.Context, _, addr string) (net.Conn, error) { return n.dial(ctx, addr) },
		DisableCompression: true,
	}
	defer tr.CloseIdleConnections()
	var out []string
	for _, r := range x.requests {
		out = append(out, r.outcome(tr, fmt.Sprintf("http://%s:%d", serverIP, c.port)))
	}
	return out
}

// backHeaders are those of an answer that policies touch.
var backHeaders = []string{"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
	"access-control-max-age", "content-encoding", "etag", "location", "vary", "x-back", "x-powered-by"}

// outcome is what came back of a request: status, whose body it is, and headers.
func (r attempted) outcome(tr *http.Transport, to string) string {
	method := r.method
	if method == "" {
		method = "GET"
	}
	req, err := http.NewRequest(method, to+r.path, strings.NewReader(strings.Repeat("x", r.body)))
	if err != nil {
		return err.Error()
	}
	req.Host = "shop.test"
	req.Header.Set("x-request-id", r.id)
	req.Header.Set("user-agent", "test")
	for i := 0; i < len(r.headers); i += 2 {
		req.Header.Add(r.headers[i], r.headers[i+1])
	}
	res, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Sprintf("%d, then %v", res.StatusCode, err)
	}
	if res.Header.Get("content-encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(z)
		}
	}
	return came(res.StatusCode, string(body), func(name string) string { return strings.Join(res.Header.Values(name), ",") })
}

func came(status int, body string, header func(string) string) string {
	if body == receiverBody {
		body = "of the receiver"
	}
	out := fmt.Sprintf("%d %q", status, body)
	for _, name := range backHeaders {
		if name == "vary" && body == "" {
			continue // compress adds it to an empty answer of its own proxy only
		}
		if v := header(name); v != "" {
			out += fmt.Sprintf(" %s=%q", name, v)
		}
	}
	return out
}

// ownWords are what Envoy says where an action gives its answer no body.
var ownWords = regexp.MustCompile(`^(\d+) "(Jwt is missing|fault filter abort|Payload Too Large|content length too large|request payload too large|no healthy upstream|upstream request timeout|stream timeout|local_rate_limited|overload)"`)

// foreseeable is the part of an outcome that the interpreter knows.
func foreseeable(got string) string { return ownWords.ReplaceAllString(got, `$1 ""`) }

// foresee asks the interpreter.
func (x *trial) foresee(t *testing.T) {
	if x.unforeseen || len(x.cells) == 0 {
		return
	}
	c := x.cells[0]
	in, now, noted := lang.NewInterp(c.program), time.Duration(0), map[string]int{}
	for _, r := range x.requests {
		headers := lang.Headers{"x-request-id": {r.id}, "user-agent": {"test"}}
		for i := 0; i < len(r.headers); i += 2 {
			headers[r.headers[i]] = append(headers[r.headers[i]], r.headers[i+1])
		}
		if r.body > 0 {
			headers["content-length"] = []string{fmt.Sprint(r.body)}
		}
		method := r.method
		if method == "" {
			method = "GET"
		}
		var all []string
		receiver := func(a lang.Arrival) lang.Answer {
			pod := a.Version
			if pod == "" {
				pod = "-"
			}
			if x.anyPod {
				pod = "?"
			}
			told := fmt.Sprintf(" -> %s %s %s%s", pod, method, a.Host, a.Path)
			names := slices.Sorted(maps.Keys(a.Headers))
			for _, name := range names {
				if !slices.Contains(unseen, http.CanonicalHeaderKey(name)) {
					told += fmt.Sprintf(" %s=%q", name, a.Headers.Get(name))
				}
			}
			if r.body > 0 {
				told += fmt.Sprintf(" body=%d", r.body)
			}
			all = append(all, told)
			status, delay := answering(a.Headers.Get("x-fail"), a.Headers.Get("x-slow"), len(all))
			back := lang.Headers{}
			for name, value := range receiverHeaders {
				back[name] = []string{value}
			}
			return lang.Answer{Status: status, Headers: back, Body: receiverBody, Delay: delay}
		}
		res := in.Run(&lang.Request{Call: c.graph.Calls[0], Method: method, Path: r.path, Host: "shop.test", Headers: headers, Receiver: receiver, At: now})[0]
		now += res.Took + time.Millisecond
		for _, s := range res.Steps {
			switch s.Action.Name() {
			case "access_log":
				noted[s.Policy+" logged"]++
			case "metric":
				noted[strings.ReplaceAll(s.Action.Args["name"].Str, fmt.Sprint(c.port), "PORT")+" counted"]++
			}
		}
		slices.Sort(all)
		x.foreseen = append(x.foreseen, came(res.Status, res.Body, res.Headers.Get)+strings.Join(all, ""))
	}
	x.foreseen = append(x.foreseen, numbers(noted))
}

// tally sums up what was logged and counted.
func tally(watched string) string {
	noted := map[string]int{}
	for _, what := range strings.Split(watched, "; ") {
		if policy, _, logged := strings.Cut(what, " logged "); logged {
			noted[policy+" logged"]++
		} else if name, rest, counted := strings.Cut(strings.TrimPrefix(what, "envoy_admc_"), "{"); counted {
			n, _ := strconv.Atoi(rest[strings.LastIndexByte(rest, ' ')+1:])
			noted[name+" counted"] += n
		}
	}
	return numbers(noted)
}

func numbers(noted map[string]int) string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(noted)) {
		out = append(out, fmt.Sprintf("%s %d", what, noted[what]))
	}
	return strings.Join(out, ", ")
}

// lines of a port in the log of an ADM, with what hangs on neither the time nor
// the proxy.
func (o *output) lines(port int) []string {
	var out []string
	for _, line := range strings.Split(linesWith(o, fmt.Sprintf("_%d", port)), "\n") {
		var f map[string]any
		if json.Unmarshal([]byte(line), &f) == nil {
			out = append(out, fmt.Sprintf("%v logged %v %v %v%v %v", f["policy"], f["status"], f["method"], f["host"], f["path"], f["request_id"]))
		}
	}
	return out
}
