package lang

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// carry works out what requests have to carry for the decisions that the graph
// leaves open.
func (c *checker) carry() {
	if c.ways == nil {
		return
	}
	of := map[*tracker]*carriage{}
	var mixed []*policy
	for _, p := range c.policies {
		if p.bad || len(p.deciders) == 0 {
			continue
		}
		open := c.open(p)
		if len(open) == 0 {
			continue
		}
		if !c.canDecide(p, open) {
			p.bad = true
			continue
		}
		mixed = append(mixed, p)
		for _, e := range open {
			for _, d := range p.deciders {
				from, to := c.idx.from[e.call], c.idx.to[e.call]
				if d.verdict(from, to) != ir.Mixed {
					continue
				}
				if of[d.tracker] == nil {
					of[d.tracker] = c.newCarriage(d.tracker, p)
				}
				k := of[d.tracker]
				k.decisions = append(k.decisions, decision{d, from, to})
			}
		}
	}
	for _, k := range c.carriages {
		if !k.classify() {
			c.bag.Errorf(k.owner.pathAt(), PathTooLarge, "this path needs more than %d ways of one call to be told apart", maxCarried)
			k.fail()
			continue
		}
		k.taint()
		if !k.streams(c.bag) {
			k.fail()
		}
	}
	mixed = slices.DeleteFunc(mixed, func(p *policy) bool { return p.bad })
	c.forwarding(mixed)
	for _, p := range mixed {
		c.guards(p, of)
	}
}

// fail keeps the policies that decide by what can't be carried from what follows.
func (k *carriage) fail() {
	k.owner.bad = true
	for _, d := range k.decisions {
		d.policy.bad = true
	}
}

func (c *checker) newCarriage(t *tracker, owner *policy) *carriage {
	k := &carriage{tracker: t, x: c.idx, w: c.ways, owner: owner, member: memberKey(owner.ir.Name)}
	n := 1
	for _, other := range c.carriages {
		if other.owner == owner {
			n++
		}
	}
	if n > 1 {
		k.member += fmt.Sprintf(".%d", n)
	}
	c.carriages = append(c.carriages, k)
	return k
}

// memberKey is the key of the member for a policy. A long name is cut, so that the
// expression that looks for it stays small enough for Envoy.
func memberKey(policy string) string {
	const most = 24
	if len(policy) > most {
		h := fnv.New32a()
		h.Write([]byte(policy))
		policy = fmt.Sprintf("%s.%08x", policy[:most-9], h.Sum32())
	}
	return "admc-path." + policy
}

// open gives the calls on which a policy acts if the chain is one of its own.
func (c *checker) open(p *policy) []matched {
	if p.opened != nil {
		return p.opened
	}
	live := map[int32]bool{}
	for _, t := range p.calls {
		if t.act.decl.Name == allowAction {
			continue
		}
		taken := c.takenWhole(p, t)
		for _, e := range p.live {
			if e.mixed && !taken[e.call] {
				live[e.call] = true
			}
		}
	}
	for _, e := range c.refusable(p) {
		live[e.call] = true
	}
	var out []matched
	for _, e := range p.edges {
		if e.mixed && live[e.call] {
			out = append(out, e)
		}
	}
	p.opened = out
	return out
}

// canDecide reports what keeps a policy from deciding by the request.
func (c *checker) canDecide(p *policy, open []matched) bool {
	var streams []matched
	for _, e := range open {
		if c.idx.planes[e.call] == graph.TCP {
			streams = append(streams, e)
		}
	}
	switch {
	case p.pins.strict != nil:
		d := c.mixedError(p, open, "@strict: only what a request carries says whether the chain into %s matches, and a caller's pod could lie in it")
		d.WithNote(p.pins.strict.At, "@strict is here")
	case len(streams) > 0:
		c.mixedError(p, streams, "only some of the chains into %s match, and a byte stream carries nothing that says which")
	default:
		return true
	}
	return false
}

func (c *checker) mixedError(p *policy, on []matched, format string) *diag.Diagnostic {
	calls := make([]int32, len(on))
	for i, e := range on {
		calls[i] = e.call
	}
	d := c.bag.Errorf(on[0].by, PathMixed, format, c.edgeList(calls)).
		WithHint("name the calls with `on`, or let the path end where the graph decides")
	c.exampleOf(d, p, on[0].call)
	return d
}

