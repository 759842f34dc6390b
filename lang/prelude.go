package lang

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"admc.dev/admc/graph"
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
}

// An action is a declaration as the checker uses it.
type action struct {
	decl   *ir.ActionDecl
	params []*param
}

// A param is typed by its node; def is nil when the argument is required.
type param struct {
	name string
	typ  *syntax.Type
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
	lib := &library{actions: map[string]*action{}}
	for _, f := range files {
		for _, d := range f.Decls {
			a := declare(d.(*syntax.Action), bag)
			if lib.actions[a.decl.Name] != nil {
				panic(fmt.Sprintf("%s: %s is declared twice", a.decl.At, a.decl.Name))
			}
			lib.actions[a.decl.Name] = a
			lib.names = append(lib.names, a.decl.Name)
		}
	}
	slices.Sort(lib.names)
	return lib
}

func (l *library) decls() []*ir.ActionDecl {
	out := make([]*ir.ActionDecl, len(l.names))
	for i, n := range l.names {
		out[i] = l.actions[n].decl
	}
	return out
}

// declare reads one declaration. A malformed fact panics: only the prelude's
// declarations come here.
func declare(d *syntax.Action, bag *diag.Bag) *action {
	decl := &ir.ActionDecl{
		Name:  d.Name.Name,
		Doc:   docText(d.Above),
		At:    d.Name.At,
		Sides: map[graph.Plane]ir.DeclSide{},
	}
	a := &action{decl: decl}
	values := &valueChecker{bag: bag}
	for _, p := range d.Params {
		q := &param{name: p.Name.Name, typ: p.Type}
		out := ir.Param{Name: p.Name.Name, Type: typeText(p.Type)}
		if p.Default != nil {
			v, ok := values.typed(p.Default, p.Type, "the default of "+p.Name.Name)
			if ok {
				out.Default = p.Default.Span().Text()
				v = withoutPlaces(v)
				q.def = &v
			}
		}
		a.params = append(a.params, q)
		decl.Params = append(decl.Params, out)
	}
	phased := false
	for _, f := range d.Facts {
		phased = phased || f.Keyword.Name == "phase" || f.Keyword.Name == "wraps"
		readFact(decl, f)
	}
	if !phased || len(decl.Sides) == 0 {
		panic(fmt.Sprintf("%s: %s has no phase or no `on`", decl.At, decl.Name))
	}
	return a
}

func readFact(decl *ir.ActionDecl, f *syntax.Fact) {
	words := make([]string, len(f.Words))
	for i, w := range f.Words {
		words[i] = w.Name
	}
	switch f.Keyword.Name {
	case "phase":
		decl.Phase = phaseNamed(f, words[0])
	case "reads":
		decl.Reads = append(decl.Reads, words...)
	case "writes":
		decl.Writes = append(decl.Writes, words...)
	case "provides":
		decl.Provides = append(decl.Provides, words...)
	case "needs":
		decl.Needs = append(decl.Needs, words...)
	case "ends":
		decl.Ends = true
	case "wraps":
		decl.Wraps, decl.Phase = true, ir.Wrapper
	case "single":
		decl.Single = true
	case "security":
		decl.Security = true
	case "state":
		decl.State, decl.Scope = words[0], words[1]
	case "cost":
		decl.Cost = f.Number.Float
		if f.Number.Kind == syntax.Int {
			decl.Cost = float64(f.Number.Int)
		}
	case "on":
		for _, w := range words {
			decl.Sides[graph.Plane(w)] = ir.DeclSide(f.Side.Name)
		}
	default:
		panic(fmt.Sprintf("%s: no fact %s", f.At, f.Keyword.Name))
	}
}

func phaseNamed(f *syntax.Fact, word string) ir.Phase {
	for p := ir.Transport; p < ir.Wrapper; p++ {
		if p.String() == word {
			return p
		}
	}
	panic(fmt.Sprintf("%s: no phase %s", f.At, word))
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
