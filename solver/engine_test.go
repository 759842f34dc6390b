package solver

import (
	"context"
	"errors"
	"math/rand"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/diag"
)

// TestContextEndsAtOnce: every engine, in the middle of a part that would take
// it far longer than a test may. Without the guard this test does not end.
func TestContextEndsAtOnce(t *testing.T) {
	k := randomPart(rand.New(rand.NewSource(1)), 400, 1600, 1)
	for _, e := range engines {
		t.Run(e.Name(), func(t *testing.T) {
			// The deadline only ends what lp_solve is left to do.
			ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
			defer end()
			ctx, cancel := context.WithCancel(ctx)
			begun := make(chan struct{})
			go func() {
				<-begun
				time.Sleep(300 * time.Millisecond)
				cancel()
			}()
			close(begun)
			if _, err := e.solve(ctx, k); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	town := mesh(60, 6, 1, 1)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, o := range []Options{{Engine: "native"}, {}, {Unreduced: true}} {
		if pl, err := Place(done, town.prog, town.g, o, &diag.Bag{}); pl != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %t, %v", o, pl != nil, err)
		}
	}
}

func TestOptionsThatNameNothing(t *testing.T) {
	town := goodTown()
	for want, o := range map[string]Options{
		`no engine "abacus": it has`: {Engine: "abacus"},
		`can't minimise "noise"`:     {Minimise: "noise"},
	} {
		if pl, err := Place(context.Background(), town.prog, town.g, o, &diag.Bag{}); pl != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %t, %v", o, pl != nil, err)
		}
	}
}

// TestWeights: costs with decimals become integers on one scale, and what can't
// is refused.
func TestWeights(t *testing.T) {
	town := newTown()
	town.obligation("p", "b", 80, eitherSide, "a")
	a, b := town.service("a"), town.service("b")
	cost := func(units int64, scale int) { a.Cost.Set, a.Cost.Units, a.Cost.Scale = true, units, scale }
	town.sorted()
	for _, test := range []struct {
		units     int64
		scale     int
		adm       string
		objective int64
		places    int
	}{
		{150, 2, "b", 10, 1}, // 1.50 against 1
		{75, 2, "a", 75, 2},
		{2, 0, "b", 1, 0},
		{0, 3, "a", 0, 0},
	} {
		cost(test.units, test.scale)
		pl := town.place(t, Options{Minimise: MinimiseCost})
		if pl.ADMs[0] != test.adm || len(pl.ADMs) != 1 || pl.Objective != test.objective || pl.Scale != test.places {
			t.Errorf("%d/10^%d: %v, %d, scale %d", test.units, test.scale, pl.ADMs, pl.Objective, pl.Scale)
		}
	}
	for _, bad := range [][2]int64{{-1, 0}, {1, 30}, {1 << 60, 0}} {
		cost(bad[0], int(bad[1]))
		if _, err := Build(town.prog, town.g, Options{Minimise: MinimiseCost}); err == nil {
			t.Errorf("%v is a weight", bad)
		}
	}
	a.MaxReplicas, b.MaxReplicas = 3, 2
	if pl := town.place(t, Options{Minimise: MinimiseProxies}); pl.Objective != 2 || pl.ADMs[0] != "b" {
		t.Errorf("proxies: %v", pl.ADMs)
	}
}
