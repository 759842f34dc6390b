package diag

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteText renders diagnostics for a terminal or a log:
//
//	shop.adm:12:9: error[unknown-argument]: rate_limit has no argument "brust"
//	   12 |     rate_limit(rate: 5/s, brust: 3)
//	      |                           ^^^^^
//	  hint: did you mean "burst"?
//	  std/traffic.adm:10:1: note: rate_limit is declared here
func WriteText(w io.Writer, list []*Diagnostic) error {
	out := bufio.NewWriter(w)
	for _, d := range list {
		if d.At.IsZero() {
			fmt.Fprintf(out, "%s[%s]: %s\n", d.Severity, d.Code, d.Message)
		} else {
			fmt.Fprintf(out, "%s: %s[%s]: %s\n", d.At.Show(), d.Severity, d.Code, d.Message)
			writeSnippet(out, d.At)
		}
		for _, h := range d.Hints {
			fmt.Fprintf(out, "  hint: %s\n", h)
		}
		for _, n := range d.Notes {
			if n.At.IsZero() {
				fmt.Fprintf(out, "  note: %s\n", n.Text)
			} else {
				fmt.Fprintf(out, "  %s: note: %s\n", n.At.Show(), n.Text)
			}
		}
	}
	return out.Flush()
}

func writeSnippet(out *bufio.Writer, at Span) {
	line, col := at.Src.Position(at.Start)
	text := at.Src.Line(line)
	fmt.Fprintf(out, "%5d | %s\n", line, text)
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
