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
	// The reads that the graph answers of either end, once each.
	source, destination facts
	folded              map[[2]int32]foldResult
	residuals           residuals
}

type foldResult struct {
	verdict  verdict
	residual *ir.Condition
}

// residuals are what conditions leave to the proxy, by their text, with the
// terms that they were lowered from. Equal ones are one, so that they can be
// told apart by their addresses.
type residuals struct {
	byText map[string]*ir.Condition
	terms  map[*ir.Condition]*term
}

func newResiduals() residuals {
	return residuals{map[string]*ir.Condition{}, map[*ir.Condition]*term{}}
}

// of lowers a term that is no constant. at is the condition it comes from.
func (r residuals) of(t *term, at diag.Span) *ir.Condition {
	text := t.String()
	c := r.byText[text]
	if c == nil {
		c = &ir.Condition{Expr: lower(t), Text: text, Reads: readNames(t), At: at}
		r.byText[text] = c
		r.terms[c] = t
	}
	return c
}

// facts are what the graph says of one end of a call. Nodes of which it says
// the same have the same number.
type facts struct {
	reads  []*term
	number map[graph.Node]int32
	known  []map[string]value // by number
	byText map[string]int32
}

func newFacts() facts {
	return facts{number: map[graph.Node]int32{}, byText: map[string]int32{}}
}

func (f *facts) add(t *term) {
	text := t.String()
	if !slices.ContainsFunc(f.reads, func(r *term) bool { return r.String() == text }) {
		f.reads = append(f.reads, t)
	}
}

// of gives the number of what is known of a node; 0 where nothing is asked.
func (f *facts) of(n graph.Node) int32 {
	if len(f.reads) == 0 {
		return 0
	}
	if id, ok := f.number[n]; ok {
		return id
	}
	var key strings.Builder
	for _, t := range f.reads {
		key.WriteString(t.attr.static(t, n, n).String())
		key.WriteByte('\n')
	}
	id, ok := f.byText[key.String()]
	if !ok {
		id = int32(len(f.known))
		known := make(map[string]value, len(f.reads))
		for _, t := range f.reads {
			known[t.String()] = t.attr.static(t, n, n)
		}
		f.byText[key.String()] = id
		f.known = append(f.known, known)
	}
	f.number[n] = id
	return id
}

// numbered gives what a number stands for.
func (f *facts) numbered(id int32) map[string]value {
	if len(f.reads) == 0 {
		return nil
	}
	return f.known[id]
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
	c := &condition{
		at: expr.At, readsAt: map[string]diag.Span{}, folded: map[[2]int32]foldResult{},
		source: newFacts(), destination: newFacts(), residuals: newResiduals(),
	}
	root.walk(func(t *term) {
		if t.attr == nil {
			return
		}
		if _, ok := c.readsAt[t.readName()]; !ok {
			c.readsAt[t.readName()] = t.at
		}
		switch {
		case t.attr.static == nil:
		case covers("source", t.attr.name):
			c.source.add(t)
		default:
			c.destination.add(t)
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
	key := [2]int32{c.source.of(from), c.destination.of(to)}
	r, ok := c.folded[key]
	if !ok {
		r = c.foldWith(c.source.numbered(key[0]), c.destination.numbered(key[1]))
		c.folded[key] = r
	}
	return r.verdict, r.residual
}

func (c *condition) foldWith(source, destination map[string]value) foldResult {
	left := simplify(c.root.substitute(source).substitute(destination))
	switch {
	case left.isTrue():
		return foldResult{verdict: always}
	case left.isFalse():
		return foldResult{verdict: never}
	}
	return foldResult{depends, c.residuals.of(left, c.at)}
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
