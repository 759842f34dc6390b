package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A condition is one `when`, type-checked in the environment of one plane.
//
// Folding remembers what it found, so one condition must not be folded from two
// goroutines at once.
type condition struct {
	// reads are the attributes it looks at, as written in facts and rules:
	// `request.path`, `request.headers["x"]`, `source.labels["a"]`, and
	// `jwt.claims` for any claim; sorted.
	reads []string

	root    *term
	at      diag.Span
	readsAt map[string]diag.Span
	static  []*term // the reads that the graph answers, once each
	folded  map[string]foldResult
}

type foldResult struct {
	verdict  verdict
	residual *ir.Condition
}

// verdict of folding a condition on one edge.
type verdict uint8

const (
	depends verdict = iota // the proxy decides, by the residual
	always
	never
)

// compileCondition type-checks an expression for a plane and holds it to the
// subset that Envoy runs and that can't fail while it runs. After an error in
// the bag it gives nil; all errors of the expression are reported.
func compileCondition(expr syntax.CEL, plane graph.Plane, bag *diag.Bag) *condition {
	root := compileCEL(expr, plane, bag)
	if root == nil {
		return nil
	}
	c := &condition{at: expr.At, readsAt: map[string]diag.Span{}, folded: map[string]foldResult{}}
	seen := map[string]bool{}
	root.walk(func(t *term) {
		if t.attr == nil {
			return
		}
		if _, ok := c.readsAt[t.readName()]; !ok {
			c.readsAt[t.readName()] = t.at
		}
		if text := t.String(); t.attr.static != nil && !seen[text] {
			seen[text] = true
			c.static = append(c.static, t)
		}
	})
	c.reads = readNames(root)
	c.root = simplify(root)
	return c
}

// readAt is where the condition first reads an attribute, as named in reads;
// the whole condition for one that it doesn't read.
func (c *condition) readAt(attr string) diag.Span {
	if at, ok := c.readsAt[attr]; ok {
		return at
	}
	return c.at
}

// fold evaluates what the graph knows of an edge. The residual is nil unless
// the verdict is depends. Edges of which the graph says the same share one
// residual.
func (c *condition) fold(from, to graph.Node) (verdict, *ir.Condition) {
	facts := make(map[string]value, len(c.static))
	var key strings.Builder
	for _, t := range c.static {
		v := t.attr.static(t, from, to)
		facts[t.String()] = v
		key.WriteString(v.String())
		key.WriteByte('\n')
	}
	if r, ok := c.folded[key.String()]; ok {
		return r.verdict, r.residual
	}
	r := c.foldWith(facts)
	c.folded[key.String()] = r
	return r.verdict, r.residual
}

func (c *condition) foldWith(facts map[string]value) foldResult {
	left := simplify(c.root.substitute(facts))
	switch {
	case left.isTrue():
		return foldResult{verdict: always}
	case left.isFalse():
		return foldResult{verdict: never}
	}
	return foldResult{depends, &ir.Condition{
		Expr:  lower(left),
		Text:  left.String(),
		Reads: readNames(left),
		At:    c.at,
	}}
}

func readNames(root *term) []string {
	names := []string{}
	root.walk(func(t *term) {
		if t.attr != nil {
			names = append(names, t.readName())
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// sameCondition reports whether two residuals (nil: always) are the same
// expression.
func sameCondition(a, b *ir.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	// Text is printed from the tree that Expr is made of, so it decides.
	return a.Text == b.Text
}
