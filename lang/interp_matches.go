package lang

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"
)

// A header may hold bytes that are no UTF-8. RE2, which the proxy has, matches
// such a byte with nothing; Go's regexp takes it for U+FFFD, which `.` matches. So
// the interpreter has a `matches` of its own.
const matchesAsProxy operator = "matches_as_proxy"

// interpEnv is what the interpreter evaluates conditions in.
var interpEnv = sync.OnceValue(func() *cel.Env {
	return mustEnv(cel.NewEnv(cel.Function(string(matchesAsProxy),
		cel.MemberOverload("string_"+string(matchesAsProxy), []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(func(text, pattern ref.Val) ref.Val {
				return types.Bool(matchesInProxy(string(text.(types.String)), string(pattern.(types.String))))
			})))))
})

// interpProgram makes a program of what the proxy gets.
func interpProgram(e *exprpb.Expr) (cel.Program, error) {
	e = proto.Clone(e).(*exprpb.Expr)
	visitCalls(e, func(c *exprpb.Expr_Call) {
		if c.Function == string(opMatches) {
			c.Function = string(matchesAsProxy)
		}
	})
	return interpEnv().Program(cel.ParsedExprToAst(&exprpb.ParsedExpr{Expr: e, SourceInfo: &exprpb.SourceInfo{}}))
}

func visitCalls(e *exprpb.Expr, visit func(*exprpb.Expr_Call)) {
	if s := e.GetSelectExpr(); s != nil {
		visitCalls(s.Operand, visit)
	}
	for _, x := range e.GetListExpr().GetElements() {
		visitCalls(x, visit)
	}
	if c := e.GetCallExpr(); c != nil {
		visit(c)
		if c.Target != nil {
			visitCalls(c.Target, visit)
		}
		for _, x := range c.Args {
			visitCalls(x, visit)
		}
	}
}

// matchesInProxy finds a pattern that compiles in a text.
func matchesInProxy(text, pattern string) bool {
	if utf8.ValidString(text) {
		return regexp.MustCompile(pattern).MatchString(text)
	}
	text = withoutSurrogates(text)
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err) // checked when it was compiled
	}
	withoutInvalid(re)
	return regexp.MustCompile(re.String()).MatchString(text)
}

// withoutSurrogates has another character, that no pattern names, in place of each
// surrogate as UTF-8 would have it: RE2 takes one for a character, Go for three
// invalid bytes.
func withoutSurrogates(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if i+2 < len(text) && text[i] == 0xed && text[i+1]&0xe0 == 0xa0 && text[i+2]&0xc0 == 0x80 {
			b.WriteRune(0x10fffe)
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// withoutInvalid makes an expression that doesn't match U+FFFD.
func withoutInvalid(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpAnyChar:
		re.Op, re.Rune = syntax.OpCharClass, []rune{0, utf8.RuneError - 1, utf8.RuneError + 1, utf8.MaxRune}
	case syntax.OpAnyCharNotNL:
		re.Op, re.Rune = syntax.OpCharClass, []rune{0, '\n' - 1, '\n' + 1, utf8.RuneError - 1, utf8.RuneError + 1, utf8.MaxRune}
	case syntax.OpCharClass:
		var kept []rune
		for i := 0; i < len(re.Rune); i += 2 {
			lo, hi := re.Rune[i], re.Rune[i+1]
			if lo < utf8.RuneError && utf8.RuneError <= hi {
				kept = append(kept, lo, utf8.RuneError-1)
			}
			if lo <= utf8.RuneError && utf8.RuneError < hi {
				kept = append(kept, utf8.RuneError+1, hi)
			}
			if hi < utf8.RuneError || lo > utf8.RuneError {
				kept = append(kept, lo, hi)
			}
		}
		re.Rune = kept
	}
	for _, sub := range re.Sub {
		withoutInvalid(sub)
	}
}
