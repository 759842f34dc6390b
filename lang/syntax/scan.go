package syntax

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A scanner cuts the source into tokens, one at a time, because what follows
// `when {` is another language. It is a plain value: a copy of it looks ahead.
type scanner struct {
	src       []byte
	off       int
	line      int // of off, from 1
	lineStart int
	fresh     bool // no token on this line yet
	comments  []comment
	// celComments are those in conditions: nobody prints them, as a condition is
	// kept as written.
	celComments []comment
}

// A comment as found, with what the parser needs to give it to a node.
type comment struct {
	start, end, line int
	ownLine          bool
}

func newScanner(src []byte) scanner {
	s := scanner{src: src, line: 1, fresh: true}
	if bytes.HasPrefix(src, []byte("\ufeff")) {
		s.off, s.lineStart = 3, 3
	}
	return s
}

func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

// next gives the next token; at the end of the source, tokEOF for ever.
func (s *scanner) next() token {
	lead := len(s.comments)
	notes := s.space()
	t := token{start: s.off, line: s.line, col: s.off - s.lineStart, first: s.fresh, lead: lead, notes: notes}
	if s.off >= len(s.src) {
		t.end, t.endLine = s.off, s.line
		return t
	}
	s.fresh = false
	s.token(&t)
	t.end, t.endLine = s.off, s.line
	return t
}

// space skips white space and comments, which it keeps.
func (s *scanner) space() (notes []issue) {
	for s.off < len(s.src) {
		switch c := s.src[s.off]; {
		case c == '\n':
			s.off++
			s.newline()
		case c == ' ' || c == '\t' || c == '\r':
			s.off++
		case c == '/' && s.at(s.off+1) == '/':
			s.comment()
		case c == '/' && s.at(s.off+1) == '*':
			notes = append(notes, s.blockComment())
		case c == '#':
			notes = append(notes, issue{start: s.off, end: s.off + 1, code: BadComment,
				message: `"#" does not start a comment`, hint: "comments run from // to the end of the line", fix: "//", hasFix: true})
			s.skipLine()
		default:
			return notes
		}
	}
	return notes
}

func (s *scanner) newline() {
	s.line++
	s.lineStart = s.off
	s.fresh = true
}

// lineEnd is the offset of the end of the line that off is on, white space
// before it left out.
func (s *scanner) lineEnd(off int) int {
	end := len(s.src)
	if i := bytes.IndexByte(s.src[off:], '\n'); i >= 0 {
		end = off + i
	}
	return off + len(bytes.TrimRight(s.src[off:end], " \t\r"))
}

func (s *scanner) skipLine() { s.off = s.lineEnd(s.off) }

func (s *scanner) comment() {
	start := s.off
	s.skipLine()
	s.comments = append(s.comments, comment{start, s.off, s.line, s.fresh})
}

func (s *scanner) blockComment() issue {
	start := s.off
	end := len(s.src)
	if i := bytes.Index(s.src[s.off:], []byte("*/")); i >= 0 {
		end = s.off + i + 2
	}
	for ; s.off < end; s.off++ {
		if s.src[s.off] == '\n' {
			s.line++
			s.lineStart = s.off + 1
			s.fresh = true
		}
	}
	return issue{start: start, end: start + 2, code: BadComment, message: "there are no block comments",
		hint: "comments run from // to the end of the line"}
}

// token scans the token at off, which is not white space.
func (s *scanner) token(t *token) {
	switch c := s.src[s.off]; c {
	case '{':
		s.punct(t, tokLBrace, 1)
	case '}':
		s.punct(t, tokRBrace, 1)
	case '(':
		s.punct(t, tokLParen, 1)
	case ')':
		s.punct(t, tokRParen, 1)
	case '[':
		s.punct(t, tokLBrack, 1)
	case ']':
		s.punct(t, tokRBrack, 1)
	case ',':
		s.punct(t, tokComma, 1)
	case ';':
		s.punct(t, tokSemi, 1)
	case '@':
		s.punct(t, tokAt, 1)
	case '$':
		s.punct(t, tokDollar, 1)
	case '"':
		s.str(t)
	case '`':
		s.rawString(t)
	default:
		if s.wordStart() {
			s.word(t)
			return
		}
		s.operator(t)
	}
}

func (s *scanner) punct(t *token, k tokenKind, n int) {
	t.kind = k
	s.off += n
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '.' || c == '*' || c == '/' || c == '-'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) wordStart() bool {
	c := s.src[s.off]
	return isWordByte(c) && (c != '-' || isDigit(s.at(s.off+1)))
}

