package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// endpoints gives the nodes that an expression selects. ok is false when a name
// in it is wrong, which is then reported.
func (c *checker) endpoints(e *syntax.Endpoints) (set nodeSet, ok bool) {
	set, ok = c.term(e.Term)
	if e.Except != nil {
		without, good := c.term(e.Except)
		set, ok = set.minus(without), ok && good
	}
	return set, ok
}

func (c *checker) term(t syntax.Term) (nodeSet, bool) {
	switch t := t.(type) {
	case *syntax.Glob:
		return c.glob(t)
	case *syntax.External:
		return span(c.idx.services, int32(len(c.idx.nodes))), true
	case *syntax.RefTerm:
		return c.letEndpoints(t.Name)
	case *syntax.Labels:
		return c.withLabels(t)
	case *syntax.Set:
		var set nodeSet
		ok := true
		for _, m := range t.Members {
			s, good := c.endpoints(m)
			set, ok = set.union(s), ok && good
		}
		return set, ok
	}
	panic("unknown term")
}

// span is every number from low up to high.
func span(low, high int32) nodeSet {
	out := make(nodeSet, 0, high-low)
	for n := low; n < high; n++ {
		out = append(out, n)
	}
	return out
}

// glob resolves a name. A name with a `*` matches services, never externals, by
// their name in any namespace, or in the one it says. A plain name is a service
// or an external; where two namespaces have the service, it is the one of the
// graph's own namespace.
func (c *checker) glob(t *syntax.Glob) (nodeSet, bool) {
	if set, ok := c.idx.globs[t.Pattern]; ok {
		return set, true
	}
	var set nodeSet
	if strings.Contains(t.Pattern, "*") {
		set = c.idx.matching(t.Pattern)
		if len(set) == 0 {
			c.bag.Warnf(t.At, UnknownService, "no service matches %s", t.Pattern)
		}
		if len(set) == 0 {
			return nil, true
		}
	} else {
		n, ok := c.named(t)
		if !ok {
			return nil, false
		}
		set = nodeSet{n}
	}
	c.idx.globs[t.Pattern] = set
	return set, true
}

func (c *checker) named(t *syntax.Glob) (int32, bool) {
	if n := c.g.Lookup(t.Pattern); n != nil {
		return c.idx.number[n], true
	}
	ns, base, qualified := strings.Cut(t.Pattern, "/")
	if !qualified {
		ns, base = c.g.Namespace, t.Pattern
	}
	same := c.idx.byBase[base]
	for _, n := range same {
		if c.g.Services[n].Namespace == ns {
			return n, true
		}
	}
	d := c.bag.Errorf(t.At, UnknownService, "the graph has no service or external %q", t.Pattern)
	if len(same) > 0 && !qualified {
		d.WithHint("namespaces that have one: %s", c.qualifiedNames(same))
	} else if near := diag.Suggest(t.Pattern, c.nodeNames()); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(t.At, near)
	} else {
		d.WithHint("it has %s", someOf(c.nodeNames()))
	}
	return 0, false
}

// someOf gives the first of some names and counts the rest.
func someOf(names []string) string {
	const most = 8
	if n := len(names) - most; n > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n)
	}
	return strings.Join(names, ", ")
}

func (c *checker) qualifiedNames(services []int32) string {
	var out []string
	for _, n := range services {
		s := c.g.Services[n]
		out = append(out, s.Namespace+"/"+baseName(s))
	}
	return strings.Join(out, ", ")
}

func (c *checker) nodeNames() []string {
	out := make([]string, len(c.idx.nodes))
	for i, n := range c.idx.nodes {
		out[i] = n.NodeName()
	}
	return out
}

// matching gives the services whose name a glob matches.
func (x *index) matching(pattern string) nodeSet {
	if pattern == "*" {
		return span(0, x.services)
	}
	ns, base, qualified := strings.Cut(pattern, "/")
	if !qualified {
		ns, base = "*", pattern
	}
	var out nodeSet
	for i, s := range x.g.Services {
		if globMatch(ns, s.Namespace) && globMatch(base, baseName(s)) {
			out = append(out, int32(i))
		}
	}
	return out
}

// globMatch matches * to any run of characters. It looks at each piece once,
// from the left, so it is linear in the name for each piece.
func globMatch(pattern, name string) bool {
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, pieces[0]) {
		return false
	}
	name = name[len(pieces[0]):]
	last := len(pieces) - 1
	for _, p := range pieces[1:last] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, pieces[last])
}

// withLabels gives the services that satisfy every label. A service without the
// label satisfies `!=`, as in Kubernetes selectors.
func (c *checker) withLabels(t *syntax.Labels) (nodeSet, bool) {
	set := span(0, c.idx.services)
	for _, l := range t.Labels {
		values := c.idx.labels[l.Key.Name]
		if values == nil {
			d := c.bag.Warnf(l.Key.At, UnknownLabel, "no service has a label %q", l.Key.Name)
			if near := diag.Suggest(l.Key.Name, slices.Collect(maps.Keys(c.idx.labels))); near != "" {
				d.WithHint("did you mean %q?", near).WithFix(l.Key.At, near)
			}
		} else if l.Op != "" && values[l.Value.Name] == nil {
			d := c.bag.Warnf(l.Value.At, UnknownLabel, "no service has the label %s=%s", l.Key.Name, l.Value.Name)
			if near := diag.Suggest(l.Value.Name, slices.Collect(maps.Keys(values))); near != "" {
				d.WithHint("did you mean %q?", near).WithFix(l.Value.At, near)
			}
		}
		set = c.idx.filter(set, l)
	}
	return set, true
}

func (x *index) filter(set nodeSet, l *syntax.Label) nodeSet {
	var out nodeSet
	values := x.labels[l.Key.Name]
	switch l.Op {
	case "=":
		if len(set) == int(x.services) {
			return values[l.Value.Name]
		}
		for _, n := range values[l.Value.Name] {
			if set.has(n) {
				out = append(out, n)
			}
		}
	case "!=":
		return set.minus(values[l.Value.Name])
	default:
		for _, n := range set {
			if _, has := x.g.Services[n].Labels[l.Key.Name]; has {
				out = append(out, n)
			}
		}
	}
	return out
}

// protocols gives the protocols that a filter names: nil for an empty filter,
// which every protocol passes.
func (c *checker) protocols(names []syntax.Ident) (map[graph.Protocol]bool, bool) {
	if len(names) == 0 {
		return nil, true
	}
	out, ok := map[graph.Protocol]bool{}, true
	for _, n := range names {
		p := graph.Protocol(n.Name)
		switch {
		case p == "tcp":
			for _, q := range graph.Protocols() {
				if graph.Protocol(q).Plane() == graph.TCP {
					out[graph.Protocol(q)] = true
				}
			}
		case p.Plane() != "":
			out[p] = true
		default:
			ok = false
			d := c.bag.Errorf(n.At, UnknownProtocol, "there is no protocol %q", n.Name)
			if near := diag.Suggest(n.Name, graph.Protocols()); near != "" {
				d.WithHint("did you mean %q?", near).WithFix(n.At, near)
			} else {
				d.WithHint("the protocols are %s", strings.Join(graph.Protocols(), ", "))
			}
		}
	}
	return out, ok
}
