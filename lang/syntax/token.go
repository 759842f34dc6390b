package syntax

import (
	"strconv"

	"admc.dev/admc/lang/diag"
)

type tokenKind uint8

const (
	tokEOF     tokenKind = iota
	tokWord              // [A-Za-z0-9_.*/-]+ : names, keywords, globs, numbers with their units
	tokString            // "…" or `…`
	tokLBrace            // {
	tokRBrace            // }
	tokLParen            // (
	tokRParen            // )
	tokLBrack            // [
	tokRBrack            // ]
	tokComma             // ,
	tokColon             // :
	tokSemi              // ; which the grammar has not, and hands write all the same
	tokAssign            // =
	tokNotEq             // !=
	tokArrow             // ->
	tokMany              // ~>
	tokPipe              // |
	tokAt                // @
	tokDollar            // $
	tokLess              // <
	tokGreater           // >
	tokPercent           // % that stands apart from its number
	tokIllegal           // anything else; its issues say what
)

var tokenText = map[tokenKind]string{
	tokLBrace: "{", tokRBrace: "}", tokLParen: "(", tokRParen: ")", tokLBrack: "[", tokRBrack: "]",
	tokComma: ",", tokColon: ":", tokSemi: ";", tokAssign: "=", tokNotEq: "!=", tokArrow: "->",
	tokMany: "~>", tokPipe: "|", tokAt: "@", tokDollar: "$", tokLess: "<", tokGreater: ">", tokPercent: "%",
}

// A token is one word of the source. None but a raw string crosses a line end.
type token struct {
	kind       tokenKind
	start, end int // bytes
	line, col  int // of its start; line from 1, byte column from 0
	endLine    int
	first      bool
	text       string // Word: as written; String: its value
	lead       int    // index of the first comment between the last token and this one
	issues     []issue
	notes      []issue // about the comments in front of it
}

// An issue is what the scanner has to say about a token. It is reported by the
// parser, and only if the token is read: what is skipped after an error, and
// what is merely looked at, is not complained about.
type issue struct {
	start, end int
	code       diag.Code
	message    string
	hint       string
	fix        string
	hasFix     bool
	lost       bool // the rest of the line went with it, so the parser can't go on here
}

// is reports whether the token is that contextual keyword.
func (t token) is(word string) bool { return t.kind == tokWord && t.text == word }

// describe names the token as it was found.
func (t token) describe(src []byte) string {
	switch t.kind {
	case tokEOF:
		return "the end of the file"
	case tokString:
		return "the string " + clip(string(src[t.start:t.end]))
	}
	return strconv.Quote(clip(string(src[t.start:t.end])))
}

// clip keeps messages on one line whatever was written.
func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
