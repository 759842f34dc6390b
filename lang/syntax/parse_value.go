package syntax

import "strings"

// args reads [ Arg { "," Arg } ] ")" ; the opening parenthesis has been read.
func (p *parser) args() (list []*Arg) {
	p.list(tokRParen, func() *Comments {
		before := p.failures
		a := p.arg()
		if p.failures == before {
			list = append(list, a)
		}
		return &a.Comments
	})
	return list
}

// arg reads [ ident ":" ] Value .
func (p *parser) arg() *Arg {
	a := &Arg{Comments: p.commentsAt()}
	start := p.tok.start
	next := p.peek()
	switch {
	case p.tok.kind == tokWord && next.kind == tokColon:
		id := p.takeIdent("an argument's name")
		a.Name = &id
		p.next()
	case p.tok.kind == tokWord && next.kind == tokAssign:
		id := p.takeIdent("an argument's name")
		a.Name = &id
		p.report(p.here(), UnexpectedToken, `found "=", expected ":" after an argument's name`).WithFix(p.here(), ":")
		p.tok.issues = nil
		p.next()
	case p.tok.kind == tokString && next.kind == tokColon:
		p.fail(p.here(), UnexpectedToken, "found %s, expected an argument's name", p.tok.describe(p.sc.src)).
			WithHint("arguments are named without quotes; a map stands in braces: {\"key\": value}")
	}
	a.Value = p.value()
	a.At = p.from(start)
	return a
}

// value reads string | raw string | int | float | bool | duration | rate | percent | size
// | ident | "$" ident | List | Map | "cel" "{" CEL "}" .
func (p *parser) value() Value {
	start := p.tok.start
	if p.failed {
		return nil
	}
	switch p.tok.kind {
	case tokString:
		return p.stringLit()
	case tokWord:
		return p.wordValue()
	case tokDollar:
		p.next()
		name := p.ident("a let's name")
		return &Ref{Base{p.from(start)}, name}
	case tokLBrack:
		return p.listValue()
	case tokLBrace:
		return p.mapValue()
	}
	p.unexpected("a value")
	return nil
}

func (p *parser) stringLit() *Literal {
	raw := strings.ReplaceAll(string(p.sc.src[p.tok.start:p.tok.end]), "\r\n", "\n")
	lit := &Literal{Base: Base{p.here()}, Kind: String, Raw: raw, Str: p.tok.text}
	p.next()
	return lit
}

// want a string, or fail.
func (p *parser) wantString(what string) *Literal {
	if p.failed || p.tok.kind != tokString {
		d := p.unexpected(what)
		if p.tok.kind == tokWord {
			d.WithHint("strings are written in double quotes")
		}
		return nil
	}
	return p.stringLit()
}

func (p *parser) wordValue() Value {
	start, word := p.tok.start, p.tok.text
	if numberStart(word) {
		return p.number()
	}
	if word == "cel" && p.peek().kind == tokLBrace {
		p.next()
		expr := p.cel()
		return &CELValue{Base{p.from(start)}, expr}
	}
	lit := &Literal{Base: Base{p.here()}, Kind: Word, Raw: word, Str: word}
	switch {
	case word == "true" || word == "false":
		lit.Kind, lit.Str, lit.Bool = Bool, "", word == "true"
	case badGlob(word) != "" || word[0] == '/':
		p.fail(lit.At, UnexpectedToken, "found %q, expected a value", clip(word)).
			WithHint("strings are written in double quotes").WithFix(lit.At, `"`+word+`"`)
		return nil
	}
	p.next()
	return lit
}

// number reads a number with its unit. One that is none is reported, and bad: the
// parser goes on behind it.
func (p *parser) number() *Literal {
	at, word := p.here(), p.tok.text
	lit, err := parseNumber(word)
	if err != nil {
		d := p.report(p.src.Span(p.tok.start+err.at, p.tok.start+err.at+err.n), err.code, "%s", err.message)
		if err.hint != "" {
			d.WithHint("%s", err.hint)
		}
		if err.fix != "" {
			d.WithFix(at, err.fix)
		}
		p.next()
		return &Literal{Base: Base{at}, Raw: word, Bad: true}
	}
	lit.At = at
	p.next()
	if lit.Kind == Int || lit.Kind == Float {
		p.looseUnit(lit)
	}
	return lit
}

// looseUnit reports and takes a unit that stands apart from its number, which is
// bad then.
func (p *parser) looseUnit(lit *Literal) {
	unit := ""
	for !p.tok.first && (p.tok.kind == tokPercent || p.tok.kind == tokWord && isUnit(p.tok.text)) {
		unit += string(p.sc.src[p.tok.start:p.tok.end])
		p.next()
	}
	if unit == "" {
		return
	}
	at := lit.At.To(p.src.Span(p.prev.start, p.prev.end))
	p.report(at, BadNumber, "a unit stands right behind its number: %s%s", clip(lit.Raw), clip(unit)).WithFix(at, lit.Raw+unit)
	lit.Bad = true
}

// isUnit reports whether a word that stands apart from its number is its unit.
func isUnit(w string) bool {
	return isDuration(w) || sizeUnits[w] != 0 || durationSlips[w] != "" || sizeSlips[w] != "" || rateSlips[w] != "" || w[0] == '/'
}

// listValue reads "[" [ Value { "," Value } ] "]" .
func (p *parser) listValue() Value {
	l := &List{}
	start := p.tok.start
	p.next()
	l.Tail = p.list(tokRBrack, func() *Comments {
		before := p.failures
		if v := p.value(); p.failures == before {
			l.Elems = append(l.Elems, v)
		}
		return nil
	})
	l.At = p.from(start)
	return l
}

func (p *parser) mapValue() Value { return p.mapLit() }

// mapLit reads "{" [ string ":" Value { "," string ":" Value } ] "}" .
func (p *parser) mapLit() *MapLit {
	m := &MapLit{}
	start := p.tok.start
	p.next()
	m.Tail = p.list(tokRBrace, func() *Comments {
		before := p.failures
		e := p.mapEntry()
		if p.failures == before {
			m.Entries = append(m.Entries, e)
		}
		return &e.Comments
	})
	m.At = p.from(start)
	return m
}

func (p *parser) mapEntry() *MapEntry {
	e := &MapEntry{Comments: p.commentsAt()}
	start := p.tok.start
	if p.tok.kind == tokWord && p.peek().kind == tokColon {
		p.fail(p.here(), UnexpectedToken, "found %q, expected a string", clip(p.tok.text)).
			WithHint("the keys of a map are written in double quotes").WithFix(p.here(), `"`+p.tok.text+`"`)
		return e
	}
	e.Key = p.wantString("a string as the map's key")
	if p.tok.kind == tokAssign && !p.failed {
		p.report(p.here(), UnexpectedToken, `found "=", expected ":"`).WithFix(p.here(), ":")
		p.next()
	} else {
		p.want(tokColon, "after a map's key")
	}
	e.Value = p.value()
	e.At = p.from(start)
	return e
}
