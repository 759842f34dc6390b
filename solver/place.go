package solver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Options of a placement.
type Options struct {
	Engine   string // one of Engines; "" is the build's default
	Minimise string // MinimiseADMs (default), MinimiseProxies or MinimiseCost
	// Previous is the placement to change least; nil when there is none.
	Previous *Record
	// Progress, if not nil, is called as the solve goes on, often or seldom.
	Progress func(Progress)
	// Unreduced gives lp_solve every x and y of the problem instead of what
	// closing the pins and the reductions leave: much slower, and there to
	// compare. The native engine, which reduces at each step of its search,
	// takes no notice. Previous is not looked at.
	Unreduced bool
}

// Progress of a solve.
type Progress struct {
	LeastChange bool  // the fewest are known; now it looks for the fewest changes
	Parts, Done int   // what the reductions left, in independent parts
	Largest     int   // services in the largest part
	AtLeast     int64 // a lower bound by now of what is minimised; -1 with LeastChange
}

// Stopped: the context ended before the placement was proved best, or before it
// was settled which of the best to choose, so that another run could end with
// another.
type Stopped struct {
	// Best is the best placement found, which Verify accepts. Its Bound is
	// what was proved, by a dual certificate. nil: none was found by then that
	// keeps the capacities.
	Best  *Placement
	Cause error // the context's
}

func (s *Stopped) Error() string {
	switch {
	case s.Best == nil:
		return "stopped: no placement that keeps the capacities is found yet"
	case s.Best.Proved:
		return fmt.Sprintf("stopped: a placement with %s is found, which is least, before it was settled which of those to choose", s.Best.weigh(s.Best.Objective))
	}
	return fmt.Sprintf("stopped: a placement with %s is found, and no less than %s is proved", s.Best.weigh(s.Best.Objective), s.Best.weigh(s.Best.Bound))
}

func (s *Stopped) Unwrap() error { return s.Cause }

