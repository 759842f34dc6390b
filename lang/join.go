package lang

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// Joining looks at the obligations of one port together: the order rows between
// them, what one needs of another, and conflicts.
//
// Obligations with equal effects are taken together before pairs are looked at:
// what two of them do to each other depends on neither the port nor the
// policies' names, so it is worked out once for each pair of effects (effects.go)
// and looked up for each port where two that have them meet.
type joiner struct {
	c     *checker
	ids   map[string]int32 // lists of condition parts
	known map[relationKey]*relation
	effects
	rows  []*ir.Row
	done  map[[2]*policy]bool       // pairs already reported: conflicts
	warns map[[2]*policy]bool       // pairs already warned of: order
	apart map[[2]*ir.Condition]bool // whether two residuals exclude each other
	plans map[string]*plan
	text  []byte // key of a plan; its storage is used again
	// toldOf are the policies that were complained about for a part they need.
	toldOf map[toldKey]bool
}

// relationKey: two effects, and for each pair of their actions, which of the two
// acts first.
type relationKey struct {
	x, y  *effectClass
	first uint64
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

// join gives the rows, sorted by receiver and port, and reports conflicts.
func (c *checker) join(all []*obligation) []*ir.Row {
	j := &joiner{
		c: c, ids: map[string]int32{}, known: map[relationKey]*relation{}, effects: newEffects(),
		done: map[[2]*policy]bool{}, warns: map[[2]*policy]bool{}, apart: map[[2]*ir.Condition]bool{},
		plans: map[string]*plan{}, toldOf: map[toldKey]bool{},
	}
	for _, p := range c.policies {
		for _, then := range p.fronts {
			j.fronted[then] = true
		}
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
		if o.class = j.sameEffect(o, last); o.class == nil {
			o.class = j.classOf(o)
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
				if s.turned {
					x, y = y, x
				}
				if y.holds() && y.ir.Protocol.Plane() != graph.TCP {
					x.ir.Front = append(x.ir.Front, y.policy.ir)
				}
			}
		}
	}
	j.unwritten(group)
	if p.needy {
		j.needs(group)
	}
}

func (j *joiner) plan(group []*obligation) *plan {
	j.text = append(j.text[:0], group[0].ir.Protocol.Plane()...)
	for _, o := range group {
		j.text = binary.AppendUvarint(j.text, uint64(o.policy.number))
		j.text = binary.AppendUvarint(j.text, uint64(o.readsID))
		j.text = append(j.text, byte(o.ir.May))
		j.text = append(j.text, o.ir.Part...)
		if o.ir.Both {
			j.text = append(j.text, '#')
		}
		j.text = append(j.text, 0)
	}
	p := j.plans[string(j.text)]
	if p == nil {
		p = j.newPlan(group)
		j.plans[string(j.text)] = p
	}
	return p
}

func (j *joiner) newPlan(group []*obligation) *plan {
	p := &plan{shifting: shifting(group)}
	for _, o := range group {
		p.needy = p.needy || len(needed(o, j.c.kept)) > 0
	}
	if j.c.pairwise {
		p.pairs = everyPair(group)
	} else {
		p.pairs = j.pairs(group)
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
			if t.act != stampAction { // comes after all that is decided on its call
				written = append(written, t.writes...)
			}
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
	if len(x.acts)*len(y.acts) > 64 {
		return relate(x, y)
	}
	key := relationKey{x: x.class, y: y.class}
	for i, a := range x.acts {
		for k, b := range y.acts {
			if a.ir.Rank < b.ir.Rank {
				key.first |= 1 << (i*len(y.acts) + k)
			}
		}
	}
	r := j.known[key]
	if r == nil {
		r = relate(x, y)
		j.known[key] = r
	}
	return r
}

// forbids adds the rows of two obligations that meet. A row that neither side
// can break is left out; where the user pinned both, what is written is meant.
func (j *joiner) forbids(x, y *obligation, r *relation) {
	for _, f := range r.forbid {
		if x.ir.May&f.xSide == 0 || y.ir.May&f.ySide == 0 {
			continue
		}
		if f.why.kind >= takenForReceivers && (x.ir.May == ir.Ingress || y.ir.May == ir.Ingress) {
			continue // what is only at the receiver's side acts on all that comes there
		}
		xPin, yPin := x.policy.pins.side(), y.policy.pins.side()
		if xPin != nil && yPin != nil {
			j.against(x, y, f)
			continue
		}
		j.rows = append(j.rows, &ir.Row{
			Kind: ir.Forbid, P: x.ir, Q: y.ir, PSide: f.xSide, QSide: f.ySide, Text: f.text(x, y),
			PAt: x.acts[f.a].ir.At, QAt: y.acts[f.b].ir.At,
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
	j.c.bag.Warnf(px.At, AgainstOrder, "@%s here and @%s of policy %s go against the order: %s", px.Name.Name, py.Name.Name, y.policy.ir.Name, f.text(x, y)).
		WithNote(py.At, "@%s of policy %s is here", py.Name.Name, y.policy.ir.Name)
}
