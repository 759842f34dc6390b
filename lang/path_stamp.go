package lang

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// What is carried is kept true by stamps: on each call into a node that needs the
// member, where it does not come out right by itself, an ADM at either end writes
// it, changes it or takes it off. Calls from externals always have one, so that
// no client can write the member itself; a member that has become meaningless is
// taken off before it can come to where it would be read.
//
// A stamp acts after all that policies do on its call, so that decisions there
// see what the caller sent. Each is an obligation, placed like any other.

// stampAction is what stamps do. No program can call it.
var stampAction = &action{decl: &ir.ActionDecl{
	Name:   ir.StampAction,
	Doc:    "Keeps the member of the baggage header by which a path is decided.",
	Phase:  ir.Observe,
	Params: []ir.Param{{Name: "member", Type: "string"}, {Name: "to", Type: "map<string>"}},
	Cost:   ir.StampMicros,
	Sides:  map[graph.Plane]ir.DeclSide{graph.HTTP: ir.Either, graph.GRPC: ir.Either},
}}

// memberPart is the member as a part of a message: of the baggage header, so that
// whoever writes that writes the member.
func memberPart(member string) string {
	return fmt.Sprintf("request.headers[%q][%q]", ir.PathHeader, member)
}

// A restamp says what becomes of the values of a member; "" is none. Values that
// it doesn't name are as none.
type restamp map[string]string

func (r restamp) of(value string) string {
	if to, ok := r[value]; ok {
		return to
	}
	return r[""]
}

