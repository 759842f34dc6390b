package solver

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// rated gives the calls of a town rates, its actions costs, and some services
// capacities of about what there is to do.
func (t *town) rated(rnd *rand.Rand) *town {
	calls := map[[2]string]*graph.Call{}
	for _, o := range t.prog.Obligations {
		decl := &ir.ActionDecl{Name: o.Policy.Name, Cost: []float64{0, 2, 60.5, 300}[rnd.Intn(4)]}
		o.Actions = []*ir.Action{{Decl: decl}}
		for _, e := range o.Edges {
			key := [2]string{e.Sender.NodeName(), o.Receiver.NodeName()}
			if calls[key] == nil {
				calls[key] = &graph.Call{From: e.Sender, To: o.Receiver, Port: o.Port, At: t.here(),
					RPS: graph.Decimal{Set: true, Units: int64(rnd.Intn(40)), Scale: rnd.Intn(2)}}
			}
			e.Call = calls[key]
		}
	}
	for _, s := range t.g.Services {
		s.MinReplicas = 1 + rnd.Intn(3)
		if rnd.Intn(2) == 0 {
			s.Capacity = graph.Decimal{Set: true, Units: 1 + rnd.Int63n(120), Scale: 4, At: t.here()}
		}
	}
	return t
}

// oracleKeeps adds up, for each service with a capacity, what every obligation
// there takes in microseconds, and the hop of each call.
func oracleKeeps(t *town, side map[*ir.Obligation]ir.Side) bool {
	for _, s := range t.g.Services {
		if !s.Capacity.Set {
			continue
		}
		sum := new(big.Rat)
		handled := map[string]*big.Rat{}
		for _, o := range t.prog.Obligations {
			for _, e := range o.Edges {
				rate := big.NewRat(e.Call.RPS.Units, []int64{1, 10}[e.Call.RPS.Scale])
				for at, here := range map[ir.Side]bool{ir.Ingress: o.Receiver == graph.Node(s), ir.Egress: e.Sender == graph.Node(s)} {
					if here && side[o]&at != 0 {
						cost := new(big.Rat).SetFloat64(o.Actions[0].Decl.Cost)
						sum.Add(sum, cost.Mul(cost, rate))
						handled[fmt.Sprintf("%p %s", e.Call, at)] = rate
					}
				}
			}
		}
		for _, rate := range handled {
			sum.Add(sum, new(big.Rat).Mul(rate, big.NewRat(ir.HopMicros, 1)))
		}
		room := big.NewRat(s.Capacity.Units*int64(s.MinReplicas)*1_000_000, 10_000)
		if sum.Cmp(room) > 0 {
			return false
		}
	}
	return true
}

// TestCapacitiesAgainstEveryAssignment: count and least change within
// capacities, with each engine and with the whole written down as one program.
func TestCapacitiesAgainstEveryAssignment(t *testing.T) {
	rounds := 10000
	if testing.Short() {
		rounds = 1000
	}
	feasible, matters, blocked := 0, 0, 0
	for seed := range rounds {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd).rated(rnd)
		minimise := []string{MinimiseADMs, MinimiseProxies}[seed%2]
		had, record := map[string]bool{}, &Record{}
		for _, s := range town.g.Services {
			if rnd.Intn(2) == 0 {
				had[s.Name] = true
				record.adms = append(record.adms, s.Name)
			}
		}
		best, change, without := int64(-1), 0, int64(-1)
		everyAssignment(town, func(side map[*ir.Obligation]ir.Side) {
			adms, ok := oracleADMs(town, side)
			if !ok {
				return
			}
			cost, differ := total(adms, weights[minimise]), 0
			if without < 0 || cost < without {
				without = cost
			}
			if !oracleKeeps(town, side) {
				return
			}
			for _, s := range town.g.Services {
				differ += bit(adms[s] != had[s.Name])
			}
			if best < 0 || cost < best || cost == best && differ < change {
				best, change = cost, differ
			}
		})
		feasible += bit(best >= 0)
		matters += bit(best >= 0 && best != without)
		blocked += bit(best < 0 && without >= 0)
		var bytes string
		for _, name := range Engines() {
			for _, o := range []Options{{}, {Unreduced: true}, {Previous: record}} {
				o.Engine, o.Minimise = name, minimise
				var bag diag.Bag
				pl, err := Place(context.Background(), town.prog, town.g, o, &bag)
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, name, err)
				}
				got := int64(-1)
				if pl != nil {
					got = pl.Objective
				}
				if got != best || got < 0 && len(bag.All()) == 0 {
					t.Fatalf("seed %d, %s, unreduced %t, previous %t: %d, every assignment tried gives %d\n%s", seed, name, o.Unreduced, o.Previous != nil, got, best, messages(&bag))
				}
				if pl != nil && o.Previous != nil && (len(pl.Added)+len(pl.Removed) != change || !pl.ProvedChange) {
					t.Fatalf("seed %d, %s: adds %v, removes %v, proved %t; %d changes are enough", seed, name, pl.Added, pl.Removed, pl.ProvedChange, change)
				}
				if pl != nil && !o.Unreduced && o.Previous == nil {
					if text := string(pl.JSON(nil)); bytes != "" && bytes != text {
						t.Fatalf("seed %d: %s gives other bytes", seed, name)
					} else {
						bytes = text
					}
				}
			}
		}
	}
	t.Logf("%d programs: %d feasible, in %d of them a capacity costs more ADMs, %d only without capacities", rounds, feasible, matters, blocked)
	if feasible < rounds/10 || matters < rounds/50 || blocked < rounds/50 {
		t.Error("the generator tests too little")
	}
}

