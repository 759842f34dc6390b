package diag

import (
	"bytes"
	"cmp"
	"slices"
)

// ApplyFixes makes the edits of diagnostics, each whole or not at all. Where
// two overlap or meet the first one in the list wins: the other may be mended
// once the result was looked at again. It gives the new text of each source
// that changed and the diagnostics whose edits were made.
func ApplyFixes(list []*Diagnostic) (texts map[*Source][]byte, applied []*Diagnostic) {
	taken := map[*Source][]Fix{}
	for _, d := range list {
		if len(d.Fixes) == 0 || slices.ContainsFunc(d.Fixes, func(f Fix) bool { return !fits(f, taken[f.At.Src]) }) {
			continue
		}
		for _, f := range d.Fixes {
			taken[f.At.Src] = append(taken[f.At.Src], f)
		}
		applied = append(applied, d)
	}
	texts = map[*Source][]byte{}
	for src, fixes := range taken {
		texts[src] = edit(src.Text, fixes)
	}
	return texts, applied
}

// fits reports whether an edit of a file changes something and keeps clear of
// the others.
func fits(f Fix, others []Fix) bool {
	if f.At.IsZero() || f.At.Src.Embedded || f.At.Text() == f.Replace {
		return false
	}
	return !slices.ContainsFunc(others, func(o Fix) bool { return f.At.Start <= o.At.End && o.At.Start <= f.At.End })
}

func edit(text []byte, fixes []Fix) []byte {
	slices.SortFunc(fixes, func(x, y Fix) int { return cmp.Compare(x.At.Start, y.At.Start) })
	var out []byte
	from := int32(0)
	for _, f := range fixes {
		out = append(append(out, text[from:f.At.Start]...), f.Replace...)
		from = f.At.End
	}
	return append(out, text[from:]...)
}

// Difference gives the edit of whole lines that turns a source into another
// text.
func Difference(src *Source, text []byte) Fix {
	old, head := src.Text, 0
	for head < min(len(old), len(text)) && old[head] == text[head] {
		head++
	}
	head = bytes.LastIndexByte(old[:head], '\n') + 1
	tail := 0
	for tail < min(len(old), len(text))-head && old[len(old)-1-tail] == text[len(text)-1-tail] {
		tail++
	}
	if i := bytes.IndexByte(old[len(old)-tail:], '\n'); i >= 0 && tail > 0 {
		tail -= i + 1
	} else {
		tail = 0
	}
	return Fix{src.Span(head, len(old)-tail), string(text[head : len(text)-tail])}
}
