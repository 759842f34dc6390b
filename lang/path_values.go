package lang

// name gives the classes of the nodes in need their values, so that a call
// changes as few as can be: a class that a call leads to another has its value,
// unless two classes of one node would then have the same.
func (k *carriage) name(need []int32) {
	g := newClassGroups(k, need)
	for _, u := range need {
		for _, v := range k.w.next[u] {
			if k.needs(v) && k.w.carries(u, v) {
				for i := range k.real(u) {
					g.join(g.class(u, i), g.class(v, k.after(u, i, v)))
				}
			}
		}
	}
	numbers := make([]int32, len(g.of))
	last := int32(0)
	for _, n := range need {
		for i := range k.list(n) {
			c := g.find(g.class(n, i))
			if c == 0 {
				continue // the absent member
			}
			if numbers[c] == 0 {
				last++
				numbers[c] = last
			}
			k.values[n][i] = numbers[c]
		}
	}
}

// classGroups are the classes of all nodes in need, in groups that share a value.
// Class 0 is what the absent member says, at whatever node.
type classGroups struct {
	k     *carriage
	first []int32          // of each node: the class of its first place
	of    []int32          // of each class: another one of its group; itself for the one that stands for it
	nodes []map[int32]bool // of each group, by that one; nil where every node has one class only
}

func newClassGroups(k *carriage, need []int32) *classGroups {
	g := &classGroups{k: k, first: make([]int32, len(k.states)), of: []int32{0}}
	several := false
	for _, n := range need {
		g.first[n] = int32(len(g.of))
		for range k.list(n) {
			g.of = append(g.of, int32(len(g.of)))
		}
	}
	for _, n := range need {
		named := map[int32]bool{}
		for i := range k.list(n) {
			if c := g.class(n, i); c != 0 {
				named[c] = true
			}
		}
		several = several || len(named) > 1
	}
	if several {
		g.nodes = make([]map[int32]bool, len(g.of))
		for _, n := range need {
			for i := range k.list(n) {
				g.nodes[g.class(n, i)] = map[int32]bool{n: true}
			}
		}
	}
	return g
}

// class of a place: that of the first place from which it is not apart.
func (g *classGroups) class(n int32, i int) int32 {
	if !g.k.isApart(n, i, g.k.absent(n)) {
		return 0
	}
	for j := range i {
		if !g.k.isApart(n, i, j) {
			return g.first[n] + int32(j)
		}
	}
	return g.first[n] + int32(i)
}

func (g *classGroups) find(c int32) int32 {
	for g.of[c] != c {
		g.of[c] = g.of[g.of[c]]
		c = g.of[c]
	}
	return c
}

func (g *classGroups) join(a, b int32) {
	a, b = g.find(a), g.find(b)
	if a == b || a == 0 || b == 0 {
		return
	}
	if g.nodes != nil {
		if len(g.nodes[a]) < len(g.nodes[b]) {
			a, b = b, a
		}
		for n := range g.nodes[b] {
			if g.nodes[a][n] {
				return
			}
		}
		for n := range g.nodes[b] {
			g.nodes[a][n] = true
		}
		g.nodes[b] = nil
	}
	g.of[b] = a
}
