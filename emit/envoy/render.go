package envoy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// lineWidth is how many columns a line may have in which parts stand side by side:
// as many as an HTTP filter with one setting needs.
const lineWidth = 150

// render gives the file: a header line, and YAML whose lines are broken as
// render_lines.go says. Keys are sorted: first `name`, then those with a scalar.
// What is wide and would stand there again is written once, with an anchor that is
// called after its key, and referred to. protojson's white
// space differs from binary to binary; the YAML made from it does not.
func render(header string, m proto.Message) []byte {
	js, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		panic(err)
	}
	d := document{scalars: map[string]string{}, first: map[int]*yaml.Node{}, numbers: map[*yaml.Node]int{}, texts: map[string]int{}, anchors: map[string]int{}}
	root := yamlNode(value)
	d.share(root)
	return []byte("# " + header + "\n" + strings.Join(d.block(root, 0), "\n") + "\n")
}

// textTag is YAML's for texts. No other scalar has a tag here.
const textTag = "!!str"

// yamlNode is what encoding/json read.
func yamlNode(value any) *yaml.Node {
	switch value := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range inOrder(value) {
			n.Content = append(n.Content, yamlNode(key), yamlNode(value[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, part := range value {
			n.Content = append(n.Content, yamlNode(part))
		}
		return n
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: textTag, Value: value}
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}
	default: // a bool or json.Number
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	}
}

// inOrder are the keys of a mapping: `name`, then the others that have a scalar,
// then those with more.
func inOrder(m map[string]any) []string {
	rank := func(key string) int {
		switch m[key].(type) {
		case map[string]any, []any:
			return 2
		}
		if key == "name" {
			return 0
		}
		return 1
	}
	return slices.SortedFunc(maps.Keys(m), func(p, q string) int { return cmp.Or(rank(p)-rank(q), strings.Compare(p, q)) })
}

// A document is one file while its form is chosen.
type document struct {
	scalars map[string]string  // texts with their quotes
	first   map[int]*yaml.Node // wide values of keys, by what is the same
	numbers map[*yaml.Node]int // see same
	texts   map[string]int     // numbers by what they stand for
	anchors map[string]int     // how many begin with a name
}

// worthAName is how wide a part is at least that is referred to.
const worthAName = 100

// share puts references in the place of what is wide and was there before. What a
// policy is, and of what type a configuration, is said in each place.
func (d *document) share(n *yaml.Node) {
	for i, part := range n.Content {
		if n.Kind != yaml.MappingNode {
			d.share(part)
			continue
		}
		if i%2 == 0 {
			continue
		}
		key := n.Content[i-1].Value
		if key == "metadata" {
			continue
		}
		if part.Kind != yaml.ScalarNode && d.width(part) > worthAName && key != "typed_config" && anchorable.MatchString(key) {
			is := d.same(part)
			if before := d.first[is]; before != nil {
				if before.Anchor == "" {
					before.Anchor = d.anchor(key)
				}
				n.Content[i] = &yaml.Node{Kind: yaml.AliasNode, Value: before.Anchor, Alias: before}
				continue
			}
			d.first[is] = part
		}
		d.share(part)
	}
}

// anchorable are the keys that make the name of an anchor: fields, not the names
// and types of extensions.
var anchorable = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (d *document) anchor(key string) string {
	d.anchors[key]++
	if n := d.anchors[key]; n > 1 {
		return fmt.Sprintf("%s_%d", key, n)
	}
	return key
}

// same is a number that equal nodes have, and no others. Each node is looked at
// once: a node's text is made of the numbers of its parts.
func (d *document) same(n *yaml.Node) int {
	if number, known := d.numbers[n]; known {
		return number
	}
	text := fmt.Sprintf("%s%q", n.Tag, n.Value)
	if n.Kind != yaml.ScalarNode {
		parts := make([]int, len(n.Content))
		for i, part := range n.Content {
			parts[i] = d.same(part)
		}
		text = fmt.Sprint(n.Kind, parts)
	}
	number, known := d.texts[text]
	if !known {
		number = len(d.texts)
		d.texts[text] = number
	}
	d.numbers[n] = number
	return number
}
