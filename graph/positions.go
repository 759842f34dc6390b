package graph

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// positions turns the lines and columns of YAML nodes into byte offsets. It
// counts line breaks as YAML 1.1 does (CR, NEL, LS and PS too), because that is
// what the numbers mean.
type positions struct {
	src   *diag.Source
	lines []int32 // offset of each line's first byte
}

func newPositions(src *diag.Source) *positions {
	p := &positions{src: src}
	text := src.Text
	first := 0
	if bytes.HasPrefix(text, []byte("\uFEFF")) {
		first = len("\uFEFF") // no column of its own
	}
	p.lines = append(p.lines, int32(first))
	for i := first; i < len(text); {
		n := breakAt(text, i)
		if n > 0 {
			p.lines = append(p.lines, int32(i+n))
		}
		i += max(1, n)
	}
	return p
}

// breakAt gives the length of the line break at i, 0 where there is none.
func breakAt(text []byte, i int) int {
	switch text[i] {
	case '\n':
		return 1
	case '\r':
		if i+1 < len(text) && text[i+1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if bytes.HasPrefix(text[i:], []byte("\u0085")) {
			return 2
		}
	case 0xE2:
		if bytes.HasPrefix(text[i:], []byte("\u2028")) || bytes.HasPrefix(text[i:], []byte("\u2029")) {
			return 3
		}
	}
	return 0
}

// offset gives the byte at a line and a column, both from 1, the column in
// runes.
func (p *positions) offset(line, col int) int {
	if line < 1 || line > len(p.lines) {
		return len(p.src.Text)
	}
	at := int(p.lines[line-1])
	for ; col > 1 && at < len(p.src.Text); col-- {
		if p.src.Text[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, n := utf8.DecodeRune(p.src.Text[at:])
		at += n
	}
	return at
}

// span is the place of a node: a scalar or an alias as written, a block
// mapping's first key, the bracket or dash that opens anything else.
func (p *positions) span(n *yaml.Node) diag.Span {
	at := p.afterProperties(p.offset(n.Line, n.Column))
	rest := p.src.Text[at:]
	switch n.Kind {
	case yaml.AliasNode:
		return p.src.Span(at, at+1+len(n.Value))
	case yaml.MappingNode:
		if len(n.Content) > 0 && (len(rest) == 0 || rest[0] != '{') {
			return p.span(n.Content[0])
		}
	case yaml.ScalarNode:
		return p.src.Span(at, at+scalarLength(rest, n))
	}
	return p.src.Span(at, at+1)
}

// afterProperties passes over the anchor and the tag that a node may begin with.
func (p *positions) afterProperties(at int) int {
	for at < len(p.src.Text) && (p.src.Text[at] == '&' || p.src.Text[at] == '!') {
		rest := p.src.Text[at:]
		word := bytes.IndexAny(rest, " \t\r\n")
		if word < 0 {
			return at
		}
		at += word + len(rest[word:]) - len(bytes.TrimLeft(rest[word:], " \t\r\n"))
	}
	return at
}

// scalarLength measures a scalar at the start of text as it is written.
func scalarLength(text []byte, n *yaml.Node) int {
	switch {
	case len(text) == 0:
		return 0
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(text); i++ {
			if text[i] != '\'' {
				continue
			}
			if i+1 == len(text) || text[i+1] != '\'' {
				return i + 1
			}
			i++
		}
	case strings.HasPrefix(string(text[:min(len(text), len(n.Value))]), n.Value):
		return len(n.Value)
	}
	if end := bytes.IndexAny(text, "\r\n"); end >= 0 {
		return end
	}
	return len(text)
}
