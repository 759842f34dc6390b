package diag

import (
	"strings"
	"testing"
)

func TestPosition(t *testing.T) {
	s := NewSource("x", []byte("aé\n\nb\r\nc"))
	for _, c := range []struct{ off, line, col int }{{0, 1, 1}, {1, 1, 2}, {3, 1, 3}, {4, 2, 1}, {5, 3, 1}, {8, 4, 1}, {9, 4, 2}} {
		if line, col := s.Position(int32(c.off)); line != c.line || col != c.col {
			t.Errorf("offset %d is %d:%d, want %d:%d", c.off, line, col, c.line, c.col)
		}
	}
	for n, want := range []string{"", "aé", "", "b", "c", ""} {
		if got := s.Line(n); got != want {
			t.Errorf("line %d is %q, want %q", n, got, want)
		}
	}
}

func TestLineSpan(t *testing.T) {
	s := NewSource("x", []byte("aéb\ncd"))
	for _, c := range []struct {
		line, col, runes int
		want             string
		off              int32
	}{
		{1, 2, 1, "é", 1}, {1, 2, 9, "éb", 1}, {2, 1, 2, "cd", 5}, {2, 9, 1, "", 7}, {1, 9, 1, "", 4}, {0, 1, 1, "", 7}, {3, 1, 1, "", 7},
	} {
		if got := s.LineSpan(c.line, c.col, c.runes); got.Text() != c.want || got.Start != c.off {
			t.Errorf("%d:%d+%d is %q at %d, want %q at %d", c.line, c.col, c.runes, got.Text(), got.Start, c.want, c.off)
		}
	}
}