// TestCapacityConflictIsMinimal: of programs that only capacities forbid, the
// members that are printed can't hold together by any assignment, and can
// without any of them; further sets share no obligation with those before.
func TestCapacityConflictIsMinimal(t *testing.T) {
	found, several := 0, 0
	for seed := range 1500 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd).rated(rnd)
		p, err := Build(town.prog, town.g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := closePins(p)
		if len(c.conflicts) > 0 {
			continue
		}
		for _, k := range c.limitedParts(forcedNodes(c)) {
			if _, err := k.solve(t.Context(), native{}); err == nil {
				continue
			}
			f := &filter{ctx: t.Context(), c: c}
			rest := f.members(k)
			if feasible(f.restrict(rest)) {
				t.Fatalf("seed %d: the part can be placed", seed)
			}
			for n := 0; f.contradict(rest); n++ {
				found++
				several += bit(n == 1)
				set := f.shrink(rest)
				if feasible(f.restrict(set)) {
					t.Fatalf("seed %d: the members can hold together", seed)
				}
				for i, m := range set {
					less := slices.Delete(slices.Clone(set), i, i+1)
					if m.kind == byTheLoad {
						less = f.drop(set, []int32{m.obligation})
					}
					if !feasible(f.restrict(less)) {
						t.Fatalf("seed %d: member %d of %v is not needed", seed, i, set)
					}
				}
				rest = f.without(rest, set)
			}
			if !feasible(f.restrict(rest)) {
				t.Fatalf("seed %d: something contradicts in what is left", seed)
			}
		}
	}
	if found < 300 || several < 10 {
		t.Errorf("%d conflicts, %d times another one", found, several)
	}
}

