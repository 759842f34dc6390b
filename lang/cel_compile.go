package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// Compiling an expression takes four steps, each of which reports all it finds
// and leaves alone what an earlier one has reported:
//
//	parse    cel-go's parser                               cel-syntax
//	resolve  each dotted name against the attributes       unknown-attribute, …
//	check    cel-go's type checker                         cel-type
//	take     each node, if it is of the subset that        cel-unsupported
//	         Envoy runs and that can't fail, as a term
//
// The last one is a list of what is let in, so that a construct that nobody
// thought of is refused.
type compiler struct {
	*celText
	plane  graph.Plane
	bag    *diag.Bag
	expr   ast.Expr
	failed map[int64]bool // nodes that were complained about
	found  map[int64]*name
	broken bool // an error was reported
}

// A name is a dotted path that stands for an attribute, or for one key of it.
type name struct {
	attr *attribute
	key  string // request.headers.accept: "accept"
	at   diag.Span
}

// compileCEL gives the checked expression, nil after an error.
func compileCEL(expr syntax.CEL, plane graph.Plane, bag *diag.Bag) *term {
	if strings.TrimSpace(expr.Text) == "" {
		bag.Errorf(expr.At, CELSyntax, "the condition is empty")
		return nil
	}
	parsed, issues := parserEnv().Parse(expr.Text)
	text := newCELText(expr)
	if issues.Err() != nil {
		text.syntaxErrors(issues.Errors(), bag)
		return nil
	}
	text.info = parsed.NativeRep().SourceInfo()
	c := &compiler{
		celText: text, plane: plane, bag: bag, expr: parsed.NativeRep().Expr(),
		failed: map[int64]bool{}, found: map[int64]*name{},
	}
	unknown := map[string]bool{}
	c.resolve(c.expr, unknown)
	c.check(parsed, unknown)
	root := c.take(c.expr)
	if root != nil && root.kind != kindBool {
		c.errorf(c.expr, CELType, c.span(c.expr), "a condition is true or false, and this is a %s", root.kind)
	}
	if root == nil && !c.broken {
		c.errorf(c.expr, CELUnsupported, expr.At, "this is not something that conditions do")
	}
	if c.broken {
		return nil
	}
	c.warn(root)
	if max(depth(lower(root)), depth(lower(simplify(root)))) > maxDepth {
		bag.Errorf(expr.At, ConditionTooLarge, "the condition is nested more deeply than Envoy's configuration allows").
			WithHint("split it into two policies")
		return nil
	}
	return root
}

// errorf reports a node once; its parents are not complained about.
func (c *compiler) errorf(e ast.Expr, code diag.Code, at diag.Span, format string, args ...any) *diag.Diagnostic {
	c.failed[e.ID()] = true
	c.broken = true
	return c.bag.Errorf(at, code, format, args...)
}

// resolve finds the attributes. A name that is none is put into unknown, to be
// declared without a type: then the checker has nothing to add.
func (c *compiler) resolve(e ast.Expr, unknown map[string]bool) {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		if path := dotted(e); path != "" {
			c.resolveName(e, path, unknown)
			return
		}
		c.resolve(e.AsSelect().Operand(), unknown)
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			c.resolve(call.Target(), unknown)
		}
		for _, a := range call.Args() {
			c.resolve(a, unknown)
		}
	case ast.ListKind:
		for _, a := range e.AsList().Elements() {
			c.resolve(a, unknown)
		}
	case ast.ComprehensionKind:
		c.macro(e)
	case ast.MapKind, ast.StructKind:
		c.errorf(e, CELUnsupported, c.span(e), "maps and messages can't be made in a condition")
	}
}

// dotted gives a.b.c of a chain of selections that starts at an identifier; ""
// for anything else.
func dotted(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		if path := dotted(e.AsSelect().Operand()); path != "" {
			return path + "." + e.AsSelect().FieldName()
		}
	}
	return ""
}

func (c *compiler) resolveName(e ast.Expr, path string, unknown map[string]bool) {
	at := c.span(e)
	c.names[e.ID()] = at
	for prefix, node, key := path, e, ""; ; {
		if a := findAttribute(prefix); a != nil && (key == "" || a.kind == kindMap && !strings.Contains(key, ".")) {
			c.attribute(e, node, a, key, unknown)
			return
		}
		i := strings.LastIndexByte(prefix, '.')
		if i < 0 {
			break
		}
		prefix, key, node = prefix[:i], path[i+1:], node.AsSelect().Operand()
	}
	unknown[declared(e, path)] = true
	d := c.errorf(e, UnknownAttribute, at, "there is no attribute %s", path)
	c.suggest(d, path, at)
}

