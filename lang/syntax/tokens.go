package syntax

import "admc.dev/admc/lang/diag"

// TokenKind of a Token.
type TokenKind string

const (
	TokenWord      TokenKind = "word"      // names, keywords, globs, numbers with their units
	TokenString    TokenKind = "string"    // with its quotes; in ` ` it may have several lines
	TokenPunct     TokenKind = "punct"     // brackets, separators, arrows
	TokenCondition TokenKind = "condition" // the CEL text between the braces of `when { … }` or `cel { … }`
	TokenIllegal   TokenKind = "illegal"
)

// A Token of a file, with its place in bytes.
type Token struct {
	Kind       TokenKind
	Start, End int
	Text       string // as written
	First      bool   // of its line
}

// Tokens cuts a file into tokens, whatever is broken in it, for editors: what
// is being typed is broken most of the time. Comments are given apart. A
// condition that is not closed is cut into tokens of the language.
func Tokens(src *diag.Source) (tokens []Token, comments []diag.Span) {
	sc := newScanner(src.Text)
	opens := false
	for {
		t := sc.next()
		if t.kind == tokEOF {
			break
		}
		kind := TokenPunct
		switch t.kind {
		case tokWord:
			kind = TokenWord
		case tokString:
			kind = TokenString
		case tokIllegal:
			kind = TokenIllegal
		}
		tokens = append(tokens, Token{kind, t.start, t.end, string(src.Text[t.start:t.end]), t.first})
		if start := sc.off; opens && t.kind == tokLBrace {
			if text, _, ok := sc.celText(); ok {
				tokens = append(tokens, Token{TokenCondition, start, start + len(text), text, false})
			}
		}
		opens = t.is("when") || t.is("cel")
	}
	for _, c := range sc.comments {
		comments = append(comments, src.Span(c.start, c.end))
	}
	return tokens, comments
}
