//go:build cgo

package solver

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/draffensperger/golp"
)

// lpsolve is the engine that gives the integer program to lp_solve.
//
// What golp and lp_solve do without a word, and what is done here about it:
//
//   - A column given twice in one row makes the program infeasible, and a
//     column that does not exist is no error: model.add merges columns, and
//     solveModel panics on one out of range.
//   - Rows must be added before the objective (SetObjFn leaves row mode), or
//     adding each takes time proportional to all before it.
//   - lp_solve's presolve removes columns, after which Variables speaks of
//     others: it is never switched on.
//   - After a time limit the status is SUBOPTIMAL and the answer any feasible
//     one: only OPTIMAL is taken.
//   - Values and objective are floats. They are rounded and held to the rows
//     and to the objective in integers.
//   - LP frees its C memory in a finalizer, which may run while C still works
//     on it: KeepAlive after the last call.
//   - A solve can't be interrupted. It runs beside the caller, who leaves it
//     alone when the context ends; a deadline is also given to lp_solve as its
//     limit, so that what was left alone ends too.
type lpsolve struct{}

var builtWithC = []engine{lpsolve{}}

func (lpsolve) Name() string { return "lpsolve" }

func (lpsolve) solve(ctx context.Context, k *part) ([]bool, error) {
	in := goodCover(k)
	m := coverModel(k, k.cuts(ctx, k.cost(in)))
	if !m.exactInFloats() {
		return native{}.solve(ctx, k)
	}
	least, err := m.withLPSolve(ctx)
	if err != nil {
		return in, err
	}
	return least, nil
}

func (lpsolve) solveModel(ctx context.Context, m *model) ([]bool, error) {
	if !m.exactInFloats() {
		return nil, fmt.Errorf("lp_solve: the weights add up to more than floats tell apart; use the native engine")
	}
	return m.withLPSolve(ctx)
}

// exactInFloats reports that lp_solve's tolerances (a relative gap of 1e-9)
// can't hide a difference of one in the objective or of half a unit in a row.
func (m *model) exactInFloats() bool {
	sum := int64(0)
	for _, c := range m.cost {
		sum += c
	}
	for _, r := range m.rows {
		taken := int64(0)
		for _, t := range r.terms {
			taken += max(t.coef, -t.coef)
		}
		if taken >= 1e8 {
			return false
		}
	}
	return sum < 1e8
}

func (m *model) withLPSolve(ctx context.Context) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type answer struct {
		value []bool
		err   error
	}
	done := make(chan answer, 1)
	limit := 0
	if deadline, ok := ctx.Deadline(); ok {
		limit = 1 + int(time.Until(deadline)/time.Second)
	}
	go func() {
		value, err := m.runLPSolve(limit)
		done <- answer{value, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-done:
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return a.value, a.err
	}
}

func (m *model) runLPSolve(limit int) ([]bool, error) {
	lp := m.newLP(limit)
	defer runtime.KeepAlive(lp)
	switch status := lp.Solve(); status {
	case golp.OPTIMAL:
		return m.read(lp.Variables(), lp.Objective())
	case golp.INFEASIBLE:
		return nil, errInfeasible
	case golp.SUBOPTIMAL, golp.TIMEOUT:
		return nil, context.DeadlineExceeded // the only limit it was given
	default:
		return nil, fmt.Errorf("lp_solve ended with %s", status)
	}
}

// newLP hands the model to lp_solve, with a limit in seconds; 0 is none.
func (m *model) newLP(limit int) *golp.LP {
	lp := golp.NewLP(0, len(m.cost))
	lp.SetVerboseLevel(golp.NEUTRAL)
	if limit > 0 {
		lp.SetTimeout(limit)
	}
	m.write(lp)
	return lp
}

func (m *model) write(lp *golp.LP) {
	for _, r := range m.rows {
		entries := make([]golp.Entry, len(r.terms))
		for i, t := range r.terms {
			if int(t.column) >= len(m.cost) {
				panic("solver: a row of the model has a column out of range")
			}
			entries[i] = golp.Entry{Col: int(t.column), Val: float64(t.coef)}
		}
		kind := golp.GE
		if r.equal {
			kind = golp.EQ
		}
		lp.AddConstraintSparse(entries, kind, float64(r.atLeast))
	}
	cost := make([]float64, len(m.cost))
	for i, c := range m.cost {
		cost[i] = float64(c)
	}
	lp.SetObjFn(cost)
	for i := range m.cost {
		lp.SetBinary(i, true)
	}
	for _, c := range m.fixed0 {
		lp.SetBounds(int(c), 0, 0)
	}
	for _, c := range m.fixed1 {
		lp.SetBounds(int(c), 1, 1)
	}
}

// read rounds lp_solve's answer and refuses one that is not what it says.
func (m *model) read(values []float64, objective float64) ([]bool, error) {
	if len(values) != len(m.cost) {
		return nil, fmt.Errorf("lp_solve gave %d values for %d columns", len(values), len(m.cost))
	}
	value, sum := make([]bool, len(values)), int64(0)
	for i, v := range values {
		if math.Abs(v-math.Round(v)) > 1e-5 {
			return nil, fmt.Errorf("lp_solve gave column %d the value %g", i, v)
		}
		if value[i] = v > 0.5; value[i] {
			sum += m.cost[i]
		}
	}
	if !m.holds(value) || math.Abs(objective-float64(sum)) > 0.5 {
		return nil, fmt.Errorf("lp_solve's answer does not keep its rows or its objective")
	}
	return value, nil
}
