package solver

import (
	"context"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Options of a placement.
type Options struct {
	Engine   string // one of Engines; "" is the build's default
	Minimise string // MinimiseADMs (default), MinimiseProxies or MinimiseCost
	// Unreduced gives lp_solve every x and y of the problem instead of what
	// closing the pins and the reductions leave: much slower, and there to
	// compare. The native engine, which reduces at each step of its search,
	// takes no notice.
	Unreduced bool
}

// Place builds, solves and verifies. It gives nil when the program is
// infeasible, which is in the bag, and with an error: the context ended, the
// options name nothing, or the weights are no integers of reasonable size.
func Place(ctx context.Context, prog *ir.Program, g *graph.Graph, o Options, bag *diag.Bag) (*Placement, error) {
	p, err := Build(prog, g, o)
	if err != nil {
		return nil, err
	}
	pl, err := Solve(ctx, p, o, bag)
	if pl == nil || err != nil {
		return nil, err
	}
	if err := Verify(p, pl); err != nil {
		panic("solver: a placement that does not verify: " + err.Error())
	}
	return pl, nil
}

// Solve finds a placement of least weight. Nobody should look at it before
// Verify has.
func Solve(ctx context.Context, p *Problem, o Options, bag *diag.Bag) (*Placement, error) {
	e, err := engineNamed(o.Engine)
	if err != nil {
		return nil, err
	}
	c := closePins(p)
	if len(c.conflicts) > 0 {
		explainConflicts(c, bag)
		return nil, nil
	}
	if whole, ok := e.(modelSolver); ok && o.Unreduced {
		return solveWhole(ctx, c, e.Name(), whole)
	}
	g := newCover(c)
	in, rows, err := g.solve(ctx, e)
	if err != nil {
		return nil, err
	}
	y := slices.Clone(g.forced)
	for v, n := range g.node {
		y[n] = in[v]
	}
	return c.placement(y, c.sides(y), e.Name(), certify(p, g, rows)), nil
}

// A modelSolver solves integer programs of any rows.
type modelSolver interface {
	solveModel(ctx context.Context, m *model) ([]bool, error)
}

// solveWhole gives the engine the problem as it was built.
func solveWhole(ctx context.Context, c *closing, name string, e modelSolver) (*Placement, error) {
	value, err := e.solveModel(ctx, fullModel(c.p))
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
	return c.placement(c.needed(sides), sides, name, Certificate{}), nil
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
// fall short of it.
func (g *cover) solve(ctx context.Context, e engine) ([]bool, []row, error) {
	r := newReducer(g.weight, g.adj)
	r.run()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	in := make([]bool, len(g.weight))
	var rows []row
	for _, k := range r.parts() {
		sub, err := e.solve(ctx, k)
		if err != nil {
			return nil, nil, err
		}
		if sub, err = k.canonical(ctx, sub); err != nil {
			return nil, nil, err
		}
		for i, v := range k.vertex {
			in[v] = sub[i]
		}
		rows = append(rows, k.prove(ctx, k.cost(sub))...)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	r.cover(in)
	g.prefer(in)
	g.dropWeightless(in)
	return in, r.lift(rows), nil
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
func (c *closing) placement(y []bool, sides []ir.Side, engine string, cert Certificate) *Placement {
	p := c.p
	pl := &Placement{ADMs: []string{}, Assigned: make([]Assigned, len(p.Obligations)), Engine: engine, Scale: p.Scale, Certificate: cert}
	for i, yes := range y {
		if yes {
			pl.ADMs = append(pl.ADMs, p.Nodes[i].Name)
			pl.Objective += p.Nodes[i].Weight
		}
	}
	for i := range p.Obligations {
		pl.Assigned[p.Obligations[i].Order] = Assigned{p.Obligations[i].Of, sides[i], c.reason(i)}
	}
	// The engines are exact: what they finished is the optimum. It is a proof
	// only if its rows add up.
	bound, err := newChecker(p).bound(&pl.Certificate)
	if err != nil {
		panic("solver: a proof that does not hold: " + err.Error())
	}
	if pl.Kind != CertificateDual || bound < pl.Objective {
		pl.Certificate = Certificate{Kind: CertificateSearch, Parts: []CertificatePart{}}
	}
	pl.Bound, pl.Proved = pl.Objective, true
	return pl
}
