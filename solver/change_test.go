package solver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// oracleChange tries every assignment of sides: the least weight, and among
// those the fewest services that differ from the previous ones.
func oracleChange(t *town, weight func(*graph.Service) int64, had map[string]bool) (int64, int) {
	best, change := int64(-1), 0
	everyAssignment(t, func(side map[*ir.Obligation]ir.Side) {
		adms, ok := oracleADMs(t, side)
		if !ok {
			return
		}
		cost, differ := total(adms, weight), 0
		for _, s := range t.g.Services {
			differ += bit(adms[s] != had[s.Name])
		}
		if best < 0 || cost < best || cost == best && differ < change {
			best, change = cost, differ
		}
	})
	return best, change
}

// TestLeastChange: against every assignment, with each engine.
func TestLeastChange(t *testing.T) {
	rounds, moved := 4000, 0
	if testing.Short() {
		rounds = 500
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd)
		minimise := []string{MinimiseADMs, MinimiseProxies}[seed%2]
		had, record := map[string]bool{}, &Record{}
		for _, s := range town.g.Services {
			if rnd.Intn(2) == 0 {
				had[s.Name] = true
				record.adms = append(record.adms, s.Name)
			}
		}
		record.adms = append(record.adms, "zz-gone")
		want, change := oracleChange(town, weights[minimise], had)
		for _, name := range Engines() {
			var bag diag.Bag
			pl, err := Place(context.Background(), town.prog, town.g, Options{Engine: name, Minimise: minimise, Previous: record}, &bag)
			switch {
			case err != nil:
				t.Fatal(err)
			case pl == nil && want >= 0, pl != nil && pl.Objective != want:
				t.Fatalf("seed %d, %s: %v, want weight %d", seed, name, pl, want)
			case pl != nil && len(pl.Added)+len(pl.Removed) != change:
				t.Fatalf("seed %d, %s: adds %v, removes %v; %d changes are enough", seed, name, pl.Added, pl.Removed, change)
			case pl != nil && (!pl.ProvedChange || pl.ChangeKind == ""):
				t.Fatalf("seed %d: the change is not proved", seed)
			}
		}
		moved += bit(change > 0)
	}
	if moved < rounds/4 {
		t.Errorf("something had to move in %d of %d", moved, rounds)
	}
}

// TestLeastChangeMovesLess: on a mesh, what the count alone would move stays.
func TestLeastChangeMovesLess(t *testing.T) {
	town := mesh(300, 3, 0.5, 1)
	before := place(t, town, Options{})
	record := reread(t, before)
	rnd := rand.New(rand.NewSource(2))
	town.prog.Rows = nil
	town.prog.Obligations = slices.DeleteFunc(town.prog.Obligations, func(*ir.Obligation) bool { return rnd.Intn(30) == 0 })
	fresh, least := place(t, town, Options{}), place(t, town, Options{Previous: record})
	moved := 0
	for _, s := range town.g.Services {
		moved += bit(fresh.HasADM(s.Name) != before.HasADM(s.Name))
	}
	changed := len(least.Added) + len(least.Removed)
	if fresh.Objective != least.Objective || changed >= moved {
		t.Errorf("%d ADMs, %d moved; with least change %d and %d", fresh.Objective, moved, least.Objective, changed)
	}
}

func place(t *testing.T, town *town, o Options) *Placement {
	t.Helper()
	var bag diag.Bag
	pl, err := Place(context.Background(), town.prog, town.g, o, &bag)
	if err != nil || pl == nil {
		t.Fatal(err, messages(&bag))
	}
	return pl
}

