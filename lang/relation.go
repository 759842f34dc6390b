package lang

import (
	"slices"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A relation is what an obligation x and an obligation y do to each other where
// they meet. The zero relation: nothing. It speaks of actions by their places in
// either's list.
type relation struct {
	forbid    []forbid
	conflicts []clash
	same      *together // nil: they may be at different sides
}

func (r *relation) nothing() bool { return len(r.forbid)+len(r.conflicts) == 0 && r.same == nil }

// together is the template of a row that keeps two policies on one side.
type together struct {
	text     string
	xAt, yAt diag.Span
	turned   bool // y stands before x
}

// A forbid is the template of an order row, between the actions a of x and b of
// y.
type forbid struct {
	xSide, ySide ir.Side
	a, b         int
	why          reason
	turned       bool // the reason tells of y's action first
}

// text is the reason as it is told of two obligations.
func (f forbid) text(x, y *obligation) string {
	p, q := effect{x.acts[f.a], x}, effect{y.acts[f.b], y}
	if f.turned {
		return f.why.text(q, p)
	}
	return f.why.text(p, q)
}

// relate works out a relation. A wrapper stands outside the order: it makes no
// rows, except with what is pinned before it, and neither does what is enforced at
// both ends.
func relate(x, y *obligation) *relation {
	r := &relation{}
	for i, a := range x.acts {
		for k, b := range y.acts {
			if why := clashing(a, b); why != "" {
				r.conflicts = append(r.conflicts, clash{i, k, why})
			}
			if !x.ir.Both && !y.ir.Both && r.same == nil {
				r.same = sameProxy(effect{a, x}, effect{b, y})
			}
			if x.ir.Both || y.ir.Both {
				continue
			}
			p, q := effect{a, x}, effect{b, y}
			if a.act.decl.Wraps || b.act.decl.Wraps {
				r.watch(p, q, forbid{a: i, b: k})
				continue
			}
			if a.ir.Rank < b.ir.Rank {
				r.order(p, q, forbid{a: i, b: k})
			} else {
				r.order(q, p, forbid{a: i, b: k, turned: true})
			}
		}
	}
	return r
}

// sameProxy: what stands before a wrapper is on the wrapper's proxy.
func sameProxy(x, y effect) *together {
	before := func(p, q effect) bool {
		return !p.act.decl.Wraps && q.act.decl.Wraps && slices.Contains(p.o.policy.fronts, q.o.policy)
	}
	switch {
	case before(x, y):
		return &together{pinText(x, y), x.ir.At, y.ir.At, false}
	case before(y, x):
		return &together{pinText(y, x), x.ir.At, y.ir.At, true}
	}
	return nil
}

// An effect is one action with what its policy's condition reads.
type effect struct {
	*typedCall
	o *obligation
}

func (e effect) String() string {
	return e.act.decl.Name + " of " + e.o.policy.ir.Name
}

// reading gives the parts that the action or its condition looks at.
func (e effect) reading() []string {
	if len(e.o.reads) == 0 {
		return e.reads
	}
	return append(slices.Clone(e.o.reads), e.reads...)
}

// order adds what p before q forbids; of is turned where p is y's. A request
// meets the caller's egress, then the receiver's ingress. A response goes the other
// way, through q and then p, and what observes it comes last.
func (r *relation) order(p, q effect, of forbid) {
	add := func(pSide, qSide ir.Side, why reason, fromQ bool) {
		if why == commutes {
			return
		}
		f := forbid{a: of.a, b: of.b, xSide: pSide, ySide: qSide, why: why, turned: of.turned != fromQ}
		if of.turned {
			f.xSide, f.ySide = qSide, pSide
		}
		for _, g := range r.forbid {
			if g.xSide == f.xSide && g.ySide == f.ySide {
				return
			}
		}
		r.forbid = append(r.forbid, f)
	}
	add(ir.Ingress, ir.Egress, requestOrder(p, q), false)
	add(ir.Egress, ir.Ingress, answerSeen(p, q), false)
	add(ir.Ingress, ir.Egress, answerSeen(q, p), true)
	if part := common("request", q.writes, p.reads); part != "" && p.observes() && !q.observes() {
		add(ir.Egress, ir.Ingress, reason{noted, part}, false) // whatever their ranks
	}
	add(ir.Ingress, ir.Egress, copySeen(p, q), false)
	add(ir.Egress, ir.Ingress, copySeen(q, p), true)
	if q.observes() && !p.observes() {
		add(ir.Egress, ir.Ingress, responseOrder(p, q), false)
	} else {
		add(ir.Ingress, ir.Egress, responseOrder(p, q), false)
	}
}

// watch keeps an error that p or q answers with from a wrapper that looks at the
// receiver's: answered at the receiver's side it would be one of them.
func (r *relation) watch(p, q effect, of forbid) {
	of.why = reason{kind: takenForReceivers}
	switch {
	case p.answersError() && q.watches():
		of.xSide, of.ySide = ir.Ingress, ir.Egress
	case q.answersError() && p.watches():
		of.xSide, of.ySide, of.turned = ir.Egress, ir.Ingress, true
	default:
		return
	}
	r.forbid = append(r.forbid, of)
}

// holds reports whether a wrapper of the obligation makes or bounds attempts, so that
// something else can stand before them; one that only watches has none.
func (o *obligation) holds() bool {
	return slices.ContainsFunc(o.acts, func(t *typedCall) bool { return t.act.decl.Wraps && !effect{t, o}.watches() })
}

func (e effect) watches() bool { return e.act.decl.Wraps && touches("response", e.reads) }

// answersError: what it ends a request with may be a 5xx, as far as its arguments
// say.
func (e effect) answersError() bool {
	d := e.act.decl
	if !d.Ends || d.Wraps {
		return false
	}
	for _, name := range []string{"status", "abort"} {
		if v, ok := e.ir.Args[name]; ok {
			return v.Int >= 500 || slices.Contains(codesOfErrors, e.ir.Args["code"].Str)
		}
	}
	return d.User || d.Name == "concurrency_limit"
}

// codesOfErrors are the gRPC codes that stand for a 5xx.
var codesOfErrors = []string{"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}

// observes: it looks at the answer after all that change it, whatever its rank.
func (e effect) observes() bool { return e.act.decl.Phase == ir.Observe }

// A reason says why an action p and an action q, p before q, do not commute. The
// zero reason is that they do.
type reason struct {
	kind reasonKind
	part string // touch
}

type reasonKind uint8

const (
	commuting reasonKind = iota
	touch
	countsAnswered
	countsUnanswered
	otherAnswer
	seesAnswer
	noted
	answeredBefore
	takenForReceivers
	seesCopy
)

var commutes reason

func (w reason) text(p, q effect) string {
	switch w.kind {
	case touch:
		return p.String() + " comes before " + q.String() + ", and both touch " + w.part
	case countsAnswered:
		return p.String() + " comes before " + q.String() + ", which must not count what it answers"
	case countsUnanswered:
		return p.String() + " comes before " + q.String() + ", and counts what that answers"
	case otherAnswer:
		return p.String() + " comes before " + q.String() + ", and they answer differently"
	case seesAnswer:
		return p.String() + " may answer, and " + q.String() + " acts on every answer"
	case noted:
		return p.String() + " tells of " + w.part + " when all is done, as " + q.String() + " left it"
	case answeredBefore:
		return p.String() + " comes before " + q.String() + ", and what is told of a request that it answers has " + w.part + " as it was"
	case seesCopy:
		return p.String() + " is about requests, and not about the copies that " + q.String() + " makes"
	case takenForReceivers:
		return "an error that " + p.String() + " answers with is none of the receiver's, at which " + q.String() + " looks"
	}
	return ""
}

// requestOrder says why p and q, p before q, do not commute on the request.
func requestOrder(p, q effect) reason {
	dp, dq := p.act.decl, q.act.decl
	part := common("request", p.writes, append(q.reading(), q.writes...))
	if part == "" {
		part = common("request", p.reading(), q.writes)
	}
	switch {
	case part != "":
		return reason{touch, part}
	case dp.Ends && dq.State != "":
		return reason{kind: countsAnswered}
	case dp.State != "" && dq.Ends:
		return reason{kind: countsUnanswered}
	case dp.Ends && dq.Ends && !sameAnswer(p, q):
		return reason{kind: otherAnswer}
	}
	return commutes
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
func answerSeen(p, q effect) reason {
	if p.act.decl.Ends && (touches("response", q.reading()) || touches("response", q.writes)) {
		return reason{kind: seesAnswer}
	}
	return commutes
}

// copySeen says why p may not be at the receiver's side of what q copies there: it
// would count or note the copy too.
func copySeen(p, q effect) reason {
	if d := p.act.decl; (d.State != "" || d.Phase == ir.Observe) && touches(copied, q.writes) {
		return reason{kind: seesCopy}
	}
	return commutes
}

// copied is the part that an action writes which makes copies of a request.
const copied = "upstream.mirror"

// responseOrder says why p and q do not commute on the response.
func responseOrder(p, q effect) reason {
	part := common("response", p.writes, append(q.reading(), q.writes...))
	if part == "" {
		part = common("response", p.reading(), q.writes)
	}
	if part == "" {
		return commutes
	}
	return reason{touch, part}
}
