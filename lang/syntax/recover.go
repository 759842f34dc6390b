package syntax

import "slices"

var declWords = []string{"let", "policy", "require", "test", "action"}

// noItem is parser.starts outside every block.
func noItem() bool { return false }

// atDecl reports whether a declaration starts at the token in hand, which is
// the first of its line. Keywords are contextual: what follows decides.
func (p *parser) atDecl() bool {
	if !p.tok.first {
		return false
	}
	if p.tok.kind == tokAt {
		return p.annotationsLeadDecl()
	}
	return declFollows(p.tok, p.peek())
}

func declFollows(word, next token) bool {
	if word.kind != tokWord {
		return false
	}
	switch word.text {
	case "let", "policy", "require", "action":
		return next.kind == tokWord
	case "test":
		return next.kind == tokString
	}
	return false
}

// annotationsLeadDecl looks past the annotations at the token in hand. It looks
// no further than any real ones reach, lest a file of nothing else takes time
// quadratic in its size.
func (p *parser) annotationsLeadDecl() bool {
	const most = 64 // tokens
	sc, t, open := p.sc, p.tok, false
	for range most {
		switch {
		case t.kind == tokLParen:
			open = true
		case t.kind == tokRParen:
			open = false
		case open && (t.kind == tokAt || t.kind == tokLBrace) || t.kind == tokEOF:
			return false
		case !open && (t.is("policy") || t.is("action")):
			return true
		case !open && t.kind != tokAt && t.kind != tokWord:
			return false
		}
		t = sc.next()
	}
	return false
}

var closes = map[tokenKind]tokenKind{tokRBrace: tokLBrace, tokRParen: tokLParen, tokRBrack: tokLBrack}

// skip passes over tokens in silence, from the token in hand and at least to
// behind the offset start, up to a token at which stop is true outside all
// brackets that were passed, to the closing brace of the block, or to the first
// line that starts an item or a declaration. Then parsing can go on.
func (p *parser) skip(start int, stop func() bool) {
	var open []tokenKind
	p.skipping = true
	for p.tok.kind != tokEOF {
		if p.tok.start > start && p.tok.first && (p.starts() || p.atDecl()) {
			break
		}
		if len(open) == 0 && stop() {
			break
		}
		switch k := p.tok.kind; k {
		case tokLBrace, tokLParen, tokLBrack:
			open = append(open, k)
		case tokRBrace, tokRParen, tokRBrack:
			if i := lastIndex(open, closes[k]); i >= 0 {
				open = open[:i]
			} else if k == tokRBrace {
				p.endSkip()
				return
			}
		}
		p.skipToken()
	}
	p.endSkip()
}

func (p *parser) endSkip() {
	p.skipping = false
	p.recover()
}

// skipToken passes one token, or a whole `when { … }`, whose text is not made
// of tokens.
func (p *parser) skipToken() {
	when := p.tok.is("when")
	p.next()
	if when && p.tok.kind == tokLBrace && !p.openCEL {
		_, _, ok := p.sc.celText()
		if p.openCEL = !ok; ok {
			p.next() // to the closing brace
			p.next()
		}
	}
}

func lastIndex(list []tokenKind, k tokenKind) int {
	for i, x := range slices.Backward(list) {
		if x == k {
			return i
		}
	}
	return -1
}

// skipItem passes the rest of the item that starts at the token first. A line
// that is indented no deeper starts the next one, whatever it is.
func (p *parser) skipItem(first token) {
	p.skip(first.start, func() bool { return p.tok.start > first.start && p.startsLine(first.col) })
}

// startsLine reports whether a line starts here that is indented by at most col.
func (p *parser) startsLine(col int) bool {
	return p.tok.first && p.tok.col <= col && (p.tok.kind == tokWord || p.tok.kind == tokAt)
}

// skipDecl passes the rest of the declaration that starts at the token first: up
// to the next one, or outside of brackets to any word that is indented no
// deeper.
func (p *parser) skipDecl(first token) {
	p.skipping = true
	for depth := 0; p.tok.kind != tokEOF; p.skipToken() {
		if p.tok.start > first.start {
			if p.atDecl() || depth == 0 && p.startsLine(first.col) {
				break
			}
		}
		switch p.tok.kind {
		case tokLBrace, tokLParen, tokLBrack:
			depth++
		case tokRBrace, tokRParen, tokRBrack:
			depth = max(0, depth-1)
		}
	}
	p.endSkip()
}

