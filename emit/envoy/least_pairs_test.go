//go:build linux

package envoy

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// TestTwoPoliciesFit: the file of the one ADM that has two policies on one call
// fits two screens, whichever two of the standard library's actions they are, as
// TestPlacementInvariance calls them. With -v it tells the lines of each pair, and
// of each policy alone.
func TestTwoPoliciesFit(t *testing.T) {
	t.Parallel()
	for _, plane := range []struct {
		proto     graph.Protocol
		specimens []specimen
		pairs     int // at least so many can stand on one call
	}{
		{"http", httpSpecimens, 591}, {"grpc", rpcSpecimens, 514}, {"redis", streamSpecimens, 79},
	} {
		t.Run(string(plane.proto), func(t *testing.T) {
			t.Parallel()
			sizes, pairs := map[string]int{}, 0
			for i, a := range plane.specimens {
				if n := linesOf(t, alone(0, plane.proto, a)); n > 0 {
					sizes[a.name] = n
				}
				for _, b := range plane.specimens[i:] {
					if b.name == "locality" && a.picks || a.name == "locality" && b.picks {
						continue
					}
					if n := linesOf(t, pairOf(0, plane.proto, a, b)); n > 0 {
						sizes[a.name+" + "+b.name] = n
						pairs++
					}
				}
			}
			if pairs < plane.pairs {
				t.Errorf("only %d pairs", pairs)
			}
			byLines := func(p, q string) int { return cmp.Or(sizes[p]-sizes[q], strings.Compare(p, q)) }
			for _, name := range slices.SortedFunc(maps.Keys(sizes), byLines) {
				t.Logf("%4d %s", sizes[name], name)
				if sizes[name] > twoScreens {
					t.Errorf("%s: %d lines", name, sizes[name])
				}
			}
		})
	}
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
