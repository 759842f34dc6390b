// Package emit is what the compiler writes: files in memory, and the door that
// every backend has.
//
// In: a Layout (the placement with ports and names assigned). Out: Files, from
// which `compile` writes, `compile --check` compares and the tests read. Nothing
// here touches the disk, except Write, which replaces a directory whole or not
// at all.
package emit

import (
	"fmt"
	"slices"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
)

// Files maps slash-separated relative paths to contents.
type Files struct {
	data map[string][]byte
}

// Add puts one file. A path that is there already is our mistake and panics.
func (f *Files) Add(path string, data []byte) {
	if _, dup := f.data[path]; dup {
		panic(fmt.Sprintf("emit: %s is written twice", path))
	}
	if f.data == nil {
		f.data = map[string][]byte{}
	}
	f.data[path] = data
}

// Get gives a file's contents, and whether it is there.
func (f *Files) Get(path string) ([]byte, bool) {
	b, ok := f.data[path]
	return b, ok
}

// Paths gives every path, sorted.
func (f *Files) Paths() []string {
	out := make([]string, 0, len(f.data))
	for p := range f.data {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// A Backend emits the files of one data plane or platform. Backends run in the
// order of the table in cmd/admc and may read what earlier ones added.
type Backend interface {
	Name() string
	Emit(l *layout.Layout, out *Files, bag *diag.Bag)
}