// skipInner passes a declaration that stands inside a block, to its end.
func (p *parser) skipInner(blockCol int) {
	start, depth := p.tok.start, 0
	p.skipping = true
	for p.tok.kind != tokEOF {
		if p.tok.start > start && p.tok.first {
			if depth == 0 && (p.starts() || p.atDecl()) || p.tok.col <= blockCol && p.atDecl() {
				break
			}
		}
		switch p.tok.kind {
		case tokLBrace:
			depth++
		case tokRBrace:
			if depth--; depth < 0 {
				p.endSkip()
				return
			}
		}
		p.skipToken()
	}
	p.endSkip()
}

// list reads `elem, elem, …` up to close; the opening bracket has been read. A
// comma may follow the last element. An element that failed is passed over and
// the next one is read. elem gives the comments of its node, if that has any.
func (p *parser) list(close tokenKind, elem func() *Comments) (tail []Comment) {
	defer p.leave()
	if !p.enter() {
		p.skip(-1, func() bool { return p.tok.kind == close })
		if p.tok.kind == close {
			p.next()
		}
		p.giveUp()
	}
	for !p.failed {
		if p.tok.kind == close {
			tail = p.tail()
			p.next()
			return tail
		}
		if p.tok.first && (p.starts() || p.atDecl()) {
			p.unexpected(`"` + tokenText[close] + `"`)
			p.giveUp()
			return nil
		}
		c := elem()
		p.setAfter(c)
		switch {
		case p.failed, p.tok.kind == close:
		case p.tok.kind == tokSemi:
			p.report(p.here(), UnexpectedToken, `found ";", expected "," or %q`, tokenText[close]).WithFix(p.here(), ",")
			p.next()
		case p.tok.kind != tokComma && p.tok.first && p.elementFollows():
			end := p.src.Span(p.prev.end, p.prev.end)
			p.report(end, UnexpectedToken, `found the end of the line, expected "," or %q`, tokenText[close]).WithFix(end, ",")
		case !p.got(tokComma):
			p.unexpected(`"," or "` + tokenText[close] + `"`)
		default:
			p.setAfter(c)
		}
		if p.failed {
			p.resumeList(close)
		}
	}
	return nil
}

// elementFollows reports whether the line in hand goes on with a list: then only
// the comma is missing.
func (p *parser) elementFollows() bool {
	switch p.tok.kind {
	case tokWord, tokString, tokDollar, tokLBrack, tokLBrace:
		return !p.starts() && !p.atDecl() && p.tok.col > p.itemCol
	}
	return false
}

func (p *parser) setAfter(c *Comments) {
	if c != nil && c.After == nil && !p.failed {
		c.After = p.after()
	}
}

// resumeList passes what is left of an element; if the list ends otherwise than
// by its bracket, it stays failed. A brace on a line of its own, left of the item
// in hand, is that of the block around it.
func (p *parser) resumeList(close tokenKind) {
	closes := func() bool {
		return p.tok.kind == close && !(close == tokRBrace && p.tok.first && p.tok.col < p.itemCol)
	}
	p.skip(-1, func() bool { return p.tok.kind == tokComma || closes() })
	if !closes() && !p.got(tokComma) {
		p.giveUp()
	}
}

// block reads items up to "}". The token in hand is the "{"; declCol is the
// column of the declaration, by which a brace that is missing is told from a
// declaration that is misplaced.
func (p *parser) block(what, name string, declCol int, starts func() bool, item func()) (tail []Comment) {
	open := p.here()
	p.want(tokLBrace, "after the "+what+"'s name")
	if p.failed {
		return nil
	}
	outer := p.starts
	p.starts = starts
	defer func() { p.starts = outer }()
	for {
		switch {
		case p.tok.kind == tokRBrace:
			tail = p.tail()
			p.next()
			return tail
		case p.tok.kind == tokEOF, p.atDecl() && p.tok.col <= declCol:
			p.missingBrace(what, name, open)
			return nil
		case p.atDecl():
			p.report(p.here(), MisplacedDeclaration, "%s stands inside %s %s; declarations stand at the top level", p.declText(), what, name).
				WithNote(open, "the braces of %s open here", name)
			p.lost = true
			p.skipInner(declCol)
		case p.tok.kind == tokSemi:
			p.report(p.here(), UnexpectedToken, `found ";": nothing follows a clause but the next one`).WithFix(p.here(), "")
			p.next()
		default:
			first := p.tok
			p.itemCol = first.col
			item()
			if p.failed {
				p.skipItem(first)
			}
		}
	}
}
