package syntax

import (
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// parse gives the tree and what was said about the text.
func parse(t testing.TB, name, text string) (*File, []*diag.Diagnostic) {
	t.Helper()
	var bag diag.Bag
	f := Parse(diag.NewSource(name, []byte(text)), &bag)
	if f == nil {
		t.Fatal("Parse gave nil")
	}
	if f.Broken != bag.HasErrors() {
		t.Errorf("Broken is %v, errors: %v", f.Broken, bag.HasErrors())
	}
	return f, bag.All()
}

func render(list []*diag.Diagnostic) string {
	var b strings.Builder
	if err := diag.WriteText(&b, list); err != nil {
		panic(err)
	}
	return b.String()
}

// tooLarge makes the examples that are too large to be read.
var tooLarge = map[diag.Code]string{
	FileTooLarge:  strings.Repeat(" ", MaxFileSize+1),
	TooManyErrors: strings.Repeat("polcy p {}\n", 2*MaxErrors),
}

func TestCodes(t *testing.T) {
	seen := map[diag.Code]bool{}
	for _, doc := range Codes {
		t.Run(string(doc.Code), func(t *testing.T) {
			if seen[doc.Code] {
				t.Error("documented twice")
			}
			seen[doc.Code] = true
			if doc.Summary == "" {
				t.Error("no summary")
			}
			if _, list := parse(t, "good.adm", doc.Good); len(list) > 0 || doc.Good == "" {
				t.Errorf("good example: %q\n%s", doc.Good, render(list))
			}
			bad := doc.Bad
			if bad == "" {
				bad = tooLarge[doc.Code]
			}
			_, list := parse(t, "bad.adm", bad)
			n := 0
			for _, d := range list {
				if d.Code == doc.Code {
					n++
				} else if doc.Code != TooManyErrors {
					t.Errorf("bad example gives also:\n%s", render([]*diag.Diagnostic{d}))
				}
			}
			if n != 1 {
				t.Errorf("bad example gives the code %d times:\n%s", n, render(list))
			}
		})
	}
}
