// Package lang checks policy programs against a service graph.
//
// In: parsed files and a graph. Out: an ir.Program, in which every policy is
// typed, matched to the calls it touches and turned into obligations with the
// sides they may have. What the program can't mean is reported in the bag, with
// positions; nothing is dropped silently.
package lang

import (
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// Check never gives nil; the program is complete only when the bag has no
// errors.
func Check(files []*syntax.File, g *graph.Graph, bag *diag.Bag) *ir.Program {
	panic("not built")
}