func reread(t *testing.T, pl *Placement) *Record {
	t.Helper()
	r, err := ReadPlacement(pl.JSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKept: what still verifies stays as it is, byte for byte, though the
// engines would have chosen otherwise; what doesn't is solved anew.
func TestKept(t *testing.T) {
	town := newTown()
	town.obligation("p", "b", 80, eitherSide, "a")
	town.sorted()
	pl := place(t, town, Options{})
	if !slices.Equal(pl.ADMs, []string{"a"}) {
		t.Fatalf("the engines choose %v", pl.ADMs)
	}
	other := []byte(`"service": "b"`)
	text := bytes.Replace(pl.JSON(nil), []byte(`"service": "a"`), other, 1)
	text = bytes.Replace(bytes.Replace(text, []byte(`"side": "egress"`), []byte(`"side": "ingress"`), 1), []byte(":egress"), []byte(":ingress"), 1)
	r, err := ReadPlacement(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range Engines() {
		kept := place(t, town, Options{Engine: engine, Previous: r})
		if !bytes.Equal(kept.JSON(nil), text) || !kept.ProvedChange || len(kept.Added)+len(kept.Removed) > 0 {
			t.Errorf("%s does not keep it:\n%s", engine, kept.JSON(nil))
		}
	}
	for _, bad := range []string{`"kind": "search"`, `"proved": false`} {
		key, _, _ := bytes.Cut([]byte(bad), []byte(": "))
		i := bytes.LastIndex(text, key)
		end := i + bytes.IndexByte(text[i:], ',')
		changed, err := ReadPlacement(slices.Concat(text[:i], []byte(bad), text[end:]))
		if err != nil {
			t.Fatal(err)
		}
		pl := place(t, town, Options{Previous: changed})
		if pl.Engine == "" || !slices.Equal(pl.ADMs, []string{"b"}) {
			t.Errorf("%s: kept, or moved to %v", bad, pl.ADMs)
		}
	}
	// What was best is not any more: c and d call b too.
	town.obligation("q", "b", 80, eitherSide, "c", "d")
	if pl := place(t, town.sorted(), Options{Previous: reread(t, place(t, town, Options{}))}); len(pl.ADMs) != 1 || pl.ADMs[0] != "b" {
		t.Errorf("%v", pl.ADMs)
	}
}

// TestReadPlacement refuses what is no placement.
func TestReadPlacement(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"apiVersion":"admc.dev/v2","kind":"Placement"}`,
		`{"apiVersion":"admc.dev/v1alpha1","kind":"Placement","size":1}`, `{"apiVersion":"admc.dev/v1alpha1","kind":"Placement"} {}`} {
		if r, err := ReadPlacement([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}

// TestRecordCheck: a record is what JSON gives for what was found, with its
// inputs and without; and every other line is found to be wrong.
func TestRecordCheck(t *testing.T) {
	checked := 0
	for seed := range 300 {
		town := randomTown(rand.New(rand.NewSource(int64(seed))))
		var bag diag.Bag
		minimise := []string{MinimiseADMs, MinimiseProxies, MinimiseCost}[seed%3]
		pl, err := Place(context.Background(), town.prog, town.g, Options{Minimise: minimise}, &bag)
		if err != nil {
			t.Fatal(err)
		}
		if pl == nil {
			continue
		}
		text := pl.JSON([]Input{{"x", "00"}})
		r, err := ReadPlacement(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Check(town.prog, town.g); err != nil || !bytes.Equal(again.JSON(r.Inputs()), text) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := r.Consistent(); err != nil {
			t.Fatalf("seed %d: not consistent: %v\n%s", seed, err, text)
		}
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		for i, line := range lines {
			if bytes.Contains(line, []byte(`"path"`)) || bytes.Contains(line, []byte(`"sha256"`)) {
				continue // held to the files, not here
			}
			bad, err := ReadPlacement(append(bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), []byte("\n")), '\n'))
			if err != nil {
				continue
			}
			if _, err := bad.Check(town.prog, town.g); !errors.Is(err, errNotVerified) {
				t.Fatalf("seed %d: without line %d, %s: %v\n%s", seed, i+1, line, err, text)
			}
		}
		checked++
	}
	if checked < 50 {
		t.Errorf("%d records were checked", checked)
	}
}

// TestStopped: what is found when the context ends verifies, and its bound is
// one that adds up; with a better placement at hand, that is it.
func TestStopped(t *testing.T) {
	town := mesh(400, 6, 1, 1)
	for _, engine := range Engines() {
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		_, err := Place(ctx, town.prog, town.g, Options{Engine: engine, Progress: func(p Progress) {
			if p.AtLeast <= 0 || p.Parts == 0 || p.Largest == 0 || p.Done >= p.Parts {
				t.Errorf("progress %+v", p)
			}
			calls++
			cancel()
		}}, &diag.Bag{})
		var stopped *Stopped
		if !errors.As(err, &stopped) || !errors.Is(err, context.Canceled) || calls == 0 {
			t.Fatalf("%s: %v after %d calls", engine, err, calls)
		}
		best := stopped.Best
		if best.Proved || best.Kind != CertificateDual || best.Bound <= 0 || best.Bound >= best.Objective {
			t.Errorf("%s: %d, at least %d, proved %t, %s", engine, best.Objective, best.Bound, best.Proved, best.Kind)
		}
	}
}

// TestWeigh writes weights as people read them.
func TestWeigh(t *testing.T) {
	for _, test := range []struct {
		pl   Placement
		w    int64
		want string
	}{
		{Placement{Minimise: MinimiseADMs}, 1, "1 ADM"}, {Placement{}, 2, "2 ADMs"}, {Placement{Minimise: MinimiseProxies}, 3, "3 proxy replicas"},
		{Placement{Minimise: MinimiseCost, Scale: 2}, 5, "ADMs of cost 0.05"}, {Placement{Minimise: MinimiseCost}, 5, "ADMs of cost 5"},
	} {
		if got := test.pl.weigh(test.w); got != test.want {
			t.Error(fmt.Sprint(got, ", want ", test.want))
		}
	}
}
