package lang

import (
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/lang/diag"
)

// take makes a term of a node that Envoy runs and that can't fail; nil, once
// something is reported, for any other. Operands are taken first, so that all
// that is wrong inside is said.
func (c *compiler) take(e ast.Expr) *term {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.takeLiteral(e)
	case ast.IdentKind, ast.SelectKind:
		return c.takeName(e)
	case ast.CallKind:
		return c.takeCall(e)
	case ast.ListKind:
		if !c.failedWithin(e) {
			c.errorf(e, CELUnsupported, c.span(e), "a list stands only to the right of in")
		}
	}
	return nil // reported by resolve
}

func (c *compiler) takeLiteral(e ast.Expr) *term {
	v, ok := literalValue(e.AsLiteral())
	if !ok {
		if !c.failed[e.ID()] {
			c.errorf(e, CELUnsupported, c.span(e), "no attribute is a %s", e.AsLiteral().Type().TypeName()).
				WithHint("there are strings, whole numbers and booleans")
		}
		return nil
	}
	return &term{op: opConst, kind: v.kind, val: v, at: c.span(e)}
}

func literalValue(v ref.Val) (value, bool) {
	switch v := v.(type) {
	case types.String:
		return stringValue(string(v)), true
	case types.Int:
		return intValue(int64(v)), true
	case types.Bool:
		return boolValue(bool(v)), true
	}
	return value{}, false
}

func (c *compiler) takeName(e ast.Expr) *term {
	if e.Kind() == ast.SelectKind && c.found[e.ID()] == nil && !c.failedWithin(e) {
		c.errorf(e, CELUnsupported, c.span(e), "only a name has fields")
	}
	n := c.found[e.ID()]
	if n == nil || c.failedWithin(e) {
		return nil
	}
	test := e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly()
	switch {
	case test:
		return c.takeKey(e, opHas, n.attr, n.key, n.at)
	case n.key != "":
		return c.takeKey(e, opRead, n.attr, n.key, n.at)
	case n.attr.kind == kindMap:
		c.errorf(e, CELUnsupported, n.at, "%s can be read only by a key", n.attr.name).
			WithHint(`%s["name"], or "name" in %s`, n.attr.name, n.attr.name)
		return nil
	}
	return &term{op: opRead, kind: n.attr.kind, attr: n.attr, at: n.at}
}

// takeKey reads or asks for one key of a map attribute.
func (c *compiler) takeKey(e ast.Expr, op operator, a *attribute, key string, at diag.Span) *term {
	if a.name == "request.headers" || a.name == "response.headers" {
		key = strings.ToLower(key)
		if better, pseudo := pseudoHeaders[a.name][key]; pseudo {
			c.errorf(e, CELUnsupported, at, "%s is not a header that a condition reads by name", key).
				WithHint("it is %s", better).WithFix(at, better)
			return nil
		}
		if !isToken(key) {
			c.errorf(e, CELType, at, "%q is not the name of a header", key)
			return nil
		}
		if slices.Contains(ofOneConnection, key) {
			c.errorf(e, CELUnsupported, at, "%s is about one connection (RFC 9110, section 7.6.1), and is taken off before a policy looks", key)
			return nil
		}
		if strings.HasPrefix(key, "x-admc-") {
			c.errorf(e, CELUnsupported, at, "%s is a header of the ADM's own", key)
			return nil
		}
	}
	k := kindString
	if op == opHas {
		k = kindBool
	}
	return &term{op: op, kind: k, attr: a, key: key, at: at}
}

// ofOneConnection are headers that a proxy reads itself and doesn't keep. (It does
// keep `connection` beside `upgrade: websocket`.)
var ofOneConnection = []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding"}

// pseudoHeaders are what Envoy keeps in its header maps under another name.
var pseudoHeaders = map[string]map[string]string{
	"request.headers": {
		"host": "request.host", ":authority": "request.host", ":path": "request.path",
		":method": "request.method", ":scheme": "request.scheme",
	},
	"response.headers": {":status": "response.code"},
}

func (c *compiler) takeCall(e ast.Expr) *term {
	call := e.AsCall()
	op := operator(call.FunctionName())
	switch {
	case op == "_[_]":
		return c.takeIndex(e, call.Args()[0], call.Args()[1])
	case op == opIn && c.isMap(call.Args()[1]):
		return c.takePresence(e, call.Args()[0], call.Args()[1])
	case op == opIn:
		return c.takeIn(e, call.Args()[0], call.Args()[1])
	case op == "timestamp":
		return c.takeTimestamp(e, call.Args())
	}
	operands := call.Args()
	if call.IsMemberFunction() {
		operands = append([]ast.Expr{call.Target()}, operands...)
	}
	if why, ok := c.refusal(e, op); ok {
		c.refuseCall(e, why, operands)
		return nil
	}
	args := c.takeAll(operands)
	if args == nil || c.failed[e.ID()] {
		return nil
	}
	k, ok := resultKind(op, args)
	if !ok {
		c.errorf(e, CELUnsupported, c.callSpan(e), "%s of %s is not something that conditions do", operatorName(op), kindNames(args))
		return nil
	}
	t := &term{op: op, kind: k, args: args, at: c.callSpan(e)}
	if op == opMatches && !c.pattern(e, args[1]) || !c.grpcUse(e, t) {
		return nil
	}
	return t
}