func TestSpan(t *testing.T) {
	s := NewSource("x", []byte("hello"))
	for _, c := range []struct{ start, end, wantStart, wantEnd int }{{1, 3, 1, 3}, {-1, 9, 0, 5}, {4, 2, 4, 4}, {9, 9, 5, 5}} {
		if got := s.Span(c.start, c.end); int(got.Start) != c.wantStart || int(got.End) != c.wantEnd {
			t.Errorf("[%d,%d) becomes [%d,%d)", c.start, c.end, got.Start, got.End)
		}
	}
	if got := s.Span(3, 4).To(s.Span(0, 1)); got != s.Span(0, 4) {
		t.Errorf("the cover is %q", got.Text())
	}
	if got := (Span{}).To(s.Span(0, 1)); got != s.Span(0, 1) {
		t.Errorf("the cover with no place is %v", got)
	}
	if got := s.Span(0, 1).To(Span{}); got != s.Span(0, 1) {
		t.Errorf("the cover with no place is %v", got)
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"burst", "rate", "scope", "attempts", "per_try"}
	for name, want := range map[string]string{
		"brust": "burst", "bursts": "burst", "rat": "rate", "rtae": "rate", "scpoe": "scope", "atempt": "attempts", "pertry": "per_try",
		"xyz": "", "": "", "r": "", "frobnicate": "",
	} {
		if got := Suggest(name, names); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := Suggest("ac", []string{"ab", "aa"}); got != "aa" {
		t.Errorf("a tie goes to %q", got)
	}
}

func TestBag(t *testing.T) {
	a, b := NewSource("a", []byte("xy\nz")), NewSource("b", []byte("xy"))
	var bag Bag
	if bag.HasErrors() || len(bag.All()) != 0 {
		t.Error("the zero bag is not empty")
	}
	bag.Warnf(b.Span(0, 1), "w", "first")
	if bag.HasErrors() {
		t.Error("a warning is no error")
	}
	bag.Errorf(a.Span(3, 4), "z", "third")
	bag.Errorf(a.Span(3, 4), "a", "second")
	bag.Errorf(a.Span(3, 4), "a", "second").WithHint("lost, as it was said already")
	bag.Errorf(a.Span(0, 1), "q", "%d%%", 1)
	bag.Errorf(Span{}, "n", "no place")
	var got []string
	for _, d := range bag.All() {
		got = append(got, d.At.String()+" "+string(d.Code)+" "+d.Message+strings.Join(d.Hints, ""))
	}
	want := "- n no place|a:1:1 q 1%|a:2:1 a second|a:2:1 z third|b:1:1 w first"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if errors, warnings := bag.Count(); errors != 4 || warnings != 1 || !bag.HasErrors() {
		t.Errorf("%d errors, %d warnings", errors, warnings)
	}
}

func sample() []*Diagnostic {
	s := NewSource("shop.adm", []byte("policy p {\n\tréate(<1>, brust: 3)\n}\n"))
	std := NewSource("std/traffic.adm", []byte("action rate()"))
	std.Shown = "../lang/std/traffic.adm"
	var bag Bag
	bag.Errorf(s.Span(24, 29), "unknown-argument", `rate has no argument "brust"`).
		WithHint("did you mean %q?", "burst").WithNote(std.Span(0, 6), "it is declared here").WithNote(Span{}, "and nowhere else").
		WithFix(s.Span(24, 29), "burst")
	bag.Errorf(s.Span(0, 34), "unused", "all of it")
	bag.Warnf(s.Span(36, 36), "end", "at the end")
	bag.Warnf(Span{}, "no-place", "nowhere")
	return bag.All()
}

func TestWriteText(t *testing.T) {
	var b strings.Builder
	if err := WriteText(&b, sample()); err != nil {
		t.Fatal(err)
	}
	want := `warning[no-place]: nowhere
shop.adm:1:1: error[unused]: all of it
    1 | policy p {
      | ^^^^^^^^^^
shop.adm:2:13: error[unknown-argument]: rate has no argument "brust"
    2 | 	réate(<1>, brust: 3)
      | 	           ^^^^^
  hint: did you mean "burst"?
  ../lang/std/traffic.adm:1:1: note: it is declared here
  note: and nowhere else
shop.adm:4:1: warning[end]: at the end
    4 | 
      | ^
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWriteJSON(t *testing.T) {
	var b strings.Builder
	if err := WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("nothing is %q, %v", b.String(), err)
	}
	b.Reset()
	if err := WriteJSON(&b, sample()[2:3]); err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "severity": "error",
    "code": "unknown-argument",
    "message": "rate has no argument \"brust\"",
    "at": {
      "file": "shop.adm",
      "line": 2,
      "column": 13,
      "endLine": 2,
      "endColumn": 18,
      "offset": 24,
      "length": 5
    },
    "hints": [
      "did you mean \"burst\"?"
    ],
    "notes": [
      {
        "at": {
          "file": "../lang/std/traffic.adm",
          "line": 1,
          "column": 1,
          "endLine": 1,
          "endColumn": 7,
          "offset": 0,
          "length": 6
        },
        "text": "it is declared here"
      },
      {
        "text": "and nowhere else"
      }
    ],
    "fixes": [
      {
        "at": {
          "file": "shop.adm",
          "line": 2,
          "column": 13,
          "endLine": 2,
          "endColumn": 18,
          "offset": 24,
          "length": 5
        },
        "replace": "burst"
      }
    ]
  }
]
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestByteOrderMark(t *testing.T) {
	s := NewSource("x", []byte("\ufeffab\ncd"))
	for _, c := range []struct{ off, line, col int }{{0, 1, 1}, {3, 1, 1}, {4, 1, 2}, {6, 2, 1}} {
		if line, col := s.Position(int32(c.off)); line != c.line || col != c.col {
			t.Errorf("offset %d is %d:%d, want %d:%d", c.off, line, col, c.line, c.col)
		}
	}
	if got := s.Line(1); got != "ab" {
		t.Errorf("line 1 is %q", got)
	}
	if got := s.LineSpan(1, 2, 1).Text(); got != "b" {
		t.Errorf("1:2 is %q", got)
	}
}

// TestHarmless: a terminal gets nothing to obey from a path, a message, a hint,
// a note or a line of the source, and the caret stays under its character.
func TestHarmless(t *testing.T) {
	s := NewSource("a\x1b[2Jb\n.adm", []byte("\tp \x1b]0;x\a\u202e\u200b\x7f\u0085 é bad\r\n"))
	at := strings.Index(string(s.Text), "bad")
	var bag Bag
	bag.Errorf(s.Span(at, at+3), "x", "no \x1b[31m").WithHint("h\r\a").WithNote(s.Span(0, 1), "n\x1b").WithNote(Span{}, "m\x1b")
	var b strings.Builder
	if err := WriteText(&b, bag.All()); err != nil {
		t.Fatal(err)
	}
	want := "a␛[2Jb␊.adm:1:17: error[x]: no ␛[31m\n" +
		"    1 | \tp ␛]0;x␇��␡� é bad\n" +
		"      | \t               ^^^\n" +
		"  hint: h␍␇\n" +
		"  a␛[2Jb␊.adm:1:1: note: n␛\n" +
		"  note: m␛\n"
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWriteGitHub(t *testing.T) {
	odd := NewSource("a,b:c%.adm", []byte("xy\nz\n"))
	var bag Bag
	bag.Errorf(odd.Span(0, 2), "odd", "50%%\n::error::forged\r")
	bag.Warnf(odd.Span(0, 4), "long", "two lines")
	bag.Warnf(odd.Span(4, 4), "empty", "an empty place")
	var b strings.Builder
	if err := WriteGitHub(&b, append(sample(), bag.All()...), Tool{}); err != nil {
		t.Fatal(err)
	}
	want := `::warning title=no-place::nowhere
::error file=shop.adm,line=1,endLine=3,title=unused::all of it
::error file=shop.adm,line=2,col=13,endColumn=17,title=unknown-argument::rate has no argument "brust"%0Ahint: did you mean "burst"?%0A../lang/std/traffic.adm:1:1: note: it is declared here%0Anote: and nowhere else
::warning file=shop.adm,line=4,col=1,endColumn=1,title=end::at the end
::error file=a%2Cb%3Ac%25.adm,line=1,col=1,endColumn=2,title=odd::50%25%0A::error::forged%0D
::warning file=a%2Cb%3Ac%25.adm,line=1,endLine=2,title=long::two lines
::warning file=a%2Cb%3Ac%25.adm,line=2,col=2,endColumn=2,title=empty::an empty place
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestApplyFixes: an edit is made whole or not at all, and none that touches
// one before it.
func TestApplyFixes(t *testing.T) {
	a, b := NewSource("a", []byte("one two three")), NewSource("b", []byte("xy"))
	std := NewSource("std", []byte("z"))
	std.Embedded = true
	fixes := func(list ...Fix) *Diagnostic { return &Diagnostic{Fixes: list} }
	list := []*Diagnostic{
		fixes(Fix{a.Span(8, 13), "3"}),
		fixes(),
		fixes(Fix{a.Span(0, 3), "1"}, Fix{b.Span(1, 1), "-"}),
		fixes(Fix{a.Span(4, 7), "2"}, Fix{b.Span(0, 1), "lost: it meets the insertion"}),
		fixes(Fix{a.Span(4, 8), "lost: it meets three"}),
		fixes(Fix{std.Span(0, 1), "lost: no file"}),
		fixes(Fix{b.Span(2, 2), ""}),
	}
	texts, applied := ApplyFixes(list)
	if len(applied) != 2 || applied[0] != list[0] || applied[1] != list[2] {
		t.Errorf("applied %d", len(applied))
	}
	if got := string(texts[a]) + "|" + string(texts[b]); len(texts) != 2 || got != "1 two 3|x-y" {
		t.Errorf("got %d texts: %s", len(texts), got)
	}
}
