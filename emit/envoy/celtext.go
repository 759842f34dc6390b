package envoy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// celText prints a parsed CEL expression as source that Envoy's %CEL(…)%
// formatter takes. The formatter ends at the first ")%", so a "%" inside a
// string is written \x25, and the modulo operator has spaces around it.
//
// A construct outside of the language that the checker accepts is an error.
func celText(e *exprpb.Expr) (string, error) {
	return (&celPrinter{}).text(e)
}

func (p *celPrinter) text(e *exprpb.Expr) (string, error) {
	p.expr(e, 0)
	return p.b.String(), p.err
}

type celPrinter struct {
	b   strings.Builder
	err error
	// unsealed: the seal was taken off before (mtls.go), so that whether there was
	// one is whether somebody was proved.
	unsealed bool
	// unnoted: while headers of the answer are changed its status may not be noted
	// yet. It is 200 then: Envoy's cors filter passes the answer to a preflight on
	// without saying what it is.
	unnoted bool
}

// Levels of the CEL grammar, weakest first; an operand that binds weaker than
// its place wants is put in parentheses.
const (
	levelTernary = iota
	levelOr
	levelAnd
	levelRelation
	levelAdd
	levelMultiply
	levelUnary
	levelMember
)

// binary operators by their function name. Relations don't chain in what we
// print: both operands are printed at a tighter level.
var binary = map[string]struct {
	text  string
	level int
}{
	"_||_": {"||", levelOr}, "_&&_": {"&&", levelAnd},
	"_==_": {"==", levelRelation}, "_!=_": {"!=", levelRelation},
	"_<_": {"<", levelRelation}, "_<=_": {"<=", levelRelation},
	"_>_": {">", levelRelation}, "_>=_": {">=", levelRelation}, "@in": {"in", levelRelation},
	"_+_": {"+", levelAdd}, "_-_": {"-", levelAdd},
	"_*_": {"*", levelMultiply}, "_/_": {"/", levelMultiply}, "_%_": {"%", levelMultiply},
}

func (p *celPrinter) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *celPrinter) expr(e *exprpb.Expr, want int) {
	switch k := e.GetExprKind().(type) {
	case *exprpb.Expr_ConstExpr:
		p.constant(k.ConstExpr)
	case *exprpb.Expr_IdentExpr:
		p.b.WriteString(k.IdentExpr.GetName())
	case *exprpb.Expr_SelectExpr:
		p.selection(k.SelectExpr)
	case *exprpb.Expr_CallExpr:
		p.call(k.CallExpr, want)
	case *exprpb.Expr_ListExpr:
		p.b.WriteByte('[')
		p.args(k.ListExpr.GetElements())
		p.b.WriteByte(']')
	default:
		p.fail("a condition with %T", k)
	}
}

func (p *celPrinter) selection(s *exprpb.Expr_Select) {
	if p.unsealed && s.GetField() == "mtls" && s.GetOperand().GetIdentExpr().GetName() == "connection" {
		fmt.Fprintf(&p.b, "(%s in filter_state)", celString(peerKey))
		return
	}
	if p.unnoted && !s.GetTestOnly() && s.GetField() == "code" && s.GetOperand().GetIdentExpr().GetName() == "response" {
		p.b.WriteString("(has(response.code) ? response.code : 200)")
		return
	}
	if s.GetTestOnly() {
		p.b.WriteString("has(")
		defer p.b.WriteByte(')')
	}
	p.expr(s.GetOperand(), levelMember)
	p.b.WriteString("." + s.GetField())
}

func (p *celPrinter) call(c *exprpb.Expr_Call, want int) {
	args := c.GetArgs()
	if f := c.GetFunction(); f == "_[_]" || f == "@in" {
		args = requestHeaderArgs(f, args)
	}
	open := func(level int) func() {
		if level >= want {
			return func() {}
		}
		p.b.WriteByte('(')
		return func() { p.b.WriteByte(')') }
	}
	switch op, ok := binary[c.GetFunction()]; {
	case ok && len(args) == 2:
		defer open(op.level)()
		p.expr(args[0], op.level+1)
		p.b.WriteString(" " + op.text + " ")
		p.expr(args[1], op.level+1)
	case c.GetFunction() == "_?_:_" && len(args) == 3:
		defer open(levelTernary)()
		p.expr(args[0], levelOr)
		p.b.WriteString(" ? ")
		p.expr(args[1], levelOr)
		p.b.WriteString(" : ")
		p.expr(args[2], levelOr)
	case (c.GetFunction() == "!_" || c.GetFunction() == "-_") && len(args) == 1:
		defer open(levelUnary)()
		p.b.WriteString(c.GetFunction()[:1])
		p.expr(args[0], levelMember)
	case c.GetFunction() == "_[_]" && len(args) == 2:
		p.expr(args[0], levelMember)
		p.b.WriteByte('[')
		p.expr(args[1], 0)
		p.b.WriteByte(']')
	default:
		p.function(c)
	}
}

// requestHeaderArgs renames a request header that the proxy keeps elsewhere, in
// `request.headers["x"]` and in `"x" in request.headers`.
func requestHeaderArgs(f string, args []*exprpb.Expr) []*exprpb.Expr {
	if len(args) != 2 {
		return args
	}
	of, key := 0, 1
	if f == "@in" {
		of, key = 1, 0
	}
	s := args[of].GetSelectExpr()
	name, ok := args[key].GetConstExpr().GetConstantKind().(*exprpb.Constant_StringValue)
	if !ok || s.GetField() != "headers" || s.GetOperand().GetIdentExpr().GetName() != "request" {
		return args
	}
	out := slices.Clone(args)
	out[key] = &exprpb.Expr{ExprKind: &exprpb.Expr_ConstExpr{ConstExpr: &exprpb.Constant{
		ConstantKind: &exprpb.Constant_StringValue{StringValue: requestHeader(name.StringValue)},
	}}}
	return out
}

func (p *celPrinter) function(c *exprpb.Expr_Call) {
	name := c.GetFunction()
	if strings.ContainsAny(name, "_@[]!-") && binary[name].text == "" && !isIdent(name) {
		p.fail("a condition with the operator %s", name)
		return
	}
	if c.GetTarget() != nil {
		p.expr(c.GetTarget(), levelMember)
		p.b.WriteByte('.')
	}
	p.b.WriteString(name + "(")
	p.args(c.GetArgs())
	p.b.WriteByte(')')
}

func isIdent(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "_")
}

func (p *celPrinter) args(list []*exprpb.Expr) {
	for i, a := range list {
		if i > 0 {
			p.b.WriteString(", ")
		}
		p.expr(a, 0)
	}
}

func (p *celPrinter) constant(c *exprpb.Constant) {
	switch k := c.GetConstantKind().(type) {
	case *exprpb.Constant_StringValue:
		p.b.WriteString(celString(k.StringValue))
	case *exprpb.Constant_BoolValue:
		p.b.WriteString(strconv.FormatBool(k.BoolValue))
	case *exprpb.Constant_Int64Value:
		p.b.WriteString(strconv.FormatInt(k.Int64Value, 10))
	case *exprpb.Constant_Uint64Value:
		p.b.WriteString(strconv.FormatUint(k.Uint64Value, 10) + "u")
	case *exprpb.Constant_DoubleValue:
		s := strconv.FormatFloat(k.DoubleValue, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		p.b.WriteString(s)
	default:
		p.fail("a condition with a constant of type %T", k)
	}
}

// celString quotes a string with the escapes of CEL.
func celString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '%' || r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
