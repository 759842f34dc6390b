package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver/bench/shapes"
)

// An instance is a row of the table.
type instance struct {
	name, family string
	grows        bool // the family goes on with larger ones: who times out here is not run there
	services     int
	changed      bool // placed least differently from the placement of a slightly smaller program
	make         func() (*shapes.Shape, error)
}

var instances = slices.Concat(real(), tiers(), mixes(), everywhere(), uniform())

// changed are mixes that differ in one policy of thirty from what is placed.
func changed() []instance {
	list := mixes()[2:]
	for i := range list {
		list[i].name += ", changed"
		list[i].changed = true
	}
	return list
}

func named(name string) (instance, error) {
	all := append(instances, changed()...)
	i := slices.IndexFunc(all, func(in instance) bool { return in.name == name })
	if i < 0 {
		return instance{}, fmt.Errorf("no instance %q", name)
	}
	return all[i], nil
}

// real are the call graphs of the examples, with a policy on every call.
func real() (out []instance) {
	for _, name := range []string{"bookinfo", "online-boutique", "hotel-reservation", "social-network"} {
		out = append(out, instance{name: name, family: "real", make: func() (*shapes.Shape, error) {
			path := filepath.Join("testdata", "graphs", name+".yaml")
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			var bag diag.Bag
			g := graph.Load(diag.NewSource(path, text), &bag)
			if bag.HasErrors() {
				return nil, fmt.Errorf("%s has errors", path)
			}
			return shapes.Everywhere(g), nil
		}})
	}
	return out
}

func tiers() (out []instance) {
	for _, depth := range []int{4, 8, 16} {
		for _, times := range []int{2, 3, 6} {
			out = append(out, instance{name: fmt.Sprintf("%d tiers, %d times", depth, times), family: "tiers", services: 400,
				make: func() (*shapes.Shape, error) { return shapes.Tiers(400, depth, times, 1), nil }})
		}
	}
	return out
}

func mixes() (out []instance) {
	for n := 100; n <= 1_000_000; n *= 10 {
		out = append(out, instance{name: fmt.Sprintf("mix of %d", n), family: "mix", grows: true, services: n,
			make: func() (*shapes.Shape, error) { return shapes.Mesh(n, 3, 0.3, 1), nil }})
	}
	return out
}

func everywhere() (out []instance) {
	for _, calls := range []int{3, 4} {
		for _, n := range []int{1000, 2000} {
			for _, seed := range []int64{1, 2} {
				out = append(out, instance{name: fmt.Sprintf("every call of %d × %d, #%d", n, calls, seed), family: fmt.Sprintf("every/%d/%d", calls, seed), grows: true, services: n,
					make: func() (*shapes.Shape, error) { return shapes.Mesh(n, calls, 1, seed), nil }})
			}
		}
	}
	return out
}

func uniform() (out []instance) {
	for _, n := range []int{100, 200, 1000} {
		out = append(out, instance{name: fmt.Sprintf("uniform %d × 3", n), family: "uniform", grows: true, services: n,
			make: func() (*shapes.Shape, error) { return shapes.Uniform(n, 3, 1), nil }})
	}
	return out
}

// A plain problem is what the other solvers read: nodes, obligations and rows
// by number. A side is 1 for ingress, 2 for egress, 3 for either.
type plain struct {
	Weight      []int64  `json:"weight"`
	CanHost     []bool   `json:"canHost"`
	Obligations []task   `json:"obligations"`
	Forbid      [][4]int `json:"forbid"`
}

type task struct {
	Receiver int   `json:"receiver"`
	Senders  []int `json:"senders"`
	May      int   `json:"may"`
}

// write puts the instance into a file and gives its path.
func (in instance) write(dir string) (string, error) {
	s, err := in.make()
	if err != nil {
		return "", err
	}
	var p plain
	number := map[graph.Node]int{}
	for i, n := range s.Graph.Services {
		number[n] = i
		p.Weight = append(p.Weight, 1)
		p.CanHost = append(p.CanHost, n.ADM != graph.ADMNever)
	}
	index := map[*ir.Obligation]int{}
	for i, o := range s.Program.Obligations {
		index[o] = i
		t := task{Receiver: number[o.Receiver], May: int(o.May)}
		for _, e := range o.Edges {
			t.Senders = append(t.Senders, number[e.Sender])
		}
		p.Obligations = append(p.Obligations, t)
	}
	for _, r := range s.Program.Rows {
		if r.Kind != ir.Forbid {
			return "", fmt.Errorf("a row of a kind that the other solvers are not given")
		}
		p.Forbid = append(p.Forbid, [4]int{index[r.P], int(r.PSide), index[r.Q], int(r.QSide)})
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "instance.json")
	return path, os.WriteFile(path, text, 0o644)
}
