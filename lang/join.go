package lang

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Joining looks at the obligations of one port together: the order rows between
// them, what one needs of another, and conflicts.
//
// What two policies do to each other does not depend on the port, so it is
// worked out once for each pair of policies (and of what their conditions read)
// and looked up for each port that they share.
type joiner struct {
	c     *checker
	ids   map[string]int32 // lists of condition parts
	known map[pairKey]*relation
	rows  []*ir.Row
	done  map[[2]*policy]bool       // pairs already reported: conflicts
	warns map[[2]*policy]bool       // pairs already warned of: order
	apart map[[2]*ir.Condition]bool // whether two residuals exclude each other
	plans map[string]*plan
	key   []byte // of a plan; its storage is used again
	// toldOf are the policies that were complained about for a part they need.
	toldOf map[toldKey]bool
}

type pairKey struct {
	p, q           *policy
	pReads, qReads int32
	pBoth, qBoth   bool
	pPart, qPart   string
	plane          graph.Plane // decides which actions are of the obligation
}

// A plan is which obligations of a port do something to each other, by their
// places in its list. Ports with the same policies share one.
type plan struct {
	pairs []planned
	needy bool
	// shifting: the condition of this obligation reads what is written here.
	shifting []bool
}

type planned struct {
	x, y int
	r    *relation
}

// A relation is what policy p (x) and policy q (y) do to each other where they
// meet. The zero relation: nothing.
type relation struct {
	forbid    []forbid
	conflicts []clash
	same      *together // nil: they may be at different sides
}

// together is the template of a row that keeps two policies on one side.
type together struct {
	text     string
	xAt, yAt diag.Span
}

// A forbid is the template of an order row.
type forbid struct {
	xSide, ySide ir.Side
	text         string
	xAt, yAt     diag.Span
}

// join gives the rows, sorted by receiver and port, and reports conflicts.
func (c *checker) join(all []*obligation) []*ir.Row {
	j := &joiner{
		c: c, ids: map[string]int32{}, known: map[pairKey]*relation{},
		done: map[[2]*policy]bool{}, warns: map[[2]*policy]bool{}, apart: map[[2]*ir.Condition]bool{},
		plans: map[string]*plan{}, toldOf: map[toldKey]bool{},
	}
	ports := map[portKey][]*obligation{}
	var keys []portKey
	var last *obligation
	for _, o := range all {
		if last != nil && len(o.reads) == len(last.reads) && (len(o.reads) == 0 || &o.reads[0] == &last.reads[0]) {
			o.readsID = last.readsID
		} else {
			o.readsID = j.readsOf(o)
		}
		last = o
		if ports[o.key] == nil {
			keys = append(keys, o.key)
		}
		ports[o.key] = append(ports[o.key], o)
	}
	slices.SortFunc(keys, func(a, b portKey) int {
		return cmp.Or(strings.Compare(c.idx.nodes[a.node].NodeName(), c.idx.nodes[b.node].NodeName()), cmp.Compare(a.port, b.port))
	})
	for _, k := range keys {
		j.port(ports[k])
	}
	return j.rows
}

// requestIDs refuses conditions on the request's id beside a policy that draws:
// the first ADM gives a request without an id one, so that what the condition
// sees depends on where it is asked.
func (j *joiner) requestIDs(group []*obligation) {
	drawn := slices.IndexFunc(group, func(o *obligation) bool { return o.policy.ir.Sample < 1 })
	if drawn < 0 {
		return
	}
	by := group[drawn].policy
	for _, o := range group {
		p := o.policy
		if p.when == nil || p.pins.placed() || !o.asksID() {
			continue
		}
		j.c.bag.Errorf(p.readAt(requestID, o.ir.Protocol.Plane()), SideDependent, "the request's id is not the same at the caller's side and at the receiver's: the first ADM makes one where it is absent").
			WithHint("say which is meant: @ingress or @egress").
			WithNote(by.sample.At, "policy %s draws by it", by.ir.Name)
	}
}

// asksID reports whether a condition of the obligation reads the request's id.
func (o *obligation) asksID() bool {
	return slices.ContainsFunc(o.ir.Edges, func(e *ir.Edge) bool {
		return e.Cond != nil && slices.ContainsFunc(e.Cond.Reads, func(r string) bool { return canonical(r) == requestID })
	})
}

// readsOf numbers what an obligation's conditions look at.
func (j *joiner) readsOf(o *obligation) int32 {
	text := strings.Join(o.reads, "\x00")
	id, ok := j.ids[text]
	if !ok {
		id = int32(len(j.ids))
		j.ids[text] = id
	}
	return id
}

// port joins the obligations of one port.
func (j *joiner) port(group []*obligation) {
	j.requestIDs(group)
	p := j.plan(group)
	for _, pair := range p.pairs {
		x, y := group[pair.x], group[pair.y]
		if call, meet := j.meet(x, y, p.shifting[pair.x] || p.shifting[pair.y]); meet {
			j.clashes(x, y, pair.r, call, p.shifting[pair.x] || p.shifting[pair.y])
			j.forbids(x, y, pair.r)
			if s := pair.r.same; s != nil {
				j.rows = append(j.rows, &ir.Row{Kind: ir.Same, P: x.ir, Q: y.ir, Text: s.text, PAt: s.xAt, QAt: s.yAt})
			}
		}
	}
	if p.needy {
		j.needs(group)
	}
}

