package solver

// The linear relaxation of a vertex cover has an optimum in which every y is 0,
// ½ or 1 (Nemhauser and Trotter 1975, also with weights), and some least cover
// agrees with any such optimum where it is 0 or 1. It is found as a minimum cut
// in the bipartite double: vertices v become L(v) and R(v), both of capacity
// w(v), edges uv become L(u)-R(v) and L(v)-R(u). A maximum flow f is the proof:
// f(u,v) + f(v,u), halved, are the multipliers of the edges' rows.
type doubled struct {
	start []int32 // arcs of vertex i: start[i] to start[i+1]
	to    []int32
	rev   []int32 // the arc of the same edge from the other end
	flow  []int64 // from L of the arc's tail to R of its head
	left  []int64 // what L(v) can still send
	right []int64 // what R(v) can still take

	levelL, levelR []int32
	next           []int32 // the arc at which L(v) goes on trying
	nextR          []int32
}

func double(weight []int64, adj [][]int32) *doubled {
	n := len(weight)
	d := &doubled{start: make([]int32, n+1), left: append([]int64(nil), weight...), right: append([]int64(nil), weight...)}
	for v, list := range adj {
		d.start[v+1] = d.start[v] + int32(len(list))
	}
	m := d.start[n]
	d.to, d.rev, d.flow = make([]int32, 0, m), make([]int32, m), make([]int64, m)
	// Lists ascend, so the k-th smaller neighbour that reaches v is the k-th
	// arc of v.
	filled := append([]int32(nil), d.start[:n]...)
	for _, list := range adj {
		for _, u := range list {
			j := int32(len(d.to))
			d.to = append(d.to, u)
			d.rev[j] = filled[u]
			filled[u]++
		}
	}
	d.levelL, d.levelR = make([]int32, n), make([]int32, n)
	d.next, d.nextR = make([]int32, n), make([]int32, n)
	d.maximise()
	return d
}

// maximise is Dinic's algorithm, begun with what a greedy pass can send.
func (d *doubled) maximise() {
	for v := range d.left {
		for j := d.start[v]; j < d.start[v+1] && d.left[v] > 0; j++ {
			d.send(int32(v), j, min(d.left[v], d.right[d.to[j]]))
		}
	}
	for d.layer() {
		copy(d.next, d.start)
		copy(d.nextR, d.start)
		for v := range d.left {
			for d.left[v] > 0 && d.levelL[v] == 0 {
				sent := d.push(int32(v), d.left[v])
				if sent == 0 {
					break
				}
				d.left[v] -= sent
			}
		}
	}
}

func (d *doubled) send(v, arc int32, amount int64) {
	d.flow[arc] += amount
	d.left[v] -= amount
	d.right[d.to[arc]] -= amount
}

// layer numbers what is reached from the source by breadth; it reports whether
// an R(v) that can still take is among it. Unreached is -1.
func (d *doubled) layer() bool {
	queue := make([]int32, 0, len(d.left))
	for v := range d.left {
		d.levelL[v], d.levelR[v] = -1, -1
		if d.left[v] > 0 {
			d.levelL[v] = 0
			queue = append(queue, int32(v))
		}
	}
	found := false
	for i := 0; i < len(queue); i++ {
		u := queue[i]
		for j := d.start[u]; j < d.start[u+1]; j++ {
			v := d.to[j]
			if d.levelR[v] >= 0 {
				continue
			}
			d.levelR[v] = d.levelL[u] + 1
			found = found || d.right[v] > 0
			for k := d.start[v]; k < d.start[v+1]; k++ {
				x := d.to[k]
				if d.flow[d.rev[k]] > 0 && d.levelL[x] < 0 {
					d.levelL[x] = d.levelR[v] + 1
					queue = append(queue, x)
				}
			}
		}
	}
	return found
}

// push sends up to limit from L(v) along the layers and gives what arrived.
func (d *doubled) push(v int32, limit int64) int64 {
	for ; d.next[v] < d.start[v+1]; d.next[v]++ {
		j := d.next[v]
		u := d.to[j]
		if d.levelR[u] != d.levelL[v]+1 {
			continue
		}
		if sent := d.through(u, limit); sent > 0 {
			d.flow[j] += sent
			return sent
		}
	}
	return 0
}

// through passes up to limit on from R(v): to the sink, or back along a flow.
func (d *doubled) through(v int32, limit int64) int64 {
	if d.right[v] > 0 {
		sent := min(limit, d.right[v])
		d.right[v] -= sent
		return sent
	}
	for ; d.nextR[v] < d.start[v+1]; d.nextR[v]++ {
		k := d.nextR[v]
		back, x := d.rev[k], d.to[k]
		if d.flow[back] == 0 || d.levelL[x] != d.levelR[v]+1 {
			continue
		}
		if sent := d.push(x, min(limit, d.flow[back])); sent > 0 {
			d.flow[back] -= sent
			return sent
		}
	}
	return 0
}

// twice is the relaxation's optimum for v, doubled: 0, 1 or 2. layer has just
// found nothing, so that what it reached is the source's side of a least cut.
func (d *doubled) twice(v int) int {
	n := 0
	if d.levelL[v] < 0 {
		n++
	}
	if d.levelR[v] >= 0 {
		n++
	}
	return n
}