func (c *compiler) takeAll(list []ast.Expr) []*term {
	out := make([]*term, 0, len(list))
	for _, e := range list {
		if t := c.take(e); t != nil {
			out = append(out, t)
		}
	}
	if len(out) < len(list) {
		return nil
	}
	return out
}

// resultKind is the kind that an operator gives for operands of these kinds.
func resultKind(op operator, args []*term) (kind, bool) {
	all := func(k kind) bool {
		for _, a := range args {
			if a.kind != k {
				return false
			}
		}
		return true
	}
	switch op {
	case opNot, opAnd, opOr:
		return kindBool, all(kindBool)
	case opCond:
		return args[1].kind, args[0].kind == kindBool && args[1].kind == args[2].kind
	case opEq, opNe:
		return kindBool, args[0].kind == args[1].kind
	case opLt, opLe, opGt, opGe:
		return kindBool, args[0].kind == args[1].kind && args[0].kind != kindBool
	case opStartsWith, opEndsWith, opContains, opMatches:
		return kindBool, len(args) == 2 && all(kindString)
	case opSize:
		return kindInt, len(args) == 1 && all(kindString)
	}
	_, part := timeParts[op]
	return kindInt, part && len(args) == 1 && all(kindTime)
}

func kindNames(args []*term) string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = a.kind.String()
	}
	return strings.Join(names, " and ")
}

func operatorName(op operator) string {
	if sign, ok := signs[string(op)]; ok {
		return sign
	}
	if op == opCond {
		return "? :"
	}
	return string(op)
}

// accepted are the operators that take any operands of their kinds. The others
// that conditions have are more particular: _[_], @in, has, timestamp and the
// parts of a time.
var accepted = []operator{opNot, opAnd, opOr, opCond, opEq, opNe, opLt, opLe, opGt, opGe,
	opStartsWith, opEndsWith, opContains, opMatches, opSize}

// refusal says why an operator of CEL is not accepted, and what to do.
func (c *compiler) refusal(e ast.Expr, op operator) ([2]string, bool) {
	if slices.Contains(accepted, op) {
		return [2]string{}, false
	}
	switch op {
	case "_+_":
		return [2]string{"+ joins strings, which Envoy does not do, and may overflow on numbers", "compare the parts one by one, or write the number"}, true
	case "_-_", "_*_", "-_":
		return [2]string{signs[string(op)] + " may overflow when the condition runs, and Envoy then takes it as not fulfilled", "write the number"}, true
	case "_/_", "_%_":
		return [2]string{signs[string(op)] + " may divide by zero when the condition runs, and Envoy then takes it as not fulfilled", "write the number"}, true
	case "string", "int", "uint", "double", "bool", "bytes", "dyn", "type", "duration":
		return [2]string{string(op) + "() converts, which may fail when the condition runs, and Envoy then takes it as not fulfilled", "compare values of one type: a header with a string, a port with a number"}, true
	}
	if _, ok := timeParts[op]; ok {
		if len(e.AsCall().Args()) > 0 {
			return [2]string{string(op) + " with a time zone depends on the files of the proxy's image", "leave it out: the time is UTC"}, true
		}
		return [2]string{}, false
	}
	return [2]string{string(op) + " is not something that conditions do", stringHint}, true
}

func (c *compiler) refuseCall(e ast.Expr, why [2]string, operands []ast.Expr) {
	c.takeAll(operands)
	if !c.failed[e.ID()] {
		c.errorf(e, CELUnsupported, c.callSpan(e), "%s", why[0]).WithHint("%s", why[1])
	}
}

// isMap reports whether e names a map attribute, or one that was refused.
func (c *compiler) isMap(e ast.Expr) bool {
	n := c.found[e.ID()]
	return n != nil && n.attr.kind == kindMap && n.key == ""
}

// keyOf gives the constant key of a map attribute.
func (c *compiler) keyOf(e ast.Expr) (string, bool) {
	if e.Kind() == ast.LiteralKind {
		s, ok := e.AsLiteral().(types.String)
		return string(s), ok
	}
	if c.take(e) != nil {
		c.errorf(e, CELUnsupported, c.span(e), "a header, a claim or a label is named by a string constant")
	}
	return "", false
}

func (c *compiler) takeIndex(e, of, index ast.Expr) *term {
	if !c.isMap(of) {
		if !c.failedWithin(e) {
			c.errorf(e, CELUnsupported, c.callSpan(e), "[ ] may fail when the condition runs, except on headers, claims and labels")
		}
		return nil
	}
	key, ok := c.keyOf(index)
	if !ok || c.failed[e.ID()] {
		return nil
	}
	_, end := c.token(index.ID())
	for end < len(c.runes) && c.runes[end] != ']' {
		end++
	}
	n := c.found[of.ID()]
	return c.takeKey(e, opRead, n.attr, key, n.at.To(c.between(end, end+1)))
}

