package diag

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteText renders diagnostics for a terminal or a log:
//
//	shop.adm:12:9: error[unknown-argument]: rate_limit has no argument "brust"
//	   12 |     rate_limit(rate: 5/s, brust: 3)
//	      |                           ^^^^^
//	  hint: did you mean "burst"?
//	  std/traffic.adm:10:1: note: rate_limit is declared here
//
// What the input could do to a terminal is made visible instead: see Harmless.
func WriteText(w io.Writer, list []*Diagnostic) error {
	out := bufio.NewWriter(w)
	for _, d := range list {
		if d.At.IsZero() {
			fmt.Fprintf(out, "%s[%s]: %s\n", d.Severity, d.Code, Harmless(d.Message))
		} else {
			fmt.Fprintf(out, "%s: %s[%s]: %s\n", Harmless(d.At.Show()), d.Severity, d.Code, Harmless(d.Message))
			writeSnippet(out, d.At)
		}
		for _, h := range d.Hints {
			fmt.Fprintf(out, "  hint: %s\n", Harmless(h))
		}
		for _, n := range d.Notes {
			if n.At.IsZero() {
				fmt.Fprintf(out, "  note: %s\n", Harmless(n.Text))
			} else {
				fmt.Fprintf(out, "  %s: note: %s\n", Harmless(n.At.Show()), Harmless(n.Text))
			}
		}
	}
	return out.Flush()
}

func writeSnippet(out *bufio.Writer, at Span) {
	line, col := at.Src.Position(at.Start)
	text := at.Src.Line(line)
	fmt.Fprintf(out, "%5d | %s\n", line, replaceControls(text, '\t'))
	// The caret line repeats the tabs of the source line, so that it stays
	// under the text whatever the terminal's tab width is.
	runes := []rune(text)
	var pad strings.Builder
	for i := 0; i < col-1; i++ {
		if i < len(runes) && runes[i] == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	width := utf8.RuneCount(at.Src.Text[at.Start:at.End])
	if i := strings.IndexByte(at.Text(), '\n'); i >= 0 {
		width = utf8.RuneCountInString(at.Text()[:i])
	}
	width = max(1, min(width, len(runes)-col+1))
	fmt.Fprintf(out, "      | %s%s\n", pad.String(), strings.Repeat("^", width))
}

// Harmless replaces each character that a terminal would obey and not show: C0
// controls by their pictures (ESC becomes ␛), other controls, line and
// paragraph separators, and what reorders or hides text (Unicode's category
// Cf, such as U+202E) by U+FFFD. One character stays one, so columns stay.
func Harmless(text string) string { return replaceControls(text, -1) }

func replaceControls(text string, but rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == but:
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return utf8.RuneError
		}
		return r
	}, text)
}