// exampleOf tells of a call which chains match and which do not.
func (c *checker) exampleOf(d *diag.Diagnostic, p *policy, call int32) {
	if on := c.pathCall(p, call); on.Matching != nil && on.Other != nil {
		d.WithHint("%s matches, %s does not", ir.ChainText(on.Matching), ir.ChainText(on.Other))
	}
}

func (c *checker) pathCall(p *policy, call int32) *ir.PathCall {
	i, _ := slices.BinarySearchFunc(p.pathCalls, c.idx.byPort[call], func(n, place int32) int { return cmp.Compare(c.idx.byPort[n], place) })
	return p.ir.Paths[i]
}

// forwarding warns, once, that applications have a part in this.
func (c *checker) forwarding(mixed []*policy) {
	if len(mixed) == 0 {
		return
	}
	p := mixed[0]
	open := c.open(p)
	d := c.bag.Warnf(open[0].by, ForwardBaggage, "whether a request came this way is told by its baggage header, which the applications on the way have to pass on").
		WithHint("W3C Baggage: OpenTelemetry's propagators do it; a request without it counts as one whose chain begins at its caller")
	c.exampleOf(d, p, open[0].call)
	for _, q := range mixed[1:] {
		d.WithNote(c.open(q)[0].by, "policy %s needs it too", q.ir.Name)
	}
}

// guards are the conditions on the chain of a policy's calls.
func (c *checker) guards(p *policy, of map[*tracker]*carriage) {
	p.guards = map[int32]*term{}
	for _, e := range c.open(p) {
		var any []*term
		from, to := c.idx.from[e.call], c.idx.to[e.call]
		for _, d := range p.deciders {
			if k := of[d.tracker]; k != nil && d.verdict(from, to) == ir.Mixed {
				any = append(any, k.guard(d, from, to))
				c.pathCall(p, e.call).Member = k.member
			}
		}
		p.guards[e.call] = any[0]
		if len(any) > 1 {
			p.guards[e.call] = simplify(&term{op: opOr, kind: kindBool, args: any, at: p.pathAt()})
		}
	}
}

type guardKey struct {
	cond  *ir.Condition
	guard *term
}

// guarded is a condition (nil: always) that holds only for chains that match.
func (c *checker) guarded(p *policy, e matched, cond *ir.Condition) *ir.Condition {
	g := p.guards[e.call]
	if !e.mixed || g == nil {
		return cond
	}
	key := guardKey{cond, g}
	r, ok := p.guarding[key]
	if !ok {
		t := g
		if cond != nil {
			t = simplify(&term{op: opAnd, kind: kindBool, args: []*term{g, c.terms[cond]}, at: g.at})
		}
		r = c.residual(p, t)
		if p.guarding == nil {
			p.guarding = map[guardKey]foldResult{}
		}
		p.guarding[key] = r
	}
	return r.residual
}

// guard adds to the conditions of a policy that the chain matches its paths.
func (c *checker) guard(p *policy) {
	if p.guards == nil {
		return
	}
	for i, e := range p.live {
		p.live[i].cond = c.guarded(p, e.matched, e.cond)
	}
}

// stamp makes the obligations that keep what is carried true.
func (c *checker) stamp() {
	rank := 0
	for _, p := range c.policies {
		for _, t := range p.calls {
			rank = max(rank, t.ir.Rank+1)
		}
	}
	for i, k := range c.carriages {
		if k.owner.bad {
			continue
		}
		k.owner.stamps = append(k.owner.stamps, k.stamps(c, len(c.policies)+i, rank+i)...)
		c.overwritten(k)
	}
}

// overwritten reports what would lose the member where it is needed.
func (c *checker) overwritten(k *carriage) {
	header := fmt.Sprintf("request.headers[%q]", ir.PathHeader)
	loses := func(t *typedCall) bool {
		covers := func(p string) bool { return covers(p, header) }
		return slices.ContainsFunc(t.writes, covers) && !slices.ContainsFunc(t.reads, covers)
	}
	for _, p := range c.policies {
		for _, t := range p.calls {
			if p.bad || !loses(t) {
				continue
			}
			for _, e := range p.edgesOf(t) {
				if v := c.idx.to[e.call]; v < c.idx.services && k.needs(v) {
					c.bag.Errorf(t.ir.At, Conflict, "%s conflicts with the path of policy %s on %s: that is decided by the header %s",
						t.act.decl.Name, k.owner.ir.Name, callName(c.g.Calls[e.call]), ir.PathHeader).
						WithNote(k.owner.pathAt(), "the path is here")
					break
				}
			}
		}
	}
}
