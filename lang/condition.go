package lang

import (
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A condition is one `when`, type-checked in the environment of one plane.
type condition struct {
	// reads are the attributes it looks at, as written in facts and rules:
	// `request.path`, `request.headers["x"]`, `source.labels["a"]`; sorted.
	reads []string
}

// verdict of folding a condition on one edge.
type verdict uint8

const (
	depends verdict = iota // the proxy decides, by the residual
	always
	never
)

// compileCondition type-checks an expression for a plane and holds it to the
// subset that Envoy runs. After an error in the bag it gives nil.
func compileCondition(expr syntax.CEL, plane graph.Plane, bag *diag.Bag) *condition {
	panic("not built")
}

// fold evaluates what the graph knows of an edge. The residual is nil unless
// the verdict is depends.
func (c *condition) fold(from, to graph.Node) (verdict, *ir.Condition) {
	panic("not built")
}

// sameCondition reports whether two residuals (nil: always) are the same
// expression.
func sameCondition(a, b *ir.Condition) bool {
	panic("not built")
}
