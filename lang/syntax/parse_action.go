package syntax

import (
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
)

// action reads { Annotation } "action" ident "(" [ Param { "," Param } ] ")" "{" { Fact } "}" .
func (p *parser) action(start int, c Comments, notes []*Annotation) Decl {
	a := &Action{Comments: c, Annotations: notes}
	col := p.tok.col
	p.next()
	a.Name = p.ident("an action's name")
	open := p.tok.start
	p.want(tokLParen, "after an action's name")
	p.list(tokRParen, func() *Comments {
		before := p.failures
		q := p.param()
		if p.failures == before {
			a.Params = append(a.Params, q)
		}
		return &q.Comments
	})
	a.Parens = p.from(open)
	a.Tail = p.block("action", a.Name.Name, col, p.atFact, func() {
		before := p.failures
		if f := p.fact(); p.failures == before {
			a.Facts = append(a.Facts, f)
		}
	})
	a.At, a.After = p.from(start), p.after()
	return a
}

// param reads ident ":" Type [ "=" Value ] .
func (p *parser) param() *Param {
	q := &Param{Comments: p.commentsAt()}
	start := p.tok.start
	q.Name = p.ident("a parameter's name")
	p.want(tokColon, "and a type after a parameter's name")
	q.Type = p.typ()
	if p.got(tokAssign) {
		q.Default = p.value()
	}
	q.At = p.from(start)
	return q
}

var typeWords = []string{"string", "int", "float", "bool", "duration", "rate", "percent", "size", "regex", "endpoints", "cel", "list", "map", "enum"}

// typ reads a plain type, "list" "<" Type ">", "map" "<" Type ">" or
// "enum" "(" string { "," string } ")" .
func (p *parser) typ() *Type {
	t := &Type{}
	start := p.tok.start
	defer p.leave()
	if !p.enter() {
		return t
	}
	if p.failed || p.tok.kind != tokWord {
		p.unexpected("a type")
		return t
	}
	t.Name = p.tok.text
	if !slices.Contains(typeWords, t.Name) {
		d := p.fail(p.here(), UnknownKeyword, "found %q, expected a type: %s", clip(t.Name), strings.Join(typeWords, ", "))
		if meant := diag.Suggest(t.Name, typeWords); meant != "" {
			d.WithHint("did you mean %q?", meant).WithFix(p.here(), meant)
		}
		return t
	}
	p.next()
	switch t.Name {
	case "list", "map":
		p.want(tokLess, "and the elements' type after "+t.Name)
		t.Elem = p.typ()
		p.want(tokGreater, "after the elements' type")
	case "enum":
		p.want(tokLParen, "after enum")
		p.list(tokRParen, func() *Comments {
			if s := p.wantString("a string"); s != nil {
				t.Words = append(t.Words, s.Str)
			}
			return nil
		})
	}
	t.At = p.from(start)
	if t.Name == "enum" && len(t.Words) == 0 && !p.failed {
		p.report(t.At, UnexpectedToken, "the enum is empty, expected strings")
		p.failures++
	}
	return t
}

var factWords = []string{"phase", "reads", "writes", "provides", "needs", "ends", "wraps", "single", "security", "state", "cost", "on", "envoy"}

func (p *parser) atFact() bool {
	if !p.tok.first || p.tok.kind != tokWord || !slices.Contains(factWords, p.tok.text) {
		return false
	}
	switch p.peek().kind {
	case tokColon, tokAssign, tokComma, tokLBrack, tokRBrack, tokRParen:
		return false
	}
	return true
}

// fact reads "phase" ident | ( "reads" | "writes" | "provides" | "needs" ) Part { "," Part }
// | "ends" "request" | "wraps" "request" | "single" | "security"
// | "state" ident "(" ident ")" | "cost" [ Plane ] number | "on" Protocol { "," Protocol } ":" Side
// | "envoy" ( "http" | "tcp" ) MapLit .
func (p *parser) fact() *Fact {
	f := &Fact{Comments: p.commentsAt()}
	start := p.tok.start
	if p.tok.kind != tokWord {
		p.unexpected("a fact: " + strings.Join(factWords, ", "))
		return f
	}
	f.Keyword = Ident{Base{p.here()}, p.tok.text}
	if !slices.Contains(factWords, f.Keyword.Name) {
		d := p.fail(p.here(), UnknownKeyword, "found %q, expected a fact: %s", clip(f.Keyword.Name), strings.Join(factWords, ", "))
		if meant := diag.Suggest(f.Keyword.Name, factWords); meant != "" {
			d.WithHint("did you mean %q?", meant).WithFix(f.Keyword.At, meant)
		}
		return f
	}
	p.next()
	p.factBody(f)
	f.At, f.After = p.from(start), p.after()
	return f
}

