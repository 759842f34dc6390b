package solver

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// An lpFile is a program as the question reads, in the LP format: written from
// the policies' program and the graph, by code that shares nothing with the
// solver's own models.
type lpFile struct {
	rows     strings.Builder
	cost     strings.Builder
	binaries []string
	row      int
}

func (f *lpFile) add(format string, args ...any) {
	f.row++
	fmt.Fprintf(&f.rows, " c%d: %s\n", f.row, fmt.Sprintf(format, args...))
}

func (f *lpFile) binary(name string, cost int64) string {
	f.binaries = append(f.binaries, name)
	fmt.Fprintf(&f.cost, " + %d %s\n", cost, name)
	return name
}

func (f *lpFile) String() string {
	return "Minimize\n obj:\n" + f.cost.String() + "Subject To\n" + f.rows.String() + "Binaries\n " + strings.Join(f.binaries, "\n ") + "\nEnd\n"
}

// lpOf writes a town down. Rates have at most one digit behind the point and
// costs too, so hundredths of a microsecond are whole.
func lpOf(t *town, weight func(*graph.Service) int64) string {
	f := &lpFile{}
	y := map[graph.Node]string{}
	for i, s := range t.g.Services {
		y[s] = f.binary(fmt.Sprintf("yserv%d", i), weight(s))
		switch s.ADM {
		case graph.ADMNever:
			f.add("%s = 0", y[s])
		case graph.ADMAlways:
			f.add("%s = 1", y[s])
		}
	}
	for i, e := range t.g.Externals {
		y[e] = f.binary(fmt.Sprintf("yext%d", i), 0)
		f.add("%s = 0", y[e])
	}
	x := map[*ir.Obligation]map[ir.Side]string{}
	for i, o := range t.prog.Obligations {
		in, out := f.binary(fmt.Sprintf("xin%d", i), 0), f.binary(fmt.Sprintf("xout%d", i), 0)
		x[o] = map[ir.Side]string{ir.Ingress: in, ir.Egress: out}
		f.add("%s + %s = %d", in, out, 1+bit(o.Both))
		f.add("%s - %s >= 0", y[o.Receiver], in)
		for _, e := range o.Edges {
			f.add("%s - %s >= 0", y[e.Sender], out)
		}
		for side, name := range x[o] {
			if o.May&side == 0 {
				f.add("%s = 0", name)
			}
		}
	}
	for _, r := range t.prog.Rows {
		if r.Kind == ir.Forbid {
			f.add("%s + %s <= 1", x[r.P][r.PSide], x[r.Q][r.QSide])
			continue
		}
		for side := range x[r.P] {
			f.add("%s - %s >= 0", x[r.P][side], x[r.Q][side])
		}
	}
	for i, s := range t.g.Services {
		if s.Capacity.Set {
			f.capacity(t, i, s, x)
		}
	}
	return f.String()
}

func (f *lpFile) capacity(t *town, i int, s *graph.Service, x map[*ir.Obligation]map[ir.Side]string) {
	var names []string
	units := map[string]int64{}
	take := func(name string, n int64) {
		if _, there := units[name]; !there {
			names = append(names, name)
		}
		units[name] += n
	}
	hop := map[string]string{}
	for _, o := range t.prog.Obligations {
		for _, e := range o.Edges {
			tenths := e.Call.RPS.Units * int64(math.Pow10(1-e.Call.RPS.Scale))
			for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
				if side == ir.Ingress && o.Receiver != graph.Node(s) || side == ir.Egress && e.Sender != graph.Node(s) {
					continue
				}
				take(x[o][side], tenths*int64(math.Round(10*o.Actions[0].Decl.Cost)))
				key := fmt.Sprintf("%p %s", e.Call, side)
				if hop[key] == "" {
					hop[key] = f.binary(fmt.Sprintf("hop%dof%d", len(hop), i), 0)
					take(hop[key], tenths*10*ir.HopMicros)
				}
				f.add("%s - %s >= 0", hop[key], x[o][side])
			}
		}
	}
	var terms []string
	for _, name := range names {
		terms = append(terms, fmt.Sprintf("%d %s", units[name], name))
	}
	if len(terms) > 0 {
		room := s.Capacity.Units * int64(s.MinReplicas) * 100_000_000 / int64(math.Pow10(s.Capacity.Scale))
		f.add("%s <= %d.5", strings.Join(terms, "\n + "), room)
	}
}

// cbc gives the least weight that the solver cbc finds, -1 when it says that
// there is none.
func cbc(t *testing.T, dir, text string) int64 {
	t.Helper()
	model, answer := filepath.Join(dir, "model.lp"), filepath.Join(dir, "answer")
	if err := os.WriteFile(model, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cbc", model, "ratioGap", "0", "allowableGap", "0", "solve", "solution", answer).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(answer)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	if strings.HasPrefix(first, "Infeasible") || strings.HasPrefix(first, "Integer infeasible") {
		return -1
	}
	number, ok := strings.CutPrefix(first, "Optimal - objective value ")
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || math.Abs(value-math.Round(value)) > 1e-4 {
		t.Fatalf("cbc says %q\n%s", first, text)
	}
	return int64(math.Round(value))
}

