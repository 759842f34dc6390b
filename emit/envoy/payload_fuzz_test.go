package envoy

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// FuzzPayload: whatever stands in the filters of a program's actions, it is
// reported inside the program, or the file that comes of it holds to Check,
// which Emit panics about.
func FuzzPayload(f *testing.F) {
	files, _ := filepath.Glob("testdata/payload/*.adm")
	more, _ := filepath.Glob("../../examples/own-actions/policies/actions.adm")
	for _, path := range append(files, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(bufferAction)
	g := graph.Load(diag.NewSource("graph.yaml", []byte(payloadGraph)), &diag.Bag{})
	f.Fuzz(func(t *testing.T, text string) {
		bag := &diag.Bag{}
		src := diag.NewSource("x.adm", []byte(text))
		file := syntax.Parse(src, bag)
		if bag.HasErrors() {
			return
		}
		p := lang.Check([]*syntax.File{file}, g, bag)
		CheckPayloads(p, bag)
		for _, d := range bag.All() {
			if d.At.Src == src && (d.At.Start < 0 || int(d.At.End) > len(text)) {
				t.Fatalf("%s covers [%d,%d) of %d bytes", d.Message, d.At.Start, d.At.End, len(text))
			}
		}
		if bag.HasErrors() {
			return
		}
		pl, err := solver.Place(context.Background(), p, g, solver.Options{Engine: "native"}, bag)
		if err != nil {
			t.Fatal(err)
		}
		if !bag.HasErrors() {
			Backend{}.Emit(layout.New(g, p, pl, "fuzz"), &emit.Files{}, bag)
		}
	})
}
