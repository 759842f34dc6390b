package lang

import (
	"fmt"
	"maps"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// arguments of one call, as far as they are known: a mistake in one of them says
// nothing of the others, and what it would have been can't be told.
type arguments struct {
	act   *action
	known map[string]ir.Value
	// parts are lists and maps of which something is wrong: without the wrong
	// elements, and with a zero value for a key whose value is wrong.
	parts map[string]ir.Value
	// refused are those of which a rule has said what is wrong.
	refused []string
}

// arguments binds and types the arguments of a call and fills in defaults.
func (c *checker) arguments(n *syntax.Call, a *action) *arguments {
	name := a.decl.Name
	out := &arguments{act: a, known: map[string]ir.Value{}, parts: map[string]ir.Value{}}
	written, meant := map[string]diag.Span{}, map[*param]bool{}
	position := 0
	for _, arg := range n.Args {
		p, instead := c.parameter(n, a, arg, &position)
		if p == nil {
			c.lookUp(arg.Value)
			for _, q := range instead {
				meant[q] = true
			}
			continue
		}
		v, good := c.values.typed(arg.Value, p.typ, fmt.Sprintf("the argument %q of %s", p.name, name))
		if at, twice := written[p.name]; twice {
			c.bag.Errorf(arg.At, DuplicateArgument, "%s gets the argument %q twice", name, p.name).WithNote(at, "it is here first")
			delete(out.known, p.name)
			delete(out.parts, p.name)
			continue
		}
		written[p.name] = arg.At
		switch {
		case good:
			out.known[p.name] = v
		case v.Kind == ir.List || v.Kind == ir.Map:
			out.parts[p.name] = v
		}
	}
	for _, p := range a.params {
		if _, set := written[p.name]; set || meant[p] {
			continue
		}
		if p.def != nil {
			out.known[p.name] = *p.def
			continue
		}
		c.bag.Errorf(n.Name.At, MissingArgument, "%s needs the argument %q", name, p.name).
			WithHint("%s is %s", p.name, wanted(p.typ)).
			WithNote(a.decl.At, "%s is declared here", name)
	}
	return out
}

// check holds the values to the rules of the action. One that is refused is not
// known afterwards: what else could be said of it would be said of the mistake.
func (a *arguments) check(at diag.Span, bag *diag.Bag) {
	for _, rule := range valueRules[a.act.decl.Name] {
		rule.apply(a, at, bag)
	}
	for _, name := range a.refused {
		if v := a.known[name]; v.Kind == ir.List || v.Kind == ir.Map {
			a.parts[name] = v
		}
		delete(a.known, name)
	}
}

// whole reports that everything is known.
func (a *arguments) whole() bool { return len(a.known) == len(a.act.params) }

// all are the values that are known, and the known parts of the others.
func (a *arguments) all() map[string]ir.Value {
	if len(a.parts) == 0 {
		return a.known
	}
	out := maps.Clone(a.parts)
	maps.Copy(out, a.known)
	return out
}

// told are the parts of a message that no argument has to say which is not known.
func (a *arguments) told(parts []string) []string {
	if a.whole() {
		return parts
	}
	var out []string
	for _, part := range parts {
		head, key, _ := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		first, _, _ := strings.Cut(head, ".")
		if !a.misses(first) && !a.misses(key) {
			out = append(out, part)
		}
	}
	return out
}

// misses reports a parameter whose value is not known.
func (a *arguments) misses(name string) bool {
	_, known := a.known[name]
	return !known && a.act.param(name) != nil
}
