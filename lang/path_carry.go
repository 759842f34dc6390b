package lang

import (
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// Where only the request can tell how its chain came, a member of the W3C baggage
// header says so: applications pass it on from the request that they got to those
// that they make for it, and ADMs keep it true on the way.
//
// What it has to say is as little as the decisions ahead need. Two states of a
// chain at one node are apart if a decision on a call from there comes out
// differently, or if a call from there leads to two states that are apart. A node
// at which chains have states that are apart is in need of the member; states
// that are not apart are one class there, and share a value.
//
// A chain that begins at a node carries nothing, so the absent member is the
// class of such a chain; so is a member that an application lost. Of all states
// at a node that one has seen the least, and so no longer chain is taken for
// seen.

// A carriage is what one tracker carries.
type carriage struct {
	*tracker
	x         *index
	w         *chains
	member    string
	owner     *policy // the first of those that need it
	decisions []decision
	guards    map[string]*term // see guard
	// states of chains at each node, sorted; a last one that is `lost` stands
	// for a chain of which nothing is carried, where no chain begins. nil: one
	// state, or not looked at.
	states [][]int32
	apart  [][]uint64 // bit j of [node][i]: the states in places i and j are apart
	values [][]int32  // by node and place: what is carried; nil: nothing is needed
	// A node without need whose application may still send a member on, which no
	// ADM could take off.
	unclean []bool
	leaks   []bool // a member at this node could come to one in need of it
}

// A decision is a call that a policy decides by the chain.
type decision struct {
	*decider
	from, to int32 // nodes
}

// lost is the state of a chain of which nothing is carried.
const lost = int32(-1)

// maxCarried bounds the states at one node that a member can tell apart.
const maxCarried = 64

// list gives the states at a node.
func (k *carriage) list(n int32) []int32 {
	if k.states[n] == nil {
		k.states[n] = k.at[n].list()
		if !k.at[n].has(k.m.start(n)) {
			k.states[n] = append(k.states[n], lost)
		}
	}
	return k.states[n]
}

// real is how many of them chains have.
func (k *carriage) real(n int32) int {
	list := k.list(n)
	if list[len(list)-1] == lost {
		return len(list) - 1
	}
	return len(list)
}

// absent is the place of the state that an absent member stands for.
func (k *carriage) absent(n int32) int {
	if i := k.real(n); i < len(k.list(n)) {
		return i
	}
	i, _ := slices.BinarySearch(k.list(n), k.m.start(n))
	return i
}

// state in a place; for lost, the one that is taken for it.
func (k *carriage) state(n int32, i int) int32 {
	if q := k.list(n)[i]; q != lost {
		return q
	}
	return k.m.start(n)
}

// after is the place at v of a chain that was in place i at u. What was lost
// stays lost.
func (k *carriage) after(u int32, i int, v int32) int {
	q := k.list(u)[i]
	if q == lost {
		return k.absent(v)
	}
	j, _ := slices.BinarySearch(k.list(v)[:k.real(v)], k.m.step(q, v))
	return j
}

func (k *carriage) isApart(n int32, i, j int) bool {
	return k.apart[n] != nil && k.apart[n][i]>>j&1 == 1
}

// split marks two places; true when they were not.
func (k *carriage) split(n int32, i, j int) bool {
	if i == j || k.isApart(n, i, j) {
		return false
	}
	if k.apart[n] == nil {
		k.apart[n] = make([]uint64, len(k.list(n)))
	}
	k.apart[n][i] |= 1 << j
	k.apart[n][j] |= 1 << i
	return true
}

// needs reports whether a node needs the member.
func (k *carriage) needs(n int32) bool { return k.values[n] != nil }

// classify finds the states that are apart; false when a node has too many.
func (k *carriage) classify() bool {
	n := len(k.x.nodes)
	k.states, k.apart, k.values = make([][]int32, n), make([][]uint64, n), make([][]int32, n)
	var changed []int32
	for _, d := range k.decisions {
		changed = k.decide(d, changed, func(i int) bool { return i < k.real(d.from) })
	}
	if !k.spread(changed, func(u int32, i int) bool { return i < k.real(u) }) {
		return false
	}
	// The classes of what chains have are settled; which of them the lost state
	// shares is left.
	var need []int32
	for v := range k.apart {
		if k.apart[v] != nil {
			need = append(need, int32(v))
			k.values[v] = make([]int32, len(k.list(int32(v))))
		}
	}
	inNeed := func(u int32, i int) bool { return k.needs(u) }
	for _, d := range k.decisions {
		if k.needs(d.from) {
			k.decide(d, nil, func(int) bool { return true })
		}
	}
	if !k.spread(need, inNeed) {
		return false
	}
	k.name(need)
	return true
}

// decide marks what a decision tells apart among the places that count.
func (k *carriage) decide(d decision, changed []int32, counts func(i int) bool) []int32 {
	u, any := d.from, false
	list := k.list(u)
	if len(list) > maxCarried {
		return append(changed, u) // spread complains
	}
	for i := range list {
		for j := range i {
			if counts(i) && counts(j) && d.matches(k.state(u, i), d.to) != d.matches(k.state(u, j), d.to) {
				any = k.split(u, i, j) || any
			}
		}
	}
	if any {
		changed = append(changed, u)
	}
	return changed
}

// spread marks, against the calls, what leads to states that are apart, from the
// nodes at which something has changed.
func (k *carriage) spread(changed []int32, counts func(u int32, i int) bool) bool {
	waiting := make([]bool, len(k.apart))
	for _, v := range changed {
		waiting[v] = true
	}
	for ; len(changed) > 0; changed = changed[1:] {
		v := changed[0]
		waiting[v] = false
		if len(k.list(v)) > maxCarried {
			return false
		}
		for _, u := range k.w.carry[v] {
			if len(k.list(u)) == 1 {
				continue
			}
			if len(k.list(u)) > maxCarried {
				return false
			}
			if k.pull(u, v, counts) && !waiting[u] {
				waiting[u] = true
				changed = append(changed, u)
			}
		}
	}
	return true
}

// pull marks at u what the call to v tells apart.
func (k *carriage) pull(u, v int32, counts func(u int32, i int) bool) (any bool) {
	list := k.list(u)
	var to [maxCarried]int
	for i := range list {
		to[i] = k.after(u, i, v)
	}
	for i := range list {
		for j := range i {
			if k.isApart(v, to[i], to[j]) && counts(u, i) && counts(u, j) {
				any = k.split(u, i, j) || any
			}
		}
	}
	return any
}

// sent are the values other than none that the application of a node may send;
// any when they can be anything.
func (k *carriage) sent(n int32) (values []int32, any bool) {
	if n >= k.x.services || k.unclean[n] {
		return nil, true
	}
	if k.needs(n) {
		for _, v := range k.values[n] {
			if v != 0 && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return values, false
}

func (k *carriage) sends(n int32) bool {
	values, any := k.sent(n)
	return any || len(values) > 0
}

// taint finds the nodes from which a member that says nothing there could come to
// where one is needed, and those among them to which one could come over a byte
// stream, past every ADM.
func (k *carriage) taint() {
	k.leaks, k.unclean = make([]bool, len(k.x.nodes)), make([]bool, len(k.x.nodes))
	var queue []int32
	for u := range k.leaks {
		u := int32(u)
		if u < k.x.services && !k.needs(u) && slices.ContainsFunc(k.w.next[u], func(v int32) bool { return k.needs(v) && !k.sets(u, v) }) {
			k.leaks[u] = true
			queue = append(queue, u)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, u := range k.w.last[queue[0]] {
			if u < k.x.services && !k.needs(u) && !k.leaks[u] {
				k.leaks[u] = true
				queue = append(queue, u)
			}
		}
	}
	for again := true; again; {
		again = false
		for i, call := range k.x.g.Calls {
			u, v := k.x.from[i], k.x.to[i]
			if u != v && call.Protocol.Plane() == graph.TCP && v < k.x.services && k.leaks[v] && !k.unclean[v] && k.sends(u) {
				k.unclean[v], again = true, true
			}
		}
	}
}

// sets reports whether a call from a node without need always says the same at
// v, and something, so that an ADM writes it whatever came.
func (k *carriage) sets(u, v int32) bool {
	return k.w.carries(u, v) && k.values[v][k.after(u, 0, v)] != 0
}

// streams reports the calls over which the member would have to go and can't: no
// ADM sees a message on a byte stream.
func (k *carriage) streams(bag *diag.Bag) (ok bool) {
	ok = true
	for i, call := range k.x.g.Calls {
		u, v := k.x.from[i], k.x.to[i]
		if u == v || call.Protocol.Plane() != graph.TCP || v >= k.x.services || !k.needs(v) {
			continue
		}
		why := "a client could write it there itself"
		bad := k.sends(u)
		if u < k.x.services {
			why = "what it says there would be of another call"
		}
		for j := range k.real(u) {
			if k.values[v][k.after(u, j, v)] != 0 {
				bad, why = true, "it is lost there"
			}
		}
		if bad {
			ok = false
			bag.Errorf(k.owner.pathAt(), PathLost, "what policy %s decides by the chain hangs on what %s carries, and no ADM sees a message on %s: %s",
				k.owner.ir.Name, callName(call), call.Protocol, why).WithNote(call.At, "the call is here")
		}
	}
	return ok
}

func (p *policy) pathAt() diag.Span { return p.paths[0].node.At }