// attribute records a use of a at e; node is the part of e that names a, key
// what e selects from it.
func (c *compiler) attribute(e, node ast.Expr, a *attribute, key string, unknown map[string]bool) {
	at := c.span(node)
	switch {
	case a.refused != "":
		d := c.errorf(e, AttributeTooLate, at, "%s %s", a.name, a.refused)
		if a.hint != "" {
			d.WithHint("%s", a.hint)
		}
	case !a.on(c.plane):
		c.wrongPlane(e, a, at)
	case key == "" && e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly():
		c.errorf(e, CELUnsupported, at, "has() asks for a header, a claim or a label; %s is always there", a.name)
	default:
		c.found[e.ID()] = &name{attr: a, key: key, at: c.span(e)}
		return
	}
	// The checker takes what follows for granted.
	unknown[declared(node, a.name)] = true
}

// declared is what the checker looks for at e, which is called path: has(a.b)
// has it look for a.
func declared(e ast.Expr, path string) string {
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		return dotted(e.AsSelect().Operand())
	}
	return path
}

func (c *compiler) wrongPlane(e ast.Expr, a *attribute, at diag.Span) {
	if c.plane == graph.TCP {
		c.errorf(e, WrongPlane, at, "there is no %s on tcp, which has connections and no requests", a.name).
			WithHint("a condition on tcp can read %s", strings.Join(attributeNames(c.plane), ", "))
		return
	}
	c.errorf(e, WrongPlane, at, "there is no %s on %s", a.name, c.plane).
		WithHint("say which calls are meant in the on clause: a -> b : %s", a.planes[0])
}

func (c *compiler) suggest(d *diag.Diagnostic, path string, at diag.Span) {
	if better, ok := moved[path]; ok {
		d.WithHint("it is called %s here", better).WithFix(at, better)
		return
	}
	names := attributeNames(c.plane)
	if better := diag.Suggest(path, names); better != "" {
		d.WithHint("did you mean %s?", better).WithFix(at, better)
		return
	}
	root, _, _ := strings.Cut(path, ".")
	var same []string
	for _, n := range names {
		if strings.HasPrefix(n, root+".") {
			same = append(same, n)
		}
	}
	if len(same) > 0 {
		d.WithHint("there are %s", strings.Join(same, ", "))
		return
	}
	var roots []string
	for _, n := range names {
		root, _, _ := strings.Cut(n, ".")
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	d.WithHint("attributes begin with %s", strings.Join(roots, ", "))
}

// macro refuses a comprehension and everything inside it.
func (c *compiler) macro(e ast.Expr) {
	call, at := "a comprehension", c.span(e)
	if m, ok := c.info.GetMacroCall(e.ID()); ok {
		call, at = m.AsCall().FunctionName()+"(…)", c.calleeSpan(e.ID(), m.AsCall().FunctionName())
	}
	c.errorf(e, CELUnsupported, at, "%s is a loop, and Envoy runs none", call).
		WithHint(`write the tests out: request.headers["a"] == "1" || request.headers["b"] == "1"`)
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(inner ast.Expr) { c.failed[inner.ID()] = true }))
}

// check runs the type checker in the plane's environment.
func (c *compiler) check(parsed *cel.Ast, unknown map[string]bool) {
	_, issues := checkerEnv(c.plane, slices.Sorted(maps.Keys(unknown))).Check(parsed)
	if issues.Err() == nil {
		return
	}
	nodes := map[int64]ast.Expr{}
	ast.PostOrderVisit(c.expr, ast.NewExprVisitor(func(e ast.Expr) { nodes[e.ID()] = e }))
	for _, issue := range issues.Errors() {
		e := nodes[issue.ExprID]
		switch {
		case e == nil:
			c.broken = true
			c.bag.Errorf(c.at(issue.Location.Line(), issue.Location.Column()), CELType, "%s", issue.Message)
		case !c.failedWithin(e) && !takesForeign(e) && !c.takesWhole(e):
			c.typeError(e, issue.Message)
		}
	}
}

// takesForeign reports whether an operand is a constant of a kind that take
// refuses, which says more than that the types don't fit.
func takesForeign(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && slices.ContainsFunc(e.AsCall().Args(), func(a ast.Expr) bool {
		if a.Kind() != ast.LiteralKind {
			return false
		}
		_, known := literalValue(a.AsLiteral())
		return !known
	})
}

// takesWhole reports whether all headers, claims or labels stand somewhere in e for
// a value, which take refuses.
func (c *compiler) takesWhole(e ast.Expr) bool {
	var operands []ast.Expr
	switch e.Kind() {
	case ast.IdentKind:
		return c.isMap(e)
	case ast.SelectKind:
		if c.isMap(e) {
			return true
		}
		operands = []ast.Expr{e.AsSelect().Operand()}
		if c.found[e.ID()] != nil {
			operands = nil // by a key
		}
	case ast.ListKind:
		operands = e.AsList().Elements()
	case ast.CallKind:
		call := e.AsCall()
		operands = slices.Clone(call.Args())
		switch fn := call.FunctionName(); {
		case call.IsMemberFunction():
			operands = append(operands, call.Target())
		case fn == "_[_]" && c.isMap(operands[0]):
			operands = operands[1:]
		case fn == string(opIn) && c.isMap(operands[1]):
			operands = operands[:1]
		}
	}
	return slices.ContainsFunc(operands, c.takesWhole)
}

