package lang

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// An Interp says what a checked program does to requests, wherever its policies
// are placed: each request meets all policies of its call, in the order of the
// actions' ranks, once for each attempt that a retry makes.
//
// It keeps the counters and the clock, which begins at Epoch. Every service has
// one pod, so that budgets are those written. Draws that a proxy makes at
// random (the shares of split and fault) are made by a hash of the request's
// id, as those of `sample` always are. A retry does not back off. The program
// must have no errors, and CanInterpret must have nothing against it.
type Interp struct {
	calls    map[*graph.Call]*interpreted
	programs map[*ir.Condition]cel.Program
	buckets  map[bucketKey]*bucket
	windows  map[bucketKey]*window   // of global budgets
	flights  map[bucketKey][]*flight // what is at work, or was a moment ago
	runs     int
	unsure   *act // the first by rank that may have ended a request, which counters behind it then did not see
	clock    time.Duration
	ids      int
}

// Epoch is where the interpreter's clock begins: `request.time` of a request
// that comes at once.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// A Request is one request of a service (tcp: one connection).
type Request struct {
	Call *graph.Call
	// Before are the calls for which this one is made, the first one first: each is
	// of the service that the one before it calls. The baggage header is what the
	// first caller sends, and the applications pass it on. No policy acts on these
	// calls.
	Before       []*graph.Call
	Method, Path string // "" on tcp
	Host         string // "": what clients send, the receiver's name and port
	Headers      Headers
	At           time.Duration // on the interpreter's clock; one in the past is one at once
	// Receiver answers an attempt that reaches it; nil: 200 at once (grpc: OK).
	Receiver func(Arrival) Answer
	// Source and Destination are the ends of the connection. By default
	// 10.0.0.1:50000, and 10.0.0.2 with the port of the call.
	Source, Destination netip.AddrPort
	MTLS                bool
	SNI                 string
}

// An Arrival is an attempt at the receiver.
type Arrival struct {
	Attempt int // from 1
	Version string
	Path    string
	Host    string
	Headers Headers
}

// An Answer is what ends an attempt, or a request.
type Answer struct {
	// Status of HTTP; on grpc the number of the code (0 is OK); 0 on tcp.
	Status  int
	Headers Headers
	Body    string // grpc: the message
	// Failure is why there is no answer of the receiver: "connect-failure",
	// "reset", "refused-stream", "timeout"; "" when there is one.
	Failure string
	Connect time.Duration // until the connection stands
	Delay   time.Duration // until the answer is there, Connect included
}

// A Result is what became of a request.
type Result struct {
	Answer // at the caller
	// By is the policy whose answer it is, and Action its action; "" when it is
	// the receiver's, or Refused.
	By, Action string
	// Refused says why the request was refused though no policy did: its path
	// can't be judged.
	Refused string
	// Reached: an attempt reached the receiver. Arrival is the last one that did.
	Reached bool
	Arrival Arrival
	// Version that a policy chose, which is VersionBy; "" when any would do.
	Version, VersionBy string
	Attempts           int
	Took               time.Duration
	Hits               map[string]int // by policy: in how many attempts it acted
	// Doubt is what the action of a program's own that acted may have changed;
	// nil when none did.
	Doubt *Doubt
	Steps []Step
}

// A Step is one action that acted.
type Step struct {
	Attempt int // 0: before the first
	Policy  string
	Action  *ir.Action
	Part    string // what it wrote: `request.headers["x"]`; "" for nothing
	Text    string // what it did, for a person
}

// interpreted is what acts on one call.
type interpreted struct {
	rules    []*rule
	acts     []*act   // without wrappers, by rank
	wrappers []*act   // by rank
	fronts   []*act   // of policies that stand before a wrapper by hand, by rank
	names    []string // of headers that are decided by or written
	byPath   bool     // a condition or an action decides by the path
	sampled  bool
}

// A rule is one obligation on one call.
type rule struct {
	policy     *ir.Policy
	obligation *ir.Obligation
	cond       *ir.Condition
	// late: the policy is decided just before its first action, because an
	// earlier action changes what its condition reads.
	late  bool
	first *act
	// answered: the condition reads the answer, so each action decides by what
	// the answer is when it acts.
	answered bool
}

// An act is one action of a rule.
type act struct {
	*ir.Action
	rule *rule
	deed deed
}

// NewInterp makes an interpreter with full counters.
func NewInterp(p *ir.Program) *Interp {
	in := &Interp{
		calls: map[*graph.Call]*interpreted{}, programs: map[*ir.Condition]cel.Program{}, buckets: map[bucketKey]*bucket{},
		windows: map[bucketKey]*window{}, flights: map[bucketKey][]*flight{},
	}
	for _, o := range p.Obligations {
		for _, e := range o.Edges {
			in.add(o, e)
		}
	}
	for _, c := range in.calls {
		c.order()
	}
	return in
}