// Place builds, solves and verifies. It gives nil when the program is
// infeasible or the graph's numbers are no integers of reasonable size, which is
// in the bag, and with an error: a *Stopped when the context ended, else the
// options name nothing, or weight and change together are too large.
func Place(ctx context.Context, prog *ir.Program, g *graph.Graph, o Options, bag *diag.Bag) (*Placement, error) {
	p, err := Build(prog, g, o)
	if long := (*unusable)(nil); errors.As(err, &long) {
		bag.Errorf(long.at, graph.BadDecimal, "%s", long.text)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pl, err := Solve(ctx, p, o, bag)
	best := pl
	var stopped *Stopped
	if errors.As(err, &stopped) {
		best = stopped.Best
	}
	if best != nil {
		if err := Verify(p, best); err != nil {
			panic("solver: a placement that does not verify: " + err.Error())
		}
	}
	return pl, err
}

// Solve finds a placement of least weight, and among those one with the fewest
// changes. Nobody should look at it before Verify has.
func Solve(ctx context.Context, p *Problem, o Options, bag *diag.Bag) (*Placement, error) {
	e, err := engineNamed(o.Engine)
	if err != nil {
		return nil, err
	}
	c := closePins(p)
	if len(c.conflicts) > 0 {
		explainConflicts(c, bag)
		c.explainBeside(ctx, bag)
		return nil, nil
	}
	if c.unrated(bag) {
		return nil, nil
	}
	if whole, ok := e.(modelSolver); ok && o.Unreduced {
		return solveWhole(ctx, c, e.Name(), whole, bag)
	}
	if kept := c.keep(o.Previous); kept != nil {
		return kept, nil
	}
	return c.fewest(ctx, e, o, bag)
}

// fewest solves the cover, then for least change, then within capacities.
func (c *closing) fewest(ctx context.Context, e engine, o Options, bag *diag.Bag) (*Placement, error) {
	g := newCover(c)
	in, rows, err := g.solve(ctx, e, g.listen(o.Progress, c.p))
	proved, kind := err == nil, ""
	if before := g.before(o.Previous, c.p); before != nil {
		switch {
		case proved:
			in, kind, err = g.leastChange(ctx, e, c.p, o, in)
		case isContext(err) && g.covers(before) && g.cost(before) <= g.cost(in):
			in = before
			g.dropIdle(in)
		}
	}
	if err != nil && !isContext(err) {
		return nil, err
	}
	y := slices.Clone(g.forced)
	for v, n := range g.node {
		y[n] = in[v]
	}
	sides, cert := c.sides(y), certify(c.p, g, rows)
	if len(c.p.Capacities) > 0 {
		w, limited := c.withinCapacities(ctx, e, o, g.forced, sides, g.proved(rows)+g.fixed(c.p))
		switch {
		case limited != nil && !isContext(limited):
			return nil, limited
		case len(w.broken) > 0:
			if err := c.explainCapacities(ctx, w.broken, bag); err != nil {
				return nil, &Stopped{Cause: err}
			}
			return nil, nil
		case limited != nil:
			proved, err = false, limited
		}
		if w.missing {
			return nil, &Stopped{Cause: err}
		}
		if w.searched {
			kind = CertificateSearch
		}
		sides = w.sides
		y = c.needed(sides)
	}
	c.balance(y, sides)
	pl := c.placement(y, sides, e.Name(), cert, proved)
	o.Previous.compare(c.p, pl)
	if err != nil {
		return nil, &Stopped{Best: pl, Cause: err}
	}
	pl.ProvedChange, pl.ChangeKind = o.Previous != nil, kind
	return pl, nil
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// A modelSolver solves integer programs of any rows.
type modelSolver interface {
	solveModel(ctx context.Context, m *model) ([]bool, error)
}

// solveWhole gives the engine the problem as it was built.
func solveWhole(ctx context.Context, c *closing, name string, e modelSolver, bag *diag.Bag) (*Placement, error) {
	value, err := e.solveModel(ctx, fullModel(c.p))
	if errors.Is(err, errInfeasible) {
		bag.Errorf(c.p.Capacities[0].At, Infeasible, "the capacities can't be kept")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := len(c.p.Nodes)
	sides := make([]ir.Side, len(c.p.Obligations))
	for i := range sides {
		for j, s := range []ir.Side{ir.Ingress, ir.Egress} {
			if value[n+2*i+j] {
				sides[i] |= s
			}
		}
	}
	return c.placement(c.needed(sides), sides, name, Certificate{}, true), nil
}

// needed is the nodes whose ADMs the sides and the pins ask for.
func (c *closing) needed(sides []ir.Side) []bool {
	y := make([]bool, len(c.p.Nodes))
	for i := range y {
		y[i] = c.p.Nodes[i].Pin == Always
	}
	for i := range sides {
		o := &c.p.Obligations[i]
		if sides[i]&ir.Ingress != 0 {
			y[o.Receiver] = true
		}
		for _, s := range o.Senders {
			y[s] = y[s] || sides[i]&ir.Egress != 0
		}
	}
	return y
}

// solve gives a least cover and the rows of a proof of its weight, which may
// fall short of it. When the context ends it gives the context's error too: then
// the cover is the best it found, and the rows prove what they prove.
func (g *cover) solve(ctx context.Context, e engine, tell func(Progress)) ([]bool, []row, error) {
	r := newReducer(g.weight, g.adj)
	r.ctx = ctx
	r.run()
	in := make([]bool, len(g.weight))
	var rows []row
	var ended error
	parts := r.parts()
	state := Progress{Parts: len(parts), AtLeast: r.offset}
	for _, k := range parts {
		state.Largest = max(state.Largest, len(k.weight))
		state.AtLeast += k.least()
	}
	for i, k := range parts {
		state.Done = i
		tell(state)
		sub, err := e.solve(ctx, k)
		if err == nil {
			sub, err = k.canonical(ctx, sub)
		}
		if err != nil && !isContext(err) {
			return nil, nil, err
		}
		for i, v := range k.vertex {
			in[v] = sub[i]
		}
		rows = append(rows, k.prove(ctx, k.cost(sub))...)
		state.AtLeast -= k.least()
		if err == nil {
			state.AtLeast += k.cost(sub)
		} else {
			state.AtLeast += k.least()
			ended = err
		}
	}
	if ended == nil && len(parts) > 0 {
		ended = ctx.Err() // the last proof may be cut short
	}
	r.cover(in)
	if ended != nil {
		g.dropIdle(in)
		return in, r.lift(rows), ended
	}
	g.prefer(in)
	g.dropWeightless(in)
	rows = r.lift(rows)
	if cost := g.cost(in); g.proved(rows) < cost {
		if other := g.proveUnfolded(ctx, cost); g.proved(other) > g.proved(rows) {
			rows = other
		}
	}
	return in, rows, ctx.Err()
}

// listen adds what is forced to what is told.
func (g *cover) listen(to func(Progress), p *Problem) func(Progress) {
	if to == nil {
		return func(Progress) {}
	}
	fixed := g.fixed(p)
	return func(state Progress) {
		state.AtLeast += fixed
		to(state)
	}
}

// fixed is the weight of the forced.
func (g *cover) fixed(p *Problem) int64 {
	sum := int64(0)
	for i, yes := range g.forced {
		if yes {
			sum += p.Nodes[i].Weight
		}
	}
	return sum
}

// sides chooses for the free obligations: ingress where the receiver has an
// ADM, so that one ADM does the work instead of one per sender, else egress.
// All free obligations of a receiver go the same way, which keeps every row
// (cover.go).
func (c *closing) sides(y []bool) []ir.Side {
	sides := slices.Clone(c.may)
	for i := range sides {
		if c.free(i) {
			if sides[i] = ir.Egress; y[c.p.Obligations[i].Receiver] {
				sides[i] = ir.Ingress
			}
		}
	}
	return sides
}

// placement puts an answer into words.
func (c *closing) placement(y []bool, sides []ir.Side, engine string, cert Certificate, finished bool) *Placement {
	p := c.p
	pl := &Placement{Minimise: p.Minimise, ADMs: []string{}, Assigned: make([]Assigned, len(p.Obligations)), Engine: engine, Scale: p.Scale, Certificate: cert}
	for i, yes := range y {
		if yes {
			pl.ADMs = append(pl.ADMs, p.Nodes[i].Name)
			pl.Objective += p.Nodes[i].Weight
		}
	}
	for i := range p.Obligations {
		pl.Assigned[p.Obligations[i].Order] = Assigned{p.Obligations[i].Of, sides[i], c.reason(i)}
	}
	bound, err := newChecker(p).bound(&pl.Certificate)
	if err != nil {
		panic("solver: a proof that does not hold: " + err.Error())
	}
	pl.Bound = bound
	if finished {
		// The engines are exact: what they finished is the optimum. It is a
		// proof only if its rows add up.
		if pl.Kind != CertificateDual || bound < pl.Objective {
			pl.Certificate = Certificate{Kind: CertificateSearch, Parts: []CertificatePart{}}
		}
		pl.Bound = pl.Objective
	}
	pl.Proved = pl.Bound == pl.Objective
	return pl
}
