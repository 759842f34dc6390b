package syntax

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// An expectation is written behind the mistake, `// ERROR code "substring"`, or
// where that line can take no comment, on the line below, `// ERROR-ABOVE …`.
// The substring is looked for in the message and in the hints; `at "text"`
// gives the text that the caret points at. In both, ' stands for a double
// quote.
var expectation = regexp.MustCompile(`// ERROR(-ABOVE)? ([a-z-]+) "([^"]*)"( at "([^"]*)")?`)

type expected struct {
	line           int
	code           diag.Code
	substring, at  string
	hasAt, matched bool
}

func expectations(text string) (list []*expected) {
	for i, line := range strings.Split(text, "\n") {
		for _, m := range expectation.FindAllStringSubmatch(line, -1) {
			e := &expected{line: i + 1, code: diag.Code(m[2]), substring: m[3], at: m[5], hasAt: m[4] != ""}
			if m[1] != "" {
				e.line--
			}
			list = append(list, e)
		}
	}
	return list
}

func (e *expected) matches(d *diag.Diagnostic) bool {
	line, _ := d.At.Src.Position(d.At.Start)
	said := single(d.Message + "\n" + strings.Join(d.Hints, "\n"))
	return !e.matched && line == e.line && d.Code == e.code && strings.Contains(said, e.substring) && (!e.hasAt || single(d.At.Text()) == e.at)
}

func single(s string) string { return strings.ReplaceAll(s, `"`, "'") }

func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.adm")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checkErrors(t, name, string(text))
		})
	}
}

// checkErrors holds what is said about a file to the expectations in it, each
// exactly once.
func checkErrors(t *testing.T, name, text string) {
	t.Helper()
	want := expectations(text)
	if len(want) == 0 {
		t.Error("no expectations")
	}
	f, list := parse(t, name, text)
	checkTree(t, f.Src, f)
next:
	for _, d := range list {
		for _, e := range want {
			if e.matches(d) {
				e.matched = true
				continue next
			}
		}
		t.Errorf("unexpected (at %q):\n%s", d.At.Text(), render([]*diag.Diagnostic{d}))
	}
	for _, e := range want {
		if !e.matched {
			t.Errorf("%s:%d: not reported: %s %q", name, e.line, e.code, e.substring)
		}
	}
}

// TestFixes applies the fixes of small mistakes and wants what was meant.
func TestFixes(t *testing.T) {
	for _, c := range []struct{ bad, good string }{
		{"policy p { on a => b deny() }", "policy p { on a -> b deny() }"},
		{"policy p { on a → b deny() }", "policy p { on a -> b deny() }"},
		{"policy p { on a -> b deny(status = 403) }", "policy p { on a -> b deny(status : 403) }"},
		{"policy p { on a -> b; deny(); }", "policy p { on a -> b deny() }"},
		{"policy p {\n on a -> b\n f(1\n  2)\n}", "policy p {\n on a -> b\n f(1,\n  2)\n}"},
		{"policy p { on a -> b f(1; 2) }", "policy p { on a -> b f(1, 2) }"},
		{"policy p { on a -> b\n deny\n }", "policy p { on a -> b\n deny()\n }"},
		{"policy p { a -> b\n deny() }", "policy p { on a -> b\n deny() }"},
		{"policy p { on a -> [x==y] deny() }", "policy p { on a -> [x=y] deny() }"},
		{"policy p { on a -> [x: y] deny() }", "policy p { on a -> [x= y] deny() }"},
		{"policy p { on \"a\" -> b deny() }", "policy p { on a -> b deny() }"},
		{"policy p { on a to b deny() }", "policy p { on a -> b deny() }"},
		{"policy my-p { on a -> b deny() }", "policy my_p { on a -> b deny() }"},
		{"policy p { on a -> b sample 10 deny() }", "policy p { on a -> b sample 10% deny() }"},
		{"policy p { on a -> b f(10sec) }", "policy p { on a -> b f(10s) }"},
		{"policy p { on a -> b f(10 ms) }", "policy p { on a -> b f(10ms) }"},
		{"policy p { on a -> b f(5/sec) }", "policy p { on a -> b f(5/s) }"},
		{"policy p { on a -> b f(100rps) }", "policy p { on a -> b f(100/s) }"},
		{"policy p { on a -> b f(64KB) }", "policy p { on a -> b f(64KiB) }"},
		{"policy p { on a -> b f(1_000) }", "policy p { on a -> b f(1000) }"},
		{"policy p { on a -> b f(“x”) }", "policy p { on a -> b f(\"x\") }"},
		{"policy p { on a -> b f('x\"') }", "policy p { on a -> b f(\"x\\\"\") }"},
		{"policy p { on a -> b f(\"\\d\") }", "policy p { on a -> b f(\"\\\\d\") }"},
		{"policy p { on a -> b f(/api) }", "policy p { on a -> b f(\"/api\") }"},
		{"policy p { on a -> b f({k: 1}) }", "policy p { on a -> b f({\"k\": 1}) }"},
		{"# hm\nlet a = b", "// hm\nlet a = b"},
		{"let a := b", "let a = b"},
		{"let a: b", "let a= b"},
		{"polcy p {}", "policy p {}"},
		{"let a = b\r", "let a = b\n"},
		{"let\u00a0a = b", "let a = b"},
		{"test \"t\" { a -> b \"/\" }", "test \"t\" { a -> b GET \"/\" }"},
		{"test \"t\" { a -> b expect dney }", "test \"t\" { a -> b expect deny }"},
		{"action a(x: strng) {}", "action a(x: string) {}"},
		{"action a() { phse authn }", "action a() { phase authn }"},
		{"action a() { on http | grpc : either }", "action a() { on http , grpc : either }"},
		{"action a() { on http : ingres }", "action a() { on http : ingress }"},
	} {
		_, list := parse(t, "bad.adm", c.bad)
		if got := applyFixes(c.bad, list); got != c.good {
			t.Errorf("%q becomes %q, want %q\n%s", c.bad, got, c.good, render(list))
		}
		if _, list := parse(t, "good.adm", c.good); len(list) > 0 {
			t.Errorf("%q\n%s", c.good, render(list))
		}
	}
}

func applyFixes(text string, list []*diag.Diagnostic) string {
	for i := len(list) - 1; i >= 0; i-- {
		for _, f := range list[i].Fixes {
			text = text[:f.At.Start] + f.Replace + text[f.At.End:]
		}
	}
	return text
}