// word takes the longest run of word bytes that is neither the start of a
// comment nor of an arrow and does not end in "-": `a->b` is three tokens. A
// percent sign belongs to the number it follows.
func (s *scanner) word(t *token) {
	start := s.off
	for s.off < len(s.src) && isWordByte(s.src[s.off]) {
		next := s.at(s.off + 1)
		if s.off > start && (s.src[s.off] == '/' && next == '/' || s.src[s.off] == '-' && next == '>') {
			break
		}
		s.off++
	}
	for s.off > start+1 && s.src[s.off-1] == '-' {
		s.off--
	}
	if s.at(s.off) == '%' && (isDigit(s.src[start]) || s.off > start+1 && isDigit(s.src[start+1])) {
		s.off++
	}
	if r, _ := utf8.DecodeRune(s.src[s.off:]); unicode.IsLetter(r) && r >= utf8.RuneSelf {
		s.foreignWord(t)
		return
	}
	t.kind, t.text = tokWord, string(s.src[start:s.off])
}

// arrows that other languages have.
var arrows = []string{"-->", "==>", "=>", "~~>", "→", "⇒"}

// operators of CEL, longest first, which mean nothing outside its braces.
var operators = []string{"&&", "||", "<=", ">=", "&", "+", "?", "!", "^", "~", "-"}

func (s *scanner) operator(t *token) {
	rest := s.src[s.off:]
	for _, a := range arrows {
		if bytes.HasPrefix(rest, []byte(a)) {
			s.punct(t, tokArrow, len(a))
			t.addFix(s.off, UnexpectedToken, `an arrow is written "->", not "`+a+`"`, `"->" is one call; in a path, "~>" is one or more`, "->")
			return
		}
	}
	if bytes.HasPrefix(rest, []byte("==")) || bytes.HasPrefix(rest, []byte(":=")) {
		s.punct(t, tokAssign, 2)
		t.addFix(s.off, UnexpectedToken, `found "`+string(rest[:2])+`", expected "="`, "", "=")
		return
	}
	for _, o := range []struct {
		text string
		kind tokenKind
	}{{"->", tokArrow}, {"~>", tokMany}, {"!=", tokNotEq}} {
		if bytes.HasPrefix(rest, []byte(o.text)) {
			s.punct(t, o.kind, len(o.text))
			return
		}
	}
	for _, o := range operators {
		if bytes.HasPrefix(rest, []byte(o)) {
			s.punct(t, tokIllegal, len(o))
			t.add(s.off, UnexpectedToken, `"`+o+`" means nothing here`, "conditions are written in CEL, between the braces of `when { … }`")
			return
		}
	}
	switch rest[0] {
	case ':':
		s.punct(t, tokColon, 1)
	case '=':
		s.punct(t, tokAssign, 1)
	case '|':
		s.punct(t, tokPipe, 1)
	case '<':
		s.punct(t, tokLess, 1)
	case '>':
		s.punct(t, tokGreater, 1)
	case '%':
		s.punct(t, tokPercent, 1)
	case '\'':
		s.otherQuote(t, "'", "'")
	default:
		s.illegal(t)
	}
}

func (t *token) add(end int, code diagCode, message, hint string) {
	t.issues = append(t.issues, issue{start: t.start, end: end, code: code, message: message, hint: hint})
}

func (t *token) addFix(end int, code diagCode, message, hint, fix string) {
	t.issues = append(t.issues, issue{start: t.start, end: end, code: code, message: message, hint: hint, fix: fix, hasFix: true})
}

// illegal takes what can start no token, and what is glued to it, so that one
// foreign word is one error.
func (s *scanner) illegal(t *token) {
	r, w := utf8.DecodeRune(s.src[s.off:])
	switch {
	case r == '“' || r == '”' || r == '„' || r == '«' || r == '»':
		s.otherQuote(t, string(r), "“”„«»\"")
		return
	case r == '‘' || r == '’' || r == '‚':
		s.otherQuote(t, string(r), "‘’‚'")
		return
	}
	t.kind = tokIllegal
	s.off += w
	if r == utf8.RuneError && w == 1 {
		// checkBytes has said so; the parser just can't go on from here.
		t.issues = append(t.issues, issue{})
		return
	}
	switch {
	case unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff':
		t.add(s.off, BadCharacter, "the character "+runeName(r)+" is no space that the language knows", "write an ordinary space")
		t.issues[0].fix, t.issues[0].hasFix = " ", true
	case unicode.IsLetter(r):
		s.foreignWord(t)
	default:
		t.add(s.off, BadCharacter, "the character "+runeName(r)+" means nothing here", "")
	}
}

// foreignWord takes the rest of a word that has letters beyond ASCII.
func (s *scanner) foreignWord(t *token) {
	for s.off < len(s.src) {
		r, w := utf8.DecodeRune(s.src[s.off:])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !(r < utf8.RuneSelf && isWordByte(byte(r))) {
			break
		}
		s.off += w
	}
	t.kind = tokIllegal
	t.add(s.off, BadCharacter, "names are written in ASCII letters, digits, _ and -", "")
}
