package syntax

import (
	"bytes"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// TestHostile reads long files that are nothing but one trick. What takes time
// quadratic in their size would be seen to hang.
func TestHostile(t *testing.T) {
	const size = 1 << 16
	for _, unit := range []string{
		"@a\n", "@a(", "@a(1\n", "when {", "when {\n", "policy p {\n", "policy p {\n when {\n", " policy p {\n  policy q {", "let x = {", "let x = [\n",
		"'", "‘", "‘’", "\"", "\"\\\n", "(", "{", "[", "}", "\n}", "a", "a ", "a\n", "a-", "-", "->", "// c\n", "//", "/*", "/* */", "#\n", "# ", "\u00e9", "\u00e9 ",
		"\r", "\x00", "\xff", "\u202e", "1 ", "1 ms ", "policy p { on a -> b f(cel { '''", "policy p { on a -> b, ", "policy p { path a ~> b -> ",
		"let a = b\n", "let a = {a, b}\n", "policy p { on a -> b deny() }\n", "policy p { on a -> b when { x['}'] } deny(a: [1, {\"b\": 2s}]) } // c\n",
		"test \"t\" { a -> b GET \"/\" expect pass }\n", "action a(b: list<string> = []) { on http : either }\n", "@a ", "@a policy ", "on a -> b ", "f(cel {",
	} {
		for _, head := range []string{"", "let = ", "policy p {\n", "policy p {\n on a -> b\n f(", "let x = ["} {
			text := head + strings.Repeat(unit, size/len(unit))
			var bag diag.Bag
			f := Parse(diag.NewSource("hostile.adm", []byte(text)), &bag)
			if n, _ := bag.Count(); n > MaxErrors {
				t.Errorf("%q %q: %d errors", head, unit, n)
			}
			if !f.Broken {
				if err := Print(&bytes.Buffer{}, f); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
