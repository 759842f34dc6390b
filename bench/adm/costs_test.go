package adm

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
)

const page = "../../docs/performance.md"

// declared is the cost that the standard library says.
func declared(action, plane string) float64 {
	if action == ir.StampAction {
		return ir.StampMicros
	}
	return lang.StandardActions().Decl(action).CostOn(graph.Plane(plane))
}

// A standing is a figure of admc's beside what was measured: of an action for
// messages (the dearer of http and grpc) or for byte streams, and of the hop (the
// dearest of all).
type standing struct {
	what string
	says float64
	Spread
}

// standings of all figures that something was measured for, sorted by name.
func standings(hops []Hop, rows []Measured) []standing {
	dearest := map[string]standing{}
	take := func(s standing) {
		if old, ok := dearest[s.what]; !ok || s.Median > old.Median {
			dearest[s.what] = s
		}
	}
	for _, h := range hops {
		if h.At != "both" { // two of them pass a request on
			take(standing{"the hop", ir.HopMicros, h.CPU})
		}
	}
	for _, r := range rows {
		if r.Action == "" || r.Variant != "" {
			continue
		}
		what := r.Action
		if d := lang.StandardActions().Decl(r.Action); r.Plane == string(graph.TCP) && d.CostOn(graph.TCP) != d.Cost {
			what += " on tcp"
		}
		take(standing{what, declared(r.Action, r.Plane), r.Extra})
	}
	return slices.SortedFunc(maps.Values(dearest), func(a, b standing) int { return strings.Compare(a.what, b.what) })
}

// differences tells of each figure that is not within what was measured.
func differences(hops []Hop, rows []Measured) (out []string) {
	for _, s := range standings(hops, rows) {
		if !s.fits(s.says) {
			out = append(out, fmt.Sprintf("%s is said to cost %g µs; measured: %.1f (%.1f to %.1f), so %g", s.what, s.says, s.Median, s.Low, s.High, figure(s.Median)))
		}
	}
	return out
}

// TestEveryActionHasAProgram: one on each protocol that the standard library says
// it can act on, and none is for an action that is no more.
func TestEveryActionHasAProgram(t *testing.T) {
	all := rows(programs("{}"))
	for _, action := range lang.ActionNames() {
		for plane := range lang.StandardActions().Decl(action).Sides {
			has := func(r row) bool { return r.action == action && r.plane == plane && r.variant == "" }
			if !slices.ContainsFunc(all, has) {
				t.Errorf("nothing measures %s on %s: give it a program", action, plane)
			}
		}
	}
	for _, p := range programs("{}") {
		if p.action != "" && p.action != ir.StampAction && lang.StandardActions().Decl(p.action) == nil {
			t.Errorf("a program of %s, which is no action", p.action)
		}
	}
}

// TestCostsAreAsMeasured: the standard library, the hop and the tables on the page
// say the same, each figure within what was measured, and the tables have a line
// for each row.
func TestCostsAreAsMeasured(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, written, _, err := split(string(text))
	if err != nil {
		t.Fatal(err)
	}
	hops, lines, err := parse(written)
	if err != nil {
		t.Fatal(err)
	}
	var measured []Measured
	for _, l := range lines {
		measured = append(measured, l.Measured)
		if l.Action == "" || l.Variant != "" {
			continue
		}
		if l.Action != ir.StampAction && lang.StandardActions().Decl(l.Action) == nil {
			t.Errorf("the page has a line for %s, which is no action", l.Action)
			continue
		}
		if got := fmt.Sprintf("%g", declared(l.Action, l.Plane)); got != l.Cost {
			t.Errorf("%s on %s costs %s in the standard library, %s on the page", l.Action, l.Plane, got, l.Cost)
		}
	}
	for _, r := range rows(programs("{}")) {
		same := func(m Measured) bool {
			return m.Action == r.action && m.Variant == r.variant && m.Plane == string(r.plane) && m.At == at(r.sides)
		}
		if !slices.ContainsFunc(measured, same) {
			t.Errorf("the page has no line for %s on %s at %s: run make bench-adm UPDATE=-update", r.name(), r.plane, at(r.sides))
		}
	}
	for _, d := range differences(hops, measured) {
		t.Error(d)
	}
	placement, err := os.ReadFile("../../docs/placement.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("rps · %d µs", ir.HopMicros); !strings.Contains(string(placement), want) {
		t.Errorf("docs/placement.md does not say %q", want)
	}
}

