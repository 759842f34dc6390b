package lang

import (
	"cmp"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A policy on its way from the syntax tree to obligations.
type policy struct {
	node     *syntax.Policy
	ir       *ir.Policy
	number   int  // in the order of names
	bad      bool // reported; the program is checked without its obligations
	misnamed bool // a name in its `on` or `path` is wrong: what it matches is not known
	unplaced bool // its annotations contradict each other: the side that is meant is not known
	misread  bool // it may be meant to have @closed
	calls    []*typedCall

	when      *syntax.When
	more      []*syntax.When             // beside the one that it may have
	compiled  map[graph.Plane]*condition // of the planes it touches; nil after an error
	sample    *syntax.Sample
	pins      pins
	edges     []matched // sorted by receiver, port, sender
	paths     []*pathClause
	deciders  []*decider // of its paths
	pathCalls []int32    // of ir.Paths, in the same order
	opened    []matched  // see checker.open; nil: not known yet
	narrowed  bool       // it has `on` beside its paths

	obligations []*obligation
	stamps      []*obligation   // what its paths need at other calls
	guards      map[int32]*term // by call: that a chain matches its paths
	guarding    map[guardKey]foldResult

	priority  int64
	live      []liveEdge                      // on which the condition is not false; of a bad one, those that are known
	owns      map[*typedCall][]liveEdge       // of actions whose edges are not live
	remains   map[[2]*ir.Condition]foldResult // of a condition without another
	residuals residuals                       // made for owns

	closing []*syntax.Edges // the `on` items of a policy with @closed
	named   []matched       // the calls that these name, whichever of them its actions are about

	ahead, behind []*policy // that it names in @before and @after
	fronts        []*policy // with a wrapper, before which it stands by hand
	then          []pin     // what has to come after it
}

// pins are the sides that the user's annotations leave.
type pins struct {
	ingress, egress, strict *syntax.Annotation
	fail, priority          *syntax.Annotation
	closed                  *syntax.Annotation
	before, after           []syntax.Ident // the policies that @before and @after name
}

// placed reports whether an annotation says at which side the policy runs.
func (p pins) placed() bool { return p.ingress != nil || p.egress != nil || p.strict != nil }

// side is the user's own @ingress or @egress; nil without one.
func (p pins) side() *syntax.Annotation {
	if p.ingress != nil {
		return p.ingress
	}
	return p.egress
}

// where is the policy's condition, else its path, else its name.
func (p *policy) where() diag.Span {
	switch {
	case p.when != nil:
		return p.when.Expr.At
	case len(p.paths) > 0:
		return p.paths[0].node.At
	}
	return p.ir.At
}

// readAt is where the condition reads a canonical part; the policy's name where
// it does not.
func (p *policy) readAt(part string, plane graph.Plane) diag.Span {
	cond := p.compiled[plane]
	if cond == nil {
		return p.where()
	}
	for _, raw := range cond.reads {
		if canonical(raw) == part {
			return cond.readAt(raw)
		}
	}
	return p.where()
}

// A matched call, with the place of the `on` item or the path that matched it
// first.
type matched struct {
	call int32
	by   diag.Span
	// mixed: of the chains that end with the call, only some match the policy's
	// paths.
	mixed bool
}

func newPolicy(d *syntax.Policy) *policy {
	return &policy{node: d, ir: &ir.Policy{
		Name: d.Name.Name, At: d.Name.At, Sample: 1, Doc: docText(d.Above),
	}}
}

// policy types the clauses of one policy and matches its edges.
func (c *checker) policy(p *policy) {
	errors, _ := c.bag.Count()
	poisoned := c.annotations(p)
	var on []*syntax.On
	called := false
	for _, cl := range p.node.Clauses {
		switch cl := cl.(type) {
		case *syntax.On:
			on = append(on, cl)
		case *syntax.Path:
			p.paths = append(p.paths, &pathClause{node: cl})
		case *syntax.When:
			if p.when != nil {
				c.second(cl.At, p.when.At, "when", "join the two conditions with &&")
				p.more = append(p.more, cl)
			} else {
				p.when = cl
				p.ir.Condition = strings.TrimSpace(cl.Expr.Text)
			}
		case *syntax.Sample:
			if p.sample != nil {
				c.second(cl.At, p.sample.At, "sample", "leave one")
			} else {
				p.sample = cl
			}
			if cl.Share.Bad {
				poisoned = true
			} else {
				c.share(p, cl)
			}
		case *syntax.Call:
			called = true
			t := c.call(cl)
			if t == nil {
				poisoned = true
				continue
			}
			poisoned = poisoned || t.wrong
			p.calls = append(p.calls, t)
			p.ir.FailClosed = p.ir.FailClosed || t.act.decl.Security
		}
	}
	if len(on) == 0 && len(p.paths) == 0 {
		c.bag.Errorf(p.ir.At, MissingClause, "policy %s says on no edges", p.ir.Name).WithHint("on CALLERS -> RECEIVERS")
	}
	if p.pins.closed != nil {
		c.closes(p, on)
	} else if !called && !p.misread {
		c.bag.Errorf(p.ir.At, MissingClause, "policy %s has no action", p.ir.Name).
			WithHint("say what it does, as in deny() or timeout(1s); `admc doc` lists the actions")
	}
	if p.pins.fail != nil && !p.bad {
		p.ir.FailClosed = failWord(p.pins.fail) == "closed"
	}
	slices.SortStableFunc(p.calls, func(a, b *typedCall) int { return cmp.Compare(a.act.decl.Phase, b.act.decl.Phase) })
	for _, t := range p.calls {
		if !t.wrong {
			p.ir.Actions = append(p.ir.Actions, t.ir)
		}
	}
	c.ownConflicts(p)
	whole := c.match(p, on)
	p.misnamed, p.named = !whole, p.edges
	p.narrowed = len(on) > 0
	for _, cl := range p.paths {
		cl.pattern = c.pattern(cl.node)
		p.misnamed = p.misnamed || cl.pattern == nil
	}
	now, _ := c.bag.Count()
	p.bad = poisoned || now > errors
	if whole && len(on) > 0 && len(p.edges) == 0 && !c.selfContained(p) {
		d := c.bag.Warnf(p.ir.At, NoEdges, "policy %s matches no call of the graph", p.ir.Name)
		if slices.ContainsFunc(on, fromEverybody) {
			d.WithHint("* is every service of the mesh; externals are named, or selected by external")
		}
		c.checkUnmatched(p)
	}
}

// fromEverybody reports an item whose callers are `*`.
func fromEverybody(on *syntax.On) bool {
	return slices.ContainsFunc(on.Edges, func(e *syntax.Edges) bool {
		g, ok := e.From.Term.(*syntax.Glob)
		return ok && g.Pattern == "*"
	})
}

func (c *checker) second(at, first diag.Span, what, hint string) {
	c.bag.Errorf(at, DuplicateClause, "a policy has one %s", what).WithHint("%s", hint).WithNote(first, "the first is here")
}

func (c *checker) share(p *policy, s *syntax.Sample) {
	if s == p.sample {
		p.ir.Sample = s.Share.Float
	}
	if s.Share.Float <= 0 || s.Share.Float > 1 {
		c.bag.Errorf(s.Share.At, BadValue, "a sample is more than 0%% and up to 100%%").
			WithHint("to act on no request leave the policy out")
	}
}

// annotations reads what stands above the policy. All of the language's
// annotations are known here. poisoned: the value of one is no value, and the
// parser said so.
func (c *checker) annotations(p *policy) (poisoned bool) {
	slots := map[string]**syntax.Annotation{
		"priority": &p.pins.priority,
		"ingress":  &p.pins.ingress, "egress": &p.pins.egress, "strict": &p.pins.strict, "fail": &p.pins.fail,
		"closed": &p.pins.closed,
	}
	for _, a := range p.node.Annotations {
		name := a.Name.Name
		slot := slots[name]
		if slices.ContainsFunc(a.Args, hasBadValue) {
			poisoned = true
			continue
		}
		switch {
		case slot != nil && *slot != nil:
			c.bag.Errorf(a.At, BadAnnotation, "@%s is there twice", name).WithNote((*slot).At, "the first is here")
			c.annotationArguments(p, a)
		case slot != nil:
			*slot = a
			c.annotationArguments(p, a)
		case name == "before":
			p.pins.before = append(p.pins.before, c.policyNames(a)...)
		case name == "after":
			p.pins.after = append(p.pins.after, c.policyNames(a)...)
		default:
			d := c.bag.Errorf(a.Name.At, UnknownAnnotation, "there is no annotation @%s", name)
			near := diag.Suggest(name, annotationNames)
			if near != "" {
				d.WithHint("did you mean @%s?", near).WithFix(a.Name.At, near)
			} else {
				d.WithHint("the annotations are @%s", strings.Join(annotationNames, ", @"))
			}
			switch near {
			case "ingress", "egress", "strict":
				p.unplaced = true
			case "closed":
				p.misread = true
			}
		}
	}
	contradict := func(a, b *syntax.Annotation, why string) bool {
		if a == nil || b == nil {
			return false
		}
		c.bag.Errorf(b.At, BadAnnotation, "@%s contradicts @%s: %s", b.Name.Name, a.Name.Name, why).
			WithNote(a.At, "@%s is here", a.Name.Name)
		return true
	}
	sides := contradict(p.pins.ingress, p.pins.egress, "a policy is enforced at one side")
	if contradict(p.pins.strict, p.pins.egress, "what must hold against the caller's own pod is enforced at the receiver") || sides {
		p.pins.ingress, p.pins.egress, p.pins.strict = nil, nil, nil // which was meant is not known
		p.unplaced = true
	}
	return poisoned
}

var annotationNames = []string{"ingress", "egress", "strict", "fail", "before", "after", "priority", "closed"}

func hasBadValue(a *syntax.Arg) bool {
	l, ok := a.Value.(*syntax.Literal)
	return ok && l.Bad
}

// policyNames are the arguments of @before and @after.
func (c *checker) policyNames(a *syntax.Annotation) []syntax.Ident {
	var out []syntax.Ident
	for _, arg := range a.Args {
		l, ok := arg.Value.(*syntax.Literal)
		if arg.Name != nil || !ok || l.Kind != syntax.Word && l.Kind != syntax.String {
			c.bag.Errorf(arg.At, BadAnnotation, "@%s takes the names of policies", a.Name.Name)
			continue
		}
		out = append(out, syntax.Ident{Base: l.Base, Name: l.Str})
	}
	if len(a.Args) == 0 {
		c.bag.Errorf(a.At, BadAnnotation, "@%s takes the name of a policy, as in @%s(other)", a.Name.Name, a.Name.Name)
	}
	return out
}

func (c *checker) annotationArguments(p *policy, a *syntax.Annotation) {
	switch a.Name.Name {
	case "fail":
	case "priority":
		n, ok := priorityNumber(a)
		if !ok {
			c.bag.Errorf(a.At, BadAnnotation, "@priority takes a whole number, as in @priority(2); without it a policy has 0")
		}
		p.priority = n
		return
	default:
		if len(a.Args) > 0 {
			c.bag.Errorf(a.Args[0].At, BadAnnotation, "@%s takes no argument", a.Name.Name)
		}
		return
	}
	if w := failWord(a); w != "open" && w != "closed" {
		at := a.At
		if len(a.Args) > 0 {
			at = a.Args[0].At
		}
		c.bag.Errorf(at, BadAnnotation, "@fail is @fail(open) or @fail(closed)")
	}
}

func priorityNumber(a *syntax.Annotation) (int64, bool) {
	if len(a.Args) != 1 || a.Args[0].Name != nil {
		return 0, false
	}
	l, ok := a.Args[0].Value.(*syntax.Literal)
	if !ok || l.Kind != syntax.Int {
		return 0, false
	}
	return l.Int, true
}

// failWord is the argument of @fail; "" when it is not one word.
func failWord(a *syntax.Annotation) string {
	if len(a.Args) != 1 || a.Args[0].Name != nil {
		return ""
	}
	if l, ok := a.Args[0].Value.(*syntax.Literal); ok && (l.Kind == syntax.Word || l.Kind == syntax.String) {
		return l.Str
	}
	return ""
}

// match finds the calls of all `on` clauses. It is false when a name in one was
// wrong, so that the absence of edges says nothing.
func (c *checker) match(p *policy, on []*syntax.On) bool {
	whole, items := true, 0
	seen := map[int32]bool{}
	for _, clause := range on {
		for _, e := range clause.Edges {
			calls, ok := c.matching(e)
			whole = whole && ok
			if items++; items == 1 {
				p.edges = make([]matched, 0, len(calls))
			}
			only := items == 1 && len(on) == 1 && len(clause.Edges) == 1
			for _, n := range calls {
				if only || !seen[n] {
					p.edges = append(p.edges, matched{call: n, by: e.At})
				}
				if !only {
					seen[n] = true
				}
			}
		}
	}
	if items > 1 {
		slices.SortFunc(p.edges, func(a, b matched) int { return cmp.Compare(c.idx.byPort[a.call], c.idx.byPort[b.call]) })
	}
	return whole
}

// matching gives the calls of one `on` item in the order of their ports; false
// when a name in it is wrong. Items that read the same match the same.
func (c *checker) matching(e *syntax.Edges) ([]int32, bool) {
	text := e.At.Text()
	if calls, ok := c.matches[text]; ok {
		return calls, true
	}
	from, ok1 := c.endpoints(e.From)
	to, ok2 := c.endpoints(e.To)
	only, ok3 := c.protocols(e.Protocols)
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	calls := c.idx.between(from, to)
	if only != nil {
		calls = slices.DeleteFunc(calls, func(n int32) bool { return !only[c.g.Calls[n].Protocol] })
	}
	slices.SortFunc(calls, func(a, b int32) int { return cmp.Compare(c.idx.byPort[a], c.idx.byPort[b]) })
	c.matches[text] = calls
	return calls, true
}

// checkUnmatched types the condition of a policy without edges.
func (c *checker) checkUnmatched(p *policy) {
	if p.when != nil {
		c.compileUnmatched(p, p.when)
	}
}

// compileUnmatched types a condition on the first plane that all actions of a policy
// can act on, so that its mistakes show.
func (c *checker) compileUnmatched(p *policy, w *syntax.When) {
	for _, plane := range []graph.Plane{graph.HTTP, graph.GRPC, graph.TCP} {
		can := func(t *typedCall) bool { return t.act.decl.Sides[plane] != "" }
		if !slices.ContainsFunc(p.calls, func(t *typedCall) bool { return !can(t) }) {
			compileCondition(w.Expr, plane, c.bag)
			return
		}
	}
}
