package syntax

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/lang/diag"
)

// seed adds every program of the test data.
func seed(f *testing.F) {
	for _, pattern := range []string{"testdata/*.adm", "testdata/errors/*.adm", "testdata/fmt/*.txtar", "../std/*.adm"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
			for _, part := range txtar.Parse(text).Files {
				f.Add(part.Data)
			}
		}
	}
	for _, c := range Codes {
		f.Add([]byte(c.Bad))
		f.Add([]byte(c.Good))
	}
}

// FuzzScan: tokens come in order, cover everything but white space and
// comments, and end.
func FuzzScan(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newScanner(text)
		last := s.off
		for n := 0; ; n++ {
			tok := s.next()
			if tok.start < last || tok.end < tok.start || tok.end > len(text) || n > len(text) {
				t.Fatalf("token %d is [%d,%d) after %d", n, tok.start, tok.end, last)
			}
			for _, i := range append(tok.issues, tok.notes...) {
				if i.start < 0 || i.end < i.start || i.end > len(text) {
					t.Fatalf("issue at [%d,%d): %s", i.start, i.end, i.message)
				}
			}
			if tok.kind == tokEOF {
				break
			}
			if tok.end == tok.start {
				t.Fatalf("empty token at %d", tok.start)
			}
			last = tok.end
		}
		if s.off != len(text) {
			t.Fatalf("stopped at %d of %d", s.off, len(text))
		}
	})
}

// FuzzParse: no panic, spans within the file, and never a broken file without
// a reason.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var bag diag.Bag
		src := diag.NewSource("fuzz.adm", text)
		file := Parse(src, &bag)
		if file.Broken != bag.HasErrors() {
			t.Fatalf("Broken is %v, errors: %v", file.Broken, bag.HasErrors())
		}
		for _, d := range bag.All() {
			checkSpan(t, src, d.At)
			if d.Message == "" || d.At.IsZero() {
				t.Fatalf("an empty diagnostic: %+v", d)
			}
		}
		render(bag.All())
		checkTree(t, src, file)
	})
}

func checkSpan(t testing.TB, src *diag.Source, s diag.Span) {
	t.Helper()
	if s.Src != src || s.Start < 0 || s.End < s.Start || int(s.End) > len(src.Text) {
		t.Fatalf("span [%d,%d) of %d bytes", s.Start, s.End, len(src.Text))
	}
}

// FuzzPrint: what parses is printed to what parses to the same tree, with the
// same comments, and is printed the same again.
func FuzzPrint(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var bag diag.Bag
		if Parse(diag.NewSource("fuzz.adm", text), &bag); !bag.HasErrors() {
			checkPrint(t, string(text))
		}
	})
}
