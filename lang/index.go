package lang

import (
	"cmp"
	"slices"
	"strings"

	"admc.dev/admc/graph"
)

// An index finds nodes by name, namespace and label, and calls by their ends, so
// that matching a policy costs what it touches and not what the graph holds.
// Nodes are numbered services first; calls by their place in graph.Calls.
type index struct {
	g        *graph.Graph
	nodes    []graph.Node
	services int32 // nodes[:services] are services
	number   map[graph.Node]int32
	byBase   map[string][]int32            // services by their name without the namespace
	labels   map[string]map[string][]int32 // services by label and value
	in, out  [][]int32                     // calls of each node
	callers  map[portKey][]int32           // every call into a port
	from, to []int32                       // the ends of each call
	planes   []graph.Plane                 // of each call
	byPort   []int32                       // the place of each call in the order of receiver, port, sender
	globs    map[string]nodeSet
}

// A portKey is one port of one receiver.
type portKey struct {
	node int32
	port int
}

func newIndex(g *graph.Graph) *index {
	n := len(g.Services) + len(g.Externals)
	x := &index{
		g: g, services: int32(len(g.Services)),
		number: make(map[graph.Node]int32, n), byBase: map[string][]int32{}, labels: map[string]map[string][]int32{},
		in: make([][]int32, n), out: make([][]int32, n), callers: map[portKey][]int32{}, globs: map[string]nodeSet{},
	}
	for i, s := range g.Services {
		x.number[s] = int32(i)
		x.nodes = append(x.nodes, s)
		base := baseName(s)
		x.byBase[base] = append(x.byBase[base], int32(i))
		for k, v := range s.Labels {
			if x.labels[k] == nil {
				x.labels[k] = map[string][]int32{}
			}
			x.labels[k][v] = append(x.labels[k][v], int32(i))
		}
	}
	for _, e := range g.Externals {
		x.number[e] = int32(len(x.nodes))
		x.nodes = append(x.nodes, e)
	}
	for i, call := range g.Calls {
		from, to := x.number[call.From], x.number[call.To]
		x.from, x.to = append(x.from, from), append(x.to, to)
		x.planes = append(x.planes, call.Protocol.Plane())
		x.out[from] = append(x.out[from], int32(i))
		x.in[to] = append(x.in[to], int32(i))
		key := portKey{to, call.Port}
		x.callers[key] = append(x.callers[key], int32(i))
	}
	x.byPort = x.placeByPort()
	return x
}

func (x *index) placeByPort() []int32 {
	order := make([]int32, len(x.g.Calls))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		p, q := x.g.Calls[a], x.g.Calls[b]
		if p.To != q.To {
			return strings.Compare(p.To.NodeName(), q.To.NodeName())
		}
		return cmp.Or(cmp.Compare(p.Port, q.Port), cmp.Compare(a, b))
	})
	place := make([]int32, len(order))
	for i, call := range order {
		place[call] = int32(i)
	}
	return place
}

// ordered gives all calls in the order of receiver, port and sender.
func (x *index) ordered() []int32 {
	order := make([]int32, len(x.byPort))
	for call, place := range x.byPort {
		order[place] = int32(call)
	}
	return order
}

func baseName(s *graph.Service) string { return s.Name[strings.LastIndexByte(s.Name, '/')+1:] }

// between gives the calls from one set to another, sorted.
func (x *index) between(from, to nodeSet) []int32 {
	var out []int32
	if x.degree(to, x.in) <= x.degree(from, x.out) {
		for _, n := range to {
			for _, c := range x.in[n] {
				if from.has(x.from[c]) {
					out = append(out, c)
				}
			}
		}
	} else {
		for _, n := range from {
			for _, c := range x.out[n] {
				if to.has(x.to[c]) {
					out = append(out, c)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func (x *index) degree(s nodeSet, calls [][]int32) int {
	total := 0
	for _, n := range s {
		total += len(calls[n])
	}
	return total
}

// A nodeSet is sorted and without duplicates.
type nodeSet []int32

// has is a binary search, except in a set without gaps, such as all services.
func (s nodeSet) has(n int32) bool {
	if len(s) == 0 || n < s[0] || n > s[len(s)-1] {
		return false
	}
	if int(s[len(s)-1]-s[0]) == len(s)-1 {
		return true
	}
	_, ok := slices.BinarySearch(s, n)
	return ok
}

func (s nodeSet) union(t nodeSet) nodeSet {
	if len(s) == 0 {
		return t
	}
	out := append(slices.Clone(s), t...)
	slices.Sort(out)
	return slices.Compact(out)
}

func (s nodeSet) minus(t nodeSet) nodeSet {
	var out nodeSet
	for _, n := range s {
		if !t.has(n) {
			out = append(out, n)
		}
	}
	return out
}