func (in *Interp) add(o *ir.Obligation, e *ir.Edge) {
	c := in.calls[e.Call]
	if c == nil {
		c = &interpreted{}
		in.calls[e.Call] = c
	}
	r := &rule{policy: o.Policy, obligation: o, cond: e.Cond, answered: e.Cond != nil && slices.ContainsFunc(e.Cond.Reads, ofAnswer)}
	c.rules = append(c.rules, r)
	c.sampled = c.sampled || o.Policy.Sample < 1
	c.byPath = c.byPath || r.cond != nil && readsPath(r.cond.Reads)
	if r.cond != nil {
		c.names = append(c.names, headersIn(r.cond.Reads)...)
	}
	for _, a := range o.Actions {
		c.names = append(c.names, headersIn(putIn(a.Decl.Writes, a.Args))...)
		c.byPath = c.byPath || decidesByPath(a)
		x := &act{Action: a, rule: r}
		x.deed, _ = deedOf(a.Decl)
		if a.Decl.Wraps {
			c.wrappers = append(c.wrappers, x)
		} else {
			c.acts = append(c.acts, x)
		}
	}
}

// stamps reports whether the rule is no policy's own, but keeps what the path of
// one is decided by.
func (r *rule) stamps() bool { return r.obligation.Actions[0].Name() == ir.StampAction }

// order sorts the actions and finds out when each policy is decided.
func (c *interpreted) order() {
	byRank := func(a, b *act) int { return cmp.Compare(a.Rank, b.Rank) }
	slices.SortStableFunc(c.acts, byRank)
	slices.SortStableFunc(c.wrappers, byRank)
	defer c.divide()
	for i, a := range c.acts {
		r := a.rule
		if r.first != nil {
			continue
		}
		r.first = a
		r.late = r.cond != nil && slices.ContainsFunc(c.acts[:i], func(b *act) bool { return b.changes(r.cond.Reads) })
	}
}

// divide takes out of the acts of each attempt those that stand before a wrapper by
// hand. What chooses a pod does so behind it, for each attempt.
func (c *interpreted) divide() {
	var behind []*act
	for _, a := range c.acts {
		chooses := slices.ContainsFunc(slices.Collect(maps.Values(a.Decl.Sides)), func(s ir.DeclSide) bool { return s == ir.EgressOnly })
		if !chooses && slices.ContainsFunc(c.wrappers, func(w *act) bool { return slices.Contains(a.rule.obligation.Front, w.rule.policy) }) {
			c.fronts = append(c.fronts, a)
		} else {
			behind = append(behind, a)
		}
	}
	c.acts = behind
}

// changes reports whether the action writes one of the parts that a condition
// reads.
func (a *act) changes(reads []string) bool {
	writes := append(putIn(a.Decl.Writes, a.Args), a.Decl.Provides...)
	if a.Name() == "rewrite" { // what it is not told to change it leaves alone
		writes = slices.DeleteFunc(writes, func(w string) bool {
			return w == "request.path" && a.Args["prefix"].Str == "" || w == "request.host" && a.Args["host"].Str == ""
		})
	}
	for _, w := range writes {
		for _, r := range reads {
			if r = canonical(r); covers(w, r) || covers(r, w) {
				return true
			}
		}
	}
	return false
}

// Run gives what becomes of each request. They may overlap: what happens first
// is counted first, and of two at the same time the one listed first.
func (in *Interp) Run(requests ...*Request) []*Result {
	results := make([]*Result, len(requests))
	in.runs++
	var q queue
	for i, r := range requests {
		x := in.exchange(r, i)
		results[i] = x.res
		q = append(q, x)
	}
	heap.Init(&q)
	for len(q) > 0 {
		x := heap.Pop(&q).(*exchange)
		in.clock = max(in.clock, x.at)
		if x.step() {
			heap.Push(&q, x)
		}
	}
	return results
}

// Wait moves the clock on.
func (in *Interp) Wait(d time.Duration) { in.clock += d }

// Clock is the time since Epoch.
func (in *Interp) Clock() time.Duration { return in.clock }

// A queue holds exchanges by the time of their next attempt.
type queue []*exchange

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].at, q[j].at), cmp.Compare(q[i].number, q[j].number)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*exchange)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// Headers of a message: by name in lower case, the values in order.
type Headers map[string][]string

// Get joins the values of a header with commas; "" when it isn't there.
func (h Headers) Get(name string) string { return strings.Join(h[name], ",") }

// Clone copies the headers; they are never nil then.
func (h Headers) Clone() Headers {
	out := make(Headers, len(h))
	for k, v := range h {
		out[k] = slices.Clone(v)
	}
	return out
}

// requestID is the id that the first ADM gives a request without one.
func (in *Interp) requestID() string {
	in.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", in.ids)
}
