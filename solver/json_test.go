package solver

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand"
	"testing"

	"admc.dev/admc/lang/diag"
)

// TestPlacementFile: the contract, byte for byte.
func TestPlacementFile(t *testing.T) {
	town := newTown()
	town.obligation("protect_databases", "mongodb-geo", 27017, eitherSide, "geo")
	town.at("ext-in")
	pl := town.sorted().place(t, Options{})
	want := `{
  "apiVersion": "admc.dev/v1alpha1",
  "kind": "Placement",
  "adms": [
    {
      "service": "geo",
      "plane": "envoy",
      "obligations": [
        "protect_databases@mongodb-geo:27017:egress"
      ]
    }
  ],
  "objective": 1,
  "bound": 1,
  "proved": true,
  "obligations": [
    {
      "policy": "protect_databases",
      "receiver": "mongodb-geo",
      "port": 27017,
      "senders": [
        "geo"
      ],
      "side": "egress",
      "reason": "free"
    }
  ],
  "certificate": {
    "kind": "dual",
    "parts": [
      {
        "denominator": 1,
        "rows": [
          {
            "kind": "edge",
            "services": [
              "geo",
              "mongodb-geo"
            ],
            "times": 1
          }
        ]
      }
    ]
  },
  "inputs": [
    {
      "path": "a->b.adm",
      "sha256": "11"
    },
    {
      "path": "graph.yaml",
      "sha256": "00"
    }
  ],
  "minimise": "adms",
  "scale": 0
}
`
	if got := string(pl.JSON([]Input{{"graph.yaml", "00"}, {"a->b.adm", "11"}})); got != want {
		t.Errorf("got\n%s", got)
	}
	empty := string((&Placement{Certificate: Certificate{Kind: CertificateSearch}}).JSON(nil))
	want = `{
  "apiVersion": "admc.dev/v1alpha1",
  "kind": "Placement",
  "adms": [],
  "objective": 0,
  "bound": 0,
  "proved": false,
  "obligations": [],
  "certificate": {
    "kind": "search",
    "parts": []
  },
  "inputs": [],
  "minimise": "adms",
  "scale": 0
}
`
	if empty != want {
		t.Errorf("empty lists:\n%s", empty)
	}
}

// TestInputOrder: services, externals, obligations, edges and rows in any order
// give the same bytes.
func TestInputOrder(t *testing.T) {
	for seed := range 400 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		town := randomTown(rnd)
		if seed%2 == 0 {
			town.rated(rnd)
		}
		var want []byte
		for range 4 {
			var bag diag.Bag
			pl, err := Place(context.Background(), town.prog, town.g, Options{Minimise: MinimiseProxies}, &bag)
			if err != nil {
				t.Fatal(err)
			}
			got := []byte(messages(&bag))
			if pl != nil {
				got = pl.JSON(nil)
			}
			if want == nil {
				want = got
			} else if !bytes.Equal(got, want) {
				t.Fatalf("seed %d:\n%s\n%s", seed, want, got)
			}
			shuffle(rnd, town.g.Services)
			shuffle(rnd, town.g.Externals)
			shuffle(rnd, town.prog.Obligations)
			shuffle(rnd, town.prog.Rows)
			shuffle(rnd, town.prog.Policies)
			for _, o := range town.prog.Obligations {
				shuffle(rnd, o.Edges)
			}
		}
		if json.Valid(want) == bytes.Contains(want, []byte("infeasible")) {
			t.Fatalf("seed %d: neither a placement nor a conflict", seed)
		}
	}
}

func shuffle[T any](rnd *rand.Rand, list []T) {
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// TestSameBytes: whichever engine, where a part is left for one.
func TestSameBytes(t *testing.T) {
	left := 0
	for seed := range 100 {
		town := mesh(30+seed%34, 6, 1, int64(seed))
		var want []byte
		for _, name := range Engines() {
			var bag diag.Bag
			pl, err := Place(context.Background(), town.prog, town.g, Options{Engine: name, Minimise: []string{MinimiseADMs, MinimiseProxies}[seed%2]}, &bag)
			if err != nil || pl == nil {
				t.Fatal(err, messages(&bag))
			}
			if got := pl.JSON(nil); want == nil {
				want = got
			} else if !bytes.Equal(want, got) {
				t.Fatalf("seed %d: %s gives other bytes than %s", seed, name, Engines()[0])
			}
		}
		p, err := Build(town.prog, town.g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		g := newCover(closePins(p))
		r := newReducer(g.weight, g.adj)
		r.run()
		left += bit(r.left > 0)
	}
	if left < 50 {
		t.Errorf("an engine was needed %d times", left)
	}
}
