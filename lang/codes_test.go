package lang

import (
	"slices"
	"testing"

	"admc.dev/admc/lang/diag"
)

// TestCodes checks the examples of every code: the bad one gives that code and
// no other, the good one gives nothing.
func TestCodes(t *testing.T) {
	seen := map[diag.Code]bool{}
	for _, doc := range Codes {
		t.Run(string(doc.Code), func(t *testing.T) {
			if seen[doc.Code] || doc.Summary == "" {
				t.Error("documented twice, or without a summary")
			}
			seen[doc.Code] = true
			g := shop(t)
			if doc.BadGraph != "" {
				g = loadGraph(t, "graph.yaml", []byte(doc.BadGraph))
			}
			_, bad := checkText(g, doc.Bad)
			if doc.GoodGraph != "" {
				g = loadGraph(t, "graph.yaml", []byte(doc.GoodGraph))
			}
			other := func(d *diag.Diagnostic) bool { return d.Code != doc.Code }
			if all := bad.All(); len(all) == 0 || slices.ContainsFunc(all, other) {
				t.Errorf("the bad example gives:\n%s", textOf(all))
			}
			if _, good := checkText(g, doc.Good); len(good.All()) > 0 {
				t.Errorf("the good example gives:\n%s", textOf(good.All()))
			}
		})
	}
}
