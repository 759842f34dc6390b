package solver

import (
	"context"
	"math"
	"slices"
)

// A limitedSearch is an exact branch and bound for a limited part. A branch has
// a side for some of the choices; what follows from them is drawn at once. The
// rest without its capacities is a cover, solved exactly by the search for
// covers: no completion weighs less, and if it keeps the capacities there is no
// need to look further. Else a choice at a limit that it breaks is tried at its
// other side, then at this one.
type limitedSearch struct {
	ctx   context.Context
	k     *limited
	steps int
	most  int   // steps; 0 is no limit
	err   error // the context's, once it ended, or errTooMany
	// below is what an answer has to weigh less than; it falls with each found.
	below int64
	any   bool // the first answer will do
	best  []int8

	side  []int8 // open, or where the choice is
	paid  []int32
	used  []int64 // by limit
	on    []int32 // by hop: choices that make it
	cost  int64
	trail []int32
}

const open = int8(-1)

func newLimitedSearch(ctx context.Context, k *limited) *limitedSearch {
	s := &limitedSearch{ctx: ctx, k: k, side: make([]int8, len(k.free)), paid: make([]int32, len(k.node)),
		used: make([]int64, len(k.limits)), on: make([]int32, len(k.hops)), below: 1}
	for i := range s.side {
		s.side[i] = open
	}
	for n, w := range k.weight {
		s.below += w
		s.paid[n] = int32(bit(k.there[n]))
	}
	return s
}

// run gives the lightest answer below the bound that is set; nil when there is
// none, or the search was ended.
func (s *limitedSearch) run() []int8 {
	mark := len(s.trail)
	s.best = nil
	if s.settle() {
		s.branch()
	}
	s.undo(mark)
	return s.best
}

// settle draws what the capacities imply by themselves.
func (s *limitedSearch) settle() bool {
	for l := range s.k.limits {
		if !s.draw(s.crowded(int32(l), nil)) || s.used[l] > s.k.limits[l].room {
			return false
		}
	}
	return true
}

func (s *limitedSearch) branch() {
	if s.steps++; s.steps%16 == 0 && s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.most > 0 && s.steps > s.most && s.err == nil {
		s.err = errTooMany
	}
	if s.err != nil || s.cost >= s.below || s.cost+s.pressed() >= s.below {
		return
	}
	y, ok := s.relaxed()
	if !ok {
		return
	}
	side := s.complete(y)
	l := s.broken(side)
	if l < 0 {
		s.best, s.below = side, s.k.cost(side)
		return
	}
	i := s.heaviest(l, side)
	for _, try := range []int8{1 - side[i], side[i]} {
		mark := len(s.trail)
		if s.draw([]decision{{i, try}}) {
			s.branch()
		}
		s.undo(mark)
		if s.err != nil || s.any && s.best != nil {
			return
		}
	}
}

type decision struct {
	choice int32
	side   int8
}

// draw decides, and all that follows; false when that can't be.
func (s *limitedSearch) draw(queue []decision) bool {
	for len(queue) > 0 {
		d := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		switch s.side[d.choice] {
		case d.side:
			continue
		case open:
		default:
			return false
		}
		s.set(d)
		o := &s.k.free[d.choice]
		for _, j := range o.follows[d.side] {
			queue = append(queue, decision{j, d.side})
		}
		for _, l := range o.loads[d.side] {
			if s.used[l.limit] > s.k.limits[l.limit].room {
				return false
			}
			queue = s.crowded(l.limit, queue)
		}
	}
	return true
}

// crowded adds the choices that don't fit any more at a limit.
func (s *limitedSearch) crowded(l int32, queue []decision) []decision {
	for _, t := range s.k.limits[l].takers {
		if s.side[t.choice] != open {
			continue
		}
		more := t.units
		for _, h := range s.k.free[t.choice].hops[t.side] {
			if s.k.hops[h].limit == l && s.on[h] == 0 {
				more += s.k.hops[h].units
			}
		}
		if s.used[l]+more > s.k.limits[l].room {
			queue = append(queue, decision{t.choice, 1 - t.side})
		}
	}
	return queue
}