// mediumTown has tens of services with popular receivers, policies for some or
// all of their callers, and what randomTown has besides.
func mediumTown(rnd *rand.Rand, limited bool) *town {
	t := newTown()
	n := 10 + rnd.Intn(40)
	for i := range n {
		s := t.service(fmt.Sprintf("s%02d", i))
		s.MaxReplicas = 1 + rnd.Intn(4)
		s.Cost = graph.Decimal{Set: true, Units: 1 + rnd.Int63n(30), Scale: 1}
		switch rnd.Intn(60) {
		case 0:
			s.ADM = graph.ADMNever
		case 1:
			s.ADM = graph.ADMAlways
		}
	}
	for i := range n + rnd.Intn(2*n) {
		at := rnd.Intn(n)
		at = at * at / n
		senders := map[string]bool{}
		for range 1 + rnd.Intn(3) {
			senders[fmt.Sprintf("s%02d", rnd.Intn(n))] = true
		}
		if rnd.Intn(120) == 0 {
			senders["ext-in"] = true
		}
		may := eitherSide
		if rnd.Intn(25) == 0 {
			may = ir.Side(1 + rnd.Intn(2))
		}
		o := t.obligation(fmt.Sprintf("p%03d", i), fmt.Sprintf("s%02d", at), 80, may, keys(senders)...)
		if o.Both = rnd.Intn(100) == 0; o.Both {
			o.May = eitherSide
		}
		for _, q := range t.prog.Obligations[:i] {
			if q.Receiver == o.Receiver && rnd.Intn(8) == 0 {
				if rnd.Intn(4) == 0 {
					t.same(q, o)
				} else {
					t.forbid(q, ir.Side(1+rnd.Intn(2)), o)
				}
			}
		}
	}
	t.sorted()
	if t.rated(rnd); !limited {
		for _, s := range t.g.Services {
			s.Capacity = graph.Decimal{}
		}
	} else {
		for _, s := range t.g.Services {
			s.Capacity.Units *= 4
		}
	}
	return t
}

// TestCBCOracle holds both engines to a solver of integer programs that is
// nobody's here: weights, pins, order, groups, capacities, and weight and change
// as one integer.
func TestCBCOracle(t *testing.T) {
	if _, err := exec.LookPath("cbc"); err != nil {
		t.Fatalf("cbc does not run: %v; `make test` installs coinor-cbc", err)
	}
	rounds := 250
	if testing.Short() {
		rounds = 30
	}
	dir := t.TempDir()
	feasible, matters := 0, 0
	for seed := range rounds {
		rnd := rand.New(rand.NewSource(int64(seed)))
		limited := seed%4 != 3
		town := mediumTown(rnd, limited)
		minimise := []string{MinimiseADMs, MinimiseProxies, MinimiseCost}[seed%5%3]
		weight := weights[minimise]
		if minimise == MinimiseCost {
			weight = func(s *graph.Service) int64 { return s.Cost.Units }
		}
		want := cbc(t, dir, lpOf(town, weight))
		feasible += bit(want >= 0)
		record, k, constant := &Record{}, int64(len(town.g.Services)+1), int64(0)
		had := map[*graph.Service]bool{}
		for _, s := range town.g.Services {
			if had[s] = rnd.Intn(3) == 0; had[s] {
				record.adms = append(record.adms, s.Name)
				constant++
			}
		}
		both := int64(-1)
		if want >= 0 && seed%3 == 0 {
			both = cbc(t, dir, lpOf(town, func(s *graph.Service) int64 { return k*weight(s) + 1 - 2*int64(bit(had[s])) })) + constant
		}
		for _, name := range Engines() {
			var bag diag.Bag
			o := Options{Engine: name, Minimise: minimise}
			if both >= 0 {
				o.Previous = record
			}
			pl, err := Place(context.Background(), town.prog, town.g, o, &bag)
			if err != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, err)
			}
			got := int64(-1)
			if pl != nil {
				got = pl.Objective
			}
			if got != want {
				t.Fatalf("seed %d, %s: %d, cbc finds %d\n%s", seed, name, got, want, messages(&bag))
			}
			if both >= 0 && k*got+int64(len(pl.Added)+len(pl.Removed)) != both {
				t.Fatalf("seed %d, %s: %d with %d changes, cbc finds %d·%d + %d", seed, name, got, len(pl.Added)+len(pl.Removed), k, both/k, both%k)
			}
			if pl != nil && pl.Kind == CertificateSearch {
				matters++
			}
		}
	}
	t.Logf("%d programs, %d feasible, %d times a search was needed", rounds, feasible, matters)
	if feasible < rounds/4 || feasible == rounds {
		t.Errorf("%d of %d are feasible: the generator tests one side only", feasible, rounds)
	}
}
