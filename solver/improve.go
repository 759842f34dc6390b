package solver

import "math/rand/v2"

// goodCover is a cover to begin a search with: greedy, then improved by many
// small exchanges. It is the same every time: the generator starts from a fixed
// seed, and the number of steps is the part's.
//
// It looks at what the cover leaves out, a set without edges: a vertex is forced
// into that set, its neighbours there leave it, and whatever then has no
// neighbour there enters. The exchange stays unless the set got lighter; equal
// ones stay, so that it wanders. (Andrade, Resende and Werneck 2012 have the
// idea and better data structures.)
func goodCover(k *part) []bool {
	in := greedyCover(k)
	s := &exchanger{k: k, out: make([]bool, len(in)), tight: make([]int32, len(in)), rnd: rand.New(rand.NewPCG(1, 2))}
	for v, yes := range in {
		if !yes {
			s.enter(int32(v))
		}
	}
	for range min(300*len(in), maxExchanges) {
		s.step()
	}
	for v := range in {
		in[v] = !s.out[v]
	}
	return in
}

// maxExchanges bounds the steps of large parts.
const maxExchanges = 2_000_000

type exchanger struct {
	k     *part
	out   []bool  // in the set, so not in the cover
	tight []int32 // neighbours in the set
	rnd   *rand.Rand
	log   []int32 // of a step: v entered, ^v left
}

func (s *exchanger) enter(v int32) {
	s.out[v] = true
	for _, u := range s.k.adj[v] {
		s.tight[u]++
	}
}

func (s *exchanger) leave(v int32) {
	s.out[v] = false
	for _, u := range s.k.adj[v] {
		s.tight[u]--
	}
}

func (s *exchanger) step() {
	x := int32(s.rnd.IntN(len(s.out)))
	if s.out[x] || s.tight[x] > 3 {
		return
	}
	s.log = s.log[:0]
	gain := s.k.weight[x]
	for _, y := range s.k.adj[x] {
		if s.out[y] {
			s.leave(y)
			gain -= s.k.weight[y]
			s.log = append(s.log, ^y)
		}
	}
	left := len(s.log)
	s.enter(x)
	s.log = append(s.log, x)
	for _, gone := range s.log[:left] {
		for _, z := range s.k.adj[^gone] {
			if !s.out[z] && s.tight[z] == 0 {
				s.enter(z)
				gain += s.k.weight[z]
				s.log = append(s.log, z)
			}
		}
	}
	if gain >= 0 {
		return
	}
	for i := len(s.log) - 1; i >= 0; i-- {
		if v := s.log[i]; v >= 0 {
			s.leave(v)
		} else {
			s.enter(^v)
		}
	}
}