func (s *limitedSearch) set(d decision) {
	s.side[d.choice] = d.side
	s.trail = append(s.trail, d.choice)
	o := &s.k.free[d.choice]
	for _, n := range o.needs[d.side] {
		if s.paid[n] == 0 {
			s.cost += s.k.weight[n]
		}
		s.paid[n]++
	}
	for _, l := range o.loads[d.side] {
		s.used[l.limit] += l.units
	}
	for _, h := range o.hops[d.side] {
		if s.on[h] == 0 {
			s.used[s.k.hops[h].limit] += s.k.hops[h].units
		}
		s.on[h]++
	}
}

func (s *limitedSearch) undo(mark int) {
	for len(s.trail) > mark {
		i := s.trail[len(s.trail)-1]
		s.trail = s.trail[:len(s.trail)-1]
		o, side := &s.k.free[i], s.side[i]
		s.side[i] = open
		for _, n := range o.needs[side] {
			if s.paid[n]--; s.paid[n] == 0 {
				s.cost -= s.k.weight[n]
			}
		}
		for _, l := range o.loads[side] {
			s.used[l.limit] -= l.units
		}
		for _, h := range o.hops[side] {
			if s.on[h]--; s.on[h] == 0 {
				s.used[s.k.hops[h].limit] -= s.k.hops[h].units
			}
		}
	}
}

// relaxed is a least cover of what is open, without capacities; false when none
// keeps below the bound.
func (s *limitedSearch) relaxed() ([]bool, bool) {
	y := make([]bool, len(s.paid))
	number := make([]int32, len(s.paid))
	var node []int32
	var weight []int64
	for n, times := range s.paid {
		if y[n] = times > 0; !y[n] {
			number[n] = int32(len(node))
			node = append(node, int32(n))
			weight = append(weight, s.k.weight[n])
		}
	}
	adj := make([][]int32, len(node))
	for i := range s.k.free {
		r := s.k.free[i].needs[0][0]
		if s.side[i] != open || y[r] {
			continue
		}
		for _, n := range s.k.free[i].needs[1] {
			if !y[n] {
				adj[number[r]] = append(adj[number[r]], number[n])
				adj[number[n]] = append(adj[number[n]], number[r])
			}
		}
	}
	for v := range adj {
		slices.Sort(adj[v])
		adj[v] = slices.Compact(adj[v])
	}
	sub := &search{ctx: s.ctx, most: s.most}
	in, ok := sub.reduced(weight, adj, s.below-s.cost)
	if sub.err != nil {
		s.err = sub.err
	}
	if !ok || s.err != nil {
		return nil, false
	}
	for v, n := range node {
		y[n] = in[v]
	}
	return y, true
}

// complete puts each open choice at ingress where the receiver has an ADM, else
// at egress; all of one receiver go one way, so rows hold.
func (s *limitedSearch) complete(y []bool) []int8 {
	side := slices.Clone(s.side)
	for i := range side {
		if side[i] == open {
			side[i] = int8(1 - bit(y[s.k.free[i].needs[0][0]]))
		}
	}
	return side
}

// broken is a limit that an answer does not keep, the most in proportion; -1
// when it keeps all.
func (s *limitedSearch) broken(side []int8) int32 {
	worst, by := int32(-1), 0.0
	used := s.k.used(side)
	for l, sum := range used {
		if room := s.k.limits[l].room; sum > room {
			if over := float64(sum-room) / float64(max(1, room)); worst < 0 || over > by {
				worst, by = int32(l), over
			}
		}
	}
	return worst
}

// used is what the choices of an answer take of each limit.
func (k *limited) used(side []int8) []int64 {
	used := make([]int64, len(k.limits))
	for i, s := range side {
		for _, l := range k.free[i].loads[s] {
			used[l.limit] += l.units
		}
	}
	for _, h := range k.hops {
		if slices.ContainsFunc(h.on, func(i int32) bool { return side[i] == h.side }) {
			used[h.limit] += h.units
		}
	}
	return used
}

