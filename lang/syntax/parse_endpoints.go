package syntax

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// on reads "on" Edges { "," Edges } .
func (p *parser) on(c Comments) *On {
	on := &On{Comments: c}
	start := p.tok.start
	p.next()
	for {
		on.Edges = append(on.Edges, p.edges())
		if !p.got(tokComma) {
			break
		}
	}
	on.At = p.from(start)
	return on
}

// edges reads Endpoints "->" Endpoints [ ":" Protocol { "|" Protocol } ] .
func (p *parser) edges() *Edges {
	e := &Edges{}
	start := p.tok.start
	e.From = p.endpoints()
	p.edgeArrow()
	e.To = p.endpoints()
	if p.tok.kind == tokArrow || p.tok.kind == tokMany {
		p.unexpected("the end of the edge").WithHint("a chain of calls is written with `path`: path A -> B -> C")
	}
	if p.got(tokColon) {
		e.Protocols = append(e.Protocols, p.protocol())
		for p.got(tokPipe) {
			e.Protocols = append(e.Protocols, p.protocol())
		}
	}
	e.At = p.from(start)
	return e
}

func (p *parser) edgeArrow() {
	switch {
	case p.failed || p.got(tokArrow):
	case p.tok.kind == tokMany:
		p.unexpected(`"->"`).WithHint(`"~>", one or more calls, stands in a path`)
	case p.tok.kind == tokComma:
		p.unexpected(`"->"`).WithHint("several callers are written as a set: {A, B} -> C; several protocols as http | grpc")
	case p.tok.is("to"):
		p.unexpected(`"->"`).WithFix(p.here(), "->")
	default:
		p.unexpected(`"->"`)
	}
}

// nextItem reports whether what should go on here has ended with its line, and
// something else starts, indented no deeper. A deeper line goes on, even with a
// service that is called like a keyword.
func (p *parser) nextItem() bool {
	return p.depth == 0 && p.tok.first && p.tok.col <= p.itemCol && (p.starts() || p.atDecl())
}

func (p *parser) protocol() Ident {
	if p.failed || p.tok.kind != tokWord || p.nextItem() {
		p.unexpected("a protocol")
		return Ident{}
	}
	id := Ident{Base{p.here()}, p.tok.text}
	if strings.ContainsAny(id.Name, "/*%") {
		p.report(id.At, BadName, "%q is not a protocol", clip(id.Name)).WithHint("several are written http | grpc; without any, an edge stands for all")
		p.failures++
	}
	p.next()
	return id
}

// path reads "path" [ "except" ] Endpoints Arrow Endpoints { Arrow Endpoints } .
func (p *parser) path(c Comments) Clause {
	path := &Path{Comments: c}
	start := p.tok.start
	p.next()
	path.Except = p.gotWord("except")
	path.Steps = append(path.Steps, p.endpoints())
	for !p.failed {
		if k := p.tok.kind; k != tokArrow && k != tokMany {
			if len(path.Arrows) == 0 {
				p.unexpected(`"->" or "~>"`)
			}
			break
		}
		path.Arrows = append(path.Arrows, Arrow{Base{p.here()}, p.tok.kind == tokMany})
		p.next()
		path.Steps = append(path.Steps, p.endpoints())
	}
	if p.tok.kind == tokComma {
		p.unexpected("the end of the path").WithHint("each path is a clause of its own")
	}
	path.At, path.After = p.from(start), p.after()
	return path
}

// endpoints reads Term [ "except" Term ] .
func (p *parser) endpoints() *Endpoints {
	e := &Endpoints{}
	start := p.tok.start
	e.Term = p.term()
	if p.gotWord("except") {
		e.Except = p.term()
		if p.tok.is("except") && !p.failed {
			p.unexpected("one except").WithHint("what is left out together is written as a set: A except {B, C}")
		}
	}
	e.At = p.from(start)
	return e
}

// term reads Glob | "external" | "$" ident | "[" Label { "," Label } "]"
// | "{" Endpoints { "," Endpoints } "}" .
func (p *parser) term() Term {
	start := p.tok.start
	if p.failed {
		return nil
	}
	switch p.tok.kind {
	case tokWord:
		return p.glob()
	case tokDollar:
		p.next()
		name := p.ident("a let's name")
		return &RefTerm{Base{p.from(start)}, name}
	case tokLBrack:
		return p.labels()
	case tokLBrace:
		return p.set()
	case tokString:
		p.unexpected("services").WithHint("services are written without quotes").WithFix(p.here(), p.tok.text)
	default:
		p.unexpected("services: a name, *, external, $name, [label=value] or {…}")
	}
	return nil
}

