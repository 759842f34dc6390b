package graph

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

const (
	apiVersion = "admc.dev/v1alpha1"
	kind       = "ServiceGraph"
)

// A loader reads one graph.yaml. Errors go to the bag and the loader goes on
// with what it has; what failed is remembered, so that nothing that follows from
// it is reported as well.
type loader struct {
	src *diag.Source
	bag *diag.Bag
	pos *positions
	g   *Graph

	nodes map[string]Node // by key; all that is declared, broken or not
	// broken are the nodes whose ports are not known because they failed.
	broken map[Node]bool
	// implied are the services without declared ports that calls gave some.
	implied map[*Service]bool
	// starts are the services with `starts`, consumers those of a topic.
	starts, consumers map[*Service]bool
	// hasWorkload are the services with `workload`.
	hasWorkload map[*Service]bool
	calls       []*Call
	// fromTopic marks calls of topics, which repeat a call without harm.
	fromTopic map[*Call]bool
	prefixes  []owned // of all services
	// looked counts the names compared for "did you mean".
	looked int
}

func loadYAML(src *diag.Source, bag *diag.Bag) *Graph {
	l := &loader{
		src: src, bag: bag, pos: newPositions(src),
		g:     &Graph{Name: "graph", Namespace: "default", Identity: IdentityNone, Src: src},
		nodes: map[string]Node{}, broken: map[Node]bool{}, implied: map[*Service]bool{},
		starts: map[*Service]bool{}, consumers: map[*Service]bool{}, fromTopic: map[*Call]bool{},
		hasWorkload: map[*Service]bool{},
	}
	switch root, empty := l.document("a service graph"); {
	case empty:
		l.bag.Errorf(l.src.Span(0, 0), EmptyGraph, "the file holds no service graph").
			WithHint("a graph begins with `apiVersion: %s` and `kind: %s`", apiVersion, kind)
	case root != nil:
		l.graph(root)
	}
	l.g.Calls = l.calls
	l.g.index()
	l.dropRepeats()
	l.fillStarts()
	return l.g
}

var graphKeys = []string{"apiVersion", "kind", "metadata", "identity", "services", "externals", "calls", "topics"}

func (l *loader) graph(root *yaml.Node) {
	if root.Kind == yaml.MappingNode && !l.isOurs(root) {
		return
	}
	o, ok := l.object(root, "a service graph", graphKeys)
	if !ok {
		return
	}
	if n := o.get("metadata"); n != nil {
		l.metadata(n)
	}
	if n := o.get("identity"); n != nil {
		if v, ok := l.choice(n, "identity", []string{"none", "addresses", "ports", "mtls"}); ok {
			l.g.Identity, l.g.IdentityAt = Identity(v), l.pos.span(n)
		}
	}
	if n := l.must(o, "services", "a service graph"); n != nil {
		l.services(n)
	}
	if n := o.get("externals"); n != nil {
		l.externals(n)
	}
	l.sharedWorkloads()
	l.sameAddress()
	l.sharedAddresses()
	if n := o.get("calls"); n != nil {
		l.callList(n)
	}
	if n := o.get("topics"); n != nil {
		l.topics(n)
	}
}

// isOurs checks apiVersion and kind. A file of another kind gets this one error
// and not one for each of its keys.
func (l *loader) isOurs(root *yaml.Node) bool {
	content, _ := l.entries(root, "a service graph")
	o := object{at: l.pos.span(root), content: content}
	ours := true
	for _, want := range [][2]string{{"apiVersion", apiVersion}, {"kind", kind}} {
		n := o.get(want[0])
		switch {
		case n == nil:
			l.bag.Errorf(o.at, MissingKey, "a service graph needs the key %q", want[0]).
				WithHint("write `%s: %s`", want[0], want[1])
		case n.Kind != yaml.ScalarNode:
			l.wrongType(n, want[0], "text")
			ours = false
		case n.Value != want[1]:
			at := l.pos.span(n)
			l.bag.Errorf(at, NotAGraph, "%s is %q, found %s", want[0], want[1], quote(n.Value)).WithFix(at, want[1])
			ours = false
		}
	}
	return ours
}

// must gives the value of a key; that it is missing is an error, unless another may
// have been meant for it.
func (l *loader) must(o object, key, what string) *yaml.Node {
	n := o.get(key)
	if n == nil && !slices.Contains(o.meant, key) {
		l.bag.Errorf(o.at, MissingKey, "%s needs the key %q", what, key)
	}
	return n
}

var metadataKeys = []string{"name", "namespace"}

func (l *loader) metadata(n *yaml.Node) {
	o, ok := l.object(n, "metadata", metadataKeys)
	if !ok {
		return
	}
	if n := o.get("name"); n != nil {
		if s, ok := l.text(n, "the graph's name"); ok {
			if !isSubdomain(s) {
				l.badName(l.pos.span(n), "a graph", s, subdomainRule, isSubdomain)
			}
			l.g.Name = s
		}
	}
	if n := o.get("namespace"); n != nil {
		if s, ok := l.namespace(n); ok {
			l.g.Namespace = s
		}
	}
}

func (l *loader) namespace(n *yaml.Node) (string, bool) {
	s, ok := l.text(n, "a namespace")
	if ok && !isLabel(s) {
		l.badName(l.pos.span(n), "a namespace", s, labelRule, isLabel)
		return "", false
	}
	return s, ok
}

// declare enters a node under its name. Of two with one name the first counts.
func (l *loader) declare(node Node) bool {
	first := l.nodes[node.NodeName()]
	if first == nil {
		l.nodes[node.NodeName()] = node
		return true
	}
	l.bag.Errorf(node.Span(), DuplicateService, "%q is declared twice", node.NodeName()).
		WithNote(first.Span(), "it is declared here already")
	return false
}

// lookCost bounds the names that are compared for "did you mean" in one file,
// so that a file of wrong names is read in time.
const lookCost = 2_000_000

// lookup finds a service or an external by the name that a node holds.
func (l *loader) lookup(n *yaml.Node, what string) Node {
	name, ok := l.text(n, what)
	if !ok {
		return nil
	}
	if node := l.nodes[name]; node != nil {
		return node
	}
	at := l.pos.span(n)
	d := l.bag.Errorf(at, UndeclaredService, "there is no service and no external %s", quote(name))
	if l.looked += len(l.nodes); l.looked > lookCost {
		return nil
	}
	names := make([]string, 0, len(l.nodes))
	var qualified string
	for known := range l.nodes {
		names = append(names, known)
		if strings.HasSuffix(known, "/"+name) && (qualified == "" || known < qualified) {
			qualified = known
		}
	}
	if qualified == "" {
		qualified = diag.Suggest(name, names)
	}
	if qualified != "" {
		d.WithHint("did you mean %q?", qualified).WithFix(at, qualified)
	} else {
		d.WithHint("declare it under `services:`, or under `externals:` if it is outside the mesh")
	}
	return nil
}
