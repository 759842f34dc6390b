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
	// wrong: a mistake of the call's own is reported. Then ir.Args lacks what it is
	// about, and reads and writes what can't be told without.
	wrong bool
}

// unsure reports a parameter of which the call does not say what it gets.
func (t *typedCall) unsure(param string) bool {
	_, known := t.ir.Args[param]
	return !known && t.act.param(param) != nil
}

// call types one call; nil when there is no such action, which is then reported.
func (c *checker) call(n *syntax.Call) *typedCall {
	a := c.lib.actions[n.Name.Name]
	if a == nil {
		if wrong := c.lib.wrong[n.Name.Name]; wrong != nil {
			c.arguments(n, wrong)
			return nil
		}
		if !c.declared[n.Name.Name] {
			c.unknownAction(n)
		}
		for _, arg := range n.Args {
			c.lookUp(arg.Value)
		}
		return nil
	}
	if a.decl.User { // the standard ones are everybody's
		a.used = true
	}
	before, _ := c.bag.Count()
	args := c.arguments(n, a)
	args.check(n.Name.At, c.bag)
	after, _ := c.bag.Count()
	known := args.all()
	writes := putIn(args.told(touched(a.decl.Writes, a.decl.Name, known)), known)
	return &typedCall{
		ir:     &ir.Action{Decl: a.decl, Args: known, At: n.Name.At, Writes: spelled(writes)},
		act:    a,
		node:   n,
		reads:  putIn(args.told(touched(a.decl.Reads, a.decl.Name, known)), known),
		writes: writes,
		wrong:  after > before || !args.whole(),
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

// parameter finds what an argument is for; nil when there is nothing, which is
// then reported. meant are the parameters that it may have been meant for.
// Positional arguments come before named ones.
func (c *checker) parameter(n *syntax.Call, a *action, arg *syntax.Arg, position *int) (p *param, meant []*param) {
	name := a.decl.Name
	if arg.Name == nil {
		if *position < 0 {
			c.bag.Errorf(arg.At, UnknownArgument, "an argument without a name follows one with a name").
				WithHint("give it its name, or write it first")
			return nil, a.params
		}
		if *position >= len(a.params) {
			c.bag.Errorf(arg.At, TooManyArguments, "%s takes %s", name, count(len(a.params), "argument")).
				WithNote(a.decl.At, "%s is declared here", name)
			return nil, nil
		}
		*position++
		return a.params[*position-1], nil
	}
	*position = -1
	if p := a.param(arg.Name.Name); p != nil {
		return p, nil
	}
	names := make([]string, len(a.params))
	for i, p := range a.params {
		names[i] = p.name
	}
	meant = a.params
	d := c.bag.Errorf(arg.Name.At, UnknownArgument, "%s has no argument %q", name, arg.Name.Name)
	if near := diag.Suggest(arg.Name.Name, names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(arg.Name.At, near)
		meant = []*param{a.param(near)}
	} else if len(names) == 0 {
		d.WithHint("it takes none")
	} else {
		d.WithHint("its arguments are %s", strings.Join(names, ", "))
	}
	d.WithNote(a.decl.At, "%s is declared here", name)
	return nil, meant
}

// lookUp finds the lets of a value that nothing wants, so that one that is not there
// is told.
func (c *checker) lookUp(v syntax.Value) {
	for _, r := range references(v, nil) {
		c.letValue(r.Name)
	}
}

// count is "1 argument", "2 arguments".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
