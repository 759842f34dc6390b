package solver

// A confiner applies one more rule, for searches: it needs equal weights, and a
// proof can't be lifted over it, so the reduction of the whole goes without.
//
// unconfined: suppose every least cover leaves v out, and let I be what such a
// cover leaves out, S a part of I. If u outside S has just one neighbour in S and
// all others of its neighbours are in S or neighbours of S, then u could have
// that one's place in I: exchanging gives as large a set without it, and by the
// way S grew, one without v. So some least cover holds v. If u has one neighbour
// x outside, x must be in I as well, or the exchange would do; so S grows by x.
// (Xiao and Nagamochi 2013.)
type confiner struct {
	r       *reducer
	set     []int32 // S
	in      []int32 // stamp: in S
	near    []int32 // stamp: in S or a neighbour of it
	stamp   int32
	border  []int32 // neighbours of S
	isEqual bool
}

// maxConfine bounds how far S grows.
const maxConfine = 64

func newConfiner(r *reducer) *confiner {
	c := &confiner{r: r, in: make([]int32, len(r.w)), near: make([]int32, len(r.w)), isEqual: true}
	for _, w := range r.w {
		c.isEqual = c.isEqual && w == r.w[0]
	}
	return c
}

// run takes what is unconfined in one pass, and reports whether there was any.
func (c *confiner) run() bool {
	if !c.isEqual {
		return false
	}
	any := false
	for v := range c.r.w {
		if !c.r.gone[v] && c.unconfined(int32(v)) {
			c.r.offset += c.r.w[v]
			c.r.takeFree(int32(v))
			c.r.local()
			any = true
		}
	}
	return any
}

func (c *confiner) unconfined(v int32) bool {
	c.stamp++
	c.set, c.border = c.set[:0], c.border[:0]
	c.add(v)
	for len(c.set) < maxConfine {
		best, outside := int32(-1), 2
		for _, u := range c.border {
			if n, x := c.outside(u); n < outside {
				if n == 0 {
					return true
				}
				best, outside = x, n
			}
		}
		if best < 0 {
			return false
		}
		c.add(best)
	}
	return false
}

func (c *confiner) add(v int32) {
	c.set = append(c.set, v)
	c.in[v], c.near[v] = c.stamp, c.stamp
	for _, u := range c.r.live(v) {
		if c.near[u] != c.stamp {
			c.near[u] = c.stamp
			c.border = append(c.border, u)
		}
	}
}

// outside counts u's neighbours that are neither in S nor beside it, to two, and
// gives one; two where u has more than one neighbour in S, or none.
func (c *confiner) outside(u int32) (int, int32) {
	if c.in[u] == c.stamp {
		return 2, 0
	}
	touches, n, x := 0, 0, int32(0)
	for _, y := range c.r.live(u) {
		switch {
		case c.in[y] == c.stamp:
			touches++
		case c.near[y] != c.stamp:
			n, x = n+1, y
		}
		if touches > 1 || n > 1 {
			return 2, 0
		}
	}
	return n, x
}

// runSearching is run with this rule too.
func (r *reducer) runSearching() {
	c := newConfiner(r)
	for {
		r.local()
		if r.left == 0 || !c.run() && !r.folds() && !r.halves() {
			return
		}
	}
}