func (r restamp) values() []string {
	var out []string
	for v := range r {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// key is the same for equal ones.
func (r restamp) key() string {
	var b strings.Builder
	for _, v := range r.values() {
		fmt.Fprintf(&b, "%s>%s ", v, r[v])
	}
	return b.String()
}

func (r restamp) args(member string) map[string]ir.Value {
	to := ir.Value{Kind: ir.Map}
	for _, v := range r.values() {
		to.Map = append(to.Map, ir.Entry{Key: v, Value: ir.Value{Kind: ir.String, Str: r[v]}})
	}
	return map[string]ir.Value{"member": {Kind: ir.String, Str: member}, "to": to}
}

func memberValue(v int32) string {
	if v == 0 {
		return ""
	}
	return strconv.Itoa(int(v))
}

// restamp is what a call from u to v has to do; nil: nothing.
func (k *carriage) restamp(u, v int32) restamp {
	switch {
	case k.needs(v) && k.needs(u) && u < k.x.services:
		same, one := true, true
		first := k.values[v][k.after(u, 0, v)]
		for i, from := range k.values[u] {
			to := k.values[v][k.after(u, i, v)]
			same, one = same && from == to, one && to == first
		}
		switch {
		case same:
			return nil
		case one: // whatever came
			return restamp{"": memberValue(first)}
		}
		r := restamp{}
		for i, from := range k.values[u] {
			r[memberValue(from)] = memberValue(k.values[v][k.after(u, i, v)])
		}
		return r
	case k.needs(v):
		to := k.values[v][k.after(u, 0, v)]
		if to == 0 && !k.sends(u) {
			return nil
		}
		return restamp{"": memberValue(to)}
	case k.leaks[v] && k.sends(u):
		return restamp{"": ""}
	}
	return nil
}

// spares reports whether a stamp changes nothing on a call that it is not for, if
// it acts on what comes in there.
func (k *carriage) spares(r restamp, u, v int32) bool {
	if u == v {
		return true // a pod's call to its own address never comes in
	}
	sent, any := k.sent(u)
	if any {
		return false
	}
	own := k.restamp(u, v)
	for _, value := range append([]int32{0}, sent...) {
		text := memberValue(value)
		if r.of(text) != text || own != nil && r.of(own.of(text)) != own.of(text) {
			return false
		}
	}
	return true
}

// A stamping is what calls into one port have to do alike.
type stamping struct {
	restamp
	edges []liveEdge
}

// stampings of the calls into a port.
func (k *carriage) stampings(calls []int32) []*stamping {
	var out []*stamping
	for _, call := range calls {
		u, v := k.x.from[call], k.x.to[call]
		if u == v {
			continue
		}
		r := k.restamp(u, v)
		if r == nil {
			continue
		}
		i := slices.IndexFunc(out, func(s *stamping) bool { return s.key() == r.key() })
		if i < 0 {
			i = len(out)
			out = append(out, &stamping{restamp: r})
		}
		out[i].edges = append(out[i].edges, liveEdge{matched: matched{call: call}})
	}
	return out
}

// stamps makes the obligations of a carriage, in a policy of their own: it has the
// name of the first that decides by what is carried, and nothing else of it.
func (k *carriage) stamps(c *checker, number, rank int) []*obligation {
	p := &policy{number: number, node: k.owner.node, ir: &ir.Policy{
		Name: k.owner.ir.Name, At: k.owner.ir.At, Sample: 1, Doc: k.owner.ir.Doc,
		// What one policy decides closed must not be decided by a proxy that is dead.
		FailClosed: slices.ContainsFunc(k.decisions, func(d decision) bool { return d.policy.ir.FailClosed }),
	}}
	w := &verdicts{c: c, p: p}
	for order := c.idx.ordered(); len(order) > 0; {
		v := c.idx.to[order[0]]
		n := len(c.idx.callers[portKey{v, c.g.Calls[order[0]].Port}])
		if v < c.idx.services && (k.needs(v) || k.leaks[v]) && c.idx.planes[order[0]] != graph.TCP {
			for i, s := range k.stampings(order[:n]) {
				k.oblige(w, s, i, rank)
			}
		}
		order = order[n:]
	}
	w.report()
	return p.obligations
}

// oblige makes the obligation of the i-th stamping of a port.
func (k *carriage) oblige(w *verdicts, s *stamping, i, rank int) {
	part := memberPart(k.member)
	t := &typedCall{act: stampAction, ir: &ir.Action{Decl: stampAction.decl, Args: s.args(k.member), At: k.owner.pathAt(), Rank: rank},
		writes: []string{part}}
	if len(s.restamp) > 1 {
		t.reads = []string{part}
	}
	name := ir.StampAction
	if i > 0 {
		name = fmt.Sprintf("%s-%d", name, i+1)
	}
	m := maker{ends: map[graph.Plane]*ends{}, reads: map[*ir.Condition][]string{}}
	m.oblige(w, name, []*typedCall{t}, []*ir.Action{t.ir}, s.edges, false, func(left int32) bool {
		return k.spares(s.restamp, k.x.from[left], k.x.to[left])
	})
}

// A decision's condition: that the member says one of the classes that match.

// pathMember is what conditions read of the member; no program can.
var pathMember = &attribute{name: pathAttribute, kind: kindMap, planes: messages}

const pathAttribute = "request.baggage"

// guard is the condition under which the chain of a call matches the policy's
// paths. Equal ones are one.
func (k *carriage) guard(d *decider, u, v int32) *term {
	var key []byte
	for i, value := range k.values[u] {
		key = append(binary.AppendUvarint(key, uint64(value)), yesByte(d.matches(k.state(u, i), v)))
	}
	g := k.guards[string(key)]
	if g == nil {
		g = k.newGuard(d, u, v)
		if k.guards == nil {
			k.guards = map[string]*term{}
		}
		k.guards[string(key)] = g
	}
	return g
}

func (k *carriage) newGuard(d *decider, u, v int32) *term {
	at := k.owner.pathAt()
	var yes, no []*term
	bare := false // without the member it matches
	told := map[int32]bool{}
	for i, value := range k.values[u] {
		matches := d.matches(k.state(u, i), v)
		switch {
		case told[value]:
		case value == 0:
			bare = matches
		case matches:
			yes = append(yes, literal(stringValue(memberValue(value))))
		default:
			no = append(no, literal(stringValue(memberValue(value))))
		}
		told[value] = true
	}
	read := &term{op: opRead, kind: kindString, attr: pathMember, key: k.member, at: at}
	one := func(values []*term) *term {
		return simplify(&term{op: opIn, kind: kindBool, args: append([]*term{read}, values...), at: at})
	}
	if bare {
		return negate(one(no))
	}
	return one(yes)
}
