package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// The standard library's declarations and the program's are read by the same
// code. What only the standard library may say, because the data plane has to
// know it by name, is refused in a program.

// A declarer reads one declaration.
type declarer struct {
	*action
	bag    *diag.Bag
	values *valueChecker
	facts  map[string]*syntax.Fact // the first of each that may stand there once
	inFact map[string]bool         // parameters that a fact names

	misplaned bool // a plane on which it acts is not known
}

func declare(d *syntax.Action, values *valueChecker, bag *diag.Bag) *action {
	decl := &ir.ActionDecl{
		Name:  d.Name.Name,
		Doc:   docText(d.Above),
		At:    d.Name.At,
		Sides: map[graph.Plane]ir.DeclSide{},
		User:  !d.Name.At.Src.Embedded,
	}
	c := &declarer{
		action: &action{decl: decl, node: d}, bag: bag, values: values,
		facts: map[string]*syntax.Fact{}, inFact: map[string]bool{},
	}
	for _, a := range d.Annotations {
		bag.Errorf(a.At, UnknownAnnotation, "a declaration has no annotation @%s", a.Name.Name).
			WithHint("@%s is for policies; what an action is, its facts say", a.Name.Name)
	}
	c.parameters()
	for _, f := range d.Facts {
		c.fact(f)
	}
	c.whole()
	return c.action
}

func (c *declarer) wrong(at diag.Span, format string, args ...any) *diag.Diagnostic {
	return c.bag.Errorf(at, BadAction, format, args...)
}

func (c *declarer) parameters() {
	for _, p := range c.node.Params {
		if first := c.param(p.Name.Name); first != nil {
			c.wrong(p.Name.At, "there are two of parameter %s", p.Name.Name).WithNote(first.at, "the first is here")
			c.partial = true
			continue
		}
		if t := unbuilt(p.Type); t != nil {
			c.wrong(t.At, "a parameter can't be %s: nothing that acts on requests could take it", t.Name)
			c.partial = true
			continue
		}
		q := &param{name: p.Name.Name, typ: p.Type, at: p.Name.At}
		out := ir.Param{Name: p.Name.Name, Type: typeText(p.Type)}
		if p.Default != nil {
			v, ok := c.values.typed(p.Default, p.Type, "the default of "+p.Name.Name)
			v = withoutPlaces(v)
			q.def = &v
			if ok {
				out.Default, out.Value = p.Default.Span().Text(), &v
			} else {
				c.bad = true
			}
		}
		c.params = append(c.params, q)
		c.decl.Params = append(c.decl.Params, out)
	}
}

func (c *declarer) cost(f *syntax.Fact) {
	if f.Number.Bad {
		c.bad = true
		return
	}
	micros := f.Number.Float
	if f.Number.Kind == syntax.Int {
		micros = float64(f.Number.Int)
	}
	if micros < 0 {
		c.wrong(f.Number.At, "a cost is microseconds of work, and not less than 0")
	}
	if len(f.Words) == 0 {
		c.decl.Cost = micros
		return
	}
	if c.decl.Costs == nil {
		c.decl.Costs = map[graph.Plane]float64{}
	}
	c.decl.Costs[graph.Plane(f.Words[0].Name)] = micros
}

// unbuilt finds a type of the grammar that no action can take.
func unbuilt(t *syntax.Type) *syntax.Type {
	switch {
	case t.Name == "endpoints" || t.Name == "cel":
		return t
	case t.Elem != nil:
		return unbuilt(t.Elem)
	}
	return nil
}