func (p *parser) glob() Term {
	at, word := p.here(), p.tok.text
	if word == "external" {
		p.next()
		return &External{Base{at}}
	}
	if word == "except" || p.nextItem() {
		p.unexpected("services")
		return nil
	}
	if why := badGlob(word); why != "" {
		p.report(at, BadName, "%q is not the name of a service: %s", clip(word), why)
		p.failures++
	}
	p.next()
	return &Glob{Base{at}, word}
}

// badGlob says what keeps a word from being a name or ns/name with globs.
func badGlob(word string) string {
	switch {
	case strings.Count(word, "/") > 1:
		return `it has more than one "/"`
	case strings.HasSuffix(word, "%"):
		return `"%" cannot be in it`
	case strings.Contains(word, "**"):
		return `one "*" stands for any run of characters`
	}
	for part := range strings.SplitSeq(word, "/") {
		if part == "" {
			return `it is written name or namespace/name`
		}
		if strings.Trim(part, ".-") != part {
			return `it starts and ends with a letter, a digit or "*"`
		}
	}
	return ""
}

// set reads "{" Endpoints { "," Endpoints } "}" .
func (p *parser) set() Term {
	s := &Set{}
	start := p.tok.start
	p.next()
	if p.tok.kind == tokRBrace {
		p.report(p.src.Span(start, p.tok.end), UnexpectedToken, "the set is empty, expected services")
		p.failures++
	}
	p.list(tokRBrace, func() *Comments {
		before := p.failures
		if e := p.endpoints(); p.failures == before {
			s.Members = append(s.Members, e)
		}
		return nil
	})
	s.At = p.from(start)
	return s
}

// labels reads "[" Label { "," Label } "]" .
func (p *parser) labels() Term {
	l := &Labels{}
	start := p.tok.start
	p.next()
	if p.tok.kind == tokRBrack {
		p.report(p.src.Span(start, p.tok.end), UnexpectedToken, "the selector is empty, expected a label such as tier=database")
		p.failures++
	}
	p.list(tokRBrack, func() *Comments {
		before := p.failures
		if label := p.label(); p.failures == before {
			l.Labels = append(l.Labels, label)
		}
		return nil
	})
	l.At = p.from(start)
	return l
}

// label reads name ( "=" | "!=" ) name | name .
func (p *parser) label() *Label {
	l := &Label{}
	start := p.tok.start
	l.Key = p.labelPart("a label's name")
	switch {
	case p.failed:
	case p.tok.kind == tokAssign || p.tok.kind == tokNotEq:
		l.Op = tokenText[p.tok.kind]
		p.next()
		l.Value = p.labelPart("a label's value")
	case p.tok.kind == tokColon:
		p.unexpected(`"=" or "!="`).WithFix(p.here(), "=")
	case numberStart(l.Key.Name):
		// In a let it is a list of numbers; a label's name alone is a word.
		p.failAt(l.Key.At, "found %s, expected a label's name", clip(l.Key.Name))
	}
	l.At = p.from(start)
	return l
}

func (p *parser) failAt(at diag.Span, format string, args ...any) {
	if !p.failed {
		p.giveUp()
		p.report(at, UnexpectedToken, format, args...)
	}
}

func (p *parser) labelPart(what string) Ident {
	if p.failed || p.tok.kind != tokWord {
		d := p.unexpected(what)
		if p.tok.kind == tokString {
			d.WithHint("labels are written without quotes").WithFix(p.here(), p.tok.text)
		}
		return Ident{}
	}
	id := Ident{Base{p.here()}, p.tok.text}
	if strings.ContainsAny(id.Name, "*%") {
		p.report(id.At, BadName, "%q is not %s: labels have no globs", clip(id.Name), what).WithHint("[name] asks only whether the label is there")
		p.failures++
	}
	p.next()
	return id
}

// endpointsNext reports whether the right side of a let reads as endpoints. If
// it reads as neither endpoints nor a value, the one that got further is the
// one to complain about.
func (p *parser) endpointsNext() bool {
	switch {
	case p.tok.kind == tokDollar:
		return true
	case p.tok.kind == tokWord:
		t := p.tok.text
		return t != "true" && t != "false" && (!numberStart(t) || strings.Contains(t[1:], "-")) &&
			!(t == "cel" && p.peek().kind == tokLBrace)
	case p.tok.kind != tokLBrack && p.tok.kind != tokLBrace:
		return false
	}
	endpoints, okEndpoints := p.try(func() { p.endpoints() })
	value, okValue := p.try(func() { p.value() })
	return okEndpoints || !okValue && endpoints > value
}

// try reads ahead in silence and gives the offset that it got to.
func (p *parser) try(read func()) (off int, ok bool) {
	saved := *p
	p.quiet, p.furthest = true, 0
	before := p.failures
	read()
	if off = p.furthest; off == 0 {
		off = p.tok.start
	}
	ok = p.failures == before && (p.tok.first || p.tok.kind == tokEOF || p.tok.kind == tokSemi)
	*p = saved
	return off, ok
}
