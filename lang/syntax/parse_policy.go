package syntax

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// decls reads File = { Decl } .
func (p *parser) decls() {
	for p.tok.kind != tokEOF {
		first, before := p.tok, p.failures
		p.itemCol = first.col
		d := p.decl()
		policy, _ := d.(*Policy)
		switch {
		case p.failed:
			p.skipDecl(first)
		case p.failures == before && d != nil:
			p.file.Decls = append(p.file.Decls, d)
		case policy != nil:
			p.file.Partial = append(p.file.Partial, policy)
		}
	}
	p.file.Tail = p.tail()
}

// decl reads Let | Policy | Require | Test | Action .
func (p *parser) decl() Decl {
	start, comments := p.tok.start, p.commentsAt()
	notes := p.annotations()
	if p.failed {
		return nil
	}
	switch word := p.declWord(); word {
	case "policy":
		return p.policy(start, comments, notes)
	case "action":
		return p.action(start, comments, notes)
	case "":
		return nil
	default:
		for _, a := range notes {
			p.report(a.At, MisplacedAnnotation, "@%s: only policies and actions have annotations, not a %s", a.Name.Name, word)
		}
		switch word {
		case "let":
			return p.let(start, comments)
		case "require":
			return p.require(start, comments)
		}
		return p.test(start, comments)
	}
}

// declWord gives the keyword in hand, or the one that was probably meant.
func (p *parser) declWord() string {
	if declFollows(p.tok, p.peek()) {
		return p.tok.text
	}
	for _, w := range declWords {
		if p.tok.is(w) {
			return w // and its own function says what is missing
		}
	}
	const expected = "let, policy, require, test or action"
	switch {
	case p.tok.kind == tokRBrace:
		p.fail(p.here(), UnexpectedToken, `found "}", but no brace is open here`)
	case p.tok.kind == tokSemi:
		p.report(p.here(), UnexpectedToken, `found ";": nothing follows a declaration but the next one`).WithFix(p.here(), "")
		p.next()
	case p.tok.kind == tokWord:
		if meant := diag.Suggest(p.tok.text, declWords); meant != "" && declFollows(token{kind: tokWord, text: meant}, p.peek()) {
			p.report(p.here(), UnknownKeyword, "found %q, expected %s", clip(p.tok.text), expected).
				WithHint("did you mean %q?", meant).WithFix(p.here(), meant)
			return meant
		}
		d := p.fail(p.here(), UnknownKeyword, "found %q, expected %s", clip(p.tok.text), expected)
		if p.peek().kind == tokLParen || policyWord(p.tok.text) {
			d.WithHint("clauses and actions stand inside `policy NAME { … }`")
		}
	default:
		p.unexpected(expected)
	}
	return ""
}

// declText names the declaration in hand for a message.
func (p *parser) declText() string {
	if p.tok.kind == tokAt {
		return "a declaration"
	}
	article := "a "
	if p.tok.text == "action" {
		article = "an "
	}
	return article + p.tok.text
}

func (p *parser) missingBrace(what, name string, open diag.Span) {
	if p.unclosed != nil {
		p.fail(*p.unclosed, UnterminatedCondition, "this brace is not closed").
			WithHint("the condition ends at the `}` that was meant to close %s %s", what, name)
	} else if p.tok.kind == tokEOF {
		p.fail(p.src.Span(p.prev.end, p.prev.end), MissingBrace, `found the end of the file, expected "}" at the end of %s %s`, what, name).
			WithNote(open, "this brace is not closed")
	} else {
		p.fail(p.here(), MissingBrace, `found %s, expected "}" at the end of %s %s`, p.tok.describe(p.sc.src), what, name).
			WithNote(open, "this brace is not closed")
	}
	p.failed = false // the declaration in hand, or the end, is where to go on
}

// annotations reads { "@" ident [ "(" [ Arg { "," Arg } ] ")" ] } .
func (p *parser) annotations() (list []*Annotation) {
	for p.tok.kind == tokAt && !p.failed {
		a := &Annotation{Comments: p.commentsAt()}
		start := p.tok.start
		p.next()
		a.Name = p.ident("an annotation's name")
		if p.got(tokLParen) {
			a.Args = p.args()
		}
		a.At, a.After = p.from(start), p.after()
		list = append(list, a)
	}
	return list
}