func (c *declarer) fact(f *syntax.Fact) {
	decl, key := c.decl, f.Keyword.Name
	switch key {
	case "reads", "writes", "provides", "needs", "on":
	case "envoy", "cost":
		for _, w := range f.Words {
			key += " " + w.Name
		}
		fallthrough
	default:
		if first := c.facts[key]; first != nil {
			c.wrong(f.Keyword.At, "%s is said twice", key).WithNote(first.At, "it is said here first")
			return
		}
	}
	if c.facts[key] == nil {
		c.facts[key] = f
	}
	switch f.Keyword.Name {
	case "phase":
		c.phase(f.Words[0])
	case "reads":
		decl.Reads = append(decl.Reads, c.messageParts(f)...)
	case "writes":
		decl.Writes = append(decl.Writes, c.messageParts(f)...)
	case "provides":
		decl.Provides = append(decl.Provides, c.keptParts(f)...)
	case "needs":
		decl.Needs = append(decl.Needs, c.keptParts(f)...)
	case "ends":
		decl.Ends = true
	case "wraps":
		decl.Wraps, decl.Phase = true, ir.Wrapper
	case "single":
		decl.Single = true
	case "security":
		decl.Security = true
	case "state":
		c.state(f)
	case "cost":
		c.cost(f)
	case "on":
		c.sides(f)
	case "envoy":
		p := &ir.Payload{TCP: f.Words[0].Name == "tcp", At: f.Keyword.At}
		if p.Root = c.term(f.Payload); p.Root == nil {
			c.bad = true
		}
		decl.Payloads = append(decl.Payloads, p)
	}
}

func (c *declarer) phase(word syntax.Ident) {
	for p := ir.Transport; p < ir.Wrapper; p++ {
		if p.String() == word.Name {
			c.decl.Phase = p
			return
		}
	}
	d := c.wrong(word.At, "there is no phase %q", word.Name)
	if near := diag.Suggest(word.Name, phaseWords()); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(word.At, near)
	} else {
		d.WithHint("the phases are %s", strings.Join(phaseWords(), " < "))
	}
}

func (c *declarer) sides(f *syntax.Fact) {
	side := ir.DeclSide(f.Side.Name)
	if side == ir.BothEnds && c.decl.User {
		c.wrong(f.Side.At, "%s can't need both ends: such an action has two halves, and `envoy` gives one filter", c.decl.Name).
			WithHint("either, ingress or egress")
	}
	for _, w := range f.Words {
		p := graph.Plane(w.Name)
		switch _, twice := c.decl.Sides[p]; {
		case !slices.Contains(Planes(), p):
			c.noPlane(w)
			c.misplaned = true
		case twice:
			c.wrong(w.At, "the side on %s is said twice", p)
		default:
			c.decl.Sides[p] = side
		}
	}
}

// noPlane reports a word that is no plane: a protocol that tcp stands for, or no
// protocol at all.
func (c *declarer) noPlane(w syntax.Ident) {
	d := c.wrong(w.At, "an action is declared for http, grpc or tcp, not for %s", w.Name)
	if slices.Contains(graph.Protocols(), w.Name) {
		d.WithHint("tcp stands for every protocol that is forwarded as a stream of bytes").WithFix(w.At, "tcp")
		return
	}
	var names []string
	for _, p := range Planes() {
		names = append(names, string(p))
	}
	if near := diag.Suggest(w.Name, names); near != "" {
		d.WithHint("did you mean %s?", near).WithFix(w.At, near)
	}
}

// state reads `state counter(scope)`: the parameter says how the counter is
// shared.
func (c *declarer) state(f *syntax.Fact) {
	kind, scope := f.Words[0], f.Words[1]
	p := c.param(scope.Name)
	c.inFact[scope.Name] = true
	switch {
	case kind.Name != "counter":
		c.wrong(kind.At, "there is no state %q", kind.Name).WithHint("counter is the only kind").WithFix(kind.At, "counter")
	case p == nil:
		c.unknownParameter(scope.At, scope.Name)
	case p.typ.Name != "enum" || slices.ContainsFunc(p.typ.Words, func(w string) bool { return !slices.Contains(scopes, w) }):
		c.wrong(scope.At, "%s does not say how a counter is shared: it is %s", scope.Name, typeText(p.typ)).
			WithHint("scope: enum(\"caller\", \"service\", \"pod\"), or some of these").WithNote(p.at, "%s is declared here", scope.Name)
	default:
		c.decl.State, c.decl.Scope = kind.Name, scope.Name
	}
}

var scopes = []string{"caller", "service", "pod"}

