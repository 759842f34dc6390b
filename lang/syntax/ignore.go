package syntax

import (
	"bytes"

	"admc.dev/admc/lang/diag"
)

// Ignores gives the comments of a file that silence warnings, those in
// conditions included. It reads the file by itself, whatever is broken in it.
func Ignores(src *diag.Source) []diag.Ignore {
	if !bytes.Contains(src.Text, []byte("admc:ignore")) {
		return nil
	}
	var out []diag.Ignore
	take := func(start, end int) {
		if i, ok := diag.ReadIgnore(src.Span(start, end)); ok {
			out = append(out, i)
		}
	}
	sc := newScanner(src.Text)
	opens := false // the last token opens a condition if the next one is a brace
	for {
		t := sc.next()
		if opens && t.kind == tokLBrace {
			sc.celText()
		}
		if t.kind == tokEOF {
			break
		}
		opens = t.is("when") || t.is("cel")
	}
	for _, c := range sc.comments {
		take(c.start, c.end)
	}
	for _, c := range sc.celComments {
		take(c.start, c.end)
	}
	return out
}