// let reads "let" ident "=" ( Endpoints | Value ) .
func (p *parser) let(start int, c Comments) Decl {
	l := &Let{Comments: c}
	p.next()
	l.Name = p.ident("a name for the let")
	if p.tok.kind == tokColon && !p.failed {
		p.report(p.here(), UnexpectedToken, `found ":", expected "="`).WithFix(p.here(), "=")
		p.next()
	} else {
		p.want(tokAssign, "after the name of a let")
	}
	if p.failed {
		return nil
	}
	if p.endpointsNext() {
		l.Endpoints = p.endpoints()
	} else {
		l.Value = p.value()
	}
	l.At, l.After = p.from(start), p.after()
	if p.tok.kind != tokSemi && p.tok.kind != tokEOF && !p.tok.first && !p.failed {
		p.unexpected("a new line after the let")
	}
	return l
}

// policy reads { Annotation } "policy" ident "{" { Clause } "}" .
func (p *parser) policy(start int, c Comments, notes []*Annotation) Decl {
	pol := &Policy{Comments: c, Annotations: notes}
	col := p.tok.col
	p.next()
	pol.Name = p.ident("a policy's name")
	p.unclosed = nil
	pol.Tail = p.block("policy", pol.Name.Name, col, p.atClause, func() {
		before := p.failures
		if c := p.clause(); p.failures == before && c != nil {
			pol.Clauses = append(pol.Clauses, c)
		}
	})
	pol.At, pol.After = p.from(start), p.after()
	return pol
}

var clauseWords = []string{"on", "path", "when", "sample"}

func policyWord(w string) bool {
	return w == "on" || w == "path" || w == "when" || w == "sample"
}

// atClause reports whether a clause starts at the token in hand, the first of
// its line: a keyword, unless it names an argument, or a call.
func (p *parser) atClause() bool {
	if !p.tok.first || p.tok.kind != tokWord {
		return false
	}
	next := p.peek()
	if policyWord(p.tok.text) {
		switch next.kind {
		case tokColon, tokAssign, tokNotEq, tokComma, tokRBrace, tokRBrack, tokRParen:
			return false
		}
		return !next.is("except") || p.tok.text == "path"
	}
	return isIdent(p.tok.text) && next.kind == tokLParen
}

// clause reads On | Path | When | Sample | Call .
func (p *parser) clause() Clause {
	c := p.commentsAt()
	switch {
	case p.tok.kind == tokAt:
		p.fail(p.here(), MisplacedAnnotation, "annotations stand in front of `policy`, not inside it")
	case p.tok.kind != tokWord:
		p.unexpected("a clause: on, path, when, sample or an action")
	case p.tok.text == "on":
		on := p.on(c)
		on.After = p.after()
		return on
	case p.tok.text == "path":
		return p.path(c)
	case p.tok.text == "when":
		return p.when(c)
	case p.tok.text == "sample":
		return p.sample(c)
	case p.peek().kind == tokLParen:
		return p.call(c)
	default:
		p.unknownClause()
	}
	return nil
}

// unknownClause says what a word that starts no clause may have been meant for.
func (p *parser) unknownClause() {
	word, next := p.tok.text, p.peek()
	if next.first {
		next.kind = tokEOF
	}
	meant := diag.Suggest(word, clauseWords)
	switch {
	case next.kind == tokArrow || next.kind == tokMany:
		p.fail(p.here(), UnexpectedToken, "found %q, expected a clause", clip(word)).WithHint("the edges of a policy are written `on A -> B`").
			WithFix(p.src.Span(p.tok.start, p.tok.start), "on ")
	case word == "if" || word == "where" || word == "unless":
		p.fail(p.here(), UnknownKeyword, "found %q, expected a clause", word).WithHint("a condition is written `when { … }`")
	case word == "except":
		p.fail(p.here(), UnexpectedToken, `found "except", expected a clause`).WithHint("`except` follows what it takes away from: A except {B, C}")
	case meant != "" && next.kind != tokEOF:
		p.fail(p.here(), UnknownKeyword, "found %q, expected on, path, when, sample or an action", clip(word)).
			WithHint("did you mean %q?", meant).WithFix(p.here(), meant)
	case isIdent(word) && (next.kind == tokEOF || next.kind == tokRBrace || next.kind == tokWord):
		end := p.src.Span(p.tok.end, p.tok.end)
		p.fail(p.here(), UnexpectedToken, `found %q without "("`, clip(word)).WithHint("an action is written with its arguments: %s()", word).WithFix(end, "()")
	default:
		p.fail(p.here(), UnknownKeyword, "found %q, expected on, path, when, sample or an action", clip(word))
	}
}