func (c *compiler) takePresence(e, index, of ast.Expr) *term {
	key, ok := c.keyOf(index)
	if !ok || c.failed[e.ID()] {
		return nil
	}
	n := c.found[of.ID()]
	return c.takeKey(e, opHas, n.attr, key, c.span(index).To(n.at))
}

func (c *compiler) takeIn(e, left, list ast.Expr) *term {
	t := c.take(left)
	if list.Kind() != ast.ListKind {
		if !c.failedWithin(e) {
			c.errorf(list, CELUnsupported, c.span(list), "in takes a list that is written out, or request.headers, jwt.claims or labels")
		}
		return nil
	}
	args := []*term{t}
	for _, elem := range list.AsList().Elements() {
		v := c.takeElement(elem, t)
		if v == nil {
			t = nil
			continue
		}
		args = append(args, v)
	}
	if t == nil || c.failedWithin(e) {
		return nil
	}
	in := &term{op: opIn, kind: kindBool, args: args, at: c.callSpan(e)}
	if !c.grpcUse(e, in) {
		return nil
	}
	return in
}

// takeElement takes one constant of a list in which left is looked for.
func (c *compiler) takeElement(e ast.Expr, left *term) *term {
	v := c.take(e)
	switch {
	case v == nil || left == nil:
		return v
	case v.op != opConst:
		c.errorf(e, CELUnsupported, c.span(e), "the list after in has constants only").WithHint("use == and ||")
		return nil
	case v.kind != left.kind:
		c.errorf(e, CELType, c.span(e), "a %s is never in a list with a %s: %s", left.kind, v.kind, v)
		return nil
	}
	return v
}

func (c *compiler) takeTimestamp(e ast.Expr, args []ast.Expr) *term {
	taken := c.takeAll(args)
	if taken == nil || c.failed[e.ID()] {
		return nil
	}
	if len(taken) != 1 || taken[0].op != opConst || taken[0].kind != kindString {
		c.errorf(e, CELUnsupported, c.callSpan(e), "timestamp() takes a constant: anything else may fail when the condition runs")
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, taken[0].val.str)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		c.errorf(args[0], CELType, c.span(args[0]), "%s is not a time", taken[0]).WithHint(`write "2026-03-01T00:00:00Z"`)
		return nil
	}
	return &term{op: opConst, kind: kindTime, val: value{kind: kindTime, str: taken[0].val.str}, at: c.callSpan(e)}
}

// pattern checks the regular expression of matches.
func (c *compiler) pattern(e ast.Expr, p *term) bool {
	if p.op != opConst {
		c.errorf(e, CELUnsupported, c.callSpan(e), "matches takes a constant: any other expression may be invalid when the condition runs")
		return false
	}
	size, err := programSize(p.val.str)
	switch {
	case err != nil:
		c.errorf(e, CELType, p.at, "%v", err)
		return false
	case size > maxProgramSize:
		c.errorf(e, CELUnsupported, p.at, "the regular expression is larger than Envoy accepts: about %d steps, %d are allowed", size, maxProgramSize).
			WithHint("%s", "use startsWith, endsWith, contains or in; shorten repetitions and character classes")
		return false
	}
	return true
}

// warn reports what is legal and almost never meant: request.path has the query
// string in it, so that a rule about it is walked round by adding one.
func (c *compiler) warn(root *term) {
	root.walk(func(t *term) {
		switch t.op {
		case opEq, opNe, opIn, opEndsWith:
		default:
			return
		}
		var path *term
		var constants []*term
		for _, a := range t.args {
			if a.op == opRead && a.attr.name == "request.path" {
				path = a
			} else if a.op == opConst && !strings.Contains(a.val.str, "?") {
				constants = append(constants, a)
			}
		}
		if path == nil || len(constants) == 0 || path != t.args[0] && t.op == opEndsWith {
			return
		}
		c.bag.Warnf(path.at, PathCarriesQuery, "request.path has the query string in it: %s is not %s when something follows the ?",
			path.attr.name, constants[0]).
			WithHint("did you mean request.url_path?").WithFix(path.at, "request.url_path")
	})
}

// maxDepth of the lowered expression. Envoy reads its configuration with a limit
// of 100 nested messages and lists, and a step of an expression takes three.
const maxDepth = 20

func depth(e *exprpb.Expr) int {
	deepest := 0
	down := func(list ...*exprpb.Expr) {
		for _, x := range list {
			if x != nil {
				deepest = max(deepest, depth(x))
			}
		}
	}
	down(e.GetCallExpr().GetTarget(), e.GetSelectExpr().GetOperand())
	down(e.GetCallExpr().GetArgs()...)
	down(e.GetListExpr().GetElements()...)
	return deepest + 1
}