func (c *declarer) unknownParameter(at diag.Span, name string) {
	names := make([]string, len(c.params))
	for i, p := range c.params {
		names[i] = p.name
	}
	d := c.wrong(at, "%s has no parameter %q", c.decl.Name, name)
	if near := diag.Suggest(name, names); near != "" {
		d.WithHint("did you mean %q?", near)
	} else if len(names) > 0 {
		d.WithHint("its parameters are %s", strings.Join(names, ", "))
	}
}

// whole holds the facts against each other.
func (c *declarer) whole() {
	decl, phase, wraps := c.decl, c.facts["phase"], c.facts["wraps"]
	switch {
	case wraps != nil && decl.User:
		c.wrong(wraps.At, "%s can't wrap requests: Envoy's filters act on a request once, and only its router repeats or bounds one", decl.Name).
			WithHint("timeout, idle_timeout and retry are standard actions")
	case wraps != nil && phase != nil:
		c.wrong(phase.At, "%s wraps requests, so it has no phase", decl.Name).WithNote(wraps.At, "wraps is here")
	case wraps == nil && phase == nil:
		d := c.wrong(decl.At, "%s has no phase", decl.Name).WithHint("the phases are %s", strings.Join(phaseWords(), " < "))
		if ends := c.facts["ends"]; ends != nil {
			d.WithNote(ends.At, "what comes after it, and does not run when it ends the request, hangs on its phase")
		}
	}
	if c.facts["on"] == nil {
		c.wrong(decl.At, "%s does not say on which protocols it acts, and at which side", decl.Name).WithHint("on http, grpc : either")
		return
	}
	_, http := decl.Sides[graph.HTTP]
	_, grpc := decl.Sides[graph.GRPC]
	_, tcp := decl.Sides[graph.TCP]
	for _, p := range []struct {
		fact   string
		on     bool
		planes string
	}{{"envoy http", http || grpc, "http or grpc"}, {"envoy tcp", tcp, "tcp"}} {
		if f := c.facts[p.fact]; f != nil && !p.on && !c.misplaned {
			c.wrong(f.Keyword.At, "%s has a filter for %s and does not act on it", decl.Name, p.planes).
				WithNote(c.facts["on"].At, "what it acts on is said here")
		}
	}
	c.parameterUses()
}

// parameterUses warns of parameters that do nothing.
func (c *declarer) parameterUses() {
	if len(c.decl.Payloads) == 0 {
		return
	}
	used := c.inFact
	for _, p := range c.decl.Payloads {
		if p.Root == nil {
			return
		}
		for _, name := range p.Root.Params() {
			used[name] = true
		}
	}
	for _, p := range c.params {
		if !used[p.name] {
			c.bag.Warnf(p.at, UnusedParameter, "the parameter %s of %s changes nothing: no filter and no fact of it names it", p.name, c.decl.Name)
		}
	}
}

// messageParts are the parts of one `reads` or `writes`.
func (c *declarer) messageParts(f *syntax.Fact) []string {
	var out []string
	for _, w := range f.Words {
		if c.messagePart(f.Keyword.Name, w) {
			out = append(out, w.Name)
		}
	}
	return out
}

// partsOf a message, without keys. Those with a key have one for each name.
var partsOf = map[string][]string{
	"request":  {"path", "url_path", "query", "host", "method", "scheme", "headers", "id", "time", "body", "trailers"},
	"response": {"code", "headers", "body", "trailers"},
	"upstream": {"version", "pod", "zone", "mirror"},
	"span":     {"tags"},
}

var keyedParts = []string{"headers", "trailers", "tags"}