func (j *joiner) plan(group []*obligation) *plan {
	j.key = append(j.key[:0], group[0].ir.Protocol.Plane()...)
	for _, o := range group {
		j.key = binary.AppendUvarint(j.key, uint64(o.policy.number))
		j.key = binary.AppendUvarint(j.key, uint64(o.readsID))
		j.key = append(j.key, o.ir.Part...)
		if o.ir.Both {
			j.key = append(j.key, '#')
		}
		j.key = append(j.key, 0)
	}
	p := j.plans[string(j.key)]
	if p == nil {
		p = j.newPlan(group)
		j.plans[string(j.key)] = p
	}
	return p
}

func (j *joiner) newPlan(group []*obligation) *plan {
	p := &plan{shifting: shifting(group)}
	for i, x := range group {
		p.needy = p.needy || len(needs(x)) > 0
		for k, y := range group[i+1:] {
			if r := j.relation(x, y); len(r.forbid)+len(r.conflicts) > 0 || r.same != nil {
				p.pairs = append(p.pairs, planned{i, i + 1 + k, r})
			}
		}
	}
	return p
}

// shifting marks the obligations whose conditions read a part that some policy
// on this port writes, or that has another value at either side. Two such conditions are asked at different moments, of
// different values, so that their text can't show that they exclude each other.
func shifting(group []*obligation) []bool {
	out := make([]bool, len(group))
	var written []string
	for _, o := range group {
		for _, t := range o.acts {
			written = append(written, t.writes...)
		}
	}
	differs := func(part string) bool { return sideDependent[part] || part == "request.time" }
	for i, o := range group {
		out[i] = common("request", o.reads, written) != "" || common("response", o.reads, written) != "" || slices.ContainsFunc(o.reads, differs)
	}
	return out
}

// meet gives a call on which both obligations can act on one request. Their
// conditions prove nothing when what they read shifts.
func (j *joiner) meet(x, y *obligation, shifts bool) (int32, bool) {
	for a, b := 0, 0; a < len(x.calls) && b < len(y.calls); {
		switch {
		case x.calls[a] < y.calls[b]:
			a++
		case x.calls[a] > y.calls[b]:
			b++
		default:
			if shifts || !j.excludes(x.ir.Edges[a].Cond, y.ir.Edges[b].Cond) {
				return x.calls[a], true
			}
			a++
			b++
		}
	}
	return 0, false
}

// excludes reports whether no request satisfies both residuals (nil: always).
func (j *joiner) excludes(a, b *ir.Condition) bool {
	if a == nil || b == nil || a == b {
		return false
	}
	pair := [2]*ir.Condition{a, b}
	apart, known := j.apart[pair]
	if !known {
		apart = excludes(j.c.terms[a], j.c.terms[b])
		j.apart[pair] = apart
	}
	return apart
}

func (j *joiner) relation(x, y *obligation) *relation {
	key := pairKey{x.policy, y.policy, x.readsID, y.readsID, x.ir.Both, y.ir.Both, x.ir.Part, y.ir.Part, x.ir.Protocol.Plane()}
	r := j.known[key]
	if r == nil {
		r = relate(x, y)
		j.known[key] = r
	}
	return r
}

// relate works out a relation. A wrapper stands outside the order: it makes no
// rows, except with what is pinned before it, and neither does what is enforced at
// both ends.
func relate(x, y *obligation) *relation {
	r := &relation{}
	for _, a := range x.acts {
		for _, b := range y.acts {
			if why := clashing(a, b); why != "" {
				r.conflicts = append(r.conflicts, clash{a, b, why})
			}
			if !x.ir.Both && !y.ir.Both && r.same == nil {
				r.same = sameProxy(effect{a, x}, effect{b, y})
			}
			if a.act.decl.Wraps || b.act.decl.Wraps || x.ir.Both || y.ir.Both {
				continue
			}
			p, q := effect{a, x}, effect{b, y}
			if a.ir.Rank < b.ir.Rank {
				r.order(p, q, false)
			} else {
				r.order(q, p, true)
			}
		}
	}
	return r
}

// sameProxy: what stands before a wrapper is on the wrapper's proxy.
func sameProxy(x, y effect) *together {
	before := func(p, q effect) bool {
		return !p.act.decl.Wraps && q.act.decl.Wraps && slices.Contains(p.o.policy.ir.Front, q.o.policy.ir)
	}
	switch {
	case before(x, y):
		return &together{pinText(x, y), x.ir.At, y.ir.At}
	case before(y, x):
		return &together{pinText(y, x), x.ir.At, y.ir.At}
	}
	return nil
}

// An effect is one action with what its policy's condition reads.
type effect struct {
	*typedCall
	o *obligation
}

