package syntax

import (
	"admc.dev/admc/lang/diag"
)

// test reads "test" string "{" { Request { Expect } } "}" .
func (p *parser) test(start int, c Comments) Decl {
	t := &Test{Comments: c}
	col := p.tok.col
	p.next()
	if t.Title = p.wantString("a test's title in double quotes"); p.failed {
		return nil
	}
	var request *Request // nil after one that failed: its expectations go with it
	any := false
	t.Tail = p.block("test", t.Title.Raw, col, p.atTestLine, func() {
		before := p.failures
		if p.tok.is("expect") && p.peek().kind != tokArrow {
			if !any {
				p.report(p.here(), UnexpectedToken, `found "expect", expected a request`).
					WithHint("what is expected follows its request: A -> B  GET \"/\"")
				p.failures++
			}
			if e := p.expectation(); p.failures == before && request != nil {
				request.Expects = append(request.Expects, e)
				request.At = request.At.To(e.At)
			}
			return
		}
		any = true
		if request = p.request(); p.failures != before {
			request = nil
			return
		}
		t.Requests = append(t.Requests, request)
	})
	t.At, t.After = p.from(start), p.after()
	return t
}

// atTestLine reports whether the line in hand starts a request or an expect.
func (p *parser) atTestLine() bool {
	return p.tok.first && p.tok.kind == tokWord && (p.tok.text == "expect" || p.peek().kind == tokArrow)
}

// request reads name "->" name { "->" name } [ ":" Protocol ] [ ident string [ Map ] ]
// [ "x" int [ "within" duration ] ] .
func (p *parser) request() *Request {
	r := &Request{Comments: p.commentsAt()}
	start := p.tok.start
	r.From = p.serviceName()
	p.edgeArrow()
	r.To = p.serviceName()
	for (p.tok.kind == tokArrow || p.tok.kind == tokMany) && !p.failed {
		p.edgeArrow()
		r.Via = append(r.Via, r.To)
		r.To = p.serviceName()
	}
	if p.got(tokColon) {
		id := p.protocol()
		r.Protocol = &id
	}
	if p.tok.kind == tokWord && !p.tok.is("x") && p.peek().kind == tokString && !p.failed {
		id := p.ident("a method")
		r.Method, r.Path = &id, p.stringLit()
		if p.tok.kind == tokLBrace && !p.failed {
			r.Headers = p.mapLit()
			p.wantStrings(r.Headers)
		}
	} else if p.tok.kind == tokString && !p.failed {
		p.unexpected("a method").WithHint(`a request is written A -> B  GET "/path"`).WithFix(p.src.Span(p.tok.start, p.tok.start), "GET ")
	}
	if p.tok.is("x") && p.peek().kind == tokWord && !p.failed {
		r.Times = p.times()
		if p.gotWord("within") {
			r.Within = p.literal(Duration, "a duration such as 1s")
		}
	}
	if !p.failed && !p.tok.first && p.tok.kind != tokRBrace && p.tok.kind != tokSemi && p.tok.kind != tokEOF && !p.tok.is("expect") && !p.requestFollows() {
		p.unexpected(`a method and a path, headers, "x COUNT", or a new line`)
	}
	r.At, r.After = p.from(start), p.after()
	return r
}

func (p *parser) requestFollows() bool { return p.tok.kind == tokWord && p.peek().kind == tokArrow }

// wantStrings reports the values of a header map that are no strings.
func (p *parser) wantStrings(m *MapLit) {
	for _, e := range m.Entries {
		switch l, ok := e.Value.(*Literal); {
		case ok && l.Bad:
			p.failures++
		case !ok || l.Kind != String:
			p.report(e.Value.Span(), UnexpectedToken, "found %s, expected a string", clip(e.Value.Span().Text())).
				WithHint("the values of headers are written in double quotes")
			p.failures++
		}
	}
}

