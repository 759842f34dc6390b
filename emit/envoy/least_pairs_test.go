//go:build linux

package envoy

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// TestTwoPoliciesFit holds how many pairs of policies on one call fit two screens
// where one ADM has both, and how many policies alone: of the actions of the standard
// library as TestPlacementInvariance calls them, at the caller where they can stand
// there. With -v it tells the lines of each.
//
// The others need more: a filter without a switch of its own stands in a matcher,
// a condition is decided in one, two policies on the route have a route for each
// combination of their switches, and versions have a cluster for each.
func TestTwoPoliciesFit(t *testing.T) {
	t.Parallel()
	for _, plane := range []struct {
		proto         graph.Protocol
		specimens     []specimen
		pairs, single string
	}{
		{"http", httpSpecimens, "14 of 591", "12 of 35"},
		{"grpc", rpcSpecimens, "48 of 514", "17 of 33"},
		{"redis", streamSpecimens, "77 of 79", "13 of 13"},
	} {
		t.Run(string(plane.proto), func(t *testing.T) {
			t.Parallel()
			pairs, single := map[string]int{}, map[string]int{}
			for i, a := range plane.specimens {
				if n := linesOf(t, alone(0, plane.proto, a)); n > 0 {
					single[a.name] = n
				}
				for _, b := range plane.specimens[i:] {
					if b.name == "locality" && a.picks || a.name == "locality" && b.picks {
						continue
					}
					if n := linesOf(t, pairOf(0, plane.proto, a, b)); n > 0 {
						pairs[a.name+" + "+b.name] = n
					}
				}
			}
			for _, held := range []struct {
				what  string
				sizes map[string]int
				want  string
			}{{"pairs of policies", pairs, plane.pairs}, {"policies", single, plane.single}} {
				if got := fitting(t, held.sizes); got != held.want {
					t.Errorf("%s %s fit, not %s: docs/output.md says so, too", got, held.what, held.want)
				}
			}
		})
	}
}

// fitting is how many of the files fit, of how many.
func fitting(t *testing.T, sizes map[string]int) string {
	t.Helper()
	fit := 0
	var table strings.Builder
	byLines := func(p, q string) int { return cmp.Or(sizes[p]-sizes[q], strings.Compare(p, q)) }
	for _, name := range slices.SortedFunc(maps.Keys(sizes), byLines) {
		if sizes[name] <= twoScreens {
			fit++
		}
		fmt.Fprintf(&table, "%4d %s\n", sizes[name], name)
	}
	t.Logf("lines:\n%s", &table)
	return fmt.Sprintf("%d of %d", fit, len(sizes))
}

// linesOf is how long the file is of the one ADM that has all policies of a trial;
// 0: they can't stand on one call, or not at one side.
func linesOf(t *testing.T, x *trial) int {
	t.Helper()
	g, p, bag := x.checked(20000)
	if bag.HasErrors() {
		return 0
	}
	for _, side := range []ir.Side{ir.Egress, ir.Ingress} {
		for _, assigned := range placements(p) {
			if slices.ContainsFunc(assigned, func(s solver.Assigned) bool { return s.Side != side }) {
				continue
			}
			x.cells = []*cell{{port: 20000, graph: g, program: p, assigned: assigned}}
			l := together([]*trial{x})
			data, _ := emitted(t, l).Get(l.ADMs[0].Dir + "/" + FileName)
			return bytes.Count(data, []byte("\n"))
		}
	}
	return 0
}
