package lang

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// simplify evaluates what is constant and drops what then no longer matters.
// The result has the same value as t for every request: operators are total, so
// an operand that is not evaluated can't have failed.
func simplify(t *term) *term {
	if len(t.args) == 0 {
		return t
	}
	args := make([]*term, len(t.args))
	for i, a := range t.args {
		args[i] = simplify(a)
	}
	t = t.with(args...)
	switch t.op {
	case opAnd:
		return simplifyJunction(t, false)
	case opOr:
		return simplifyJunction(t, true)
	case opNot:
		return negate(args[0])
	case opCond:
		return simplifyChoice(t)
	case opIn:
		return simplifyIn(t)
	}
	if allConstant(args) {
		return literal(apply(t.op, args))
	}
	switch t.op {
	case opEq, opNe, opLt, opLe, opGt, opGe:
		return simplifyComparison(t)
	case opStartsWith, opEndsWith, opContains:
		if args[1].op == opConst && args[1].val.str == "" {
			return truth(true)
		}
	}
	return t
}

// simplifyJunction treats && and ||, in which one constant (absorbing) decides
// and the other disappears.
func simplifyJunction(t *term, absorbing bool) *term {
	var out []*term
	seen := map[string]bool{}
	for _, a := range t.args {
		operands := []*term{a}
		if a.op == t.op {
			operands = a.args
		}
		for _, o := range operands {
			text := o.String()
			switch {
			case o.op == opConst && o.val.yes == absorbing:
				return truth(absorbing)
			case o.op == opConst || seen[text]:
				continue
			case seen[negate(o).String()]:
				return truth(absorbing)
			}
			seen[text] = true
			out = append(out, o)
		}
	}
	switch len(out) {
	case 0:
		return truth(!absorbing)
	case 1:
		return out[0]
	}
	return t.with(out...)
}

var opposite = map[operator]operator{opEq: opNe, opNe: opEq, opLt: opGe, opGe: opLt, opGt: opLe, opLe: opGt}

// negate gives the negation of a simplified term, without a sign where there is
// an operator that says it.
func negate(t *term) *term {
	if t.op == opConst {
		return truth(!t.val.yes)
	}
	if t.op == opNot {
		return t.args[0]
	}
	if op, ok := opposite[t.op]; ok {
		c := t.with(t.args...)
		c.op = op
		return c
	}
	return &term{op: opNot, kind: kindBool, args: []*term{t}, at: t.at}
}

func simplifyChoice(t *term) *term {
	cond, yes, no := t.args[0], t.args[1], t.args[2]
	switch {
	case cond.isTrue():
		return yes
	case cond.isFalse():
		return no
	case yes.String() == no.String():
		return yes
	case t.kind != kindBool:
		return t
	}
	junction := func(op operator, a, b *term) *term {
		return simplify(&term{op: op, kind: kindBool, args: []*term{a, b}, at: t.at})
	}
	switch {
	case yes.isTrue():
		return junction(opOr, cond, no)
	case yes.isFalse():
		return junction(opAnd, negate(cond), no)
	case no.isTrue():
		return junction(opOr, negate(cond), yes)
	case no.isFalse():
		return junction(opAnd, cond, yes)
	}
	return t
}

func simplifyIn(t *term) *term {
	left := t.args[0]
	kept := []*term{left}
	seen := map[string]bool{}
	for _, a := range t.args[1:] {
		if left.op == opConst {
			if left.val == a.val {
				return truth(true)
			}
			continue
		}
		if text := a.String(); !seen[text] {
			seen[text] = true
			kept = append(kept, a)
		}
	}
	switch len(kept) {
	case 1:
		return truth(false)
	case 2:
		return simplify(&term{op: opEq, kind: kindBool, args: kept, at: t.at})
	}
	return t.with(kept...)
}

func simplifyComparison(t *term) *term {
	a, b := t.args[0], t.args[1]
	if a.String() == b.String() {
		return truth(t.op == opEq || t.op == opLe || t.op == opGe)
	}
	if a.kind != kindBool || t.op != opEq && t.op != opNe {
		return t
	}
	// A comparison with a boolean constant is the other operand or its negation.
	if a.op == opConst {
		a, b = b, a
	}
	if b.op != opConst {
		return t
	}
	if b.val.yes == (t.op == opEq) {
		return a
	}
	return negate(a)
}

func allConstant(args []*term) bool {
	return !slices.ContainsFunc(args, func(a *term) bool { return a.op != opConst })
}

// apply evaluates an operator over constants of the right kinds.
func apply(op operator, args []*term) value {
	a := args[0].val
	var b value
	if len(args) > 1 {
		b = args[1].val
	}
	switch op {
	case opEq:
		return boolValue(compareValues(a, b) == 0)
	case opNe:
		return boolValue(compareValues(a, b) != 0)
	case opLt:
		return boolValue(compareValues(a, b) < 0)
	case opLe:
		return boolValue(compareValues(a, b) <= 0)
	case opGt:
		return boolValue(compareValues(a, b) > 0)
	case opGe:
		return boolValue(compareValues(a, b) >= 0)
	case opStartsWith:
		return boolValue(strings.HasPrefix(a.str, b.str))
	case opEndsWith:
		return boolValue(strings.HasSuffix(a.str, b.str))
	case opContains:
		return boolValue(strings.Contains(a.str, b.str))
	case opMatches:
		return boolValue(regexp.MustCompile(b.str).MatchString(a.str))
	case opSize:
		return intValue(int64(utf8.RuneCountInString(a.str)))
	}
	if f, ok := timeParts[op]; ok {
		return intValue(f(instant(a)))
	}
	panic("condition: no value for " + string(op))
}

func compareValues(a, b value) int {
	switch a.kind {
	case kindInt:
		return cmp.Compare(a.num, b.num)
	case kindBool:
		return boolRank(a.yes) - boolRank(b.yes)
	case kindTime:
		return instant(a).Compare(instant(b))
	}
	return strings.Compare(a.str, b.str)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func instant(v value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.str)
	if err != nil {
		panic(err) // checked when it was compiled
	}
	return t.UTC()
}

// timeParts are the fields of a timestamp, in UTC, as CEL counts them.
var timeParts = map[operator]func(time.Time) int64{
	"getFullYear":   func(t time.Time) int64 { return int64(t.Year()) },
	"getMonth":      func(t time.Time) int64 { return int64(t.Month()) - 1 },
	"getDate":       func(t time.Time) int64 { return int64(t.Day()) },
	"getDayOfMonth": func(t time.Time) int64 { return int64(t.Day()) - 1 },
	"getDayOfWeek":  func(t time.Time) int64 { return int64(t.Weekday()) },
	"getDayOfYear":  func(t time.Time) int64 { return int64(t.YearDay()) - 1 },
	"getHours":      func(t time.Time) int64 { return int64(t.Hour()) },
	"getMinutes":    func(t time.Time) int64 { return int64(t.Minute()) },
	"getSeconds":    func(t time.Time) int64 { return int64(t.Second()) },
}