// serviceName reads the one service that a request is from or to.
func (p *parser) serviceName() Ident {
	if p.failed || p.tok.kind != tokWord {
		d := p.unexpected("a service")
		if p.tok.kind == tokLBrack || p.tok.kind == tokLBrace || p.tok.kind == tokDollar {
			d.WithHint("a test sends one request: name one service")
		}
		return Ident{}
	}
	id := Ident{Base{p.here()}, p.tok.text}
	why := badGlob(id.Name)
	for _, c := range id.Name {
		if c == '*' {
			why = "a test sends one request, from one service to one service"
		}
	}
	if why != "" {
		p.report(id.At, BadName, "%q is not the name of a service: %s", clip(id.Name), why)
		p.failures++
	}
	p.next()
	return id
}

// times reads "x" int .
func (p *parser) times() *Literal {
	p.next()
	n := p.literal(Int, "a count such as x 60")
	if n != nil && !n.Bad && n.Int < 1 {
		p.report(n.At, NumberRange, "a count is at least 1, found %s", n.Raw)
		n.Bad = true
	}
	return n
}

// literal reads a number of that kind; nil after a failure.
func (p *parser) literal(k Kind, what string) *Literal {
	if p.failed || p.tok.kind != tokWord || !numberStart(p.tok.text) {
		p.unexpected(what)
		return nil
	}
	lit := p.number()
	if !lit.Bad && lit.Kind != k {
		p.report(lit.At, UnexpectedToken, "found the %s %s, expected %s", lit.Kind, clip(lit.Raw), what)
		lit.Bad = true
	}
	return lit
}

var expectWords = []string{"pass", "deny", "status", "route", "header"}

// expectation reads "expect" ( "pass" | "deny" [ int ] | "status" int
// | "route" string | "header" string string [ "of" ( "request" | "response" ) ] )
// [ "x" int ] [ "by" ident ] .
func (p *parser) expectation() *Expect {
	e := &Expect{Comments: p.commentsAt()}
	start := p.tok.start
	p.next()
	if p.tok.kind != tokWord {
		p.unexpected("pass, deny, status, route or header")
		return e
	}
	e.Kind = Ident{Base{p.here()}, p.tok.text}
	p.expectArgs(e)
	if p.tok.is("x") && p.peek().kind == tokWord && !p.failed {
		e.Times = p.times()
	}
	if p.tok.is("by") && p.peek().kind != tokArrow && p.gotWord("by") {
		id := p.ident("a policy's name")
		e.By = &id
	}
	if !p.failed && !p.tok.first && p.tok.kind != tokRBrace && p.tok.kind != tokSemi && p.tok.kind != tokEOF && !p.tok.is("expect") && !p.requestFollows() {
		p.unexpected(`"x COUNT", "by POLICY" or a new line`)
	}
	e.At, e.After = p.from(start), p.after()
	return e
}

// expectArgs reads what follows the kind in hand.
func (p *parser) expectArgs(e *Expect) {
	switch e.Kind.Name {
	case "pass":
		p.next()
	case "deny":
		p.next()
		if p.tok.kind == tokWord && numberStart(p.tok.text) && p.peek().kind != tokArrow && !p.failed {
			e.Args = append(e.Args, p.literal(Int, "a status such as 403"))
		}
	case "status":
		p.next()
		e.Args = append(e.Args, p.literal(Int, "a status such as 200"))
	case "route":
		p.next()
		e.Args = append(e.Args, p.wantString("a version in double quotes"))
	case "header":
		p.next()
		e.Args = append(e.Args, p.wantString("a header's name in double quotes"), p.wantString("a header's value in double quotes"))
		if p.tok.is("of") && p.peek().kind != tokArrow && !p.failed {
			p.next()
			id := p.ident("request or response")
			if e.Of = &id; !p.failed && id.Name != "request" && id.Name != "response" {
				p.report(id.At, UnexpectedToken, "found %q, expected request or response", clip(id.Name))
				p.failures++
			}
		}
	default:
		d := p.fail(p.here(), UnknownKeyword, "found %q, expected pass, deny, status, route or header", clip(e.Kind.Name))
		if meant := diag.Suggest(e.Kind.Name, expectWords); meant != "" {
			d.WithHint("did you mean %q?", meant).WithFix(e.Kind.At, meant)
		} else if numberStart(e.Kind.Name) {
			d.WithHint("write `expect status %s`, or `expect deny %s` if a policy refuses it", e.Kind.Name, e.Kind.Name)
		}
	}
}
