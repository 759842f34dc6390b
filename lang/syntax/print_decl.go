package syntax

import (
	"slices"
	"strconv"
	"strings"
)

func (p *printer) file(f *File) {
	for i, d := range f.Decls {
		if i > 0 {
			p.newline()
			if !isLet(d) || !isLet(f.Decls[i-1]) {
				p.newlines = 2
			}
		}
		p.decl(d)
	}
	p.newline()
	if len(f.Decls) > 0 {
		p.newlines = 1
	}
	p.flush(f.At.End + 1)
	if p.out.Len() > 0 {
		p.out.WriteByte('\n')
	}
}

func isLet(d Decl) bool {
	_, ok := d.(*Let)
	return ok
}

func (p *printer) decl(d Decl) {
	switch d := d.(type) {
	case *Let:
		p.write(d.At.Start, "let")
		p.space = true
		p.leaf(d.Name, d.Name.Name)
		p.glue(" =")
		p.space = true
		if d.Endpoints != nil {
			p.endpoints(d.Endpoints)
		} else {
			p.value(d.Value)
		}
	case *Policy:
		p.head(d.At.Start, d.Annotations, "policy", d.Name)
		p.block(d.At.End, len(d.Clauses), func(i int) { p.clause(d.Clauses[i]) })
	case *Require:
		p.write(d.At.Start, "require")
		p.space = true
		p.leaf(d.Name, d.Name.Name)
		p.block(d.At.End, 2, func(i int) {
			if i == 0 {
				p.clause(d.On)
			} else {
				p.has(d.Any)
			}
		})
	case *Test:
		p.write(d.At.Start, "test")
		p.space = true
		p.leaf(d.Title, d.Title.Raw)
		lines := d.lines()
		p.block(d.At.End, len(lines), func(i int) { p.testLine(lines[i]) })
	case *Action:
		p.head(d.At.Start, d.Annotations, "action", d.Name)
		p.glue("(")
		p.list(d.Name.At.End, d.Parens.End, "", ")", len(d.Params), func(i int) Node { return d.Params[i] }, func(i int) { p.param(d.Params[i]) })
		p.block(d.At.End, len(d.Facts), func(i int) { p.fact(d.Facts[i]) })
	}
	p.line = p.lineOf(int(d.Span().End))
}

// head writes the annotations, on the lines that the author gave them, then the
// keyword and the name on a line of their own.
func (p *printer) head(start int32, notes []*Annotation, keyword string, name Ident) {
	for i, a := range notes {
		if i > 0 {
			p.space = true
			if p.lineOf(int(a.At.Start)) > p.line {
				p.newline()
				p.keep = false
			}
		}
		p.write(a.At.Start, "@")
		p.leaf(a.Name, a.Name.Name)
		if a.At.End > a.Name.At.End && len(a.Args) > 0 {
			p.args(a.Name.At.End, a.At.End, a.Args)
		}
	}
	if len(notes) > 0 {
		p.newline()
		p.keep = false
		start = name.At.Start - 1 // the keyword's own place is not in the tree
	}
	p.write(start, keyword)
	p.space = true
	p.leaf(name, name.Name)
}

func (p *printer) clause(c Clause) {
	switch c := c.(type) {
	case *On:
		p.write(c.At.Start, "on")
		for i, e := range c.Edges {
			p.item(i, e.At.Start)
			p.edges(e)
		}
	case *Path:
		p.write(c.At.Start, "path")
		p.space = true
		if c.Except {
			p.glue(" except")
		}
		for i, step := range c.Steps {
			if i > 0 {
				p.space = true
				p.leaf(c.Arrows[i-1], c.Arrows[i-1].text())
				p.space = true
			}
			p.endpoints(step)
		}
	case *When:
		p.write(c.At.Start, "when")
		p.space = true
		p.cel(c.Expr, c.At.End)
	case *Sample:
		p.write(c.At.Start, "sample")
		p.space = true
		p.leaf(c.Share, c.Share.Raw)
	case *Call:
		p.leaf(c.Name, c.Name.Name)
		p.args(c.Name.At.End, c.At.End, c.Args)
	}
	p.line = p.lineOf(int(c.Span().End))
}

