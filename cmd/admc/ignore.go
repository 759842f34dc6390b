package main

import (
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// silence takes out the warnings that comments of the inputs silence. It is
// called once, after the last phase of the command; whole tells that the
// backends ran too.
func (in *inputs) silence(bag *diag.Bag, whole bool) {
	ignores := diag.YAMLIgnores(in.graph)
	for _, src := range in.policies {
		ignores = append(ignores, syntax.Ignores(src)...)
	}
	for _, src := range in.manifests {
		ignores = append(ignores, diag.YAMLIgnores(src)...)
	}
	if len(ignores) == 0 {
		return
	}
	front := slices.Concat(syntax.Codes, graph.Codes, lang.Codes, solver.Codes)
	bag.Silence(ignores, codes(), func(c diag.Code) bool {
		return whole || slices.ContainsFunc(front, func(doc diag.CodeDoc) bool { return doc.Code == c })
	})
}
