package syntax

import (
	"bytes"
	"unicode/utf8"
)

// checkBytes holds the file to what its tokens are made of, before there are
// any: its size, its encoding, and no character that hides what a reviewer
// reads (Unicode TR 36; CVE-2021-42574 for the directional ones). It reports
// whether the file can be read at all.
func (p *parser) checkBytes() bool {
	text := p.src.Text
	start := p.src.Span(0, 0)
	switch {
	case len(text) > MaxFileSize:
		p.report(start, FileTooLarge, "the file has %d bytes; the most is %d", len(text), MaxFileSize).WithHint("divide it: the files of a program see each other's names")
		return false
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		p.report(start, BadEncoding, "the file is UTF-16, expected UTF-8").WithHint("save it as UTF-8")
		return false
	}
	invalid := false
	for i := 0; i < len(text) && p.reported < MaxErrors; {
		c := text[i]
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			i++
			continue
		}
		r, w := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && w == 1:
			if !invalid {
				p.report(p.src.Span(i, i+1), BadEncoding, "the byte 0x%02X is not UTF-8", c).WithHint("save the file as UTF-8")
			}
			invalid = true
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case r < ' ' || r == 0x7f || hides(r):
			what := "the character %s is not allowed"
			if hides(r) {
				what = "the character %s hides the order of what is written"
			}
			d := p.report(p.src.Span(i, i+w), BadCharacter, what, runeName(r)).WithFix(p.src.Span(i, i+w), "")
			if r == '\r' {
				d.Fixes[0].Replace = "\n"
				d.WithHint("lines end with a line feed, or with a carriage return and a line feed")
			}
		}
		i += w
	}
	return true
}

// hides reports the characters that reorder text: bidirectional embeddings,
// overrides and isolates.
func hides(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
