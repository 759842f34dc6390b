//go:build cgo

package solver

import (
	"context"
	"errors"
	"math/rand"
	"slices"
	"testing"
	"time"
)

// TestModelGuards: what golp would take without a word.
func TestModelGuards(t *testing.T) {
	ctx := context.Background()
	t.Run("column twice in a row", func(t *testing.T) {
		m := &model{cost: []int64{1, 1}}
		m.add(false, 2, term{0, 1}, term{1, 1}, term{0, 1}) // 2a + b >= 2
		value, err := m.withLPSolve(ctx)
		if err != nil || !value[0] || value[1] {
			t.Errorf("%v, %v", value, err)
		}
		// The control: lp_solve itself, given the column twice, finds nothing.
		m.rows[0].terms = []term{{0, 1}, {0, 1}, {1, 1}}
		if _, err := m.withLPSolve(ctx); !errors.Is(err, errInfeasible) {
			t.Errorf("without merging: %v; the guard has lost its reason", err)
		}
	})
	t.Run("column out of range", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("taken")
			}
		}()
		m := &model{cost: []int64{1}}
		m.add(false, 1, term{1, 1})
		m.runLPSolve(0)
	})
	t.Run("infeasible", func(t *testing.T) {
		m := &model{cost: []int64{1}, fixed0: []int32{0}}
		m.add(false, 1, term{0, 1})
		if _, err := m.withLPSolve(ctx); !errors.Is(err, errInfeasible) {
			t.Error(err)
		}
	})
	t.Run("answer that breaks a row", func(t *testing.T) {
		m := &model{cost: []int64{1, 1}}
		m.add(false, 1, term{0, 1}, term{1, 1})
		for _, bad := range [][]float64{{0, 0}, {0.5, 0.5}, {1}} {
			if value, err := m.read(bad, 1); err == nil {
				t.Errorf("%v is read as %v", bad, value)
			}
		}
		if _, err := m.read([]float64{1, 1e-9}, 2); err == nil {
			t.Error("a wrong objective is taken")
		}
		if value, err := m.read([]float64{1 - 1e-9, 1e-9}, 1.0000001); err != nil || !value[0] || value[1] {
			t.Errorf("%v, %v", value, err)
		}
	})
}

// TestPresolveMisalignsColumns: why lp_solve's presolve is never switched on.
// Columns that it removes are missing in golp's Variables, and those behind them
// move up.
func TestPresolveMisalignsColumns(t *testing.T) {
	m := &model{cost: []int64{1, 1, 1, 3, 2}, fixed1: []int32{0}, fixed0: []int32{1}}
	m.add(false, 1, term{0, 1}, term{1, 1})
	m.add(false, 1, term{2, 1}, term{3, 1})
	m.add(false, 1, term{3, 1}, term{4, 1})
	m.add(false, 1, term{2, 1}, term{4, 1})
	want := []bool{true, false, true, false, true}
	value, err := m.withLPSolve(context.Background())
	if err != nil || !slices.Equal(value, want) {
		t.Errorf("%v, %v", value, err)
	}
	lp := m.newLP(0)
	lp.SetPresolve(1|2, 100) // rows and columns
	lp.Solve()
	if value, err := m.read(lp.Variables(), lp.Objective()); err == nil && slices.Equal(value, want) {
		t.Error("with presolve the columns are right too: the guard has lost its reason")
	}
}

// TestTimeLimit: what lp_solve has when its time is over is any answer, and is
// not taken.
func TestTimeLimit(t *testing.T) {
	m := coverModel(randomPart(rand.New(rand.NewSource(1)), 400, 1600, 1), nil)
	if value, err := m.runLPSolve(1); value != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%t, %v", value != nil, err)
	}
}

// TestRowsBeforeObjective: two hundred thousand rows are handed over in less than
// a second, which takes half a minute when the objective comes first.
func TestRowsBeforeObjective(t *testing.T) {
	m := &model{cost: make([]int64, 1000)}
	for i := range 200_000 {
		m.add(false, 1, term{int32(i % 1000), 1}, term{int32((i*7 + i/1000 + 1) % 1000), 1})
	}
	done := make(chan int, 1)
	go func() { done <- m.newLP(0).NumRows() }()
	select {
	case n := <-done:
		if n != len(m.rows) {
			t.Errorf("%d rows of %d", n, len(m.rows))
		}
	case <-time.After(12 * time.Second):
		t.Error("the rows take longer than 12 seconds: is lp_solve in row mode?")
	}
}

// TestHeavyWeights: beyond what floats tell apart the part is solved natively,
// and the whole model is refused.
func TestHeavyWeights(t *testing.T) {
	for seed := range 300 {
		k := randomPart(rand.New(rand.NewSource(int64(seed))), 12, 30, 1<<40)
		in, err := lpsolve{}.solve(context.Background(), k)
		if err != nil || k.cost(in) != leastCover(k) {
			t.Fatalf("seed %d: %d, %v; want %d", seed, k.cost(in), err, leastCover(k))
		}
	}
	m := &model{cost: []int64{1 << 40}}
	if _, err := (lpsolve{}).solveModel(context.Background(), m); err == nil {
		t.Error("a model with weights beyond floats is solved")
	}
}
