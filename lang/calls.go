package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A typedCall is one action of a policy with what it does to a message.
type typedCall struct {
	ir   *ir.Action
	act  *action
	node *syntax.Call
	// reads and writes are canonical parts, with arguments put in.
	reads, writes []string
}

// call types one call; nil when it is wrong, which is then reported.
func (c *checker) call(n *syntax.Call) *typedCall {
	a := c.lib.actions[n.Name.Name]
	if a == nil {
		if !c.declared[n.Name.Name] {
			c.unknownAction(n)
		}
		return nil
	}
	if a.decl.User { // the standard ones are everybody's
		a.used = true
	}
	args, ok := c.arguments(n, a)
	if !ok {
		return nil
	}
	before, _ := c.bag.Count()
	for _, rule := range valueRules[a.decl.Name] {
		rule(args, n.Name.At, c.bag)
	}
	if after, _ := c.bag.Count(); after > before {
		return nil
	}
	writes := putIn(touched(a.decl.Writes, a.decl.Name, args), args)
	return &typedCall{
		ir:     &ir.Action{Decl: a.decl, Args: args, At: n.Name.At, Writes: spelled(writes)},
		act:    a,
		node:   n,
		reads:  putIn(touched(a.decl.Reads, a.decl.Name, args), args),
		writes: writes,
	}
}

// leftAlone are the parts that an action does not touch when an argument is empty.
var leftAlone = map[string]map[string]string{
	"rewrite":    {"request.path": "prefix", "request.host": "host"},
	"lb":         {"request.headers": "key"},
	"rate_limit": {"request.headers[per]": "per"},
}

// touched gives the parts of a declaration that a call with these arguments
// touches.
func touched(parts []string, action string, args map[string]ir.Value) []string {
	of := leftAlone[action]
	if of == nil {
		return parts
	}
	return slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return of[p] != "" && args[of[p]].Str == "" })
}

func (c *checker) unknownAction(n *syntax.Call) {
	d := c.bag.Errorf(n.Name.At, UnknownAction, "there is no action %q", n.Name.Name)
	if near := diag.Suggest(n.Name.Name, c.lib.names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(n.Name.At, near)
	} else {
		d.WithHint("the actions are %s", strings.Join(c.lib.names, ", "))
	}
}

// arguments binds and types the arguments of a call and fills in defaults.
func (c *checker) arguments(n *syntax.Call, a *action) (map[string]ir.Value, bool) {
	name := a.decl.Name
	args, written := map[string]ir.Value{}, map[string]diag.Span{}
	ok, position := true, 0
	for _, arg := range n.Args {
		p := c.parameter(n, a, arg, &position)
		if p == nil {
			ok = false
			continue
		}
		if first, twice := written[p.name]; twice {
			c.bag.Errorf(arg.At, DuplicateArgument, "%s gets the argument %q twice", name, p.name).WithNote(first, "it is here first")
			ok = false
			continue
		}
		written[p.name] = arg.At
		v, good := c.values.typed(arg.Value, p.typ, fmt.Sprintf("the argument %q of %s", p.name, name))
		ok = ok && good
		args[p.name] = v
	}
	for _, p := range a.params {
		if _, set := written[p.name]; set {
			continue
		}
		if p.def != nil {
			args[p.name] = *p.def
		} else if ok {
			c.bag.Errorf(n.Name.At, MissingArgument, "%s needs the argument %q", name, p.name).
				WithHint("%s is %s", p.name, wanted(p.typ)).
				WithNote(a.decl.At, "%s is declared here", name)
			ok = false
		}
	}
	return args, ok
}

// parameter finds what an argument is for; nil when there is nothing, which is
// then reported. Positional arguments come before named ones.
func (c *checker) parameter(n *syntax.Call, a *action, arg *syntax.Arg, position *int) *param {
	name := a.decl.Name
	if arg.Name == nil {
		if *position < 0 {
			c.bag.Errorf(arg.At, UnknownArgument, "an argument without a name follows one with a name").
				WithHint("give it its name, or write it first")
			return nil
		}
		if *position >= len(a.params) {
			c.bag.Errorf(arg.At, TooManyArguments, "%s takes %s", name, count(len(a.params), "argument")).
				WithNote(a.decl.At, "%s is declared here", name)
			return nil
		}
		*position++
		return a.params[*position-1]
	}
	*position = -1
	if p := a.param(arg.Name.Name); p != nil {
		return p
	}
	names := make([]string, len(a.params))
	for i, p := range a.params {
		names[i] = p.name
	}
	d := c.bag.Errorf(arg.Name.At, UnknownArgument, "%s has no argument %q", name, arg.Name.Name)
	if near := diag.Suggest(arg.Name.Name, names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(arg.Name.At, near)
	} else if len(names) == 0 {
		d.WithHint("it takes none")
	} else {
		d.WithHint("its arguments are %s", strings.Join(names, ", "))
	}
	d.WithNote(a.decl.At, "%s is declared here", name)
	return nil
}

// count is "1 argument", "2 arguments".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
