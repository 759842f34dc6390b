package lang

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// Actions act on one request in one order: by @before and @after, else by phase,
// else by the policy's name, and within one policy as written. A policy that is
// pinned before another one moves up to that one's phase, and one that is pinned
// after it moves down, so that it is the pinned policy that leaves its place. One
// that is pinned before a wrapper stands outside all that the wrapper holds:
// before everything else.

// outermost is the phase of what stands before a wrapper.
const outermost = int(ir.Transport) - 1

// A pin says that the policy `first` acts before the policy `then`.
type pin struct {
	first, then *policy
	at          diag.Span // the name in @before or @after
}

// order resolves @before and @after and ranks the actions of the program.
func (c *checker) order() {
	byName := map[string]*policy{}
	var names []string
	for _, p := range c.policies {
		byName[p.ir.Name] = p
		names = append(names, p.ir.Name)
	}
	var all []pin
	for _, p := range c.policies {
		for _, n := range p.pins.before {
			if q := c.pinned(p, n, byName, names); q != nil {
				all = append(all, pin{p, q, n.At})
				p.ahead = append(p.ahead, q)
			}
		}
		for _, n := range p.pins.after {
			if q := c.pinned(p, n, byName, names); q != nil {
				all = append(all, pin{q, p, n.At})
				p.behind = append(p.behind, q)
			}
		}
	}
	for _, p := range c.aside {
		for _, n := range slices.Concat(p.pins.before, p.pins.after) {
			c.pinned(p, n, byName, names)
		}
	}
	for _, x := range all {
		x.first.then = append(x.first.then, x)
		if x.then.wraps() && !slices.Contains(x.first.fronts, x.then) {
			x.first.fronts = append(x.first.fronts, x.then)
		}
	}
	if !c.cyclic() {
		rank(c.policies)
	}
}

// pinned finds the policy that an annotation names; nil after reporting that
// there is none.
func (c *checker) pinned(p *policy, n syntax.Ident, byName map[string]*policy, names []string) *policy {
	q := byName[n.Name]
	if q == nil {
		p.bad = true
		d := c.bag.Errorf(n.At, UnknownPolicy, "there is no policy %q", n.Name)
		if near := diag.Suggest(n.Name, names); near != "" {
			d.WithHint("did you mean %q?", near).WithFix(n.At, near)
		} else {
			d.WithHint("the policies are %s", someOf(names))
		}
	}
	return q
}

func (p *policy) wraps() bool {
	return slices.ContainsFunc(p.calls, func(t *typedCall) bool { return t.act.decl.Wraps })
}

// cyclic reports pins that lead from a policy back to it, each cycle once.
func (c *checker) cyclic() bool {
	state := map[*policy]letState{}
	var path []pin
	found := false
	var visit func(p *policy)
	visit = func(p *policy) {
		state[p] = underway
		for _, x := range p.then {
			path = append(path, x)
			switch state[x.then] {
			case unknown:
				visit(x.then)
			case underway:
				found = true
				i := slices.IndexFunc(path, func(y pin) bool { return y.first == x.then })
				c.reportCycle(path[i:])
			}
			path = path[:len(path)-1]
		}
		state[p] = known
	}
	for _, p := range c.policies {
		if state[p] == unknown {
			visit(p)
		}
	}
	return found
}

func (c *checker) reportCycle(path []pin) {
	names := []string{path[0].first.ir.Name}
	for _, x := range path {
		x.first.bad = true
		names = append(names, x.then.ir.Name)
	}
	d := c.bag.Errorf(path[0].at, OrderCycle, "a policy can't act before itself: %s", strings.Join(names, " before "))
	for _, x := range path[1:] {
		d.WithNote(x.at, "%s before %s is written here", x.first.ir.Name, x.then.ir.Name)
	}
}

// idlePins warns of @before and @after between policies that share no call: there
// is no request on which they could say anything.
func (c *checker) idlePins() {
	for _, p := range c.policies {
		for _, x := range p.then {
			if x.first.bad || x.then.bad || len(x.first.live) == 0 || len(x.then.live) == 0 || shareCall(x.first, x.then) {
				continue
			}
			c.bag.Warnf(x.at, UnusedOrder, "policies %s and %s share no call, so that neither comes before the other on any request", x.first.ir.Name, x.then.ir.Name)
		}
	}
}

func shareCall(p, q *policy) bool {
	calls := map[int32]bool{}
	for _, e := range p.live {
		calls[e.call] = true
	}
	return slices.ContainsFunc(q.live, func(e liveEdge) bool { return calls[e.call] })
}

// phases gives the phases in which a policy's actions act, in their order. known
// has those that are worked out, and nil for those that are being worked out.
func phases(p *policy, known map[*policy][]int) []int {
	if out := known[p]; out != nil {
		return out
	}
	out := make([]int, len(p.calls))
	for i, t := range p.calls {
		out[i] = int(t.act.decl.Phase)
	}
	if _, underway := known[p]; underway {
		return out // pinned from both sides: what is written is enough
	}
	known[p] = nil
	for _, q := range p.behind {
		if of := phases(q, known); len(of) > 0 && !q.wraps() {
			for i := range out {
				out[i] = max(out[i], of[len(of)-1])
			}
		}
	}
	for _, q := range p.ahead {
		if of := phases(q, known); len(of) > 0 {
			for i := range out {
				out[i] = min(out[i], of[0])
			}
		}
	}
	if len(p.fronts) > 0 {
		for i, t := range p.calls {
			if !t.act.decl.Wraps {
				out[i] = outermost
			}
		}
	}
	known[p] = out
	return out
}

// rank numbers the actions of the program in the order in which they act on one
// request. It takes the least action, by phase and the policy's name, of those
// before which nothing else has to come.
func rank(policies []*policy) {
	type queue struct {
		p      *policy
		phases []int
		next   int
		blocks int // policies that have to be through first
	}
	queues := map[*policy]*queue{}
	var ready []*queue
	known := map[*policy][]int{}
	for _, p := range policies {
		queues[p] = &queue{p: p, phases: phases(p, known)}
	}
	for _, p := range policies {
		for _, x := range p.then {
			queues[x.then].blocks++
		}
	}
	byKey := func(a, b *queue) int {
		return cmp.Or(cmp.Compare(a.phases[a.next], b.phases[b.next]), strings.Compare(a.p.ir.Name, b.p.ir.Name))
	}
	var admit func(q *queue)
	admit = func(q *queue) {
		if q.blocks > 0 {
			return
		}
		if q.next < len(q.phases) {
			at, _ := slices.BinarySearchFunc(ready, q, byKey)
			ready = slices.Insert(ready, at, q)
			return
		}
		for _, x := range q.p.then {
			then := queues[x.then]
			if then.blocks--; then.blocks == 0 {
				admit(then)
			}
		}
	}
	var first []*queue // before admitting one, which may free others
	for _, p := range policies {
		if queues[p].blocks == 0 {
			first = append(first, queues[p])
		}
	}
	for _, q := range first {
		admit(q)
	}
	for n := 0; len(ready) > 0; n++ {
		q := ready[0]
		ready = ready[1:]
		q.p.calls[q.next].ir.Rank = n
		q.next++
		admit(q)
	}
}

// pinText is how an order that the user wrote is told in a reason.
func pinText(p, q effect) string {
	return fmt.Sprintf("%s stands before %s, and so on its proxy", p, q)
}
