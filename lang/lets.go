package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// A let is a name for endpoints or for a value. It stands for what is written
// at its right side, wherever it is used.
type let struct {
	node  *syntax.Let
	used  bool
	state letState
	set   nodeSet      // of endpoints, once known
	value syntax.Value // of a value, once known
	bad   bool         // reported; uses of it are not complained about
}

type letState uint8

const (
	unknown letState = iota
	underway
	known
)

// find gives a let by name, or reports that there is none.
func (c *checker) find(name syntax.Ident) *let {
	l := c.lets[name.Name]
	if l == nil {
		d := c.bag.Errorf(name.At, UnknownLet, "there is no let %q", name.Name)
		underWay := func(n string) bool { return c.lets[n].state == underway }
		if near := diag.Suggest(name.Name, slices.DeleteFunc(slices.Clone(c.letNames), underWay)); near != "" {
			d.WithHint("did you mean $%s?", near).WithFix(name.At, near)
		}
		return nil
	}
	l.used = true
	return l
}

// letEndpoints gives the nodes that a let names.
func (c *checker) letEndpoints(name syntax.Ident) (nodeSet, bool) {
	l := c.find(name)
	if l == nil {
		return nil, false
	}
	if c.resolve(l); l.bad {
		return nil, false
	}
	if l.value != nil {
		c.bag.Errorf(name.At, TypeMismatch, "$%s is a value, and endpoints are wanted", name.Name).
			WithNote(l.node.Name.At, "it is declared here")
		return nil, false
	}
	return l.set, true
}

// letValue gives the value that a let stands for; nil after it reported why
// there is none.
func (c *checker) letValue(name syntax.Ident) syntax.Value {
	l := c.find(name)
	if l == nil {
		return nil
	}
	if c.resolve(l); l.bad {
		return nil
	}
	if l.value == nil {
		c.bag.Errorf(name.At, TypeMismatch, "$%s is endpoints, and a value is wanted", name.Name).
			WithNote(l.node.Name.At, "it is declared here")
	}
	return l.value
}

// resolve finds what a let names, and cycles. It is called for unused lets too,
// so that a mistake in one is not hidden.
func (c *checker) resolve(l *let) {
	switch l.state {
	case known:
		return
	case underway:
		c.cycle(l)
		return
	}
	l.state = underway
	c.stack = append(c.stack, l)
	if of := alias(l.node); of != nil {
		if to := c.find(*of); to == nil {
			l.bad = true
		} else {
			c.resolve(to)
			l.set, l.value, l.bad = to.set, to.value, l.bad || to.bad
		}
	} else if l.node.Endpoints != nil {
		var ok bool
		l.set, ok = c.endpoints(l.node.Endpoints)
		l.bad = l.bad || !ok
	} else {
		l.value = l.node.Value
		for _, r := range references(l.node.Value, nil) {
			if c.letValue(r.Name) == nil {
				l.bad = true
			}
		}
	}
	c.stack = c.stack[:len(c.stack)-1]
	l.state = known
}

// alias gives the name in `let a = $b`, which reads as endpoints and may stand
// for either kind.
func alias(n *syntax.Let) *syntax.Ident {
	if n.Endpoints != nil && n.Endpoints.Except == nil {
		if r, ok := n.Endpoints.Term.(*syntax.RefTerm); ok {
			return &r.Name
		}
	}
	if r, ok := n.Value.(*syntax.Ref); ok {
		return &r.Name
	}
	return nil
}

// cycle reports a let that leads to itself, once, at the let that closes it.
func (c *checker) cycle(l *let) {
	if l.bad {
		return
	}
	var names []string
	for i := len(c.stack) - 1; i >= 0; i-- {
		c.stack[i].bad = true
		names = append([]string{"$" + c.stack[i].node.Name.Name}, names...)
		if c.stack[i] == l {
			break
		}
	}
	names = append(names, "$"+l.node.Name.Name)
	c.bag.Errorf(l.node.Name.At, LetCycle, "let %s is defined by itself: %s", l.node.Name.Name, strings.Join(names, " is "))
}

// references collects the $names in a value.
func references(v syntax.Value, out []*syntax.Ref) []*syntax.Ref {
	switch v := v.(type) {
	case *syntax.Ref:
		return append(out, v)
	case *syntax.List:
		for _, e := range v.Elems {
			out = references(e, out)
		}
	case *syntax.MapLit:
		for _, e := range v.Entries {
			out = references(e.Value, out)
		}
	}
	return out
}
