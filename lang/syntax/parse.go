// Package syntax reads and prints the admc policy language.
//
// In: the bytes of one .adm file. Out: its tree, with a span on every node and
// every comment kept. What is not a sentence of the grammar is reported in the
// bag, all of a file at once, and the tree holds what could be read. Names are
// not looked up and nothing is typed here. Hostile input costs time linear in
// its size: files, nesting and the number of reports have limits, which are
// errors with codes of their own.
package syntax

import (
	"fmt"

	"admc.dev/admc/lang/diag"
)

// Limits of one file.
const (
	MaxFileSize = 8 << 20 // bytes
	MaxNesting  = 100     // brackets within brackets
	MaxErrors   = 100     // reported; then parsing stops
)

// Parse reads one file. It never gives nil; after a mistake it goes on at the
// next argument, clause or declaration.
func Parse(src *diag.Source, bag *diag.Bag) *File {
	p := &parser{src: src, bag: bag, sc: newScanner(src.Text), starts: noItem}
	p.file = &File{Base: Base{src.Span(0, len(src.Text))}, Src: src}
	if p.checkBytes() {
		p.next()
		p.decls()
	} else {
		p.lost = true
	}
	p.file.Broken = p.reported > 0
	p.file.Lost = p.lost || p.failures > 0 || p.reported >= MaxErrors
	p.file.Comments = p.commentNodes(0, len(p.sc.comments))
	return p.file
}

// A parser goes by recursive descent with one token in hand. Its two kinds of
// error: report says something and parsing goes on as if the right thing stood
// there; fail says something and stops the current item. From then on nothing
// is consumed or reported until recover, so that every parsing function may run
// to its end, and one mistake is one message.
type parser struct {
	src  *diag.Source
	bag  *diag.Bag
	file *File
	sc   scanner

	tok  token // in hand
	prev token // the one before it

	failed   bool // between fail and recover
	failures int  // fails so far: a node during which it grew is left out of the tree
	lost     bool // something was left out without a failure
	reported int
	depth    int
	quiet    bool // look ahead: say nothing
	furthest int  // where the first failure of a look ahead was
	skipping bool // after a fail: tokens are passed over unread
	openCEL  bool // while skipping, a condition was not closed: don't look for the end of another

	unclosed *diag.Span // the brace of a condition that seems to have taken its policy's brace

	itemCol int // the column that the current clause or declaration starts at

	starts func() bool // whether an item of the innermost block starts at tok
}

// next moves to the next token and says what the scanner has to say about it.
func (p *parser) next() {
	p.prev = p.tok
	lost := false
	for _, i := range p.tok.issues {
		lost = lost || i.lost
	}
	p.tok = p.sc.next()
	p.reportIssues(p.tok.notes)
	if !p.skipping {
		p.reportIssues(p.tok.issues)
		if lost {
			p.giveUp()
		}
	}
}

func (p *parser) reportIssues(list []issue) {
	for _, i := range list {
		if i.message == "" {
			continue
		}
		d := p.report(p.src.Span(i.start, i.end), i.code, "%s", i.message)
		if i.hint != "" {
			d.WithHint("%s", i.hint)
		}
		if i.hasFix {
			d.WithFix(p.src.Span(i.start, i.end), i.fix)
		}
	}
}

// peek looks one token further.
func (p *parser) peek() token {
	sc := p.sc
	return sc.next()
}

// report says that something is wrong and lets the parser go on.
func (p *parser) report(at diag.Span, code diag.Code, format string, args ...any) *diag.Diagnostic {
	p.reported++
	if p.quiet && p.furthest == 0 {
		p.furthest = int(at.Start)
	}
	switch {
	case p.quiet || p.reported > MaxErrors:
		return &diag.Diagnostic{} // for the caller to decorate
	case p.reported == MaxErrors:
		p.sc.off = len(p.sc.src)
		return p.bag.Errorf(at, TooManyErrors, "%d errors in this file; the rest of it was not read", MaxErrors)
	}
	return p.bag.Errorf(at, code, format, args...)
}

// fail reports and stops the current item. While another failure is being
// recovered from, and on a token that was complained about already, it is
// silent.
func (p *parser) fail(at diag.Span, code diag.Code, format string, args ...any) *diag.Diagnostic {
	if p.failed || len(p.tok.issues) > 0 {
		p.giveUp()
		return &diag.Diagnostic{}
	}
	p.giveUp()
	return p.report(at, code, format, args...)
}

func (p *parser) giveUp() {
	p.failed = true
	p.failures++
}

// recover ends the silence: tok is where parsing can go on.
func (p *parser) recover() {
	p.failed = false
	p.reportIssues(p.tok.issues)
}

// unexpected fails at the token in hand. When what was expected is missing at
// the end of a line, and the next line starts something else, the place to look
// at is the end of the line.
func (p *parser) unexpected(expected string) *diag.Diagnostic {
	found, at := p.tok.describe(p.sc.src), p.here()
	if p.tok.line > p.prev.endLine && p.prev.end > 0 && (p.tok.kind == tokEOF || p.tok.kind == tokRBrace || p.atDecl() || p.starts()) {
		at = p.src.Span(p.prev.end, p.prev.end)
		if p.tok.kind != tokEOF {
			found = "the end of the line"
		}
	}
	return p.fail(at, UnexpectedToken, "found %s, expected %s", found, expected)
}

func (p *parser) here() diag.Span { return p.src.Span(p.tok.start, p.tok.end) }

// from is the span from an offset to the end of the last token.
func (p *parser) from(start int) diag.Span { return p.src.Span(start, p.prev.end) }

func (p *parser) got(k tokenKind) bool {
	if p.failed || p.tok.kind != k {
		return false
	}
	p.next()
	return true
}

func (p *parser) gotWord(w string) bool {
	if p.failed || !p.tok.is(w) {
		return false
	}
	p.next()
	return true
}

// want consumes a token of that kind or fails.
func (p *parser) want(k tokenKind, after string) {
	if !p.got(k) && !p.failed {
		p.unexpected(fmt.Sprintf("%q %s", tokenText[k], after))
	}
}

// ident reads a name of the language's own: a letter or _, then letters, digits
// and _. A name with other bytes is reported and taken.
func (p *parser) ident(what string) Ident {
	if p.failed || p.tok.kind != tokWord || p.nextItem() {
		d := p.unexpected(what)
		if p.tok.kind == tokString {
			d.WithHint("names are written without quotes")
		}
		return Ident{}
	}
	return p.takeIdent(what)
}

// takeIdent is ident where the word in hand is known to be meant.
func (p *parser) takeIdent(what string) Ident {
	id := Ident{Base{p.here()}, p.tok.text}
	if !isIdent(id.Name) {
		d := p.report(id.At, BadName, "%q is not %s: such names have letters, digits and _ only", clip(id.Name), what)
		if fixed := identOf(id.Name); fixed != "" {
			d.WithFix(id.At, fixed).WithHint("%s would do", fixed)
		}
	}
	p.next()
	return id
}

func isIdent(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isNameStart(c) && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

// identOf is the identifier nearest to s, "" if there is none.
func identOf(s string) string {
	out := []byte(s)
	for i, c := range out {
		if !isNameStart(c) && !isDigit(c) {
			out[i] = '_'
		}
	}
	if isIdent(string(out)) {
		return string(out)
	}
	return ""
}

// enter counts brackets within brackets, and fails where there are too many;
// leave undoes it.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > MaxNesting {
		p.fail(p.here(), NestingTooDeep, "more than %d brackets within brackets", MaxNesting)
	}
	return p.depth <= MaxNesting
}

func (p *parser) leave() { p.depth-- }
