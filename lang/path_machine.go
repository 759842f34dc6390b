package lang

import (
	"slices"

	"admc.dev/admc/graph"
)

// A machine is the deterministic automaton of some patterns, which reads a chain
// node by node. Its states are made when they are first met, so there are only
// those that chains of the graph can reach.
type machine struct {
	patterns []*pattern
	kind     []int32 // of each node: nodes of one kind are in the same sets of all patterns
	samples  []int32 // a node of each kind
	states   []state
	byText   map[string]int32
	next     [][]int32 // [state][kind], -1: not made yet
}

type state struct{ at []progress } // of each pattern

// begin is the state of a chain without a node.
const begin = int32(0)

func newMachine(patterns []*pattern, nodes int) *machine {
	m := &machine{patterns: patterns, kind: make([]int32, nodes), samples: []int32{0}, byText: map[string]int32{}}
	told := map[string]bool{}
	for _, p := range patterns {
		for _, b := range p.blocks {
			for _, s := range b {
				if key := string(s.text(nil)); !told[key] {
					told[key] = true
					m.split(s)
				}
			}
		}
	}
	for n, k := range m.kind {
		m.samples[k] = int32(n)
	}
	m.state(state{make([]progress, len(patterns))})
	return m
}

// split parts the kinds by a set.
func (m *machine) split(s nodeSet) {
	inside := make([]int32, len(m.samples))
	size := make([]int, len(m.samples))
	for _, k := range m.kind {
		size[k]++
	}
	for _, n := range s {
		size[m.kind[n]]--
	}
	for _, n := range s {
		k := m.kind[n]
		switch {
		case size[k] == 0: // all of the kind are in the set
		case inside[k] == 0:
			inside[k] = int32(len(m.samples))
			m.samples = append(m.samples, n)
			fallthrough
		default:
			m.kind[n] = inside[k]
		}
	}
}

func (m *machine) state(s state) int32 {
	var key []byte
	for _, at := range s.at {
		key = at.text(key)
	}
	if id, ok := m.byText[string(key)]; ok {
		return id
	}
	id := int32(len(m.states))
	m.byText[string(key)] = id
	m.states = append(m.states, s)
	row := make([]int32, len(m.samples))
	for i := range row {
		row[i] = -1
	}
	m.next = append(m.next, row)
	return id
}

// step is the state after a node.
func (m *machine) step(q, node int32) int32 {
	k := m.kind[node]
	if n := m.next[q][k]; n >= 0 {
		return n
	}
	s := state{make([]progress, len(m.patterns))}
	for i, p := range m.patterns {
		s.at[i] = p.step(m.states[q].at[i], func(set nodeSet) bool { return set.has(m.samples[k]) })
	}
	n := m.state(s)
	m.next[q][k] = n
	return n
}

// start is the state of a chain that has one node.
func (m *machine) start(node int32) int32 { return m.step(begin, node) }

// ends reports whether a chain in this state ends as pattern i says.
func (m *machine) ends(q int32, i int) bool { return m.states[q].at[i].ends }

// A stateSet has bit q for state q.
type stateSet []uint64

func (s stateSet) has(q int32) bool { return int(q>>6) < len(s) && s[q>>6]>>(q&63)&1 == 1 }

// add reports whether the state is new.
func (s *stateSet) add(q int32) bool {
	if s.has(q) {
		return false
	}
	for int(q>>6) >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[q>>6] |= 1 << (q & 63)
	return true
}

// list gives the states in their order.
func (s stateSet) list() []int32 {
	var out []int32
	for q := int32(0); int(q) < 64*len(s); q++ {
		if s.has(q) {
			out = append(out, q)
		}
	}
	return out
}

// A trace is the ways by which a machine meets its states at the nodes, shortest
// chains first.
type trace []traced

type traced struct {
	node, state int32
	before      int32 // place in the trace of the chain without its last node; -1: a start
}

// reach gives the states that chains have at each node, and how they come there;
// not ok when the machine gets more states than the limit.
func (m *machine) reach(w *chains, limit int) (at []stateSet, t trace, ok bool) {
	at = make([]stateSet, len(w.next))
	slab := make([]uint64, len(w.next)) // one word does for most nodes
	for n := range at {
		at[n] = stateSet(slab[n : n : n+1])
	}
	t = make(trace, 0, 2*len(w.next))
	for _, n := range w.starts {
		if q := m.start(n); at[n].add(q) {
			t = append(t, traced{n, q, -1})
		}
	}
	for i := 0; i < len(t); i++ {
		from := t[i]
		row := m.next[from.state]
		for _, v := range w.next[from.node] {
			q := row[m.kind[v]]
			if q < 0 {
				q = m.step(from.state, v)
				if len(m.states) > limit {
					return nil, nil, false
				}
			}
			if at[v].add(q) {
				t = append(t, traced{v, q, int32(i)})
			}
		}
	}
	return at, t, true
}

// chains gives for each state of a node the shortest chain to it.
func (t trace) chains(x *index, node int32) map[int32][]graph.Node {
	out := map[int32][]graph.Node{}
	for _, end := range t {
		if end.node != node {
			continue
		}
		chain := []graph.Node{x.nodes[node]}
		for i := end.before; i >= 0; i = t[i].before {
			chain = append(chain, x.nodes[t[i].node])
		}
		slices.Reverse(chain)
		out[end.state] = chain
	}
	return out
}