// when reads "when" "{" CEL "}" .
func (p *parser) when(c Comments) Clause {
	w := &When{Comments: c}
	start, col := p.tok.start, p.tok.col
	p.next()
	if p.tok.kind != tokLBrace {
		p.unexpected(`"{" after when`).WithHint("a condition stands in braces: when { … }")
		return w
	}
	open := p.tok
	w.Expr = p.cel()
	if p.prev.first && p.prev.col < col && p.prev.line > open.line {
		at := p.src.Span(open.start, open.end)
		p.unclosed = &at
	}
	w.At, w.After = p.from(start), p.after()
	return w
}

// cel reads "{" CEL "}"; the token in hand is the opening brace.
func (p *parser) cel() CEL {
	open := p.here()
	start := p.sc.off
	text, issues, ok := p.sc.celText()
	p.reportIssues(issues)
	p.failures += len(issues)
	if !ok {
		if len(issues) == 0 {
			p.fail(open, UnterminatedCondition, "this brace is not closed")
		} else {
			p.giveUp()
		}
		return CEL{}
	}
	p.next() // the closing brace is in hand now
	at := p.src.Span(start, p.tok.start)
	p.next()
	if strings.TrimSpace(text) == "" {
		p.report(open.To(p.src.Span(p.prev.start, p.prev.end)), EmptyCondition, "the condition is empty").WithHint("leave the clause out: then it always holds")
		p.failures++
	}
	return CEL{Base{at}, text}
}

// sample reads "sample" percent .
func (p *parser) sample(c Comments) Clause {
	s := &Sample{Comments: c}
	start := p.tok.start
	p.next()
	if p.tok.kind != tokWord || !numberStart(p.tok.text) {
		d := p.unexpected("a share such as 10%")
		if p.tok.kind == tokLParen {
			d.WithHint("sample is no action: write sample 10%%")
		}
		return s
	}
	lit := p.number()
	if !lit.Bad && lit.Kind != Percent {
		d := p.report(lit.At, UnexpectedToken, "found %s, expected a share such as 10%%", clip(lit.Raw))
		if lit.Kind == Int && lit.Int >= 0 && lit.Int <= 100 {
			d.WithHint("did you mean %s%%?", lit.Raw).WithFix(lit.At, lit.Raw+"%")
		}
		lit.Bad = true
	}
	s.Share = lit
	s.At, s.After = p.from(start), p.after()
	return s
}

// call reads ident "(" [ Arg { "," Arg } ] ")" .
func (p *parser) call(c Comments) Clause {
	k := &Call{Comments: c}
	start := p.tok.start
	k.Name = p.takeIdent("an action's name")
	p.next()
	k.Args = p.args()
	k.At, k.After = p.from(start), p.after()
	return k
}

// require reads "require" ident "{" On "has" Has "}" .
func (p *parser) require(start int, c Comments) Decl {
	r := &Require{Comments: c}
	col, before := p.tok.col, p.failures
	p.next()
	r.Name = p.ident("a requirement's name")
	r.Tail = p.block("require", r.Name.Name, col, p.atRule, func() {
		switch comments := p.commentsAt(); {
		case p.tok.is("on") && r.On == nil:
			r.On = p.on(comments)
			r.On.After = p.after()
		case p.tok.is("has") && r.On != nil && r.Any == nil:
			r.Any = p.has()
		case p.tok.is("on") || p.tok.is("has"):
			p.fail(p.here(), UnexpectedToken, "%s has one `on`, and one `has` after it", r.Name.Name)
		default:
			p.unexpected("on or has")
		}
	})
	r.At, r.After = p.from(start), p.after()
	if p.failures == before && (r.On == nil || r.Any == nil) {
		p.report(r.Name.At, UnexpectedToken, "%s needs `on EDGES` and `has ACTION`", r.Name.Name)
		p.failures++
	}
	return r
}

func (p *parser) atRule() bool {
	return p.tok.first && (p.tok.is("on") || p.tok.is("has"))
}

// has reads "has" ident { ( "and" | "or" ) ident } into an or of ands.
func (p *parser) has() [][]Ident {
	p.next()
	any := [][]Ident{{p.ident("an action's name")}}
	for !p.failed {
		switch {
		case p.gotWord("or"):
			any = append(any, nil)
		case p.gotWord("and"):
		case p.tok.kind == tokComma || p.tok.kind == tokPipe:
			p.unexpected(`"and", "or" or "}"`)
			return any
		default:
			return any
		}
		last := len(any) - 1
		any[last] = append(any[last], p.ident("an action's name"))
	}
	return any
}