// TestCapacityConflictText: what a user reads, of two conflicts at one service.
func TestCapacityConflictText(t *testing.T) {
	town := newTown()
	s := town.service("r")
	const rate, cost = 200, 50
	s.Capacity = graph.Decimal{Set: true, Units: rate * (cost + ir.HopMicros), Scale: 6, At: town.here()}
	for i, rate := range []int64{rate, 100, 10} {
		o := town.obligation(fmt.Sprintf("p%d", i), "r", 80, ir.Ingress, fmt.Sprintf("a%d", i))
		o.Actions = []*ir.Action{{Decl: &ir.ActionDecl{Name: "x", Cost: cost}}}
		o.Edges[0].Call = &graph.Call{From: o.Edges[0].Sender, To: s, Port: 80, RPS: graph.Decimal{Set: true, Units: rate}, At: town.here()}
	}
	var bag diag.Bag
	if pl, err := Place(t.Context(), town.sorted().prog, town.g, Options{}, &bag); pl != nil || err != nil {
		t.Fatal(pl, err)
	}
	got := messages(&bag)
	for _, want := range []string{
		"the capacity of r can't be kept: these 5 can't hold together",
		fmt.Sprintf("p0 on calls to r:80 takes %gm of CPU at r (%gm of it to pass the calls on, once for all policies)", rate*(cost+ir.HopMicros)/1000.0, rate*ir.HopMicros/1000.0),
		"p0 can't be at egress: p0 keeps away from egress",
		"the ADM of r has a capacity of",
		"another conflict may remain behind it",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestCapacityByPlane: where a connection costs another thing than a request, a
// capacity counts it so.
func TestCapacityByPlane(t *testing.T) {
	for _, c := range []struct {
		protocol graph.Protocol
		takes    string
	}{{"http", "takes 10m"}, {"redis", "takes 70m"}} {
		town := newTown()
		s := town.service("r")
		s.Capacity = graph.Decimal{Set: true, Units: 1, Scale: 3, At: town.here()}
		o := town.obligation("p", "r", 80, ir.Ingress, "a")
		o.Protocol = c.protocol
		o.Actions = []*ir.Action{{Decl: &ir.ActionDecl{Name: "x", Cost: 500 - ir.HopMicros, Costs: map[graph.Plane]float64{graph.TCP: 3500 - ir.HopMicros}}}}
		o.Edges[0].Call = &graph.Call{From: o.Edges[0].Sender, To: s, Port: 80, RPS: graph.Decimal{Set: true, Units: 20}, At: town.here()}
		var bag diag.Bag
		if pl, err := Place(t.Context(), town.sorted().prog, town.g, Options{}, &bag); pl != nil || err != nil {
			t.Fatal(pl, err)
		}
		if got := messages(&bag); !strings.Contains(got, c.takes+" of CPU at r") {
			t.Errorf("%s: no %q in\n%s", c.protocol, c.takes, got)
		}
	}
}

// TestCapacityConflictBeside: pins that contradict elsewhere hide no capacity
// that can't be kept, and none is reported because of what is pinned in vain.
func TestCapacityConflictBeside(t *testing.T) {
	town := newTown()
	town.service("never").ADM = graph.ADMNever
	for _, name := range []string{"r", "s", "never"} {
		town.service(name).Capacity = graph.Decimal{Set: true, Units: 50, Scale: 3, At: town.here()}
	}
	loaded := func(policy, receiver string, side ir.Side, rate int64) *ir.Obligation {
		o := town.obligation(policy, receiver, 80, side, "a")
		o.Actions = []*ir.Action{{Decl: &ir.ActionDecl{Name: "x", Cost: 50}}}
		o.Edges[0].Call = &graph.Call{From: o.Edges[0].Sender, To: o.Receiver, Port: 80, RPS: graph.Decimal{Set: true, Units: rate}, At: town.here()}
		return o
	}
	loaded("pinned", "never", ir.Ingress, 300)
	loaded("heavy", "r", ir.Ingress, 300)
	town.same(loaded("vain", "s", ir.Ingress, 300), loaded("other", "s", ir.Egress, 1))
	var bag diag.Bag
	if pl, err := Place(t.Context(), town.sorted().prog, town.g, Options{}, &bag); pl != nil || err != nil {
		t.Fatal(pl, err)
	}
	got := messages(&bag)
	if !strings.Contains(got, "pinned can't be enforced") || !strings.Contains(got, "vain can't be at egress") || !strings.Contains(got, "the capacity of r can't be kept") || strings.Count(got, "can't be kept") != 1 {
		t.Error(got)
	}
	// A context that ended hides no conflict of pins.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	bag = diag.Bag{}
	if pl, err := Place(ended, town.prog, town.g, Options{}, &bag); pl != nil || err != nil || !strings.Contains(messages(&bag), "pinned can't be enforced") {
		t.Errorf("%v, %v\n%s", pl, err, messages(&bag))
	}
}

// TestUnrated: a call without a rate is an error where a capacity has to be kept,
// and nowhere else.
func TestUnrated(t *testing.T) {
	for _, test := range []struct {
		may  ir.Side
		want int
	}{{ir.Ingress, 0}, {ir.Egress, 1}, {eitherSide, 1}} {
		town := newTown()
		a := town.service("a")
		a.Capacity = graph.Decimal{Set: true, Units: 1, At: town.here()}
		o := town.obligation("p", "b", 80, test.may, "a")
		o.Edges[0].Call = &graph.Call{From: a, To: o.Receiver, Port: 80, At: town.here()}
		town.obligation("q", "b", 80, test.may, "a").Edges = o.Edges
		var bag diag.Bag
		pl, err := Place(t.Context(), town.sorted().prog, town.g, Options{}, &bag)
		if err != nil || (pl == nil) != (test.want > 0) || len(bag.All()) != test.want {
			t.Errorf("%s: %v, %v\n%s", test.may, pl, err, messages(&bag))
		}
		if test.want > 0 && (bag.All()[0].At != o.Edges[0].Call.At || bag.All()[0].Notes[0].At != a.Capacity.At) {
			t.Errorf("%s: places\n%s", test.may, messages(&bag))
		}
	}
}

// TestLimitedModel: the integer program of a part and the search agree, in weight
// and in that there is nothing.
func TestLimitedModel(t *testing.T) {
	parts, nothing := 0, 0
	for seed := range 1200 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd)
		if seed%10 == 0 {
			town = mediumTown(rnd, true)
		} else {
			town.rated(rnd)
		}
		p, err := Build(town.prog, town.g, Options{Minimise: MinimiseProxies})
		if err != nil {
			t.Fatal(err)
		}
		c := closePins(p)
		if len(c.conflicts) > 0 {
			continue
		}
		for _, k := range c.limitedParts(forcedNodes(c)) {
			parts++
			side := newLimitedSearch(t.Context(), k).run()
			nothing += bit(side == nil)
			if side != nil && k.broken(side) {
				t.Fatalf("seed %d: the search breaks a capacity", seed)
			}
			for _, e := range engines {
				program, ok := e.(modelSolver)
				if !ok {
					continue
				}
				value, err := program.solveModel(t.Context(), k.model())
				if err != nil && !errors.Is(err, errInfeasible) {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if (err != nil) != (side == nil) {
					t.Fatalf("seed %d: %s says %v, the search finds %v", seed, e.Name(), err, side)
				}
				if err == nil && (k.cost(k.answer(value)) != k.cost(side) || k.broken(k.answer(value))) {
					t.Fatalf("seed %d: %s gives %d, the search %d", seed, e.Name(), k.cost(k.answer(value)), k.cost(side))
				}
			}
		}
	}
	if parts < 300 || nothing < 50 || nothing > parts-50 {
		t.Errorf("%d parts, %d of them without an answer", parts, nothing)
	}
}

// broken reports that an answer breaks a limit or a row between its choices.
func (k *limited) broken(side []int8) bool {
	for l, used := range k.used(side) {
		if used > k.limits[l].room {
			return true
		}
	}
	for i, s := range side {
		if slices.ContainsFunc(k.free[i].follows[s], func(j int32) bool { return side[j] != s }) {
			return true
		}
	}
	return false
}

// partition is a town that has an answer only if loads that are multiples of
// three add up to what is no multiple of three: nothing shows it before most
// ways of dividing them have been tried.
func partition(n int) *town {
	rnd := rand.New(rand.NewSource(1))
	t := newTown()
	a, b := t.service("a"), t.service("b")
	a.ADM, b.ADM = graph.ADMAlways, graph.ADMAlways
	total := int64(0)
	add := func(policy string, port int, may ir.Side, rate int64) {
		o := t.obligation(policy, "a", port, may, "b")
		o.Actions = []*ir.Action{{Decl: &ir.ActionDecl{Name: policy}}}
		o.Edges[0].Call = &graph.Call{From: b, To: a, Port: port, At: t.here(), RPS: graph.Decimal{Set: true, Units: rate}}
	}
	for i := range n {
		rate := 3 * (1000 + rnd.Int63n(1000))
		total += rate
		add("p", 80+i, eitherSide, rate)
	}
	half := total/6*3 + 1 // one more than a multiple of three
	add("q", 79, ir.Ingress, 1)
	cores := func(rate int64) graph.Decimal {
		return graph.Decimal{Set: true, Units: rate * ir.HopMicros, Scale: 6, At: t.here()}
	}
	a.Capacity, b.Capacity = cores(half+1), cores(total-half)
	return t.sorted()
}

// TestCapacitiesEndAtOnce: in the middle of a search that would not end, with
// either engine; as nothing was found, nothing is given.
func TestCapacitiesEndAtOnce(t *testing.T) {
	for _, engine := range Engines() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // ends what lp_solve is left with
		time.AfterFunc(300*time.Millisecond, cancel)
		town := partition(40)
		pl, err := Place(ctx, town.prog, town.g, Options{Engine: engine}, &diag.Bag{})
		var stopped *Stopped
		if pl != nil || !errors.As(err, &stopped) || stopped.Best != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v", engine, pl, err)
		}
		if !strings.Contains(err.Error(), "no placement that keeps the capacities is found yet") {
			t.Error(err)
		}
		// The control: with room for one more it is solved.
		b := town.service("b")
		b.Capacity.Units *= 2
		if pl, err := Place(context.Background(), town.prog, town.g, Options{Engine: engine}, &diag.Bag{}); pl == nil || err != nil {
			t.Errorf("%s: %v", engine, err)
		}
	}
}

// TestStoppedWithinCapacities: what is given when the context ends keeps the
// capacities (Place verifies it), with a bound that adds up.
func TestStoppedWithinCapacities(t *testing.T) {
	for _, engine := range Engines() {
		found, nothing := 0, 0
		for seed := range 60 {
			town := mediumTown(rand.New(rand.NewSource(int64(seed))), true)
			ctx, cancel := context.WithCancel(context.Background())
			_, err := Place(ctx, town.prog, town.g, Options{Engine: engine, Progress: func(Progress) { cancel() }}, &diag.Bag{})
			cancel()
			var stopped *Stopped
			switch {
			case err == nil:
			case !errors.As(err, &stopped):
				t.Fatalf("%s, seed %d: %v", engine, seed, err)
			case stopped.Best == nil:
				nothing++
			case stopped.Best.Kind != CertificateDual || stopped.Best.Bound > stopped.Best.Objective:
				t.Errorf("%s, seed %d: %s, %d of %d", engine, seed, stopped.Best.Kind, stopped.Best.Bound, stopped.Best.Objective)
			default:
				found++
			}
		}
		if found < 5 {
			t.Errorf("%s: stopped with something %d times, with nothing %d times", engine, found, nothing)
		}
	}
}
