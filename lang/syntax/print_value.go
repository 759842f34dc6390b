package syntax

import "strings"

func (p *printer) args(after, end int32, args []*Arg) {
	p.glue("(")
	p.list(after, end, "", ")", len(args), func(i int) Node { return args[i] }, func(i int) {
		if a := args[i]; a.Name != nil {
			p.leaf(a.Name, a.Name.Name)
			p.glue(":")
			p.space = true
		}
		p.value(args[i].Value)
	})
}

func (p *printer) value(v Value) {
	switch v := v.(type) {
	case *Literal:
		p.leaf(v, v.Raw)
	case *Ref:
		p.leaf(v, "$"+v.Name.Name)
	case *List:
		p.write(v.At.Start, "[")
		p.list(v.At.Start, v.At.End, "", "]", len(v.Elems), func(i int) Node { return v.Elems[i] }, func(i int) { p.value(v.Elems[i]) })
	case *MapLit:
		p.mapLit(v, "")
	case *CELValue:
		p.write(v.At.Start, "cel")
		p.space = true
		p.cel(v.Expr, v.At.End)
	}
}

// mapLit writes a map; pad stands inside its braces when it is on one line.
func (p *printer) mapLit(m *MapLit, pad string) {
	p.write(m.At.Start, "{")
	p.list(m.At.Start, m.At.End, pad, "}", len(m.Entries), func(i int) Node { return m.Entries[i] }, func(i int) {
		e := m.Entries[i]
		p.leaf(e.Key, e.Key.Raw)
		p.glue(":")
		p.space = true
		p.value(e.Value)
	})
}

func (p *printer) edges(e *Edges) {
	p.endpoints(e.From)
	p.glue(" ->")
	p.space = true
	p.endpoints(e.To)
	for i, id := range e.Protocols {
		if i == 0 {
			p.glue(" :")
		} else {
			p.glue(" |")
		}
		p.space = true
		p.leaf(id, id.Name)
	}
}

func (p *printer) endpoints(e *Endpoints) {
	p.term(e.Term)
	if e.Except != nil {
		p.glue(" except")
		p.space = true
		p.term(e.Except)
	}
}

func (p *printer) term(t Term) {
	switch t := t.(type) {
	case *Glob:
		p.leaf(t, t.Pattern)
	case *External:
		p.leaf(t, "external")
	case *RefTerm:
		p.leaf(t, "$"+t.Name.Name)
	case *Labels:
		p.write(t.At.Start, "[")
		p.list(t.At.Start, t.At.End, "", "]", len(t.Labels), func(i int) Node { return t.Labels[i] }, func(i int) {
			l := t.Labels[i]
			p.leaf(l.Key, l.Key.Name)
			if l.Op != "" {
				p.leaf(l.Value, l.Op+l.Value.Name)
			}
		})
	case *Set:
		p.write(t.At.Start, "{")
		p.list(t.At.Start, t.At.End, "", "}", len(t.Members), func(i int) Node { return t.Members[i] }, func(i int) { p.endpoints(t.Members[i]) })
	}
}

// cel writes the braces of an expression, the closing one of which ends at end.
// What fits on the brace's line, because it is one line and ends in no comment,
// stays on it. Lines after the first keep their own indentation: they may be
// inside a string.
func (p *printer) cel(c CEL, end int32) {
	text := strings.TrimSpace(strings.ReplaceAll(c.Text, "\r\n", "\n"))
	if !strings.Contains(text, "\n") && closesAfter(text) {
		p.write(c.At.Start, "{ "+text+" }")
	} else {
		p.write(c.At.Start, "{")
		margin := strings.Repeat("    ", p.current)
		p.glue("\n" + margin + "    " + text + "\n" + margin + "}")
	}
	p.line = p.lineOf(int(end))
}

// closesAfter reports whether a brace right behind the expression would close
// it, and not be part of a comment.
func closesAfter(text string) bool {
	s := newScanner([]byte(text + "}"))
	_, _, ok := s.celText()
	return ok
}
