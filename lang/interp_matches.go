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
	"github.com/google/cel-go/interpreter"
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
		cel.MemberOverload("string_"+string(matchesAsProxy), []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType))))
})

// compiledPatterns compiles the pattern, which is a constant, with the program that
// it is in.
var compiledPatterns = &interpreter.RegexOptimization{
	Function:   string(matchesAsProxy),
	RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
		m, err := compileMatcher(text)
		if err != nil {
			return nil, err
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			text, ok := args[0].(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(args[0])
			}
			return types.Bool(m.matches(string(text)))
		}), nil
	},
}

// interpProgram makes a program of what the proxy gets.
func interpProgram(e *exprpb.Expr) (cel.Program, error) {
	e = proto.Clone(e).(*exprpb.Expr)
	visitCalls(e, func(c *exprpb.Expr_Call) {
		if c.Function == string(opMatches) {
			c.Function = string(matchesAsProxy)
		}
	})
	ast := cel.ParsedExprToAst(&exprpb.ParsedExpr{Expr: e, SourceInfo: &exprpb.SourceInfo{}})
	return interpEnv().Program(ast, cel.OptimizeRegex(compiledPatterns))
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

// A matcher is an expression as RE2 matches it: in a text that is UTF-8, and in one
// that is not.
type matcher struct{ valid, invalid *regexp.Regexp }

func compileMatcher(text string) (matcher, error) {
	valid, err := regexp.Compile(text)
	if err != nil {
		return matcher{}, err
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return matcher{}, err
	}
	withoutInvalid(re)
	invalid, err := regexp.Compile(re.String())
	return matcher{valid, invalid}, err
}

func (m matcher) matches(text string) bool {
	if utf8.ValidString(text) {
		return m.valid.MatchString(text)
	}
	return m.invalid.MatchString(withoutSurrogates(text))
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
