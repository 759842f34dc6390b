package lang

import (
	"regexp"
	"strings"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/lang/ir"
)

// lower gives the expression that Envoy gets: the attributes that it doesn't
// have are rewritten to those it has, and whatever may be absent is asked for
// before it is read, because an error in an expression counts as "no match".
func lower(t *term) *exprpb.Expr {
	var l lowering
	return l.term(t)
}

// A lowering numbers the nodes that it makes.
type lowering struct{ last int64 }

func (l *lowering) term(t *term) *exprpb.Expr {
	if e := l.grpc(t); e != nil {
		return e
	}
	if e := l.pathMember(t); e != nil {
		return e
	}
	switch t.op {
	case opConst:
		return l.constant(t.val)
	case opRead:
		return l.read(t)
	case opHas:
		return l.has(t)
	case opAnd, opOr:
		return l.junction(t.op, l.terms(t.args))
	case opIn:
		return l.call(opIn, l.term(t.args[0]), l.list(l.terms(t.args[1:])))
	case opStartsWith, opEndsWith, opContains, opMatches:
		return l.member(t.op, l.term(t.args[0]), l.term(t.args[1]))
	}
	if _, ok := timeParts[t.op]; ok {
		return l.member(t.op, l.term(t.args[0]))
	}
	return l.call(t.op, l.terms(t.args)...)
}

func (l *lowering) terms(list []*term) []*exprpb.Expr {
	out := make([]*exprpb.Expr, len(list))
	for i, t := range list {
		out[i] = l.term(t)
	}
	return out
}

// junction joins operands as a balanced tree, so that a long chain stays within
// the nesting that Envoy's protobuf parser allows.
func (l *lowering) junction(op operator, list []*exprpb.Expr) *exprpb.Expr {
	switch len(list) {
	case 0:
		return l.constant(boolValue(op == opAnd))
	case 1:
		return list[0]
	}
	half := (len(list) + 1) / 2
	return l.call(op, l.junction(op, list[:half]), l.junction(op, list[half:]))
}

func (l *lowering) read(t *term) *exprpb.Expr {
	switch t.attr.name {
	case "request.headers", "response.headers":
		root, _ := splitName(t.attr.name)
		return l.header(root, t.key)
	case "request.id":
		return l.header("request", "x-request-id")
	case "request.path": // CONNECT has none
		return l.call(opCond, l.present("request", "path"), l.field("request", "path"), l.constant(stringValue("")))
	case "source.port", "destination.port": // an internal listener's peers have none
		root := t.attr.name[:len(t.attr.name)-len(".port")]
		return l.call(opCond, l.present(root, "port"), l.field(root, "port"), l.constant(intValue(0)))
	case "jwt.claims":
		return l.claim(t.key)
	}
	root, field := splitName(t.attr.name)
	return l.field(root, field)
}

func (l *lowering) header(of, name string) *exprpb.Expr {
	headers := func() *exprpb.Expr { return l.field(of, "headers") }
	key := func() *exprpb.Expr { return l.constant(stringValue(name)) }
	return l.call(opCond,
		l.call(opIn, key(), headers()),
		l.call("_[_]", headers(), key()),
		l.constant(stringValue("")))
}

// pathMember asks for a member of the baggage header: that it has one of some
// values, or none of them. The header's lines are joined by commas, as its members
// are. Several expressions keep each within Envoy's program size.
func (l *lowering) pathMember(t *term) *exprpb.Expr {
	if len(t.args) < 2 || t.args[0].attr != pathMember {
		return nil
	}
	pattern := func(values []string) string {
		const space = "[ \\t]*"
		return "(^|,)" + space + regexp.QuoteMeta(t.args[0].key) + space + "=" + space + "(" + strings.Join(values, "|") + ")" + space + "($|[,;])"
	}
	var any []*exprpb.Expr
	var values []string
	flush := func() {
		any = append(any, l.member(opMatches, l.header("request", ir.PathHeader), l.constant(stringValue(pattern(values)))))
		values = nil
	}
	for _, v := range t.args[1:] {
		more := append(values[:len(values):len(values)], regexp.QuoteMeta(v.val.str))
		if size, err := programSize(pattern(more)); err != nil || size > maxProgramSize && len(values) > 0 {
			flush()
			more = []string{regexp.QuoteMeta(v.val.str)}
		}
		values = more
	}
	flush()
	e := l.junction(opOr, any)
	if t.op == opNe {
		return l.call(opNot, e)
	}
	return e
}

