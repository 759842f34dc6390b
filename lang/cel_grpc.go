package lang

import (
	"regexp"
	"strings"

	"github.com/google/cel-go/common/ast"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// Envoy has no attribute for the service and the method of a gRPC call: they are
// parts of the path, /service/method. The service is what stands between the
// first slash and the second, "" without a second; the method is what follows
// the last one.

// grpcUse holds grpc.service and grpc.method to comparisons with constants,
// which can be rewritten to the path.
func (c *compiler) grpcUse(e ast.Expr, t *term) bool {
	for i, a := range t.args {
		if a.op != opRead || !strings.HasPrefix(a.attr.name, "grpc.") {
			continue
		}
		if problem, hint := grpcProblem(t, i); problem != "" {
			c.errorf(e, CELUnsupported, t.at, "%s %s", a.attr.name, problem).WithHint("%s", hint)
			return false
		}
	}
	return true
}

func grpcProblem(t *term, i int) (problem, hint string) {
	const shape = "is part of the path in Envoy, and can only be compared with constants"
	const shapeHint = "use ==, !=, in, startsWith, endsWith or contains with a string"
	switch t.op {
	case opEq, opNe:
	case opIn, opStartsWith, opEndsWith, opContains:
		if i != 0 {
			return shape, shapeHint
		}
	default:
		return shape, shapeHint
	}
	for j, o := range t.args {
		switch {
		case j == i:
		case o.op != opConst:
			return shape, shapeHint
		case o.val.str == "":
			return "is never empty", "every gRPC call names a service and a method"
		case strings.Contains(o.val.str, "/"):
			return "has no slash in it", "compare request.url_path with the whole: /package.Service/Method"
		}
		if p := grpcPattern(t.args[i].attr.name == "grpc.service", t.op, o.val.str); p != "" && j != i {
			if size, err := programSize(p); err != nil || size > maxProgramSize {
				return "is compared with a text too long for an expression that Envoy accepts", "compare a shorter part of it"
			}
		}
	}
	return "", ""
}

// grpc rewrites a comparison of grpc.service or grpc.method with constants to
// one of the path; nil for any other term. compileCEL lets no other use of them
// through.
func (l *lowering) grpc(t *term) *exprpb.Expr {
	if len(t.args) == 0 {
		return nil
	}
	left, others := t.args[0], t.args[1:]
	if left.op == opConst && len(others) == 1 {
		left, others = others[0], []*term{left}
	}
	if left.op != opRead || left.attr.planes[0] != grpcOnly[0] || len(left.attr.planes) != 1 {
		return nil
	}
	service := left.attr.name == "grpc.service"
	var tests []*exprpb.Expr
	for _, o := range others {
		tests = append(tests, l.grpcTest(service, t.op, o.val.str))
	}
	e := l.junction(opOr, tests)
	if t.op == opNe {
		return l.call(opNot, e)
	}
	return e
}

func (l *lowering) grpcTest(service bool, op operator, text string) *exprpb.Expr {
	switch op {
	case opEq, opNe, opIn:
		if service {
			return l.ofPath(opStartsWith, "/"+text+"/")
		}
		return l.ofPath(opEndsWith, "/"+text)
	case opStartsWith:
		if service {
			return l.call(opAnd, l.ofPath(opStartsWith, "/"+text), l.ofPath(opMatches, "^/[^/]*/"))
		}
	case opEndsWith:
		if !service {
			return l.ofPath(opEndsWith, text)
		}
	}
	return l.ofPath(opMatches, grpcPattern(service, op, text))
}

// grpcPattern is the expression over the path where no plain comparison says
// it.
func grpcPattern(service bool, op operator, text string) string {
	q := regexp.QuoteMeta(text)
	switch {
	case service && op == opEndsWith:
		return "^/[^/]*" + q + "/"
	case service && op == opContains:
		return "^/[^/]*" + q + "[^/]*/"
	case !service && op == opStartsWith:
		return "/" + q + "[^/]*$"
	case !service && op == opContains:
		return q + "[^/]*$"
	}
	return ""
}

func (l *lowering) ofPath(op operator, text string) *exprpb.Expr {
	return l.member(op, l.field("request", "url_path"), l.constant(stringValue(text)))
}