// halves settles every vertex at which an optimum of the relaxation is 0 or 1,
// and reports whether there was one.
//
// With P the ones, I the zeros and H the halves: the proof on P is whole and
// apart, because by complementary slackness only edges between P and I carry a
// multiplier on P, and they fill P's weights. I has no edge but to P. So the
// least cover is P and a least cover of H, and their proofs add up.
func (r *reducer) halves() bool {
	k := r.whole()
	d := double(k.weight, k.adj)
	value := make([]int, len(k.vertex))
	for i := range value {
		value[i] = d.twice(i)
	}
	d.settle(value)
	s := step{kind: stepHalves}
	for i, v := range k.vertex {
		switch value[i] {
		case 0:
			s.far = append(s.far, v)
		case 2:
			s.near = append(s.near, v)
			r.offset += r.w[v]
			for j := d.start[i]; j < d.start[i+1]; j++ {
				if m := d.flow[j] + d.flow[d.rev[j]]; m > 0 {
					s.rows = append(s.rows, newRow(rowEdge, m*(denominator/2), v, k.vertex[d.to[j]]))
				}
			}
		}
	}
	if len(s.near)+len(s.far) == 0 {
		return false
	}
	for _, list := range [][]int32{s.near, s.far} {
		for _, v := range list {
			r.remove(v)
		}
	}
	r.steps = append(r.steps, s)
	return true
}

// whole is everything that is left as one part.
func (r *reducer) whole() *part {
	vertices := make([]int32, 0, r.left)
	for v := range r.w {
		if !r.gone[v] {
			vertices = append(vertices, int32(v))
		}
	}
	return r.extract(vertices, make([]int32, len(r.w)))
}

// settle turns halves into zeros and ones where another optimum does, so that
// afterwards all ½ is the only optimum of what is left (Iwata, Oka, Yoshida
// 2014). Among the halves every capacity is used up, so the residual graph is:
// L(u) to R(v) along each edge, R(v) to L(u) where flow runs from u to v. A
// strongly connected set that nothing leads out of, and that holds no v twice,
// can be cut off: its R become 1, its L become 0, and nothing else changes.
func (d *doubled) settle(value []int) {
	t := &tarjan{d: d, value: value, low: make([]int32, 2*len(value)), set: make([]int32, 2*len(value))}
	for x := range t.low {
		if value[x/2] == 1 && t.low[x] == 0 {
			t.walk(int32(x))
		}
	}
}

// tarjan finds the strongly connected sets, sinks first. Node 2v is L(v), node
// 2v+1 is R(v).
type tarjan struct {
	d     *doubled
	value []int
	low   []int32 // 0 not visited
	set   []int32 // number of the set, 0 while open
	stack []int32
	clock int32
	sets  int32
}

// A visit is a node on the walk's own stack, with the arc it goes on at.
type visit struct{ x, arc, order int32 }

func (t *tarjan) enter(x int32) visit {
	t.clock++
	t.low[x] = t.clock
	t.stack = append(t.stack, x)
	return visit{x, t.d.start[x/2], t.clock}
}

func (t *tarjan) walk(root int32) {
	path := []visit{t.enter(root)}
	for len(path) > 0 {
		top := &path[len(path)-1]
		if top.arc == t.d.start[top.x/2+1] {
			done := *top
			path = path[:len(path)-1]
			if t.low[done.x] == done.order {
				t.close(done.x)
			}
			if len(path) > 0 {
				over := path[len(path)-1].x
				if t.set[done.x] == 0 {
					t.low[over] = min(t.low[over], t.low[done.x])
				}
			}
			continue
		}
		y, ok := t.arc(top.x, top.arc)
		top.arc++
		switch {
		case !ok:
		case t.low[y] == 0:
			path = append(path, t.enter(y))
		case t.set[y] == 0:
			t.low[top.x] = min(t.low[top.x], t.low[y])
		}
	}
}

// arc is where arc j of node x leads among what was half at the start.
func (t *tarjan) arc(x, j int32) (int32, bool) {
	u := t.d.to[j]
	if x%2 == 0 {
		return 2*u + 1, t.value[u] == 1 || t.set[2*u+1] != 0
	}
	return 2 * u, t.d.flow[t.d.rev[j]] > 0 && (t.value[u] == 1 || t.set[2*u] != 0)
}

// close takes a finished set off the stack and settles it if it may.
func (t *tarjan) close(root int32) {
	t.sets++
	i := len(t.stack) - 1
	for t.stack[i] != root {
		i--
	}
	set := t.stack[i:]
	t.stack = t.stack[:i]
	for _, x := range set {
		t.set[x] = t.sets
	}
	for _, x := range set {
		if t.value[x/2] != 1 || t.set[x] == t.set[x^1] || t.leaves(x) {
			return
		}
	}
	for _, x := range set {
		t.value[x/2] = 2 * int(x%2)
	}
}

// leaves reports an arc from x to a node of another set that was not cut off:
// of a settled v, L(v) was if v is 0, R(v) if it is 1.
func (t *tarjan) leaves(x int32) bool {
	for j := t.d.start[x/2]; j < t.d.start[x/2+1]; j++ {
		if y, ok := t.arc(x, j); ok && t.set[y] != t.set[x] && t.value[y/2] != 2*int(y%2) {
			return true
		}
	}
	return false
}