func (c *declarer) messagePart(verb string, w syntax.Ident) bool {
	head, key, keyed := strings.Cut(w.Name, "[")
	first, rest, dotted := strings.Cut(head, ".")
	messages := []string{first}
	if p := c.param(first); p != nil {
		c.inFact[first] = true
		if p.typ.Name != "enum" {
			c.wrong(w.At, "%s is no message: the parameter is %s", first, typeText(p.typ)).WithHint(`of: enum("request", "response")`)
			return false
		}
		messages = p.typ.Words
	}
	if key = strings.TrimSuffix(key, "]"); keyed && !strings.HasPrefix(key, `"`) {
		c.inFact[key] = true
		if p := c.param(key); p == nil {
			c.unknownParameter(w.At, key)
			return false
		} else if p.typ.Name != "string" && p.typ.Name != "enum" {
			c.wrong(w.At, "%s is no name of a part: the parameter is %s", key, typeText(p.typ))
			return false
		}
	}
	for _, m := range messages {
		if !c.knownPart(w, m, rest, dotted, keyed) {
			return false
		}
		switch {
		case verb != "writes" || !c.decl.User:
		case m == "upstream":
			c.wrong(w.At, "%s can't write %s: the router chooses where requests go, and it is not behind a filter of yours", c.decl.Name, w.Name).
				WithHint("route, split, mirror, lb and locality are standard actions")
			return false
		case m == "span":
			c.wrong(w.At, "%s can't write %s: the tracer sets the tags of a span when all is done", c.decl.Name, w.Name).
				WithHint("tag is a standard action")
			return false
		}
	}
	return true
}

func (c *declarer) knownPart(w syntax.Ident, message, rest string, dotted, keyed bool) bool {
	parts := partsOf[message]
	switch {
	case parts == nil:
		d := c.wrong(w.At, "there is no part %s of a message", w.Name)
		if near := diag.Suggest(message, []string{"request", "response"}); near != "" {
			d.WithHint("did you mean %s?", near)
		} else {
			d.WithHint("parts are request, response, request.headers[\"x\"], response.body, …")
		}
		return false
	case dotted && !slices.Contains(parts, rest):
		d := c.wrong(w.At, "there is no part %s of a message", w.Name)
		if near := diag.Suggest(rest, parts); near != "" {
			d.WithHint("did you mean %s.%s?", message, near)
		} else {
			d.WithHint("the parts of %s are %s", message, strings.Join(parts, ", "))
		}
		return false
	case keyed && !slices.Contains(keyedParts, rest):
		c.wrong(w.At, "%s has no names in it: only headers and trailers do", strings.TrimSuffix(message+"."+rest, "."))
		return false
	}
	return true
}

// standardParts are provided by actions that the rest of the compiler knows by
// name: conditions find a token's claims where jwt leaves them.
var standardParts = []string{"jwt.claims", "trace.span"}

// keptParts are the names of what stays in a proxy.
func (c *declarer) keptParts(f *syntax.Fact) []string {
	var out []string
	for _, w := range f.Words {
		first, rest, dotted := strings.Cut(w.Name, ".")
		switch {
		case !dotted || rest == "" || strings.ContainsAny(rest, ".[") || partsOf[first] != nil:
			c.wrong(w.At, "%s is no name of something that stays in a proxy", w.Name).
				WithHint("two words of your own with a point between them, such as session.user; parts of messages are read and written")
		case f.Keyword.Name == "provides" && c.decl.User && slices.Contains(standardParts, w.Name):
			c.wrong(w.At, "%s can't provide %s: it is read where a standard action leaves it", c.decl.Name, w.Name)
		default:
			out = append(out, w.Name)
		}
	}
	return out
}

// needs holds what actions need against what some action provides.
func (l *library) needs(bag *diag.Bag) {
	kept := l.provided()
	for _, name := range l.names {
		a := l.actions[name]
		for _, f := range a.node.Facts {
			if f.Keyword.Name != "needs" {
				continue
			}
			for _, w := range f.Words {
				if slices.Contains(kept, w.Name) {
					continue
				}
				d := bag.Errorf(w.At, BadAction, "no action provides %s", w.Name)
				if near := diag.Suggest(w.Name, kept); near != "" {
					d.WithHint("did you mean %s?", near).WithFix(w.At, near)
				}
			}
		}
	}
}

// provided are the parts that an action can leave in its proxy, sorted.
func (l *library) provided() []string {
	var out []string
	for _, a := range l.actions {
		out = append(out, a.decl.Provides...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// spelled adds to parts what else a condition can read them by.
func spelled(parts []string) []string {
	out := slices.Clone(parts)
	for name, base := range derived {
		if slices.ContainsFunc(parts, func(p string) bool { return covers(p, base) }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