func (e effect) String() string {
	return fmt.Sprintf("%s of %s", e.act.decl.Name, e.o.policy.ir.Name)
}

// reading gives the parts that the action or its condition looks at.
func (e effect) reading() []string {
	if len(e.o.reads) == 0 {
		return e.reads
	}
	return append(slices.Clone(e.o.reads), e.reads...)
}

// order adds what p before q forbids. A request meets the caller's egress, then
// the receiver's ingress; a response the other way.
func (r *relation) order(p, q effect, swapped bool) {
	add := func(pSide, qSide ir.Side, text string) {
		f := forbid{pSide, qSide, text, p.ir.At, q.ir.At}
		if swapped {
			f = forbid{qSide, pSide, text, q.ir.At, p.ir.At}
		}
		for _, g := range r.forbid {
			if g.xSide == f.xSide && g.ySide == f.ySide {
				return
			}
		}
		r.forbid = append(r.forbid, f)
	}
	if why := requestOrder(p, q); why != "" {
		add(ir.Ingress, ir.Egress, why)
	}
	if why := answerSeen(p, q); why != "" {
		add(ir.Egress, ir.Ingress, why)
	}
	if why := answerSeen(q, p); why != "" {
		add(ir.Ingress, ir.Egress, why)
	}
	if why := responseOrder(p, q); why != "" {
		add(ir.Egress, ir.Ingress, why)
	}
}

// requestOrder says why p and q, p before q, do not commute on the request; ""
// when they do.
func requestOrder(p, q effect) string {
	dp, dq := p.act.decl, q.act.decl
	part := common("request", p.writes, append(q.reading(), q.writes...))
	if part == "" {
		part = common("request", p.reading(), q.writes)
	}
	switch {
	case part != "":
		return fmt.Sprintf("%s comes before %s, and both touch %s", p, q, part)
	case dp.Ends && dq.State != "":
		return fmt.Sprintf("%s comes before %s, which must not count what it answers", p, q)
	case dp.State != "" && dq.Ends:
		return fmt.Sprintf("%s comes before %s, and counts what that answers", p, q)
	case dp.Ends && dq.Ends && !sameAnswer(p, q):
		return fmt.Sprintf("%s comes before %s, and they answer differently", p, q)
	}
	return ""
}

// sameAnswer: the same action with the same arguments.
func sameAnswer(p, q effect) bool {
	if p.act != q.act {
		return false
	}
	for name, v := range p.ir.Args {
		if !sameValue(v, q.ir.Args[name]) {
			return false
		}
	}
	return true
}

func sameValue(a, b ir.Value) bool {
	if a.Kind != b.Kind || a.Str != b.Str || a.Int != b.Int || a.Float != b.Float || a.Bool != b.Bool || a.Dur != b.Dur {
		return false
	}
	return slices.EqualFunc(a.List, b.List, sameValue) &&
		slices.EqualFunc(a.Map, b.Map, func(x, y ir.Entry) bool { return x.Key == y.Key && sameValue(x.Value, y.Value) })
}

// answerSeen says why p at the caller and q at the receiver would differ from
// one proxy, where every response action sees every answer, a local reply too.
func answerSeen(p, q effect) string {
	if p.act.decl.Ends && (touches("response", q.reading()) || touches("response", q.writes)) {
		return fmt.Sprintf("%s may answer, and %s acts on every answer", p, q)
	}
	return ""
}

// responseOrder says why p and q do not commute on the response.
func responseOrder(p, q effect) string {
	part := common("response", p.writes, append(q.reading(), q.writes...))
	if part == "" {
		part = common("response", p.reading(), q.writes)
	}
	if part == "" {
		return ""
	}
	return fmt.Sprintf("%s comes before %s, and both touch %s", p, q, part)
}

// forbids adds the rows of two obligations that meet. A row that neither side
// can break is left out; where the user pinned both, what is written is meant.
func (j *joiner) forbids(x, y *obligation, r *relation) {
	for _, f := range r.forbid {
		if x.ir.May&f.xSide == 0 || y.ir.May&f.ySide == 0 {
			continue
		}
		xPin, yPin := x.policy.pins.side(), y.policy.pins.side()
		if xPin != nil && yPin != nil {
			j.against(x, y, f)
			continue
		}
		j.rows = append(j.rows, &ir.Row{
			Kind: ir.Forbid, P: x.ir, Q: y.ir, PSide: f.xSide, QSide: f.ySide, Text: f.text, PAt: f.xAt, QAt: f.yAt,
		})
	}
}

func (j *joiner) against(x, y *obligation, f forbid) {
	pair := [2]*policy{x.policy, y.policy}
	if j.warns[pair] {
		return
	}
	j.warns[pair] = true
	px, py := x.policy.pins.side(), y.policy.pins.side()
	j.c.bag.Warnf(px.At, AgainstOrder, "@%s here and @%s of policy %s go against the order: %s", px.Name.Name, py.Name.Name, y.policy.ir.Name, f.text).
		WithNote(py.At, "@%s of policy %s is here", py.Name.Name, y.policy.ir.Name)
}
