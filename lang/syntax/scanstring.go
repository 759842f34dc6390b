package syntax

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"admc.dev/admc/lang/diag"
)

type diagCode = diag.Code

// str scans "…". A string ends on the line it starts on; its escapes are
// \" \\ \n \r \t and \uXXXX.
func (s *scanner) str(t *token) {
	t.kind = tokString
	var value strings.Builder
	s.off++
	for s.off < len(s.src) && s.src[s.off] != '\n' {
		switch c := s.src[s.off]; c {
		case '"':
			s.off++
			t.text = value.String()
			return
		case '\\':
			s.escape(t, &value)
		default:
			value.WriteByte(c)
			s.off++
		}
	}
	s.off = max(t.start+1, s.lineEnd(t.start))
	t.text = value.String()
	t.issues = append(t.issues, issue{start: t.start, end: s.off, code: UnterminatedString,
		message: "the string is not closed on its line", hint: `close it with ", or write a line end as \n`, lost: true})
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', 'n': '\n', 'r': '\r', 't': '\t'}

// escape scans one \… and writes what it stands for.
func (s *scanner) escape(t *token, value *strings.Builder) {
	start := s.off
	c := s.at(start + 1)
	if e, ok := escapes[c]; ok {
		value.WriteByte(e)
		s.off += 2
		return
	}
	if c == 'u' && start+6 <= len(s.src) {
		n, err := strconv.ParseUint(string(s.src[start+2:start+6]), 16, 32)
		if r := rune(n); err == nil && utf8.ValidRune(r) {
			value.WriteRune(r)
			s.off += 6
			return
		}
	}
	s.off++
	if c == '\n' || c == '\r' || s.off >= len(s.src) {
		return // the string is not closed, which is said once
	}
	_, w := utf8.DecodeRune(s.src[s.off:])
	s.off += w
	i := issue{start: start, end: s.off, code: BadEscape,
		message: fmt.Sprintf("the escape %s is unknown", clip(string(s.src[start:s.off]))),
		hint:    `escapes are \" \\ \n \r \t and \uXXXX; a backslash is written \\`}
	if c != 'u' {
		i.fix, i.hasFix = `\`+string(s.src[start:s.off]), true
	}
	t.issues = append(t.issues, i)
}

// otherQuote scans a string in quotes that are not the language's. It is read
// as the string that was meant.
func (s *scanner) otherQuote(t *token, open, closers string) {
	t.kind = tokString
	body := t.start + len(open)
	i := bytes.IndexAny(s.src[body:], closers+"\n")
	if i < 0 || s.src[body+i] == '\n' {
		s.off = max(body, s.lineEnd(t.start))
		t.text = string(s.src[body:s.off])
		t.issues = append(t.issues, issue{start: t.start, end: s.off, code: UnterminatedString,
			message: "the string is not closed on its line", hint: `strings are written in straight double quotes: "…"`, lost: true})
		return
	}
	_, w := utf8.DecodeRune(s.src[body+i:])
	t.text = string(s.src[body : body+i])
	s.off = body + i + w
	t.addFix(s.off, BadCharacter, `strings are written in straight double quotes, not in `+open, "", strconv.Quote(t.text))
}

// rawString scans `…`: what is between is the value, over any number of lines;
// there are no escapes. Line ends are line feeds, as the file's own are.
func (s *scanner) rawString(t *token) {
	t.kind = tokString
	s.off++
	n := bytes.IndexByte(s.src[s.off:], '`')
	if n < 0 {
		s.off = max(s.off, s.lineEnd(t.start))
		t.text = string(s.src[t.start+1 : s.off])
		t.issues = append(t.issues, issue{start: t.start, end: s.off, code: UnterminatedString,
			message: "the string is not closed", hint: "a string in ` ` may have several lines, and ends at the next `", lost: true})
		return
	}
	body := s.src[s.off : s.off+n]
	if i := bytes.LastIndexByte(body, '\n'); i >= 0 {
		s.line += bytes.Count(body, []byte("\n"))
		s.lineStart = s.off + i + 1
	}
	t.text = strings.ReplaceAll(string(body), "\r\n", "\n")
	s.off += n + 1
}

// runeName shows a character that may not be visible.
func runeName(r rune) string {
	if strconv.IsPrint(r) {
		return fmt.Sprintf("%q (U+%04X)", r, r)
	}
	return fmt.Sprintf("U+%04X", r)
}