// item parts the elements of a list without brackets, on lines of their own
// where the author broke them.
func (p *printer) item(i int, start int32) {
	if i > 0 {
		p.glue(",")
		if p.lineOf(int(start)) > p.line {
			p.wrap()
		}
	}
	p.space = true
}

func (a Arrow) text() string {
	if a.Many {
		return "~>"
	}
	return "->"
}

func (p *printer) has(any [][]Ident) {
	first := true
	for i, all := range any {
		for j, id := range all {
			switch {
			case first:
				p.write(id.At.Start, "has")
			case j > 0:
				p.glue(" and")
			case i > 0:
				p.glue(" or")
			}
			first = false
			p.space = true
			p.leaf(id, id.Name)
		}
	}
}

func (p *printer) param(q *Param) {
	p.leaf(q.Name, q.Name.Name)
	p.glue(":")
	p.space = true
	p.leaf(q.Type, q.Type.text())
	if q.Default != nil {
		p.glue(" =")
		p.space = true
		p.value(q.Default)
	}
}

// text is the type as it is written.
func (t *Type) text() string {
	switch t.Name {
	case "list", "map":
		return t.Name + "<" + t.Elem.text() + ">"
	case "enum":
		words := make([]string, len(t.Words))
		for i, w := range t.Words {
			words[i] = quote(w)
		}
		return "enum(" + strings.Join(words, ", ") + ")"
	}
	return t.Name
}

// quote writes a string as the scanner reads it.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || hides(r):
			b.WriteString(`\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (p *printer) fact(f *Fact) {
	p.leaf(f.Keyword, f.Keyword.Name)
	switch f.Keyword.Name {
	case "state":
		p.space = true
		p.leaf(f.Words[0], f.Words[0].Name)
		p.glue("(")
		p.leaf(f.Words[1], f.Words[1].Name)
		p.glue(")")
	case "cost":
		for _, w := range f.Words {
			p.space = true
			p.leaf(w, w.Name)
		}
		p.space = true
		p.leaf(f.Number, f.Number.Raw)
	case "envoy":
		p.space = true
		p.leaf(f.Words[0], f.Words[0].Name)
		p.space = true
		p.mapLit(f.Payload, "")
	default:
		for i, w := range f.Words {
			p.item(i, w.At.Start)
			p.leaf(w, w.Name)
		}
	}
	if f.Side != nil {
		p.glue(" :")
		p.space = true
		p.leaf(f.Side, f.Side.Name)
	}
	p.line = p.lineOf(int(f.At.End))
}

// lines gives the requests and expectations in the order they are written.
func (t *Test) lines() []Node {
	var out []Node
	for _, r := range t.Requests {
		out = append(out, r)
		for _, e := range r.Expects {
			out = append(out, e)
		}
	}
	return out
}

func (p *printer) testLine(n Node) {
	switch n := n.(type) {
	case *Request:
		p.request(n)
	case *Expect:
		p.write(n.At.Start, "expect")
		p.space = true
		p.leaf(n.Kind, n.Kind.Name)
		for _, a := range n.Args {
			p.space = true
			p.leaf(a, a.Raw)
		}
		if n.Of != nil {
			p.glue(" of")
			p.space = true
			p.leaf(n.Of, n.Of.Name)
		}
		p.times(n.Times)
		if n.By != nil {
			p.glue(" by")
			p.space = true
			p.leaf(n.By, n.By.Name)
		}
	}
}

func (p *printer) request(r *Request) {
	p.leaf(r.From, r.From.Name)
	for _, id := range append(slices.Clone(r.Via), r.To) {
		p.glue(" ->")
		p.space = true
		p.leaf(id, id.Name)
	}
	if r.Protocol != nil {
		p.glue(" :")
		p.space = true
		p.leaf(r.Protocol, r.Protocol.Name)
	}
	if r.Method != nil {
		p.space = true
		p.leaf(r.Method, r.Method.Name)
		p.space = true
		p.leaf(r.Path, r.Path.Raw)
	}
	if r.Headers != nil {
		p.space = true
		p.mapLit(r.Headers, " ")
	}
	p.times(r.Times)
	if r.Within != nil {
		p.glue(" within")
		p.space = true
		p.leaf(r.Within, r.Within.Raw)
	}
}

func (p *printer) times(n *Literal) {
	if n != nil {
		p.glue(" x")
		p.space = true
		p.leaf(n, n.Raw)
	}
}
