package lang

import (
	"cmp"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A pathClause is one `path` of a policy.
type pathClause struct {
	node    *syntax.Path
	pattern *pattern // nil after an error
}

// candidates are the calls that a chain of the clause can end with.
func (cl *pathClause) candidates(x *index) []int32 {
	var out []int32
	senders := cl.pattern.senders()
	for _, v := range cl.pattern.receivers() {
		for _, call := range x.in[v] {
			u := x.from[call]
			if u != v && (cl.node.Except || senders == nil || senders.has(u)) {
				out = append(out, call)
			}
		}
	}
	return out
}

// A tracker follows the patterns of a policy along the chains of the graph.
// Policies with the same patterns share one.
type tracker struct {
	m  *machine
	at []stateSet // of each node: the states of the chains that reach it
	// found are the chains to the nodes that were asked for.
	trace trace
	found map[int32]map[int32][]graph.Node
}

// chains gives for each state of a node the shortest chain to it.
func (t *tracker) chains(x *index, node int32) map[int32][]graph.Node {
	if t.found[node] == nil {
		t.found[node] = t.trace.chains(x, node)
	}
	return t.found[node]
}

// A decider is what one policy wants to know of a tracker.
type decider struct {
	*tracker
	policy  *policy
	clauses []trackedClause
	known   map[deciderKey]ir.PathVerdict
}

type trackedClause struct {
	except    bool
	pattern   int // of the machine
	receivers nodeSet
}

type deciderKey struct {
	states   uint64
	receiver int32 // its kind
}

// matches reports whether a chain is the policy's that goes from a node in this
// state to a receiver.
func (d *decider) matches(q, receiver int32) bool {
	after := d.m.step(q, receiver)
	for _, cl := range d.clauses {
		if d.m.ends(after, cl.pattern) != cl.except && (!cl.except || cl.receivers.has(receiver)) {
			return true
		}
	}
	return false
}

// verdict of the chains that end with a call.
func (d *decider) verdict(from, to int32) ir.PathVerdict {
	states := d.at[from]
	if len(states) > 1 {
		return d.judge(states, to)
	}
	key := deciderKey{states[0], d.m.kind[to]}
	v, ok := d.known[key]
	if !ok {
		v = d.judge(states, to)
		d.known[key] = v
	}
	return v
}

func (d *decider) judge(states stateSet, to int32) ir.PathVerdict {
	some, all := false, true
	for _, q := range states.list() {
		yes := d.matches(q, to)
		some, all = some || yes, all && yes
	}
	switch {
	case all:
		return ir.EveryChain
	case some:
		return ir.Mixed
	}
	return ir.NoChain
}

// Limits of the states of a machine. Patterns need few unless their steps
// overlap in many ways. Where the patterns of one policy need many together, they
// are followed one by one: a chain that is sure to match one of several is then
// taken to be undecided.
const (
	maxStatesTogether = 256
	maxStates         = 2048
)

// maxExamples bounds the calls of a policy for which examples of chains are looked
// up.
const maxExamples = 50

// chains decides which calls the policies with paths are about.
func (c *checker) chains() {
	if !slices.ContainsFunc(c.policies, func(p *policy) bool { return len(p.paths) > 0 }) {
		return
	}
	w := newChains(c.idx)
	c.ways = w
	known := map[string]*tracker{}
	for _, p := range c.policies {
		if len(p.paths) == 0 || p.misnamed {
			continue
		}
		if !c.follow(p, known) {
			p.bad = true
			continue
		}
		c.pathEdges(p)
	}
}

// follow gives a policy its trackers; false after an error.
func (c *checker) follow(p *policy, known map[string]*tracker) bool {
	if c.track(p, p.paths, known, maxStatesTogether) {
		return true
	}
	p.deciders = nil
	for _, cl := range p.paths {
		if !c.track(p, []*pathClause{cl}, known, maxStates) {
			c.bag.Errorf(cl.node.At, PathTooLarge, "the steps of this path overlap in too many ways to follow it").
				WithHint("a step that matches few services, or ~> instead of steps that match all, keeps it small")
			return false
		}
	}
	return true
}

// track gives a policy a decider for some of its clauses; false when they need
// too many states.
func (c *checker) track(p *policy, clauses []*pathClause, known map[string]*tracker, limit int) bool {
	byKey := map[string]*pattern{}
	var keys []string
	for _, cl := range clauses {
		if byKey[cl.pattern.key] == nil {
			keys = append(keys, cl.pattern.key)
		}
		byKey[cl.pattern.key] = cl.pattern
	}
	slices.Sort(keys)
	name := strings.Join(keys, "|")
	t, ok := known[name]
	if !ok {
		var patterns []*pattern
		for _, k := range keys {
			patterns = append(patterns, byKey[k])
		}
		t = &tracker{m: newMachine(patterns, len(c.idx.nodes)), found: map[int32]map[int32][]graph.Node{}}
		var whole bool
		if t.at, t.trace, whole = t.m.reach(c.ways, limit); !whole {
			t = nil
		}
		known[name] = t
	}
	if t == nil {
		return false
	}
	d := &decider{tracker: t, policy: p, known: map[deciderKey]ir.PathVerdict{}}
	for _, cl := range clauses {
		i, _ := slices.BinarySearch(keys, cl.pattern.key)
		d.clauses = append(d.clauses, trackedClause{cl.node.Except, i, cl.pattern.receivers()})
	}
	p.deciders = append(p.deciders, d)
	return true
}

// pathVerdict of all trackers of a policy.
func (p *policy) pathVerdict(from, to int32) ir.PathVerdict {
	out := ir.NoChain
	for _, d := range p.deciders {
		switch d.verdict(from, to) {
		case ir.EveryChain:
			return ir.EveryChain
		case ir.Mixed:
			out = ir.Mixed
		}
	}
	return out
}

// pathEdges gives a policy the calls with which chains end that match its paths:
// those among the calls of its `on`, if it has one.
func (c *checker) pathEdges(p *policy) {
	var candidates []matched
	seen := map[int32]bool{}
	for _, cl := range p.paths {
		for _, call := range cl.candidates(c.idx) {
			if len(p.paths) == 1 || !seen[call] {
				candidates = append(candidates, matched{call: call, by: cl.node.At})
			}
			if len(p.paths) > 1 {
				seen[call] = true
			}
		}
	}
	if p.narrowed {
		on := map[int32]bool{}
		for _, e := range p.edges {
			on[e.call] = true
		}
		candidates = slices.DeleteFunc(candidates, func(e matched) bool { return !on[e.call] })
	}
	slices.SortFunc(candidates, func(a, b matched) int { return cmp.Compare(c.idx.byPort[a.call], c.idx.byPort[b.call]) })
	p.edges = nil
	slab := make([]ir.PathCall, len(candidates))
	examples := 0
	for i, e := range candidates {
		v := p.pathVerdict(c.idx.from[e.call], c.idx.to[e.call])
		slab[i] = ir.PathCall{Call: c.g.Calls[e.call], Verdict: v}
		p.ir.Paths = append(p.ir.Paths, &slab[i])
		p.pathCalls = append(p.pathCalls, e.call)
		if e.mixed = v == ir.Mixed; e.mixed && examples < maxExamples {
			examples++
			slab[i].Matching, slab[i].Other = c.chainsOf(p, e.call)
		}
		if v != ir.NoChain {
			p.edges = append(p.edges, e)
		}
	}
	switch {
	case len(p.edges) > 0:
	case len(candidates) == 0 && p.narrowed:
		c.bag.Warnf(p.ir.At, NoEdges, "policy %s matches no call of the graph: no call is both of its `on` and of its path", p.ir.Name)
	case len(candidates) > 0 && !slices.ContainsFunc(p.paths, func(cl *pathClause) bool { return !cl.node.Except }):
		c.bag.Warnf(p.ir.At, NoEdges, "policy %s has nothing to act on: every call chain of the graph is as its path says", p.ir.Name)
	default:
		c.bag.Warnf(p.ir.At, NoEdges, "policy %s matches no call chain of the graph", p.ir.Name).
			WithHint("chains begin at externals, at services with `starts: true` and at those that nobody calls")
	}
	if len(p.edges) == 0 {
		c.checkUnmatched(p)
	}
}

// chainsOf gives examples of the chains that end with a call: one that matches
// the policy's paths and one that doesn't. There are none where its paths are
// followed one by one.
func (c *checker) chainsOf(p *policy, call int32) (matching, other []graph.Node) {
	if len(p.deciders) > 1 {
		return nil, nil
	}
	d, from, to := p.deciders[0], c.idx.from[call], c.idx.to[call]
	found := d.chains(c.idx, from)
	for _, q := range d.at[from].list() {
		chain := append(slices.Clone(found[q]), c.idx.nodes[to])
		example := &other
		if d.matches(q, to) {
			example = &matching
		}
		if *example == nil || len(chain) < len(*example) {
			*example = chain
		}
	}
	return matching, other
}
