package lang

import (
	"fmt"
	"slices"
	"strings"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/lang/ir"
)

// Atoms are what must hold for a conjunction to hold, as far as it compares
// something with string, number or bool constants. What they don't know, they
// leave open: two conditions exclude each other only if the atoms prove it.
type atoms map[string]values

// values of one operand: allowed (nil: any) and not denied.
type values struct {
	allowed []string
	denied  []string
}

// excludes reports whether no request can satisfy both conditions (nil:
// always). It may miss that, and never claims it wrongly: both are conjunctions
// of which one compares an operand with a constant, and the other compares the
// same operand with constants that leave that one out.
func (j *joiner) excludes(a, b *ir.Condition) bool {
	if a == nil || b == nil || a == b {
		return false
	}
	x, y := j.atomsOf(a), j.atomsOf(b)
	for operand, v := range x {
		if w, both := y[operand]; both && disjoint(v, w) {
			return true
		}
	}
	return false
}

func disjoint(v, w values) bool {
	if v.allowed == nil {
		v, w = w, v
	}
	if v.allowed == nil {
		return false
	}
	return !slices.ContainsFunc(v.allowed, func(s string) bool {
		return !slices.Contains(w.denied, s) && (w.allowed == nil || slices.Contains(w.allowed, s))
	})
}

func (j *joiner) atomsOf(c *ir.Condition) atoms {
	out, ok := j.atoms[c]
	if !ok {
		out = atoms{}
		out.add(c.Expr, true)
		j.atoms[c] = out
	}
	return out
}

// add takes in one term of the conjunction, or its negation.
func (a atoms) add(e *exprpb.Expr, holds bool) {
	call := e.GetCallExpr()
	if call == nil {
		return
	}
	args := call.GetArgs()
	switch call.GetFunction() {
	case "_&&_":
		if holds {
			a.add(args[0], true)
			a.add(args[1], true)
		}
	case "_||_":
		if !holds {
			a.add(args[0], false)
			a.add(args[1], false)
		}
	case "!_":
		a.add(args[0], !holds)
	case "_==_":
		a.compare(args[0], args[1], holds)
	case "_!=_":
		a.compare(args[0], args[1], !holds)
	case "@in":
		a.member(args[0], args[1], holds)
	}
}

func (a atoms) compare(x, y *exprpb.Expr, equal bool) {
	if constantPrint(x) != "" {
		x, y = y, x
	}
	if c := constantPrint(y); c != "" && constantPrint(x) == "" {
		a.narrow(fingerprint(x), []string{c}, equal)
	}
}

func (a atoms) member(x, list *exprpb.Expr, in bool) {
	if list.GetListExpr() == nil {
		return
	}
	var constants []string
	for _, e := range list.GetListExpr().GetElements() {
		c := constantPrint(e)
		if c == "" {
			return
		}
		constants = append(constants, c)
	}
	if len(constants) > 0 {
		a.narrow(fingerprint(x), constants, in)
	}
}

func (a atoms) narrow(operand string, constants []string, in bool) {
	v := a[operand]
	switch {
	case !in:
		v.denied = append(v.denied, constants...)
	case v.allowed == nil:
		v.allowed = constants
	default:
		v.allowed = slices.DeleteFunc(slices.Clone(v.allowed), func(s string) bool { return !slices.Contains(constants, s) })
	}
	a[operand] = v
}

// constantPrint prints a constant of a type whose equality is that of its print; ""
// for anything else. Doubles are left out: 0.0 equals -0.0.
func constantPrint(e *exprpb.Expr) string {
	switch k := e.GetConstExpr().GetConstantKind().(type) {
	case *exprpb.Constant_StringValue:
		return fmt.Sprintf("s%q", k.StringValue)
	case *exprpb.Constant_Int64Value:
		return fmt.Sprintf("i%d", k.Int64Value)
	case *exprpb.Constant_BoolValue:
		return fmt.Sprintf("b%t", k.BoolValue)
	}
	return ""
}

// fingerprint prints the structure of an expression, so that equal prints mean
// equal expressions. A kind that it does not know has a print of its own.
func fingerprint(e *exprpb.Expr) string {
	var b strings.Builder
	write(&b, e)
	return b.String()
}

func write(b *strings.Builder, e *exprpb.Expr) {
	switch k := e.GetExprKind().(type) {
	case *exprpb.Expr_IdentExpr:
		fmt.Fprintf(b, "%q", k.IdentExpr.GetName())
	case *exprpb.Expr_SelectExpr:
		write(b, k.SelectExpr.GetOperand())
		fmt.Fprintf(b, ".%t%q", k.SelectExpr.GetTestOnly(), k.SelectExpr.GetField())
	case *exprpb.Expr_CallExpr:
		fmt.Fprintf(b, "%q(", k.CallExpr.GetFunction())
		if t := k.CallExpr.GetTarget(); t != nil {
			write(b, t)
			b.WriteByte(';')
		}
		for _, arg := range k.CallExpr.GetArgs() {
			write(b, arg)
			b.WriteByte(',')
		}
		b.WriteByte(')')
	case *exprpb.Expr_ConstExpr:
		if c := constantPrint(e); c != "" {
			b.WriteString(c)
			return
		}
		fmt.Fprintf(b, "<%p>", e)
	default:
		fmt.Fprintf(b, "<%p>", e)
	}
}
