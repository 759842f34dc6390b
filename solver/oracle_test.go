package solver

import (
	"context"
	"fmt"
	"math/rand"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// oracle tries every assignment of sides and gives the least weight, or -1. It
// reads the program and the graph, nothing of this package.
func oracle(t *town, weight func(*graph.Service) int64) int64 {
	best := int64(-1)
	everyAssignment(t, func(side map[*ir.Obligation]ir.Side) {
		if adms, ok := oracleADMs(t, side); ok {
			if cost := total(adms, weight); best < 0 || cost < best {
				best = cost
			}
		}
	})
	return best
}

// total is the weight of a set of ADMs.
func total(adms map[graph.Node]bool, weight func(*graph.Service) int64) int64 {
	sum := int64(0)
	for n := range adms {
		sum += weight(n.(*graph.Service))
	}
	return sum
}

func everyAssignment(t *town, do func(map[*ir.Obligation]ir.Side)) {
	obligations := t.prog.Obligations
	side := map[*ir.Obligation]ir.Side{}
	var try func(i int)
	try = func(i int) {
		if i < len(obligations) {
			o := obligations[i]
			if o.Both {
				side[o] = ir.Ingress | ir.Egress
				try(i + 1)
				return
			}
			for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
				if o.May&s != 0 {
					side[o] = s
					try(i + 1)
				}
			}
			return
		}
		do(side)
	}
	try(0)
}

// oracleADMs is the nodes that need an ADM, unless the assignment breaks a row
// or one of them can't have one.
func oracleADMs(t *town, side map[*ir.Obligation]ir.Side) (map[graph.Node]bool, bool) {
	for _, r := range t.prog.Rows {
		p, q := side[r.P], side[r.Q]
		if r.Kind == ir.Forbid && p&r.PSide != 0 && q&r.QSide != 0 || r.Kind == ir.Same && q&^p != 0 {
			return nil, false
		}
	}
	adm := map[graph.Node]bool{}
	for _, o := range t.prog.Obligations {
		if side[o]&ir.Ingress != 0 {
			adm[o.Receiver] = true
		}
		if side[o]&ir.Egress != 0 {
			for _, e := range o.Edges {
				adm[e.Sender] = true
			}
		}
	}
	for _, s := range t.g.Services {
		if s.ADM == graph.ADMAlways {
			adm[s] = true
		}
	}
	for n := range adm {
		if s, ok := n.(*graph.Service); !ok || s.ADM == graph.ADMNever {
			return nil, false
		}
	}
	return adm, true
}

// randomTown is small enough for the oracle and has everything: groups of
// senders, self calls, externals, both, never and always, weights, order and
// same rows.
func randomTown(rnd *rand.Rand) *town {
	t := newTown()
	services := 2 + rnd.Intn(6)
	for i := range services {
		s := t.service(fmt.Sprintf("s%d", i))
		s.MaxReplicas = 1 + rnd.Intn(4)
		s.Cost = graph.Decimal{Set: rnd.Intn(3) > 0, Units: int64(rnd.Intn(12)), Scale: rnd.Intn(2)}
		switch rnd.Intn(12) {
		case 0:
			s.ADM = graph.ADMNever
		case 1:
			s.ADM = graph.ADMAlways
		}
	}
	rowShare := rnd.Intn(4)
	for i := range 1 + rnd.Intn(9) {
		receiver := fmt.Sprintf("s%d", rnd.Intn(services))
		if rnd.Intn(15) == 0 {
			receiver = "ext-out"
		}
		senders := map[string]bool{}
		for range 1 + rnd.Intn(3) {
			senders[fmt.Sprintf("s%d", rnd.Intn(services))] = true
		}
		if rnd.Intn(15) == 0 {
			senders["ext-in"] = true
		}
		may := eitherSide
		if rnd.Intn(4) == 0 {
			may = ir.Side(1 + rnd.Intn(2))
		}
		o := t.obligation(fmt.Sprintf("p%d", i), receiver, 80, may, keys(senders)...)
		o.Both = rnd.Intn(15) == 0
		if o.Both {
			o.May = eitherSide
		}
		for _, q := range t.prog.Obligations[:i] {
			if q.Receiver != o.Receiver || rnd.Intn(4) >= rowShare {
				continue
			}
			p, q := q, o
			if rnd.Intn(2) == 0 {
				p, q = q, p
			}
			if rnd.Intn(4) == 0 {
				t.same(p, q)
			} else {
				t.forbid(p, ir.Side(1+rnd.Intn(2)), q)
			}
		}
	}
	return t.sorted()
}

func keys(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

var weights = map[string]func(*graph.Service) int64{
	MinimiseADMs:    func(*graph.Service) int64 { return 1 },
	MinimiseProxies: func(s *graph.Service) int64 { return int64(s.MaxReplicas) },
}

// TestAgainstEveryAssignment holds the reduction to a cover, all rules and all
// engines to the definition of the problem.
func TestAgainstEveryAssignment(t *testing.T) {
	rounds := 10000
	if testing.Short() {
		rounds = 1000
	}
	feasible, free := 0, 0
	for seed := range rounds {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd)
		minimise := MinimiseADMs
		if seed%2 == 1 {
			minimise = MinimiseProxies
		}
		want := oracle(town, weights[minimise])
		if seed%4 == 3 { // costs with decimals: the same question in tenths
			minimise = MinimiseCost
			want = oracle(town, func(s *graph.Service) int64 {
				if !s.Cost.Set {
					return 10
				}
				return s.Cost.Units * []int64{10, 1}[s.Cost.Scale]
			})
		}
		for _, name := range Engines() {
			for _, unreduced := range []bool{false, true} {
				var bag diag.Bag
				pl, err := Place(context.Background(), town.prog, town.g, Options{Engine: name, Minimise: minimise, Unreduced: unreduced}, &bag)
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, name, err)
				}
				got := int64(-1)
				if pl != nil {
					got = pl.Objective
					if minimise == MinimiseCost && pl.Scale == 0 {
						got *= 10
					}
				}
				if got != want {
					t.Fatalf("seed %d, %s, unreduced %t: %d, every assignment tried gives %d\n%s", seed, name, unreduced, got, want, messages(&bag))
				}
			}
		}
		if want >= 0 {
			feasible++
		}
		for _, o := range town.prog.Obligations {
			free += bit(o.May == eitherSide)
		}
	}
	if feasible < rounds/4 || feasible > rounds*3/4 {
		t.Errorf("%d of %d programs are feasible: the generator tests one side only", feasible, rounds)
	}
}
