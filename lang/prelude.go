package lang

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// The standard actions, written in the language itself. Their sources are named
// std/traffic.adm and so on in diagnostics.
//
//go:embed std/*.adm
var std embed.FS

// A library is the actions that a program can call.
type library struct {
	actions map[string]*action
	names   []string // sorted
	// wrong are declarations with mistakes whose parameters are all known: calls of
	// them are typed, and mean nothing.
	wrong map[string]*action
}

// An action is a declaration as the checker uses it.
type action struct {
	decl   *ir.ActionDecl
	params []*param
	node   *syntax.Action
	used   bool // by a policy or a rule
	bad    bool // reported, by the parser
	// partial: a parameter is wrong, so that what a call may give is not known.
	partial bool
}

// A param is typed by its node; def is nil when the argument is required.
type param struct {
	name string
	typ  *syntax.Type
	at   diag.Span
	def  *ir.Value
}

func (a *action) param(name string) *param {
	for _, p := range a.params {
		if p.name == name {
			return p
		}
	}
	return nil
}

// prelude reads the embedded files once. A mistake in them is ours, so it
// panics.
var prelude = sync.OnceValue(func() *library {
	entries, err := std.ReadDir("std")
	if err != nil {
		panic(err)
	}
	var files []*syntax.File
	bag := &diag.Bag{}
	for _, e := range entries {
		name := "std/" + e.Name()
		text, err := std.ReadFile(name)
		if err != nil {
			panic(err)
		}
		src := diag.NewSource(name, text)
		src.Embedded = true
		files = append(files, syntax.Parse(src, bag))
	}
	lib := newLibrary(files, bag)
	if all := bag.All(); len(all) > 0 {
		var b strings.Builder
		diag.WriteText(&b, all)
		panic("the prelude is broken:\n" + b.String())
	}
	return lib
})

// newLibrary turns declarations into actions. Files hold nothing else.
func newLibrary(files []*syntax.File, bag *diag.Bag) *library {
	lib := &library{actions: map[string]*action{}, wrong: map[string]*action{}}
	for _, f := range files {
		for _, d := range f.Decls {
			lib.add(d.(*syntax.Action), &valueChecker{bag: bag}, bag)
		}
	}
	lib.needs(bag)
	return lib
}

// clone can be added to.
func (l *library) clone() *library {
	return &library{actions: maps.Clone(l.actions), names: slices.Clone(l.names), wrong: map[string]*action{}}
}

// add reads a declaration; nil when it is wrong, which is then reported.
func (l *library) add(d *syntax.Action, values *valueChecker, bag *diag.Bag) *action {
	first := l.actions[d.Name.Name]
	if first != nil {
		bag.Errorf(d.Name.At, DuplicateName, "there are two of action %s", d.Name.Name).WithNote(first.decl.At, "the first is here")
	}
	before, _ := bag.Count()
	a := declare(d, values, bag)
	if now, _ := bag.Count(); now > before || a.bad || first != nil {
		if first == nil && !a.partial {
			l.wrong[d.Name.Name] = a
		}
		return nil
	}
	l.actions[a.decl.Name] = a
	at, _ := slices.BinarySearch(l.names, a.decl.Name)
	l.names = slices.Insert(l.names, at, a.decl.Name)
	return a
}

// decls are sorted by name.
func (l *library) decls() []*ir.ActionDecl {
	out := make([]*ir.ActionDecl, len(l.names))
	for i, n := range l.names {
		out[i] = l.actions[n].decl
	}
	return out
}

// docText is a comment without its slashes.
func docText(comments []syntax.Comment) string {
	var lines []string
	for _, c := range comments {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), " "))
	}
	return strings.Join(lines, "\n")
}

// typeText prints a type in the grammar's form.
func typeText(t *syntax.Type) string {
	switch t.Name {
	case "list", "map":
		return t.Name + "<" + typeText(t.Elem) + ">"
	case "enum":
		words := make([]string, len(t.Words))
		for i, w := range t.Words {
			words[i] = fmt.Sprintf("%q", w)
		}
		return "enum(" + strings.Join(words, ", ") + ")"
	}
	return t.Name
}

// withoutPlaces clears the spans of a value that nobody wrote.
func withoutPlaces(v ir.Value) ir.Value {
	v.At = diag.Span{}
	v.List = slices.Clone(v.List)
	for i := range v.List {
		v.List[i] = withoutPlaces(v.List[i])
	}
	v.Map = slices.Clone(v.Map)
	for i := range v.Map {
		v.Map[i].Value = withoutPlaces(v.Map[i].Value)
	}
	return v
}
