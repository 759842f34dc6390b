package graph

import (
	"bytes"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// positions turns the lines and columns of YAML nodes into byte offsets. It
// counts line breaks as YAML 1.1 does (CR, NEL, LS and PS too), because that is
// what the numbers mean. A whole graph may stand on one line (JSON is YAML), so
// no look-up walks a line from its start.
type positions struct {
	src   *diag.Source
	lines []int32 // offset of each line's first byte
	// wide holds, for each line with other than ASCII text, the offset of every
	// stride-th rune.
	wide map[int][]int32
}

const stride = 256

func newPositions(src *diag.Source) *positions {
	p := &positions{src: src, wide: map[int][]int32{}}
	text := src.Text
	start := 0
	if bytes.HasPrefix(text, []byte("\uFEFF")) {
		start = len("\uFEFF") // no column of its own
	}
	ascii := true
	for i := start; i < len(text); {
		n := breakAt(text, i)
		if n == 0 {
			ascii = ascii && text[i] < utf8.RuneSelf
			i++
			continue
		}
		p.line(start, i, ascii)
		i += n
		start, ascii = i, true
	}
	p.line(start, len(text), ascii)
	return p
}

// line enters the line of the bytes from start to end.
func (p *positions) line(start, end int, ascii bool) {
	p.lines = append(p.lines, int32(start))
	if ascii {
		return
	}
	marks := make([]int32, 0, (end-start)/stride+1)
	for at, runes := start, 0; at < end; runes++ {
		if runes%stride == 0 {
			marks = append(marks, int32(at))
		}
		_, n := utf8.DecodeRune(p.src.Text[at:end])
		at += n
	}
	p.wide[len(p.lines)] = marks
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
	marks, col := p.wide[line], col-1
	if marks == nil {
		return min(int(p.lines[line-1])+col, len(p.src.Text))
	}
	i := min(col/stride, len(marks)-1)
	at := int(marks[i])
	for col -= i * stride; col > 0 && at < len(p.src.Text); col-- {
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
	case len(n.Value) <= len(text) && string(text[:len(n.Value)]) == n.Value:
		return len(n.Value)
	}
	if end := bytes.IndexAny(text, "\r\n"); end >= 0 {
		return end
	}
	return len(text)
}
