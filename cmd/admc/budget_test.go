package main

import (
	"fmt"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// TestInterpreterCountsAsEmitted holds the interpreter's buckets to the budget
// that a proxy of a service with one pod is given: so many at once, and from an
// empty bucket so many in a time.
func TestInterpreterCountsAsEmitted(t *testing.T) {
	const pair = `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: pair}
services:
  a: {}
  b: {ports: [{port: 8080, protocol: http}]}
calls:
  - {from: a, to: b}
`
	for _, args := range []string{"1/s", "7/s", "500/s", "10/m", "90/m", "1k/h", "rate: 10/s, burst: 1", "rate: 3/m, burst: 40", `rate: 25/s, scope: "service"`} {
		bag := &diag.Bag{}
		g := graph.Load(diag.NewSource("graph.yaml", []byte(pair)), bag)
		src := diag.NewSource("p.adm", []byte(fmt.Sprintf("policy p { on a -> b  rate_limit(%s) }\n", args)))
		p := lang.Check([]*syntax.File{syntax.Parse(src, bag)}, g, bag)
		if bag.HasErrors() {
			t.Fatalf("%s: %v", args, bag.All()[0].Message)
		}
		want := layout.BudgetOf(p.Obligations[0].Actions[0], 1)
		in := lang.NewInterp(p)
		passed := func(n int, each time.Duration) (yes int64) {
			var requests []*lang.Request
			for i := range n {
				requests = append(requests, &lang.Request{Call: g.Calls[0], Method: "GET", Path: "/", At: in.Clock() + time.Duration(i+1)*each})
			}
			for _, r := range in.Run(requests...) {
				if r.Passed() {
					yes++
				}
			}
			return yes
		}
		if got := passed(int(want.Burst)+5, 0); got != want.Burst {
			t.Errorf("%s: %d at once, want %d", args, got, want.Burst)
		}
		// Twice as often as the rate, for the time in which it gives 20.
		each := want.Per / time.Duration(2*want.Events)
		if got := passed(40, each+1); got != 20 {
			t.Errorf("%s: %d of 40 at twice the rate, want 20", args, got)
		}
	}
}

// TestPartsOfLimits: what one pod is given of a limit, as it is printed and as the
// proxy has it.
func TestPartsOfLimits(t *testing.T) {
	for _, c := range []struct {
		action   ir.Action
		replicas int
		want     string
	}{
		{ir.Action{Args: map[string]ir.Value{"max": {Kind: ir.Int, Int: 20}}}, 1, "20 at a time"},
		{ir.Action{Args: map[string]ir.Value{"max": {Kind: ir.Int, Int: 20}}}, 3, "6 at a time"},
		{ir.Action{Args: map[string]ir.Value{"max": {Kind: ir.Int, Int: 20}, "scope": {Kind: ir.String, Str: "pod"}}}, 3, "20 at a time"},
		{ir.Action{Args: map[string]ir.Value{"limit": {Kind: ir.Int, Int: 1 << 20}}}, 3, "341 KiB in a second each way"},
		{ir.Action{Args: map[string]ir.Value{"rate": {Kind: ir.Rate, Int: 500, Dur: time.Second}, "burst": {Kind: ir.Int, Int: 9}}}, 3, "500 in 3s, at most 3 at once"},
	} {
		if got := layout.PartOf(&c.action, c.replicas); got != c.want {
			t.Errorf("%v for %d: got %q, want %q", c.action.Args, c.replicas, got, c.want)
		}
	}
}
