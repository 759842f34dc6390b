// Package diag is what every phase says to the user: a source, a span of it, a
// diagnostic, and the bag that collects them.
//
// In: byte offsets into a Source. Out: diagnostics sorted by place, rendered as
// text with the source line and a caret. Three kinds of trouble are never
// mixed: the user's input is wrong (Bag.Errorf, and the phase goes on), the
// world failed (an error wrapped with %w), we are wrong (panic).
package diag

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// A Source is one input file, whole.
type Source struct {
	// Name is what outputs call it: the same on every machine and from every
	// working directory.
	Name string
	// Shown is what diagnostics call it, a path that the user's terminal and
	// editor can open; "" when that is Name.
	Shown string
	Text  []byte

	lines []int32 // offset of the first byte of each line
}

// NewSource indexes the lines of text. The text is kept, not copied.
func NewSource(name string, text []byte) *Source {
	s := &Source{Name: name, Text: text, lines: []int32{0}}
	for i, b := range text {
		if b == '\n' {
			s.lines = append(s.lines, int32(i+1))
		}
	}
	return s
}

// Span makes a span of this source; the offsets are clamped to the text.
func (s *Source) Span(start, end int) Span {
	n := len(s.Text)
	start = max(0, min(start, n))
	return Span{Src: s, Start: int32(start), End: int32(max(start, min(end, n)))}
}

// Position gives the line and column of a byte offset, both from 1, the column
// in runes.
func (s *Source) Position(off int32) (line, col int) {
	i := sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > off }) - 1
	return i + 1, utf8.RuneCount(s.Text[s.lines[i]:off]) + 1
}

// Line gives line n (from 1) without its line end; "" when there is none.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	rest := string(s.Text[s.lines[n-1]:])
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(rest, "\r")
}

// LineSpan makes the span of n runes that starts at line and column, both from
// 1, as YAML nodes report them.
func (s *Source) LineSpan(line, col, runes int) Span {
	if line < 1 || line > len(s.lines) {
		return s.Span(len(s.Text), len(s.Text))
	}
	start := int(s.lines[line-1])
	for ; col > 1 && start < len(s.Text) && s.Text[start] != '\n'; col-- {
		_, w := utf8.DecodeRune(s.Text[start:])
		start += w
	}
	end := start
	for ; runes > 0 && end < len(s.Text) && s.Text[end] != '\n'; runes-- {
		_, w := utf8.DecodeRune(s.Text[end:])
		end += w
	}
	return s.Span(start, end)
}

// A Span is a half-open range of bytes of one source. The zero Span is "no
// place": a diagnostic with it is printed without a position.
type Span struct {
	Src        *Source
	Start, End int32
}

// IsZero reports whether the span names no place.
func (s Span) IsZero() bool { return s.Src == nil }

// To is the smallest span that covers s and t; both are of one source.
func (s Span) To(t Span) Span {
	if s.IsZero() {
		return t
	}
	if t.IsZero() {
		return s
	}
	return Span{s.Src, min(s.Start, t.Start), max(s.End, t.End)}
}

// Text is the source text of the span.
func (s Span) Text() string {
	if s.Src == nil {
		return ""
	}
	return string(s.Src.Text[s.Start:s.End])
}

// String is file:line:col with the source's name, for outputs.
func (s Span) String() string {
	if s.Src == nil {
		return "-"
	}
	return s.in(s.Src.Name)
}

// Show is file:line:col for a person: with the path that opens the file.
func (s Span) Show() string {
	if s.Src == nil {
		return "-"
	}
	if s.Src.Shown != "" {
		return s.in(s.Src.Shown)
	}
	return s.in(s.Src.Name)
}

func (s Span) in(name string) string {
	line, col := s.Src.Position(s.Start)
	return fmt.Sprintf("%s:%d:%d", name, line, col)
}

// Compare orders spans by file name, then by place.
func (s Span) Compare(t Span) int {
	switch {
	case s.Src == nil || t.Src == nil:
		return boolInt(s.Src != nil) - boolInt(t.Src != nil)
	case s.Src.Name != t.Src.Name:
		return strings.Compare(s.Src.Name, t.Src.Name)
	case s.Start != t.Start:
		return int(s.Start) - int(t.Start)
	}
	return int(s.End) - int(t.End)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