// TestTables: what is written is read back; another head or a torn line is not.
func TestTables(t *testing.T) {
	hops := []Hop{{Plane: "http", At: "ingress", CPU: Spread{170, 160, 180}}}
	rows := []Measured{
		{Action: "jwt", Plane: "http", At: "ingress", Extra: Spread{61.5, -2, 70}},
		{Action: "rate_limit", Variant: "global", Plane: "grpc", At: "ingress"},
		{Variant: "nothing, again", Plane: "tcp", At: "egress", Extra: Spread{-1, -2, 0.5}},
	}
	text := tables(hops, rows, func(action, plane string) float64 { return 12.5 })
	gotHops, lines, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gotHops, hops) {
		t.Errorf("%+v", gotHops)
	}
	want := []Line{{rows[0], "12.5"}, {rows[1], "–"}, {rows[2], "–"}}
	if !slices.Equal(lines, want) {
		t.Errorf("%+v", lines)
	}
	for _, bad := range []string{"", strings.Replace(text, "÷ empty", "÷ full", 1), strings.Replace(text, "| jwt |", "| jwt", 1), strings.Replace(text, "61.5", "many", 1)} {
		if _, lines, err := parse(bad); err == nil {
			t.Errorf("read %d lines of\n%s", len(lines), bad)
		}
	}
	if _, _, _, err := split(begins + text); err == nil {
		t.Error("a page without its last mark")
	}
}

// TestFigures: how measurements become figures, and when a figure stands.
func TestFigures(t *testing.T) {
	for micros, want := range map[float64]float64{-8: 1, 4.9: 1, 5: 5, 7.4: 5, 7.6: 10, 61.5: 60, 98: 100, 176: 180} {
		if got := figure(micros); got != want {
			t.Errorf("%g becomes %g, want %g", micros, got, want)
		}
	}
	s := Spread{Median: 62, Low: 52, High: 71}
	for cost, want := range map[float64]bool{45: false, 50: true, 60: true, 70: true, 75: false} {
		if s.fits(cost) != want {
			t.Errorf("%g within %v: %v", cost, s, !want)
		}
	}
	if !(Spread{Low: -9, High: 3}).fits(1) || (Spread{Low: -9, High: 3}).fits(5) {
		t.Error("what is lost in the noise costs 1")
	}
	if got := spread([]float64{5, 1, 2, 4, 3}); got != (Spread{3, 2, 4}) {
		t.Errorf("%v", got)
	}
	if got := quantile([]float64{1, 2}, 0.5); got != 1.5 {
		t.Error(got)
	}
	r := Round{Took: []int64{1000, 2000}, CPU: 8 * time.Microsecond}
	if r.perRequest(2) != 2 || r.perRequest(0) != 4 || math.Abs(ratio([]Round{r}, []Round{{Took: []int64{500}}})-3) > 1e-9 {
		t.Error(r)
	}
	rows := []Measured{
		{Action: "jwt", Plane: "http", Extra: Spread{1000, 900, 1100}}, {Action: "jwt", Plane: "grpc"},
		{Action: "ext_authz", Variant: "other", Extra: Spread{1e6, 1e6, 1e6}},
	}
	if got := differences(nil, rows); len(got) != 1 || !strings.HasPrefix(got[0], "jwt is said to cost ") || !strings.HasSuffix(got[0], "so 1000") {
		t.Errorf("%q", got)
	}
}
