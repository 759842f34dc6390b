package lang

import (
	"strconv"
	"strings"

	"admc.dev/admc/lang/diag"
)

// An operator of a condition, by the name that CEL gives its function. Every
// operator is total: it has a value for all operands of its kinds, here and in
// the proxy.
type operator string

const (
	opConst operator = "const"
	opRead  operator = "read" // of an attribute, or of one key of a map attribute
	opHas   operator = "has"  // whether a map attribute has a key

	opNot  operator = "!_"
	opAnd  operator = "_&&_" // any number of operands
	opOr   operator = "_||_" // any number of operands
	opCond operator = "_?_:_"

	opEq operator = "_==_"
	opNe operator = "_!=_"
	opLt operator = "_<_"
	opLe operator = "_<=_"
	opGt operator = "_>_"
	opGe operator = "_>=_"
	opIn operator = "@in" // the first operand among the others, which are constants

	opStartsWith operator = "startsWith"
	opEndsWith   operator = "endsWith"
	opContains   operator = "contains"
	opMatches    operator = "matches"
	opSize       operator = "size"
)

// kind of a value. There are no others: what CEL has besides is refused.
type kind uint8

const (
	kindString kind = iota
	kindInt
	kindBool
	kindTime
	kindMap // of strings to strings; never the kind of a term
)

func (k kind) String() string { return [...]string{"string", "int", "bool", "timestamp", "map"}[k] }

// A value is a constant. Only the field of its kind is set.
type value struct {
	kind kind
	str  string // kindTime too: RFC 3339, as written
	num  int64
	yes  bool
}

func stringValue(s string) value { return value{kind: kindString, str: s} }
func boolValue(b bool) value     { return value{kind: kindBool, yes: b} }
func intValue(n int64) value     { return value{kind: kindInt, num: n} }

// String is the value as CEL writes it.
func (v value) String() string {
	switch v.kind {
	case kindInt:
		return strconv.FormatInt(v.num, 10)
	case kindBool:
		return strconv.FormatBool(v.yes)
	case kindTime:
		return "timestamp(" + strconv.Quote(v.str) + ")"
	}
	return strconv.Quote(v.str)
}

// A term is a node of a condition that has passed every check. Terms are never
// changed once made.
type term struct {
	op   operator
	kind kind
	args []*term
	val  value      // opConst
	attr *attribute // opRead, opHas
	key  string     // opRead of a map attribute, opHas; header names are lower case
	at   diag.Span
}

func literal(v value) *term { return &term{op: opConst, kind: v.kind, val: v} }

func truth(b bool) *term { return literal(boolValue(b)) }

func (t *term) isTrue() bool  { return t.op == opConst && t.kind == kindBool && t.val.yes }
func (t *term) isFalse() bool { return t.op == opConst && t.kind == kindBool && !t.val.yes }

// with makes the same operation over other operands.
func (t *term) with(args ...*term) *term {
	c := *t
	c.args = args
	return &c
}

func (t *term) walk(visit func(*term)) {
	visit(t)
	for _, a := range t.args {
		a.walk(visit)
	}
}

// substitute replaces reads by constants; facts are keyed by the read's text.
func (t *term) substitute(facts map[string]value) *term {
	if len(facts) == 0 {
		return t
	}
	if t.attr != nil {
		if v, ok := facts[t.String()]; ok {
			return literal(v)
		}
		return t
	}
	if len(t.args) == 0 {
		return t
	}
	args := make([]*term, len(t.args))
	for i, a := range t.args {
		args[i] = a.substitute(facts)
	}
	return t.with(args...)
}

// readName names what an opRead or opHas looks at, as rules name it. All claims
// are one: a provider gives them together.
func (t *term) readName() string {
	switch {
	case t.attr == pathMember:
		return memberPart(t.key)
	case t.attr.kind != kindMap || t.attr.name == "jwt.claims":
		return t.attr.name
	}
	return t.attr.name + "[" + strconv.Quote(t.key) + "]"
}

// precedence of an operator as CEL parses it; operands of a lower one are
// printed in parentheses.
func (t *term) precedence() int {
	switch t.op {
	case opCond:
		return 1
	case opOr:
		return 2
	case opAnd:
		return 3
	case opEq, opNe, opLt, opLe, opGt, opGe, opIn, opHas:
		return 4
	case opNot:
		return 5
	}
	return 6
}

// String prints the term as CEL, in the language's own attribute names.
func (t *term) String() string {
	var b strings.Builder
	t.print(&b)
	return b.String()
}

func (t *term) print(b *strings.Builder) {
	switch t.op {
	case opConst:
		b.WriteString(t.val.String())
	case opRead:
		b.WriteString(t.attr.name)
		if t.attr.kind == kindMap {
			b.WriteString("[" + strconv.Quote(t.key) + "]")
		}
	case opHas:
		b.WriteString(strconv.Quote(t.key) + " in " + t.attr.name)
	case opNot:
		b.WriteByte('!')
		t.args[0].printIn(b, t.precedence())
	case opAnd:
		t.printInfix(b, " && ")
	case opOr:
		t.printInfix(b, " || ")
	case opCond:
		t.args[0].printIn(b, 2)
		b.WriteString(" ? ")
		t.args[1].printIn(b, 2)
		b.WriteString(" : ")
		t.args[2].printIn(b, 1)
	case opEq, opNe, opLt, opLe, opGt, opGe:
		t.printInfix(b, " "+strings.Trim(string(t.op), "_")+" ")
	case opIn:
		t.args[0].printIn(b, 5)
		b.WriteString(" in [")
		printList(b, t.args[1:])
		b.WriteByte(']')
	case opSize:
		b.WriteString("size(")
		t.args[0].print(b)
		b.WriteByte(')')
	default:
		t.args[0].printIn(b, 6)
		b.WriteString("." + string(t.op) + "(")
		printList(b, t.args[1:])
		b.WriteByte(')')
	}
}

func (t *term) printIn(b *strings.Builder, least int) {
	if t.precedence() >= least {
		t.print(b)
		return
	}
	b.WriteByte('(')
	t.print(b)
	b.WriteByte(')')
}

func (t *term) printInfix(b *strings.Builder, sign string) {
	for i, a := range t.args {
		if i > 0 {
			b.WriteString(sign)
		}
		a.printIn(b, t.precedence()+1)
	}
}

func printList(b *strings.Builder, list []*term) {
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		a.print(b)
	}
}
