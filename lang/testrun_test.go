package lang

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// FAILS stands on the line of an expectation that does not hold, with what was
// expected and what was got.
var fails = regexp.MustCompile(`// FAILS ("(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")`)

// One that nobody can decide says why.
var undecidable = regexp.MustCompile(`// UNDECIDED "((?:[^"\\]|\\.)*)"`)

// TestTests runs the tests of testdata/tests: every expectation holds but those
// that say how they fail.
func TestTests(t *testing.T) {
	files, _ := filepath.Glob("testdata/tests/*.adm")
	if len(files) < 6 {
		t.Errorf("only %d files", len(files))
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".adm"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, bag := checkText(graphOf(t, string(text)), string(text))
			if bag.HasErrors() || len(p.Tests) == 0 {
				t.Fatalf("%d tests\n%s", len(p.Tests), textOf(bag.All()))
			}
			want, open := map[int][]string{}, map[int]string{}
			for i, line := range strings.Split(string(text), "\n") {
				if m := fails.FindStringSubmatch(line); m != nil {
					want[i+1] = m[1:]
				} else if strings.Contains(line, "FAILS") {
					t.Errorf("line %d can't be read: %s", i+1, line)
				}
				if m := undecidable.FindStringSubmatch(line); m != nil {
					open[i+1] = strings.ReplaceAll(m[1], `\"`, `"`)
				}
			}
			if CanInterpret(p, bag); bag.HasErrors() {
				t.Fatal(textOf(bag.All()))
			}
			for _, x := range p.Tests {
				for _, f := range RunTest(p, x).Failures {
					line, _ := f.Expect.At.Src.Position(f.Expect.At.Start)
					if f.Undecided != "" {
						if open[line] == "" || !strings.Contains(f.Undecided, open[line]) {
							t.Errorf("line %d: UNDECIDED %q", line, f.Undecided)
						}
						delete(open, line)
						continue
					}
					got := []string{fmt.Sprintf("%q", f.Expected), fmt.Sprintf("%q", f.Got)}
					if w := want[line]; w == nil || w[0] != got[0] || w[1] != got[1] {
						t.Errorf("line %d: FAILS %s %s", line, got[0], got[1])
					}
					delete(want, line)
				}
			}
			for line := range want {
				t.Errorf("line %d does not fail", line)
			}
			for line := range open {
				t.Errorf("line %d is decided", line)
			}
		})
	}
}
