package diag

import (
	"bytes"
	"slices"
	"strings"
)

// The codes of what is said about comments that silence warnings.
const (
	IgnoreWithoutReason Code = "ignore-without-reason"
	IgnoreUnknownCode   Code = "ignore-unknown-code"
	IgnoreUnused        Code = "ignore-unused"
)

// Codes documents them.
var Codes = []CodeDoc{{
	Code:    IgnoreWithoutReason,
	Summary: "A comment silences a warning and doesn't say why that is right.",
	Bad:     "let later = geo //admc:ignore unused-let\n",
	Good:    "let later = geo //admc:ignore unused-let the next release polices it\n",
}, {
	Code:    IgnoreUnknownCode,
	Summary: "A comment silences a code that no diagnostic has.",
	Bad:     "let later = geo //admc:ignore unused-lett the next release polices it\n",
	Good:    "let later = geo //admc:ignore unused-let the next release polices it\n",
}, {
	Code:    IgnoreUnused,
	Summary: "A comment silences a warning that isn't given on its line, nor on the line below where it stands alone.",
	Bad:     "//admc:ignore no-edges nobody calls it yet\npolicy a { on * -> geo  rate_limit(5/s) }\n",
	Good:    "policy a { on * -> geo  rate_limit(5/s) }\n",
}}

// An Ignore silences the warnings of one code on one line: that of the comment,
// or, where nothing else stands on it, the next line that is no such comment.
//
//	Ignore = ( "//" | "#" ) "admc:ignore" Code reason .
type Ignore struct {
	At     Span // the comment
	CodeAt Span
	Reason string
}

// ReadIgnore reads a comment, which starts with its slashes or its hash; ok is
// false when it is an ordinary one.
func ReadIgnore(comment Span) (i Ignore, ok bool) {
	text := comment.Text()
	rest := strings.TrimLeft(text, "/# \t")
	after, ok := strings.CutPrefix(rest, "admc:ignore")
	if !ok || after != "" && after[0] != ' ' && after[0] != '\t' {
		return Ignore{}, false
	}
	code, reason, _ := strings.Cut(strings.TrimLeft(after, " \t"), " ")
	code = strings.TrimSpace(code)
	at := int(comment.Start) + len(text) - len(strings.TrimLeft(after, " \t"))
	return Ignore{comment, comment.Src.Span(at, at+len(code)), strings.TrimSpace(reason)}, true
}

// ignoreLine is the place of warnings that are silenced.
type ignoreLine struct {
	src  *Source
	line int
}

// line gives the line of the comment, and whether it stands alone there.
func (i Ignore) line() (at ignoreLine, alone bool) {
	src := i.At.Src
	n, _ := src.Position(i.At.Start)
	return ignoreLine{src, n}, len(strings.TrimSpace(string(src.Text[src.LineStart(n):i.At.Start]))) == 0
}

// Silence takes out the warnings that the comments silence, and warns of
// comments that are not in order. Errors can't be silenced. known is every code
// there is; gave tells which of them the phases that ran can give, so that a
// comment for another phase is not called useless. Which comments are useless
// is said only when there is no error: it may be why a warning wasn't given.
func (b *Bag) Silence(ignores []Ignore, known []CodeDoc, gave func(Code) bool) {
	alone := map[ignoreLine]bool{}
	for _, i := range ignores {
		if at, is := i.line(); is {
			alone[at] = true
		}
	}
	type key struct {
		ignoreLine
		code Code
	}
	used := map[key]bool{}
	keys := make([]key, len(ignores))
	for n, i := range ignores {
		at, _ := i.line()
		for alone[at] {
			at.line++
		}
		keys[n] = key{at, Code(i.CodeAt.Text())}
		used[keys[n]] = false
	}
	b.list = slices.DeleteFunc(b.list, func(d *Diagnostic) bool {
		if d.Severity != Warning || d.At.IsZero() {
			return false
		}
		line, _ := d.At.Src.Position(d.At.Start)
		k := key{ignoreLine{d.At.Src, line}, d.Code}
		_, silenced := used[k]
		if silenced {
			used[k] = true
		}
		return silenced
	})
	for n, i := range ignores {
		b.judge(i, known, used[keys[n]] || !gave(keys[n].code) || b.HasErrors())
	}
}

// judge says what is wrong with one comment; useful is false when it silenced
// nothing that it could have.
func (b *Bag) judge(i Ignore, known []CodeDoc, useful bool) {
	code := i.CodeAt.Text()
	if !slices.ContainsFunc(known, func(c CodeDoc) bool { return string(c.Code) == code }) {
		if code == "" {
			b.Warnf(i.CodeAt, IgnoreUnknownCode, "the comment names no code").WithHint("write //admc:ignore CODE and why")
			return
		}
		names := make([]string, len(known))
		for n, c := range known {
			names[n] = string(c.Code)
		}
		d := b.Warnf(i.CodeAt, IgnoreUnknownCode, "no diagnostic has the code %q", code)
		if near := Suggest(code, names); near != "" {
			d.WithHint("did you mean %q?", near).WithFix(i.CodeAt, near)
		}
		return
	}
	if i.Reason == "" {
		b.Warnf(i.At, IgnoreWithoutReason, "nothing says why %s is ignored here", code).WithHint("write the reason behind the code")
	}
	if !useful {
		b.Warnf(i.At, IgnoreUnused, "there is no warning %s here to ignore", code).WithHint("take the comment out")
	}
}

// YAMLIgnores gives the comments of a YAML file that silence warnings. A comment
// starts with a hash at the start of a line or behind white space (YAML 1.2.2,
// section 6.6).
func YAMLIgnores(src *Source) []Ignore {
	if !bytes.Contains(src.Text, []byte("admc:ignore")) {
		return nil
	}
	var out []Ignore
	for n := 1; n <= src.Lines(); n++ {
		line, start := src.Line(n), src.LineStart(n)
		for at := range len(line) {
			if line[at] != '#' || at > 0 && line[at-1] != ' ' && line[at-1] != '\t' {
				continue
			}
			if i, ok := ReadIgnore(src.Span(start+at, start+len(line))); ok {
				out = append(out, i)
				break
			}
		}
	}
	return out
}
