package syntax

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// The grammar for editors, as far as it is used: TextMate's rules, in regular
// expressions without look-around, which Go's engine and editors' read alike.
type tmRule struct {
	Name          string           `json:"name"`
	Match         string           `json:"match"`
	Begin         string           `json:"begin"`
	End           string           `json:"end"`
	Captures      map[string]named `json:"captures"`
	BeginCaptures map[string]named `json:"beginCaptures"`
	EndCaptures   map[string]named `json:"endCaptures"`
	ContentName   string           `json:"contentName"`
	Patterns      []tmRule         `json:"patterns"`
	Include       string           `json:"include"`
}

type named struct {
	Name string `json:"name"`
}

type tmGrammar struct {
	tmRule
	Repository map[string]tmRule `json:"repository"`

	regexps map[string]*regexp.Regexp
}

func readGrammar(t *testing.T) *tmGrammar {
	t.Helper()
	data, err := os.ReadFile("../../examples/editor/admc.tmLanguage.json")
	if err != nil {
		t.Fatal(err)
	}
	g := &tmGrammar{regexps: map[string]*regexp.Regexp{}}
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *tmGrammar) regexp(t *testing.T, text string) *regexp.Regexp {
	t.Helper()
	re, ok := g.regexps[text]
	if !ok {
		var err error
		if re, err = regexp.Compile(text); err != nil {
			t.Fatal(err)
		}
		g.regexps[text] = re
	}
	return re
}