// heaviest is the open choice that takes most of a limit in an answer. There is
// one: what is decided fits.
func (s *limitedSearch) heaviest(l int32, side []int8) int32 {
	best, most := int32(-1), int64(-1)
	for _, t := range s.k.limits[l].takers {
		if s.side[t.choice] != open || side[t.choice] != t.side {
			continue
		}
		units := t.units
		for _, h := range s.k.free[t.choice].hops[t.side] {
			if s.k.hops[h].limit == l {
				units += s.k.hops[h].units
			}
		}
		if units > most {
			best, most = t.choice, units
		}
	}
	return best
}

// pressed is a lower bound of what is to be paid yet, from the capacities: what
// has too much possible load at it has to send some elsewhere, which takes ADMs
// there. At each limit that is a knapsack, filled in fractions from the cheapest
// for its load; each node's weight is used up only once over all of them, and
// what is left of it then bounds the edges.
func (s *limitedSearch) pressed() int64 {
	left := make([]float64, len(s.paid))
	for n, times := range s.paid {
		if times == 0 {
			left[n] = float64(s.k.weight[n])
		}
	}
	sum := 0.0
	for l := range s.k.limits {
		part, ok := s.pressedAt(int32(l), left)
		if !ok {
			return s.below
		}
		sum += part
	}
	for i := range s.k.free {
		if s.side[i] != open {
			continue
		}
		r := s.k.free[i].needs[0][0]
		for _, n := range s.k.free[i].needs[1] {
			m := min(left[r], left[n])
			left[r], left[n] = left[r]-m, left[n]-m
			sum += m
		}
	}
	return int64(math.Ceil(sum - 1e-6))
}

type payer struct {
	node int32
	load float64
}

// pressedAt bounds what one limit costs and takes that from what is left; false
// when sending everything elsewhere is not enough. The hop of a call is divided
// between the choices that would make it: whichever of them stay, they take at
// least their shares.
func (s *limitedSearch) pressedAt(l int32, left []float64) (float64, bool) {
	limit := &s.k.limits[l]
	over := float64(s.used[l] - limit.room)
	load := map[int32]float64{}
	var nodes []int32
	free := 0.0
	for _, t := range limit.takers {
		if s.side[t.choice] != open {
			continue
		}
		units := float64(t.units)
		for _, h := range s.k.free[t.choice].hops[t.side] {
			if hop := &s.k.hops[h]; hop.limit == l && s.on[h] == 0 {
				units += float64(hop.units) / float64(s.wouldMake(hop))
			}
		}
		over += units
		payer := int32(-1)
		for _, n := range s.k.free[t.choice].needs[1-t.side] {
			if left[n] > 0 && (payer < 0 || left[n] > left[payer]) {
				payer = n
			}
		}
		if payer < 0 {
			free += units
			continue
		}
		if _, there := load[payer]; !there {
			nodes = append(nodes, payer)
		}
		load[payer] += units
	}
	over -= free
	slack := 1e-6 * math.Max(1, math.Abs(over)+free)
	if over <= slack {
		return 0, true
	}
	list := make([]payer, len(nodes))
	all := 0.0
	for i, n := range nodes {
		list[i] = payer{n, load[n]}
		all += load[n]
	}
	if over > all+slack {
		return 0, false
	}
	slices.SortStableFunc(list, func(a, b payer) int {
		x, y := left[a.node]*b.load, left[b.node]*a.load
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return fill(list, left, over-slack), true
}

// fill is the knapsack's bound, by the prices of its dual: each node gives its
// weight, or its load at the price of the last that is needed.
func fill(list []payer, left []float64, over float64) float64 {
	last := 0
	for need := over; last < len(list)-1 && need > list[last].load; last++ {
		need -= list[last].load
	}
	if list[last].load <= 0 {
		return 0
	}
	price := left[list[last].node] / list[last].load
	sum := price * over
	for i, p := range list {
		if i < last {
			sum -= price*p.load - left[p.node]
			left[p.node] = 0
		} else {
			left[p.node] -= math.Min(left[p.node], price*p.load)
		}
	}
	return sum
}

func (s *limitedSearch) wouldMake(h *localHop) int {
	n := 0
	for _, i := range h.on {
		n += bit(s.side[i] == open)
	}
	return n
}
