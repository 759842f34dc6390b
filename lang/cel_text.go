package lang

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// celText maps places in an expression, which cel-go counts in runes, to spans
// of the file that it is written in.
type celText struct {
	src   diag.Span // of the whole expression
	runes []rune
	bytes []int // offset of each rune in the expression's text, and of its end
	info  *ast.SourceInfo
	// names are the spans of whole dotted names: cel-go's checker replaces the
	// nodes that they are made of.
	names map[int64]diag.Span
}

func newCELText(expr syntax.CEL) *celText {
	t := &celText{src: expr.At, names: map[int64]diag.Span{}}
	for i, r := range expr.Text {
		t.runes = append(t.runes, r)
		t.bytes = append(t.bytes, i)
	}
	t.bytes = append(t.bytes, len(expr.Text))
	return t
}

// between is the span of runes start to end.
func (t *celText) between(start, end int) diag.Span {
	start = min(max(start, 0), len(t.runes))
	end = min(max(end, start), len(t.runes))
	from := int(t.src.Start)
	return t.src.Src.Span(from+t.bytes[start], from+t.bytes[end])
}

// at is the one-rune span of a location; the end of the expression where
// cel-go has none.
func (t *celText) at(line, col int) diag.Span {
	start := 0
	for i := 0; line > 1 && i < len(t.runes); i++ {
		if t.runes[i] == '\n' {
			line--
			start = i + 1
		}
	}
	if col < 0 || start+col >= len(t.runes) {
		return t.end()
	}
	return t.between(start+col, start+col+1)
}

// end is the last rune that is neither space nor comment-free padding.
func (t *celText) end() diag.Span {
	last := len(t.runes)
	for last > 0 && unicode.IsSpace(t.runes[last-1]) {
		last--
	}
	return t.between(last-1, last)
}

// token gives the rune offsets of the token that cel-go keeps for a node: its
// operator, its literal, its identifier, its dot or its opening bracket.
func (t *celText) token(id int64) (start, end int) {
	r, ok := t.info.GetOffsetRange(id)
	if !ok {
		return -1, -1
	}
	// The start counts runes, the length bytes.
	start = int(r.Start)
	stop := t.bytes[min(max(start, 0), len(t.runes))] + int(r.Stop-r.Start)
	end, _ = slices.BinarySearch(t.bytes, stop)
	return start, end
}

// span is the whole of a name or a literal, and of anything else what it needs
// to be found: an operator, a function's name, an opening bracket.
func (t *celText) span(e ast.Expr) diag.Span {
	if at, ok := t.names[e.ID()]; ok {
		return at
	}
	start, end := t.token(e.ID())
	switch e.Kind() {
	case ast.SelectKind:
		first := t.span(e.AsSelect().Operand())
		if e.AsSelect().IsTestOnly() { // the token is the parenthesis of has(…)
			end, _ = slices.BinarySearch(t.bytes, int(first.End-t.src.Start))
			for end < len(t.runes) && t.runes[end] != '.' {
				end++
			}
			start, end = end, end+1
		}
		return first.To(t.between(start, t.identifierEnd(end)))
	case ast.CallKind:
		return t.callSpan(e)
	}
	return t.between(start, end)
}

// callSpan is the operator of an expression, or the name of the function.
func (t *celText) callSpan(e ast.Expr) diag.Span {
	fn := e.AsCall().FunctionName()
	if _, infix := signs[fn]; infix || fn == "_[_]" || fn == string(opCond) || fn == string(opIn) {
		return t.between(t.token(e.ID()))
	}
	return t.calleeSpan(e.ID(), fn)
}

// calleeSpan is the name in front of a call's opening parenthesis.
func (t *celText) calleeSpan(id int64, fn string) diag.Span {
	start, end := t.token(id)
	for start > 0 && unicode.IsSpace(t.runes[start-1]) {
		start--
	}
	if n := len([]rune(fn)); start >= n && string(t.runes[start-n:start]) == fn {
		return t.between(start-n, start)
	}
	return t.between(start, end)
}

// identifierEnd is the end of the identifier that follows, spaces skipped.
func (t *celText) identifierEnd(at int) int {
	for at < len(t.runes) && unicode.IsSpace(t.runes[at]) {
		at++
	}
	if at < len(t.runes) && t.runes[at] == '`' {
		for at++; at < len(t.runes) && t.runes[at] != '`'; {
			at++
		}
		return at + 1
	}
	for at < len(t.runes) && (t.runes[at] == '_' || unicode.IsLetter(t.runes[at]) || unicode.IsDigit(t.runes[at])) {
		at++
	}
	return at
}

// signs are the operators that are written between or before their operands.
var signs = map[string]string{
	"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=",
	"_&&_": "&&", "_||_": "||", "!_": "!",
	"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "-_": "-",
}

var (
	unexpected = regexp.MustCompile(`^(?:mismatched|extraneous) input '(.*?)' expecting`)
	noWay      = regexp.MustCompile(`^no viable alternative at input '(.*)'`)
	notToken   = regexp.MustCompile(`^token recognition error at: '(.*)'`)
)

// syntaxErrors says what cel-go's parser found, without its list of tokens. That
// the text ends too early is said only when nothing else is wrong.
func (t *celText) syntaxErrors(list []*cel.Error, bag *diag.Bag) {
	for i, e := range list {
		message := strings.TrimPrefix(e.Message, "Syntax error: ")
		if i == 0 || !strings.Contains(message, "'<EOF>'") {
			t.syntaxError(e, message, bag)
		}
	}
}

func (t *celText) syntaxError(e *cel.Error, message string, bag *diag.Bag) {
	at := t.at(e.Location.Line(), e.Location.Column())
	switch {
	case unexpected.MatchString(message):
		found := unexpected.FindStringSubmatch(message)[1]
		if found == "<EOF>" {
			bag.Errorf(t.end(), CELSyntax, "the condition breaks off here")
			return
		}
		bag.Errorf(t.longer(at, found), CELSyntax, "unexpected %s in the condition", found)
	case noWay.MatchString(message):
		bag.Errorf(at, CELSyntax, "the condition is not an expression from here on")
	case notToken.MatchString(message):
		found := notToken.FindStringSubmatch(message)[1]
		d := bag.Errorf(t.longer(at, found), CELSyntax, "unexpected %s in the condition", found)
		if strings.HasPrefix(found, `"`) || strings.HasPrefix(found, "'") {
			d.WithHint("the string has no end")
		}
	default:
		bag.Errorf(at, CELSyntax, "%s", message)
	}
}

// longer stretches a span to the length of the text that was found at it, if it
// is there.
func (t *celText) longer(at diag.Span, found string) diag.Span {
	if end := int(at.Start) + len(found); end <= int(t.src.End) {
		if s := at.Src.Span(int(at.Start), end); s.Text() == found {
			return s
		}
	}
	return at
}
