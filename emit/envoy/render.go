package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// lineWidth is how many columns a line may have that holds a whole mapping or
// list: as many as the names of Envoy's types need where they stand deepest.
const lineWidth = 140

// render gives the file: a header line, and YAML in which a mapping or list that
// fits on the line where it begins stands there, and any other has a line for each
// of its parts, as in Envoy's documentation. Keys are sorted, but for `name`,
// which comes first. What would stand there again on several lines is written once,
// with an anchor that is called after its key, and referred to. protojson's white
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
	d := document{root: yamlNode(value), widths: map[string]int{}, first: map[int]*yaml.Node{}, numbers: map[*yaml.Node]int{}, texts: map[string]int{}, anchors: map[string]int{}}
	d.layOut()
	d.share(d.root)
	var out bytes.Buffer
	out.WriteString("# " + header + "\n")
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(d.root); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// yamlNode is what encoding/json read, as YAML with the quotes that it needs.
func yamlNode(value any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(inDigits(value)); err != nil {
		panic(err)
	}
	nameFirst(n)
	return n
}

// inDigits has each number as it is written: the package would take it for a text.
func inDigits(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, part := range value {
			value[key] = inDigits(part)
		}
	case []any:
		for i, part := range value {
			value[i] = inDigits(part)
		}
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: value.String()}
	}
	return value
}

// nameFirst puts the key `name` before the others, which come sorted.
func nameFirst(n *yaml.Node) {
	for i, part := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && part.Value == "name" {
			pair := slices.Clone(n.Content[i : i+2])
			copy(n.Content[2:i+2], n.Content[:i])
			copy(n.Content, pair)
		}
		nameFirst(part)
	}
}

// A document is one file while its form is chosen.
type document struct {
	root    *yaml.Node
	widths  map[string]int     // of scalars, by style and value
	first   map[int]*yaml.Node // values of keys on several lines, by what is the same
	numbers map[*yaml.Node]int // see same
	texts   map[string]int     // numbers by what they stand for
	anchors map[string]int     // how many begin with a name
}

// layOut chooses what stands on one line.
func (d *document) layOut() {
	for i := 0; i < len(d.root.Content); i += 2 {
		key, value := d.root.Content[i], d.root.Content[i+1]
		d.fit(value, below(value, 0), d.width(key)+2)
	}
}

// fit puts a node on the line where it begins, at a column, if it has room there,
// and else its parts on lines of their own that begin at another column.
func (d *document) fit(n *yaml.Node, lines, column int) {
	if n.Kind == yaml.ScalarNode {
		return
	}
	if column+d.width(n) <= lineWidth {
		n.Style = yaml.FlowStyle
		return
	}
	for i, part := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			d.fit(part, lines+2, lines+2)
		case i%2 == 1:
			d.fit(part, below(part, lines), lines+d.width(n.Content[i-1])+2)
		}
	}
}

// below is where the lines of a key's value begin: the dashes of a list stand
// under the key.
func below(value *yaml.Node, key int) int {
	if value.Kind == yaml.SequenceNode {
		return key
	}
	return key + 2
}

// width is how many columns a node has on one line: {key: value, key: value} or
// [item, item]. It is more than lineWidth where that is known to be so.
func (d *document) width(n *yaml.Node) int {
	if n.Kind == yaml.ScalarNode {
		return d.scalarWidth(n)
	}
	sum := 2 * max(1, len(n.Content)) // brackets, and what stands before each part but the first
	for _, part := range n.Content {
		if sum > lineWidth {
			break
		}
		sum += d.width(part)
	}
	return sum
}

// scalarWidth is how many columns a scalar has inside of brackets, with its quotes.
func (d *document) scalarWidth(n *yaml.Node) int {
	key := fmt.Sprint(n.Style, n.Value)
	if w, known := d.widths[key]; known {
		return w
	}
	text, err := yaml.Marshal(&yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{n}})
	if err != nil {
		panic(fmt.Sprintf("envoy: %q is no YAML: %v", n.Value, err))
	}
	d.widths[key] = utf8.RuneCount(text) - len("[]\n")
	return d.widths[key]
}

// share puts references in the place of what stands on several lines and was there
// before. What a policy is, and of what type a configuration, is said in each place.
func (d *document) share(n *yaml.Node) {
	if n.Style == yaml.FlowStyle {
		return
	}
	for i, part := range n.Content {
		if n.Kind != yaml.MappingNode {
			d.share(part)
			continue
		}
		if i%2 == 0 {
			continue
		}
		key, below := n.Content[i-1].Value, lines(part)
		if key == "metadata" {
			continue
		}
		if below > 1 && key != "typed_config" && anchorable.MatchString(key) {
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

// lines is how many a node has below its key; 0: it stands beside it.
func lines(n *yaml.Node) int {
	if n.Kind == yaml.ScalarNode || n.Style == yaml.FlowStyle {
		return 0
	}
	sum := 0
	for i, part := range n.Content {
		if n.Kind == yaml.SequenceNode {
			sum += max(1, lines(part))
		} else if i%2 == 1 {
			sum += 1 + lines(part)
		}
	}
	return sum
}

// same is a number that equal nodes have, and no others. Each node is looked at
// once: a node's text is made of the numbers of its parts.
func (d *document) same(n *yaml.Node) int {
	if number, known := d.numbers[n]; known {
		return number
	}
	text := fmt.Sprintf("%d%q", n.Style, n.Value)
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
