//go:build linux

package envoy

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"admc.dev/admc/graph"
)

// attempted is a request of a trial (tcp: a connection). Its id tells its arrivals
// apart.
type attempted struct {
	ID      string   `json:"id"`
	From    string   `json:"from,omitempty"`   // the calling service; "": client
	Method  string   `json:"method,omitempty"` // "": GET
	Path    string   `json:"path,omitempty"`
	Headers []string `json:"headers,omitempty"` // names and values
	Body    int      `json:"body,omitempty"`    // its length
	// Held: it is at work until the next one has its answer.
	Held bool `json:"held,omitempty"`
	// Idle milliseconds pass before anything is said on a connection.
	Idle int `json:"idle,omitempty"`
}

func (r attempted) String() string {
	return fmt.Sprintf("%s from %s: %s %s %q, %d bytes, held: %t", r.ID, cmp.Or(r.From, "client"), r.Method, r.Path, r.Headers, r.Body, r.Held)
}

// A witness is the receiver on one port. It answers a request's n-th arrival with
// the n-th status of x-fail, after x-slow milliseconds, and notes what arrived.
type witness struct {
	mu       sync.Mutex
	arrived  map[string][]arrival
	waiting  map[string]chan bool // closed when a held request is here
	released map[string]chan bool // closed when it may go on
	greeted  atomic.Int64         // connections of a byte stream
	ended    map[string]chan bool // closed when one has ended
}

type arrival struct {
	pod, what string
	copied    bool
}

// unseen headers of a request say nothing: they hang on the connection. The last two
// are those that a proxy adds to a copy.
var unseen = []string{"X-Request-Id", "Traceparent", "Tracestate", "Content-Length", "Transfer-Encoding", "X-Envoy-Internal", "X-Forwarded-For"}

func bearWitness(t testing.TB, n *namespace, port int, proto graph.Protocol) *witness {
	w := &witness{arrived: map[string][]arrival{}, waiting: map[string]chan bool{}, released: map[string]chan bool{}, ended: map[string]chan bool{}}
	l := n.listen(t, fmt.Sprintf("0.0.0.0:%d", port))
	switch proto.Plane() {
	case graph.HTTP:
		srv := &http.Server{Handler: w}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	case graph.GRPC:
		srv := grpc.NewServer(grpc.UnknownServiceHandler(w.serveRPC))
		go srv.Serve(l)
		t.Cleanup(srv.Stop)
	default:
		go w.serveStreams(l, speaksFirst(proto))
	}
	return w
}

// hold makes a request wait at the receiver until release; the channel tells when it
// is there.
func (w *witness) hold(id string) (here <-chan bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id], w.released[id] = make(chan bool), make(chan bool)
	return w.waiting[id]
}

func (w *witness) release(id string) { close(w.released[id]) }

// note is an arrival of a request: its number among the arrivals of the same kind.
// It returns when the request may go on.
func (w *witness) note(id string, a arrival) (n int) {
	w.mu.Lock()
	w.arrived[id] = append(w.arrived[id], a)
	for _, b := range w.arrived[id] {
		if a.copied == b.copied {
			n++
		}
	}
	here, released := w.waiting[id], w.released[id]
	w.mu.Unlock()
	if here != nil && n == 1 && !a.copied {
		close(here)
		select {
		case <-released:
		case <-time.After(20 * time.Second):
		}
	}
	return n
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
	pod := localVersion(r.Context().Value(http.LocalAddrContextKey).(net.Addr))
	n := w.note(r.Header.Get("x-request-id"), arrival{pod, told, r.Header.Get("x-forwarded-for") != ""}) // which copies have
	status, delay := answering(r.Header.Get("x-fail"), r.Header.Get("x-slow"), n, 200)
	time.Sleep(delay)
	for name, value := range receiverHeaders {
		res.Header().Set(name, value)
	}
	res.WriteHeader(status)
	io.WriteString(res, receiverBody)
}

var receiverHeaders = map[string]string{"content-type": "text/plain", "etag": `"1"`, "x-back": "app", "x-powered-by": "go"}

// answering is what the n-th arrival of a request gets.
func answering(fail, slow string, n, well int) (status int, delay time.Duration) {
	status = well
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

// ask sends the requests of a trial to a cell, one after the other; those that are
// held overlap with the ones after them.
func (c *cell) ask(s *scene, x *trial) {
	send := map[string]func(attempted) string{}
	to := fmt.Sprintf("%s:%d", serverIP, c.port)
	for _, from := range x.callers() {
		var done func()
		switch x.proto.Plane() {
		case graph.HTTP:
			send[from], done = sendHTTP(s.dial(from), to)
		case graph.GRPC:
			send[from], done = sendRPC(s.dial(from), to)
		default:
			send[from], done = c.app.sendStream(s.dial(from), to, x)
		}
		defer done()
	}
	c.got = make([]upshot, len(x.requests))
	for i := 0; i < len(x.requests); i++ {
		var wait sync.WaitGroup
		begin := func(i int) <-chan bool {
			r, answered := x.requests[i], make(chan bool)
			wait.Go(func() {
				c.got[i].answer = send[cmp.Or(r.From, "client")](r)
				close(answered)
			})
			return answered
		}
		var held []string
		for ; x.requests[i].Held && i+1 < len(x.requests); i++ {
			held = append(held, x.requests[i].ID)
			here := c.app.hold(x.requests[i].ID)
			select {
			case <-begin(i):
			case <-here:
			}
		}
		<-begin(i)
		for _, id := range held {
			c.app.release(id)
		}
		wait.Wait()
	}
}

// backHeaders are those of an answer that policies touch.
var backHeaders = []string{"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
	"access-control-max-age", "content-encoding", "etag", "location", "vary", "x-back", "x-powered-by"}

// sendHTTP gives what came back of a request: status, whose body it is, and headers.
func sendHTTP(from dialer, to string) (send func(attempted) string, done func()) {
	tr := &http.Transport{DialContext: from.dial, DisableCompression: true}
	client := &http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(r attempted) string {
		req, err := http.NewRequest(cmp.Or(r.Method, "GET"), "http://"+to+r.Path, strings.NewReader(strings.Repeat("x", r.Body)))
		if err != nil {
			return err.Error()
		}
		req.Host = "shop.test"
		req.Header.Set("x-request-id", r.ID)
		req.Header.Set("user-agent", "test")
		for i := 0; i < len(r.Headers); i += 2 {
			req.Header.Add(r.Headers[i], r.Headers[i+1])
		}
		res, err := client.Do(req)
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
	}, tr.CloseIdleConnections
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

// tally sums up what was logged and counted.
func tally(watched string) string {
	noted := map[string]int{}
	for _, what := range strings.Split(watched, "; ") {
		if policy, _, logged := strings.Cut(what, " logged "); logged {
			noted[policy+" logged"]++
		} else if name, rest, counted := strings.Cut(strings.TrimPrefix(what, "envoy_admc_"), "{"); counted {
			n, _ := strconv.Atoi(rest[strings.LastIndexByte(rest, ' ')+1:])
			noted[name+" counted"] += n
		} else if n, connections := strings.CutSuffix(what, " connections"); connections {
			noted["connections"], _ = strconv.Atoi(n)
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
