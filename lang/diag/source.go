// Package diag is what every phase says to the user: a source, a span of it, a
// diagnostic, and the bag that collects them.
//
// In: byte offsets into a Source. Out: diagnostics sorted by place, rendered as
// text with the source line and a caret. Three kinds of trouble are never
// mixed: the user's input is wrong (Bag.Errorf, and the phase goes on), the
// world failed (an error wrapped with %w), we are wrong (panic).
package diag

import (
	"bytes"
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
	// Embedded: it is inside admc, and there is no file that could be opened.
	Embedded bool
	Text     []byte

	lines []int32 // offset of the first byte of each line
}

// Path is the file as diagnostics call it.
func (s *Source) Path() string {
	if s.Shown != "" {
		return s.Shown
	}
	return s.Name
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
// in runes. A byte order mark takes up no column, as in editors.
func (s *Source) Position(off int32) (line, col int) {
	i := sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > off }) - 1
	return i + 1, utf8.RuneCount(s.Text[min(s.lineStart(i), off):off]) + 1
}

// Lines gives the number of lines; the text after the last line end is one,
// even when it is empty.
func (s *Source) Lines() int { return len(s.lines) }

// LineStart gives the offset of the first byte of line n (from 1), behind a
// byte order mark; the end of the text when there is no such line.
func (s *Source) LineStart(n int) int {
	if n < 1 || n > len(s.lines) {
		return len(s.Text)
	}
	return int(s.lineStart(n - 1))
}

// lineStart is LineStart with lines counted from 0.
func (s *Source) lineStart(i int) int32 {
	if i == 0 && bytes.HasPrefix(s.Text, []byte("\ufeff")) {
		return 3
	}
	return s.lines[i]
}

// Line gives line n (from 1) without its line end and a byte order mark; "" when there is none.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	rest := s.Text[s.LineStart(n):]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(string(rest), "\r")
}

// LineSpan makes the span of n runes that starts at line and column, both from
// 1, as YAML nodes report them.
func (s *Source) LineSpan(line, col, runes int) Span {
	if line < 1 || line > len(s.lines) {
		return s.Span(len(s.Text), len(s.Text))
	}
	start := s.LineStart(line)
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
	return s.in(s.Src.Path())
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