func (p *parser) factBody(f *Fact) {
	switch f.Keyword.Name {
	case "phase":
		f.Words = []Ident{p.ident("a phase")}
	case "reads", "writes", "provides", "needs":
		f.Words = append(f.Words, p.part())
		for p.got(tokComma) {
			f.Words = append(f.Words, p.part())
		}
	case "ends", "wraps":
		if !p.tok.is("request") {
			p.unexpected(`"request"`)
			return
		}
		f.Words = []Ident{p.ident("request")}
	case "state":
		kind := p.ident("a kind of state such as counter")
		p.want(tokLParen, "after the kind of state")
		f.Words = []Ident{kind, p.ident("a parameter's name")}
		p.want(tokRParen, "")
	case "cost":
		if !p.failed && p.tok.kind == tokWord && slices.Contains(costPlanes, p.tok.text) {
			f.Words = []Ident{p.ident("a plane")}
		}
		if p.failed || p.tok.kind != tokWord || !numberStart(p.tok.text) {
			p.unexpected("microseconds as a plain number")
			return
		}
		if f.Number = p.number(); !f.Number.Bad && f.Number.Kind != Int && f.Number.Kind != Float {
			p.report(f.Number.At, UnexpectedToken, "found %s, expected microseconds as a plain number", clip(f.Number.Raw))
			f.Number.Bad = true
		}
	case "on":
		p.factOn(f)
	case "envoy":
		p.factEnvoy(f)
	}
}

// costPlanes are those for which a cost of their own can be said.
var costPlanes = []string{"http", "grpc", "tcp"}

var planeWords = []string{"http", "tcp"}

// factEnvoy reads the configuration of a filter.
func (p *parser) factEnvoy(f *Fact) {
	if p.failed || p.tok.kind != tokWord || !slices.Contains(planeWords, p.tok.text) {
		d := p.unexpected("http (for http and grpc) or tcp")
		if p.tok.is("grpc") {
			d.WithHint("one HTTP filter serves both http and grpc").WithFix(p.here(), "http")
		}
		return
	}
	f.Words = []Ident{p.ident("a plane")}
	if p.failed || p.tok.kind != tokLBrace {
		p.unexpected(`"{" and the filter's configuration`)
		return
	}
	f.Payload = p.mapLit()
}

var sideWords = []string{"either", "ingress", "egress", "both"}

func (p *parser) factOn(f *Fact) {
	f.Words = append(f.Words, p.protocol())
	for p.got(tokComma) || p.pipeForComma() {
		f.Words = append(f.Words, p.protocol())
	}
	p.want(tokColon, "and a side after the protocols")
	if p.failed {
		return
	}
	if p.tok.kind != tokWord || !slices.Contains(sideWords, p.tok.text) {
		d := p.unexpected("either, ingress, egress or both")
		if meant := diag.Suggest(p.tok.text, sideWords); meant != "" && p.tok.kind == tokWord {
			d.WithHint("did you mean %q?", meant).WithFix(p.here(), meant)
		}
		return
	}
	side := p.ident("a side")
	f.Side = &side
}

func (p *parser) pipeForComma() bool {
	if p.failed || p.tok.kind != tokPipe {
		return false
	}
	p.report(p.here(), UnexpectedToken, `found "|", expected "," between the protocols of an action`).WithFix(p.here(), ",")
	p.next()
	return true
}

// part reads name [ "[" ( string | ident ) "]" ] as one word.
func (p *parser) part() Ident {
	start := p.tok.start
	if p.failed || p.tok.kind != tokWord || p.nextItem() {
		p.unexpected(`a part of the message such as request.path`)
		return Ident{}
	}
	name := p.tok.text
	p.next()
	if p.got(tokLBrack) {
		if p.tok.kind != tokString && (p.tok.kind != tokWord || !isIdent(p.tok.text)) {
			p.unexpected("a name in double quotes, or a parameter")
			return Ident{}
		}
		key := p.tok.text
		if p.tok.kind == tokString {
			key = quote(key)
		}
		name += "[" + key + "]"
		p.next()
		p.want(tokRBrack, "after the name")
	}
	return Ident{Base{p.from(start)}, name}
}