// flat gives the rules of a list with what it includes.
func (g *tmGrammar) flat(t *testing.T, rules []tmRule) []tmRule {
	t.Helper()
	var out []tmRule
	for _, r := range rules {
		if r.Include != "" {
			in, ok := g.Repository[strings.TrimPrefix(r.Include, "#")]
			if !ok {
				t.Fatalf("nothing is called %s", r.Include)
			}
			r = in
		}
		if r.Match == "" && r.Begin == "" {
			out = append(out, g.flat(t, r.Patterns)...)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// scopes gives the innermost scope of each byte, as an editor finds them: line
// by line, the leftmost match first, of equal ones the first rule's.
func (g *tmGrammar) scopes(t *testing.T, text string) []string {
	t.Helper()
	out := make([]string, len(text))
	stack := []tmRule{{Patterns: g.Patterns}}
	base := 0
	for _, line := range strings.SplitAfter(text, "\n") {
		body := strings.TrimSuffix(line, "\n")
		for pos := 0; pos <= len(body); {
			top := stack[len(stack)-1]
			var best []int
			var rule tmRule
			ends := false
			// What stands in front of pos matters to \b: match in the whole
			// line, and look for the first one that starts at pos or behind.
			try := func(text string) []int {
				for _, m := range g.regexp(t, text).FindAllStringSubmatchIndex(body, -1) {
					if m[0] >= pos {
						return m
					}
				}
				if m := g.regexp(t, text).FindStringSubmatchIndex(body[pos:]); m != nil {
					for i := range m {
						if m[i] >= 0 {
							m[i] += pos
						}
					}
					return m
				}
				return nil
			}
			if top.End != "" {
				if best = try(top.End); best != nil {
					ends = true
				}
			}
			for _, r := range g.flat(t, top.Patterns) {
				if m := try(r.Match + r.Begin); m != nil && (best == nil || m[0] < best[0]) {
					best, rule, ends = m, r, false
				}
			}
			content := top.ContentName + top.Name
			if best == nil {
				fill(out[base+pos:base+len(body)], content)
				break
			}
			fill(out[base+pos:base+best[0]], content)
			names, scope := rule.Captures, rule.Name
			switch {
			case ends:
				names, scope = top.EndCaptures, top.Name
				stack = stack[:len(stack)-1]
			case rule.Begin != "":
				names = rule.BeginCaptures
				stack = append(stack, rule)
			}
			fill(out[base+best[0]:base+best[1]], scope)
			for n, name := range names {
				i, err := strconv.Atoi(n)
				if err != nil {
					t.Fatal(err)
				}
				fill(out[base+best[2*i]:base+best[2*i+1]], name.Name)
			}
			if best[1] == pos && !ends && rule.Begin == "" || best[1] == len(body) && best[0] == best[1] {
				pos++ // an empty match
				continue
			}
			pos = best[1]
		}
		base += len(line)
	}
	return out
}

func fill(out []string, name string) {
	if name == "" {
		return
	}
	for i := range out {
		out[i] = name
	}
}

// TestGrammarCoversTokens: each token of the scanner, and each comment, has one
// scope from its first byte to its last, of its own kind.
func TestGrammarCoversTokens(t *testing.T) {
	g := readGrammar(t)
	files, err := filepath.Glob("../std/*.adm")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../examples/*/policies*/*.adm")
	if err != nil {
		t.Fatal(err)
	}
	files = append(append(files, more...), "testdata/tour.adm")
	if len(files) < 6 {
		t.Fatalf("only %v", files)
	}
	kinds := map[TokenKind]string{
		TokenWord:      `^(keyword\.(control|declaration)|entity\.name|variable|constant\.(numeric|language)|support\.type|storage)\.`,
		TokenString:    `^(string\.quoted\.(double|other)|constant\.character\.escape)\.`,
		TokenPunct:     `^(punctuation|keyword\.operator)\.`,
		TokenCondition: `\.cel(\.adm)?$|^comment\.`,
	}
	seen := map[TokenKind]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		src := diag.NewSource(file, text)
		scopes := g.scopes(t, string(text))
		tokens, comments := Tokens(src)
		for _, tok := range tokens {
			seen[tok.Kind]++
			want := regexp.MustCompile(kinds[tok.Kind])
			for i := tok.Start; i < tok.End; i++ {
				// A percent sign stands for itself where it is parted from its number.
				own := want.MatchString(scopes[i]) || tok.Text == "%" && scopes[i] == "constant.numeric.adm"
				if (tok.Kind == TokenCondition || tok.Kind == TokenString) && strings.TrimSpace(string(text[i])) == "" {
					own = true
				}
				if !own || tok.Kind == TokenWord && scopes[i] != scopes[tok.Start] {
					t.Errorf("%s: the %s %q has the scope %q", src.Span(tok.Start, tok.End), tok.Kind, tok.Text, scopes[i])
					break
				}
			}
		}
		for _, c := range comments {
			if got := scopes[c.Start]; !strings.HasPrefix(got, "comment.") || got != scopes[c.End-1] {
				t.Errorf("%s: the comment has the scope %q", c, got)
			}
		}
	}
	for kind := range kinds {
		if seen[kind] < 3 {
			t.Errorf("only %d of kind %s were seen", seen[kind], kind)
		}
	}
}

// TestGrammarClassifies holds words to the scopes that themes colour.
func TestGrammarClassifies(t *testing.T) {
	g := readGrammar(t)
	sample := `@strict
policy online {
    on mongodb-on, on-call, ns/on, 2048-game, on.x -> $when : http
    when { request.path.startsWith("/a}") && !(source.port in [80]) } // on
    sample 10%
    retry(attempts: 3, on: ["5xx\n", reset], per_try: 250ms)
    rate_limit(500/s, burst: -1)
}
let x = {a, b} except external
test "on" { a->b GET "/x" }
`
	scopes := g.scopes(t, sample)
	for _, c := range []struct{ text, part, want string }{
		{"@strict", "strict", "storage.modifier.annotation.adm"}, {"policy online", "policy", "keyword.declaration.adm"},
		{"policy online", "online", "entity.name.declaration.adm"}, {"    on mongo", "on", "keyword.control.adm"},
		{"mongodb-on,", "-on", "entity.name.service.adm"}, {"on-call", "on", "entity.name.service.adm"}, {"ns/on", "on", "entity.name.service.adm"},
		{"2048-game", "2048", "entity.name.service.adm"}, {"on.x", "on", "entity.name.service.adm"}, {"$when", "when", "variable.other.adm"},
		{": http", "http", "support.type.adm"}, {"when {", "when", "keyword.control.adm"}, {"request.path", "path", "variable.other.cel"},
		{"startsWith", "starts", "entity.name.function.cel"}, {`/a}")`, "}", "string.quoted.cel"}, {" in [", "in", "keyword.operator.word.cel"},
		{"80]", "80", "constant.numeric.cel"}, {"// on", "on", "comment.line.double-slash.adm"}, {"sample 10%", "sample", "keyword.control.adm"},
		{"10%", "%", "constant.numeric.adm"}, {"retry(", "retry", "entity.name.function.adm"}, {"on: [", "on", "variable.parameter.adm"},
		{`5xx\n`, `\n`, "constant.character.escape.adm"}, {`5xx\n`, `5xx`, "string.quoted.double.adm"}, {"250ms", "ms", "constant.numeric.adm"},
		{"500/s", "/s", "constant.numeric.adm"}, {"-1", "-1", "constant.numeric.adm"}, {" except", "except", "keyword.control.adm"},
		{"external", "external", "constant.language.adm"}, {"test \"", "test", "keyword.declaration.adm"}, {"a->b", "->", "keyword.operator.adm"},
		{"a->b", "b", "entity.name.service.adm"},
	} {
		at := strings.Index(sample, c.text)
		at += strings.Index(c.text, c.part)
		for i := at; i < at+len(c.part); i++ {
			if scopes[i] != c.want {
				t.Errorf("%q in %q is %q, want %q", c.part, c.text, scopes[i], c.want)
				break
			}
		}
	}
}
