package lang

import (
	"slices"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// Actions are the standard actions and those of a program, for documentation and
// editors: what is wrong in a declaration leaves that action out, and nothing is
// reported.
type Actions struct{ lib *library }

// StandardActions are those of the standard library.
func StandardActions() Actions { return Actions{prelude()} }

// ActionsOf adds those that files declare.
func ActionsOf(files []*syntax.File) Actions {
	lib, bag, lets := prelude().clone(), &diag.Bag{}, map[string]syntax.Value{}
	for _, f := range files {
		for _, d := range f.Decls {
			if l, ok := d.(*syntax.Let); ok && l.Value != nil {
				lets[l.Name.Name] = l.Value
			}
		}
	}
	left := 1000 // lets that are looked up: one may lead to itself
	values := &valueChecker{bag: bag, lookup: func(name syntax.Ident) syntax.Value {
		if left--; left < 0 {
			return nil
		}
		return lets[name.Name]
	}}
	for _, f := range files {
		for _, d := range f.Decls {
			if a, ok := d.(*syntax.Action); ok {
				lib.add(a, values, bag)
			}
		}
	}
	return Actions{lib}
}

// Names are sorted.
func (a Actions) Names() []string { return slices.Clone(a.lib.names) }

// Decl gives a declaration; nil when there is none.
func (a Actions) Decl(name string) *ir.ActionDecl {
	if x := a.lib.actions[name]; x != nil {
		return x.decl
	}
	return nil
}

// Own reports whether the program declares any.
func (a Actions) Own() bool {
	return slices.ContainsFunc(a.lib.names, func(n string) bool { return a.lib.actions[n].decl.User })
}
