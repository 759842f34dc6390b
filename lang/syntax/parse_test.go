package syntax

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestTour(t *testing.T) {
	text, err := os.ReadFile("testdata/tour.adm")
	if err != nil {
		t.Fatal(err)
	}
	f, list := parse(t, "tour.adm", string(text))
	if len(list) > 0 {
		t.Fatal(render(list))
	}
	if len(f.Decls) != 13 {
		t.Fatalf("%d declarations, want 13", len(f.Decls))
	}
}

// first gives the only declaration of a program without errors.
func first[D Decl](t *testing.T, text string) D {
	t.Helper()
	f, list := parse(t, "x.adm", text)
	if len(list) > 0 || len(f.Decls) == 0 {
		t.Fatalf("%q\n%s", text, render(list))
	}
	d, ok := f.Decls[0].(D)
	if !ok {
		t.Fatalf("%q is a %T", text, f.Decls[0])
	}
	return d
}

func TestLiterals(t *testing.T) {
	for text, want := range map[string]Literal{
		`"a\"b\\\n\u00e9"`: {Kind: String, Str: "a\"b\\\né"},
		"`a\\b\n\"${c}\"`": {Kind: String, Str: "a\\b\n\"${c}\""},
		`0`:                {Kind: Int},
		`-5`:               {Kind: Int, Int: -5},
		`1.5`:              {Kind: Float, Float: 1.5},
		`true`:             {Kind: Bool, Bool: true},
		`false`:            {Kind: Bool},
		`250ms`:            {Kind: Duration, Dur: 250 * time.Millisecond},
		`1m30s`:            {Kind: Duration, Dur: 90 * time.Second},
		`1.5h`:             {Kind: Duration, Dur: 90 * time.Minute},
		`500/s`:            {Kind: Rate, Int: 500, Dur: time.Second},
		`1k/h`:             {Kind: Rate, Int: 1000, Dur: time.Hour},
		`1.5M/m`:           {Kind: Rate, Int: 1500000, Dur: time.Minute},
		`10%`:              {Kind: Percent, Float: 0.1},
		`0.5%`:             {Kind: Percent, Float: 0.005},
		`64KiB`:            {Kind: Size, Int: 65536},
		`1.5MiB`:           {Kind: Size, Int: 1572864},
		`12B`:              {Kind: Size, Int: 12},
		`any-word`:         {Kind: Word, Str: "any-word"},
		`on`:               {Kind: Word, Str: "on"},
	} {
		p := first[*Policy](t, "policy p { f("+text+") }")
		got := *p.Clauses[0].(*Call).Args[0].Value.(*Literal)
		if got.At.Text() != text || got.Raw != text {
			t.Errorf("%s: the span is %q, Raw %q", text, got.At.Text(), got.Raw)
		}
		got.Base, got.Raw = Base{}, ""
		if got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// TestLet: a right side is endpoints if it reads so.
func TestLet(t *testing.T) {
	for text, endpoints := range map[string]bool{
		"a": true, "*": true, "ns/a-*": true, "external": true, "$x": true, "[a]": true, "[a=b, c]": true, "{a, b}": true,
		"{[a], {b except c}}": true, "a except b": true, "2048-game": true, "[a=1]": true, "[1a=b]": true,
		`"a"`: false, "10": false, "-1": false, "10%": false, "2s": false, "true": false, "[]": false, "{}": false, "[1]": false,
		`["a"]`: false, `{"a": b}`: false, "cel { a }": false, "[[a]]": false, "[{}]": false, "[2s, 3]": false, `[a, "b"]`: false,
	} {
		l := first[*Let](t, "let x = "+text)
		if (l.Endpoints != nil) != endpoints || (l.Value != nil) == endpoints {
			t.Errorf("%s: endpoints is %v", text, l.Endpoints != nil)
		}
	}
}

func TestEdgesWithoutSpaces(t *testing.T) {
	p := first[*Policy](t, "policy p{on ns/a-b->c-*:http|grpc,$x->[a.b/c!=d-1]deny()}")
	on := p.Clauses[0].(*On)
	if got := on.Edges[0].From.Term.(*Glob).Pattern + " " + on.Edges[0].To.Term.(*Glob).Pattern; got != "ns/a-b c-*" {
		t.Error(got)
	}
	if l := on.Edges[1].To.Term.(*Labels).Labels[0]; l.Key.Name != "a.b/c" || l.Op != "!=" || l.Value.Name != "d-1" {
		t.Errorf("%+v", l)
	}
}

// TestKeywordsAreContextual uses every keyword as a name.
func TestKeywordsAreContextual(t *testing.T) {
	const text = `let let = policy
policy policy {
    on on -> when, path -> sample
    path external2 ~> except2 -> on
    f(on: on, when: [path, sample], let: {"a": test})
}
require require { on require -> has has has and and2 }
test "test" {
    expect -> by : x
    expect deny by expect
    x -> within x 3
}
action action(on: string, phase: int) {
    phase on
    reads reads, on
    on on, on : either
}`
	f, list := parse(t, "x.adm", text)
	if len(list) > 0 || len(f.Decls) != 5 {
		t.Fatal(render(list))
	}
	checkPrint(t, text)
}

// TestCELOffsets: what is inside the braces is found by balance, and its span
// is where it stands.
func TestCELOffsets(t *testing.T) {
	for _, cel := range []string{
		` a == b `, `{"k": {1: 2}}["k"][1] == 2`, `'}' == "}"`, `r'\' == '\'}'`, `R"\" != b"\"}"`, `bR'\' == x`,
		`'''}'}''' == """}"}"""`, `r'''\''' == a`, "a // }\n", `"//}" == a`, `br"}" == Rb'}'`, `bar == r`, "'''\n}'\n''' == a", ` "é}" == é `, `"\\" == "}"`,
	} {
		p := first[*Policy](t, "// é\npolicy p { when {"+cel+"} f(cel {"+cel+"}) deny() }")
		w := p.Clauses[0].(*When)
		v := p.Clauses[1].(*Call).Args[0].Value.(*CELValue)
		for _, e := range []CEL{w.Expr, v.Expr} {
			if e.Text != cel || e.At.Text() != cel {
				t.Errorf("%q: text %q, span %q", cel, e.Text, e.At.Text())
			}
		}
		if len(p.Clauses) != 3 {
			t.Errorf("%q: %d clauses", cel, len(p.Clauses))
		}
	}
}

// TestLost: a file whose tree has all that is written may be checked as a whole.
func TestLost(t *testing.T) {
	for text, want := range map[string]struct{ broken, lost bool }{
		"policy p { on a -> b f(1s) }":                    {},
		"policy p { on a -> b f(200%) sample 10 }":        {broken: true},
		"policy p { on a -> b f(1; 2 s) }":                {broken: true},
		"let a = 5x":                                      {broken: true},
		"test \"t\" { a -> b x 0 within 1d expect pass }": {broken: true},
		"action a(n: int = 5x) { cost 5s }":               {broken: true},
		"policy p { on a -> b f( }":                       {true, true},
		"policy p {\n let a = b\n on a -> b f()\n}":       {true, true},
		"let a = b\x00":                                   {true, true},
		"test \"t\" { a -> b GET \"/\" {\"x\": 5x} }":     {true, true},
		strings.Repeat("let a = 5x\n", MaxErrors):         {true, true},
	} {
		f, list := parse(t, "x.adm", text)
		if f.Broken != want.broken || f.Lost != want.lost {
			t.Errorf("%.60q: broken %v, lost %v\n%s", text, f.Broken, f.Lost, render(list))
		}
	}
}

func TestHasPrecedence(t *testing.T) {
	r := first[*Require](t, "require r { on a -> b has a and b or c or d and e }")
	if got, want := dump(r.Any), `[[Ident{Name:"a" } Ident{Name:"b" } ] [Ident{Name:"c" } ] [Ident{Name:"d" } Ident{Name:"e" } ] ]`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestComments(t *testing.T) {
	f, list := parse(t, "x.adm", `// far

// near 1
// near 2
@strict // note
policy p { // brace
    // above on
    on a -> b // after on
    f(1, // one
      // above two
      2) // after f
    // tail
} // after p
// tail of file
`)
	if len(list) > 0 {
		t.Fatal(render(list))
	}
	text := func(c Comments) (s string) {
		for _, c := range c.Above {
			s += c.Text + ";"
		}
		if c.After != nil {
			s += c.After.Text
		}
		return s
	}
	p := f.Decls[0].(*Policy)
	args := p.Clauses[1].(*Call).Args
	for i, c := range []struct{ got, want string }{
		{text(p.Comments), "// near 1;// near 2;// after p"},
		{text(p.Annotations[0].Comments), "// near 1;// near 2;// note"},
		{text(p.Clauses[0].(*On).Comments), "// above on;// after on"},
		{text(p.Clauses[1].(*Call).Comments), "// after f"},
		{text(args[0].Comments), "// one"},
		{text(args[1].Comments), "// above two;"},
		{text(Comments{Above: p.Tail}), "// tail;"},
		{text(Comments{Above: f.Tail}), "// tail of file;"},
	} {
		if c.got != c.want {
			t.Errorf("%d: got %q, want %q", i, c.got, c.want)
		}
	}
	if len(f.Comments) != 13 {
		t.Errorf("%d comments in all", len(f.Comments))
	}
}

// TestSpans: what messages point at.
func TestSpans(t *testing.T) {
	p := first[*Policy](t, "\ufeff@strict policy p {\r\n\ton a -> {b} except c : http // x\r\n\tpath a ~> b\r\n\tsample 10%\r\n\tf(k: 1)\r\n}\r\n")
	on := p.Clauses[0].(*On)
	for _, c := range []struct {
		n    Node
		want string
	}{
		{p.Annotations[0], "@strict"}, {p.Name, "p"}, {on, "on a -> {b} except c : http"}, {on.Edges[0].To, "{b} except c"},
		{on.Edges[0].To.Except, "c"}, {p.Clauses[1], "path a ~> b"}, {p.Clauses[1].(*Path).Arrows[0], "~>"},
		{p.Clauses[2].(*Sample).Share, "10%"}, {p.Clauses[3].(*Call).Args[0], "k: 1"},
	} {
		if got := c.n.Span().Text(); got != c.want {
			t.Errorf("%T: %q, want %q", c.n, got, c.want)
		}
	}
	if got := on.Span().String(); got != "x.adm:2:2" {
		t.Error(got)
	}
}

func TestEncoding(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"\xff\xfel\x00", "x.adm:1:1: bad-encoding"},
		{"let a = b // \xff\xfe", "x.adm:1:14: bad-encoding"},
		{"let a = \xff", "x.adm:1:9: bad-encoding"},
		{"let a = \"\u202e\"", "x.adm:1:10: bad-character"},
		{"// \u2066", "x.adm:1:4: bad-character"},
		{"let a = \"\x00\"", "x.adm:1:10: bad-character"},
		{"let a\r= b", "x.adm:1:6: bad-character"},
		{"let a = b\u200b", "x.adm:1:10: bad-character"},
	} {
		_, list := parse(t, "x.adm", c.text)
		got := make([]string, len(list))
		for i, d := range list {
			got[i] = d.At.String() + ": " + string(d.Code)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestRawStringLineEnds: a file with carriage returns has the same strings as one
// without, and is printed without.
func TestRawStringLineEnds(t *testing.T) {
	p := first[*Policy](t, "policy p { f(`a\r\n b`) }")
	lit := p.Clauses[0].(*Call).Args[0].Value.(*Literal)
	if lit.Str != "a\n b" || lit.Raw != "`a\n b`" {
		t.Errorf("%q, written %q", lit.Str, lit.Raw)
	}
	if got, want := checkPrint(t, "policy p {\r\n f(`a\r\n b`) // c\r\n}"), "policy p {\n    f(`a\n b`) // c\n}\n"; got != want {
		t.Errorf("%q", got)
	}
}
