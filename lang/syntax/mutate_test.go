package syntax

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/lang/diag"
)

// programs are those of the test data that parse.
func programs(t *testing.T) (list []string) {
	t.Helper()
	for _, pattern := range []string{"testdata/*.adm", "testdata/fmt/*.txtar", "../std/*.adm"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(name, ".txtar") {
				list = append(list, string(text))
				continue
			}
			for _, f := range txtar.Parse(text).Files {
				list = append(list, string(f.Data))
			}
		}
	}
	return list
}

// gaps are the offsets in front of each token of a text, and its end.
func gaps(text string) (list []int) {
	s := newScanner([]byte(text))
	for {
		t := s.next()
		list = append(list, t.start)
		if t.kind == tokEOF {
			return list
		}
	}
}

func parses(text string) bool {
	var bag diag.Bag
	Parse(diag.NewSource("x.adm", []byte(text)), &bag)
	return !bag.HasErrors()
}

// TestPrintCommentAnywhere puts a comment in front of each token of each
// program, behind the token before it and on a line of its own: whatever still
// parses is printed with that comment in it, to the same tree.
func TestPrintCommentAnywhere(t *testing.T) {
	tried := 0
	for _, text := range programs(t) {
		for _, off := range gaps(text) {
			for _, insert := range []string{" // here\n", "\n// here\n", "\n\n// here\n\n", "\n", "\n\n"} {
				if with := text[:off] + insert + text[off:]; parses(with) {
					tried++
					checkPrint(t, with)
					if t.Failed() {
						return
					}
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d places", tried)
	}
}

// TestMutants cuts tokens out of programs, doubles them, and puts others in
// their place: nothing panics, everything that is said has a place, and what is
// left in the tree is whole.
func TestMutants(t *testing.T) {
	sources := programs(t)
	var words []string
	for _, text := range sources {
		offs := gaps(text)
		for i := range len(offs) - 1 {
			words = append(words, text[offs[i]:offs[i+1]])
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	broken := 0
	for range 3000 {
		text := sources[rng.IntN(len(sources))]
		for range 1 + rng.IntN(3) {
			offs := gaps(text)
			i := rng.IntN(len(offs))
			j := min(i+rng.IntN(3), len(offs)-1)
			put := ""
			for range rng.IntN(3) {
				put += words[rng.IntN(len(words))]
			}
			text = text[:offs[i]] + put + text[offs[j]:]
		}
		src := diag.NewSource("mutant.adm", []byte(text))
		var bag diag.Bag
		f := Parse(src, &bag)
		checkTree(t, src, f)
		if !bag.HasErrors() {
			checkPrint(t, text)
		} else {
			broken++
		}
		if t.Failed() {
			return
		}
	}
	if broken < 1000 {
		t.Errorf("only %d mutants were broken", broken)
	}
}
