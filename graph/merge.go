package graph

import (
	"gopkg.in/yaml.v3"
)

// merged gives the entries of a mapping that has an alias, a merge key or
// something else than a scalar among its keys. As in YAML's merge type: what is
// written wins over what is merged, earlier mappings over later ones.
func (l *loader) merged(n *yaml.Node) []*yaml.Node {
	m := merge{l: l, has: map[string]bool{}, seen: map[*yaml.Node]bool{}}
	m.written(n, true)
	m.brought(n)
	return m.content
}

// A merge is under way for one mapping.
type merge struct {
	l       *loader
	content []*yaml.Node
	has     map[string]bool
	// seen are the mappings that were merged or are being merged: a second time
	// brings nothing, and a mapping inside itself ends.
	seen map[*yaml.Node]bool
}

// written takes the mapping's own entries; those of the outermost one come all,
// so that a key that stands twice is found.
func (m *merge) written(n *yaml.Node, outermost bool) {
	m.seen[n] = true
	for i := 0; i < len(n.Content); i += 2 {
		key := resolved(n.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode:
			m.l.wrongType(key, "a key", "text")
		case key.Tag == "!!merge":
		case outermost || !m.has[key.Value]:
			m.has[key.Value] = true
			m.content = append(m.content, key, n.Content[i+1])
		}
	}
}

// brought takes the entries of the mappings that n merges.
func (m *merge) brought(n *yaml.Node) {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Kind != yaml.ScalarNode || n.Content[i].Tag != "!!merge" {
			continue
		}
		value := resolved(n.Content[i+1])
		sources := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			sources = value.Content
		}
		for _, s := range sources {
			m.source(resolved(s))
		}
	}
}

func (m *merge) source(s *yaml.Node) {
	if s.Kind != yaml.MappingNode {
		m.l.bag.Errorf(m.l.pos.span(s), BadMerge, "`<<` takes a mapping or a list of mappings, found %s", describe(s))
		return
	}
	if m.seen[s] {
		return
	}
	m.written(s, false)
	m.brought(s)
}