func (l *lowering) has(t *term) *exprpb.Expr {
	if t.attr.name == "jwt.claims" {
		return l.junction(opAnd, l.claimThere(t.key))
	}
	root, field := splitName(t.attr.name)
	return l.call(opIn, l.constant(stringValue(t.key)), l.field(root, field))
}

// A claim is in the metadata of the jwt_authn filter, under the key that its
// payload_in_metadata names. One that is not a string reads as "".
func (l *lowering) claim(name string) *exprpb.Expr {
	there := append(l.claimThere(name),
		l.call(opEq, l.call("type", l.claims(name)), l.ident("string")))
	return l.call(opCond, l.junction(opAnd, there), l.claims(name), l.constant(stringValue("")))
}

// claimThere tests step by step. An operand to the right of a false one may be
// an error: && is false all the same.
func (l *lowering) claimThere(name string) []*exprpb.Expr {
	steps := []string{ir.JWTMetadata, ir.JWTPayload, name}
	var out []*exprpb.Expr
	for i, s := range steps {
		out = append(out, l.call(opIn, l.constant(stringValue(s)), l.metadata(steps[:i]...)))
	}
	return out
}

func (l *lowering) claims(name string) *exprpb.Expr {
	return l.metadata(ir.JWTMetadata, ir.JWTPayload, name)
}

func (l *lowering) metadata(keys ...string) *exprpb.Expr {
	e := l.field("metadata", "filter_metadata")
	for _, k := range keys {
		e = l.call("_[_]", e, l.constant(stringValue(k)))
	}
	return e
}

func splitName(name string) (root, field string) {
	for i := range name {
		if name[i] == '.' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

func (l *lowering) id() int64 {
	l.last++
	return l.last
}

func (l *lowering) constant(v value) *exprpb.Expr {
	c := &exprpb.Constant{}
	switch v.kind {
	case kindString:
		c.ConstantKind = &exprpb.Constant_StringValue{StringValue: v.str}
	case kindInt:
		c.ConstantKind = &exprpb.Constant_Int64Value{Int64Value: v.num}
	case kindBool:
		c.ConstantKind = &exprpb.Constant_BoolValue{BoolValue: v.yes}
	case kindTime:
		return l.call("timestamp", l.constant(stringValue(v.str)))
	}
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_ConstExpr{ConstExpr: c}}
}

func (l *lowering) ident(name string) *exprpb.Expr {
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_IdentExpr{IdentExpr: &exprpb.Expr_Ident{Name: name}}}
}

func (l *lowering) field(root, name string) *exprpb.Expr { return l.selection(root, name, false) }

// present is has(root.name).
func (l *lowering) present(root, name string) *exprpb.Expr { return l.selection(root, name, true) }

func (l *lowering) selection(root, name string, test bool) *exprpb.Expr {
	sel := &exprpb.Expr_Select{Operand: l.ident(root), Field: name, TestOnly: test}
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_SelectExpr{SelectExpr: sel}}
}

func (l *lowering) call(op operator, args ...*exprpb.Expr) *exprpb.Expr {
	c := &exprpb.Expr_Call{Function: string(op), Args: args}
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_CallExpr{CallExpr: c}}
}

func (l *lowering) member(op operator, target *exprpb.Expr, args ...*exprpb.Expr) *exprpb.Expr {
	c := &exprpb.Expr_Call{Target: target, Function: string(op), Args: args}
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_CallExpr{CallExpr: c}}
}

func (l *lowering) list(elems []*exprpb.Expr) *exprpb.Expr {
	c := &exprpb.Expr_CreateList{Elements: elems}
	return &exprpb.Expr{Id: l.id(), ExprKind: &exprpb.Expr_ListExpr{ListExpr: c}}
}