func (c *compiler) failedWithin(e ast.Expr) bool {
	bad := false
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(inner ast.Expr) { bad = bad || c.failed[inner.ID()] }))
	return bad
}

// typeError says in the language's words what cel-go's checker found.
func (c *compiler) typeError(e ast.Expr, message string) {
	if e.Kind() != ast.CallKind {
		c.errorf(e, CELType, c.span(e), "%s", message)
		return
	}
	fn, at := e.AsCall().FunctionName(), c.callSpan(e)
	switch {
	case strings.HasPrefix(message, "undeclared reference"):
		c.unknownFunction(e, fn, at)
		return
	case !strings.HasPrefix(message, "found no matching overload"):
		c.errorf(e, CELType, at, "%s", message)
		return
	}
	_, types, _ := strings.Cut(message, "applied to '")
	types = strings.TrimSuffix(types, "'")
	sign, infix := signs[fn]
	switch {
	case fn == string(opCond):
		c.errorf(e, CELType, at, "? : chooses between two values of one type by a bool, not %s", types)
	case fn == "_[_]":
		c.errorf(e, CELType, at, "[ ] finds a string in a map, not %s", types)
	case fn == string(opIn):
		d := c.errorf(e, CELType, at, "in looks for a value in a list of its type or for a key in a map, not %s", types)
		if types == "(string, string)" {
			d.WithHint("to look inside a string: text.contains(part)")
		}
	case infix:
		c.errorf(e, CELType, at, "%s does not take %s", sign, types)
	default:
		c.errorf(e, CELType, at, "%s does not take %s", fn, types)
	}
}

// offInEnvoy are functions of CEL's extension libraries that users know from
// elsewhere.
var offInEnvoy = []string{
	"lowerAscii", "upperAscii", "split", "join", "substring", "replace", "trim", "charAt", "indexOf",
	"lastIndexOf", "format", "reverse", "quote", "extract", "capture", "captureN", "isIP", "ip", "cidr", "url", "isURL", "base64",
}

func (c *compiler) unknownFunction(e ast.Expr, fn string, at diag.Span) {
	if slices.Contains(offInEnvoy, fn) {
		c.errorf(e, CELUnsupported, at, "%s is of a CEL extension that Envoy does not run", fn).WithHint("%s", stringHint)
		return
	}
	d := c.errorf(e, CELType, at, "there is no function %s", fn)
	known := append(slices.Sorted(maps.Keys(timeParts)), opStartsWith, opEndsWith, opContains, opMatches, opSize)
	names := make([]string, len(known))
	for i, op := range known {
		names[i] = string(op)
	}
	if better := diag.Suggest(fn, names); better != "" {
		d.WithHint("did you mean %s?", better).WithFix(at, better)
	}
}

const stringHint = "strings have ==, in, startsWith, endsWith, contains, matches and size"

// Environments are never changed once made, and making one costs more than all
// that is done with it.
var parserEnv = sync.OnceValue(func() *cel.Env { return mustEnv(cel.NewEnv(cel.EnableMacroCallTracking())) })

var planeEnvs = map[graph.Plane]func() *cel.Env{
	graph.HTTP: sync.OnceValue(func() *cel.Env { return planeEnv(graph.HTTP) }),
	graph.GRPC: sync.OnceValue(func() *cel.Env { return planeEnv(graph.GRPC) }),
	graph.TCP:  sync.OnceValue(func() *cel.Env { return planeEnv(graph.TCP) }),
}

func planeEnv(plane graph.Plane) *cel.Env {
	var options []cel.EnvOption
	for _, a := range attributes {
		if a.on(plane) && a.refused == "" {
			options = append(options, cel.Variable(a.name, celTypes[a.kind]))
		}
	}
	return mustEnv(cel.NewEnv(options...))
}

// checkerEnv has the plane's attributes, and names of which nothing is known.
func checkerEnv(plane graph.Plane, unknown []string) *cel.Env {
	env := planeEnvs[plane]()
	if len(unknown) == 0 {
		return env
	}
	var options []cel.EnvOption
	for _, path := range unknown {
		options = append(options, cel.Variable(path, cel.DynType))
	}
	return mustEnv(env.Extend(options...))
}

func mustEnv(env *cel.Env, err error) *cel.Env {
	if err != nil {
		panic(fmt.Sprintf("condition: %v", err))
	}
	return env
}

var celTypes = map[kind]*cel.Type{
	kindString: cel.StringType,
	kindInt:    cel.IntType,
	kindBool:   cel.BoolType,
	kindTime:   cel.TimestampType,
	kindMap:    cel.MapType(cel.StringType, cel.StringType),
}
