//go:build cgo

package solver

import (
	"context"
	"errors"
	"math/rand"
	"testing"
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
