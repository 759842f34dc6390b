package lang

import (
	"math"
	"slices"
	"strings"
)

// excludes reports whether no request can satisfy both conditions (nil:
// always). It may miss that, and never claims it wrongly: each way to satisfy
// one is held against each way to satisfy the other, and every such pair has to
// hold two tests of one operand that can't both come out so.
func excludes(a, b *term) bool {
	if a == nil || b == nil {
		return false
	}
	as, ok := waysTo(a, true)
	if !ok {
		return false
	}
	bs, ok := waysTo(b, true)
	if !ok {
		return false
	}
	for _, x := range as {
		for _, y := range bs {
			if !impossible(append(x[:len(x):len(x)], y...)) {
				return false
			}
		}
	}
	return true
}

// An outcome is a test and how it comes out.
type outcome struct {
	test *term
	is   bool
}

// maxWays bounds the cases of one condition; one with more is not looked at.
const maxWays = 64

// waysTo gives the conjunctions of outcomes of which one must hold for t to be
// as wanted.
func waysTo(t *term, want bool) (ways [][]outcome, ok bool) {
	switch {
	case t.op == opConst:
		if t.val.yes == want {
			return [][]outcome{nil}, true
		}
		return nil, true
	case t.op == opNot:
		return waysTo(t.args[0], !want)
	case t.op == opAnd && want, t.op == opOr && !want:
		return allOf(t.args, want)
	case t.op == opAnd, t.op == opOr:
		return anyOf(t.args, want)
	case t.op == opCond:
		cond, yes, no := t.args[0], t.args[1], t.args[2]
		if !want {
			yes, no = negate(yes), negate(no)
		}
		return anyOf([]*term{t.junction(opAnd, cond, yes), t.junction(opAnd, negate(cond), no)}, true)
	}
	return [][]outcome{{{t, want}}}, true
}

func (t *term) junction(op operator, args ...*term) *term {
	return &term{op: op, kind: kindBool, args: args, at: t.at}
}

func anyOf(list []*term, want bool) (ways [][]outcome, ok bool) {
	for _, t := range list {
		w, ok := waysTo(t, want)
		if !ok || len(ways)+len(w) > maxWays {
			return nil, false
		}
		ways = append(ways, w...)
	}
	return ways, true
}

func allOf(list []*term, want bool) (ways [][]outcome, ok bool) {
	ways = [][]outcome{nil}
	for _, t := range list {
		more, ok := waysTo(t, want)
		if !ok || len(ways)*len(more) > maxWays {
			return nil, false
		}
		var joined [][]outcome
		for _, w := range ways {
			for _, m := range more {
				joined = append(joined, append(w[:len(w):len(w)], m...))
			}
		}
		ways = joined
	}
	return ways, true
}

func impossible(way []outcome) bool {
	for i, x := range way {
		if values, ok := x.values(); ok && !possible(x, values, way) {
			return true
		}
		for _, y := range way[:i] {
			if contradict(x, y) {
				return true
			}
		}
	}
	return false
}

// possible reports whether one of the values that x leaves its operand is left
// by every other outcome about that operand.
func possible(x outcome, values []value, way []outcome) bool {
	operand := x.operand()
	if operand == nil {
		return true
	}
	name := operand.String()
	for _, y := range way {
		if s := y.operand(); s != nil && s.String() == name {
			values = slices.DeleteFunc(slices.Clone(values), func(v value) bool { return !y.allows(v) })
		}
	}
	return len(values) > 0
}

func contradict(x, y outcome) bool {
	if x.test.String() == y.test.String() {
		return x.is != y.is
	}
	s := x.operand()
	if s == nil || y.operand() == nil || s.String() != y.operand().String() {
		return false
	}
	switch {
	case x.is && !y.is:
		return implies(x.test, y.test) || outside(x, y)
	case y.is && !x.is:
		return implies(y.test, x.test) || outside(x, y)
	case !x.is || x.test.op != y.test.op:
		return outside(x, y)
	}
	p, q := x.test.args[1].val.str, y.test.args[1].val.str
	switch x.test.op {
	case opStartsWith:
		return !strings.HasPrefix(p, q) && !strings.HasPrefix(q, p)
	case opEndsWith:
		return !strings.HasSuffix(p, q) && !strings.HasSuffix(q, p)
	}
	return outside(x, y)
}

// implies reports whether a text of which one test for a part holds passes another
// such test of the same operand, too.
func implies(a, b *term) bool {
	p, ok := soughtText(a)
	if !ok {
		return false
	}
	q, ok := soughtText(b)
	switch {
	case !ok:
		return false
	case b.op == opContains:
		return strings.Contains(p, q)
	case a.op != b.op:
		return false
	case a.op == opStartsWith:
		return strings.HasPrefix(p, q)
	}
	return strings.HasSuffix(p, q)
}

// soughtText is the constant for which a test looks in its operand.
func soughtText(t *term) (text string, ok bool) {
	switch t.op {
	case opStartsWith, opEndsWith, opContains:
		return t.args[1].val.str, t.args[1].op == opConst
	}
	return "", false
}

// operand is the one thing that a test compares with constants; nil when there
// is none. A presence test is one of what would be read.
func (o outcome) operand() *term {
	if o.test.op == opHas {
		read := *o.test
		read.op, read.kind = opRead, kindString
		return &read
	}
	var found *term
	for _, a := range o.test.args {
		switch {
		case a.op == opConst:
		case found != nil:
			return nil
		default:
			found = a
		}
	}
	return found
}

// values are all that the operand can be; not ok when they can't be listed.
func (o outcome) values() (list []value, ok bool) {
	switch {
	case o.test.op == opHas && !o.is:
		return []value{stringValue("")}, true // what an absent one reads as
	case o.test.op == opEq && o.is, o.test.op == opNe && !o.is, o.test.op == opIn && o.is:
		for _, a := range o.test.args {
			if a.op == opConst {
				list = append(list, a.val)
			}
		}
		return list, true
	}
	return nil, false
}

// allows evaluates the test for one value of its operand.
func (o outcome) allows(v value) bool {
	if o.test.op == opHas {
		return o.is || v.str == "" // a header that is there may be empty
	}
	args := make([]*term, len(o.test.args))
	for i, a := range o.test.args {
		if args[i] = a; a.op != opConst {
			args[i] = literal(v)
		}
	}
	return simplify(o.test.with(args...)).val.yes == o.is
}

// outside reports whether two comparisons with numbers leave no number.
func outside(x, y outcome) bool {
	xlo, xhi, ok := x.interval()
	if !ok {
		return false
	}
	ylo, yhi, ok := y.interval()
	return ok && (xlo > yhi || ylo > xhi)
}

// interval of the numbers that a comparison leaves.
func (o outcome) interval() (lo, hi int64, ok bool) {
	lo, hi = math.MinInt64, math.MaxInt64
	t := o.test
	if !o.is {
		t = negate(t)
	}
	if len(t.args) != 2 || t.args[0].kind != kindInt {
		return lo, hi, false
	}
	op, n := t.op, t.args[1].val.num
	if t.args[0].op == opConst {
		op, n = mirrored[op], t.args[0].val.num
	}
	switch op {
	case opLt:
		hi = max(n, math.MinInt64+1) - 1
	case opLe:
		hi = n
	case opGt:
		lo = min(n, math.MaxInt64-1) + 1
	case opGe:
		lo = n
	default:
		return lo, hi, false
	}
	return lo, hi, true
}

// mirrored is the comparison with its operands exchanged.
var mirrored = map[operator]operator{opLt: opGt, opGt: opLt, opLe: opGe, opGe: opLe}
