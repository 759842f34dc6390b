package envoy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The YAML package writes a mapping or list either with a line for each of its
// parts or all on one line. Envoy's extensions are nested so deeply, most often
// one in one in one, that neither is good to read; so the lines are broken here.
// A node is on the line where it begins if it has room there. Else its parts are
// on lines of their own, or it is a paragraph in brackets, as in a program:
//
//	xds_matcher: {matcher_list: {matchers: [{on_match: *on_match,
//	  predicate: {not_matcher: {single_predicate: {input: *input,
//	    value_match: {exact: "true"}}}}}]}}
//
// whichever has fewer lines.

const (
	// paragraphLines is how many lines a paragraph may have.
	paragraphLines = 12
	// fieldColumn is where those of clusters and listeners begin: what is further out
	// is found by its own lines.
	fieldColumn = 4
)

// block is a mapping or list with its parts on lines of their own.
func (d *document) block(n *yaml.Node, indent int) []string {
	var lines []string
	blanks := strings.Repeat(" ", indent)
	for i, part := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			all := d.item(part, indent+2)
			lines = append(lines, blanks+"- "+all[0])
			lines = append(lines, all[1:]...)
		case i%2 == 1:
			key := blanks + d.scalar(n.Content[i-1]) + ":"
			all := d.value(part, below(part, indent), utf8.RuneCountInString(key)+1)
			if all[0] != "" {
				key += " "
			}
			lines = append(lines, key+all[0])
			lines = append(lines, all[1:]...)
		}
	}
	return lines
}

// below is where the lines of a key's value begin: the dashes of a list stand
// under the key.
func below(value *yaml.Node, key int) int {
	if value.Kind == yaml.SequenceNode {
		return key
	}
	return key + 2
}

// item is what stands after a dash, at a column. A part that has a name begins
// with it, and has its others below.
func (d *document) item(n *yaml.Node, column int) []string {
	if n.Kind != yaml.MappingNode || whole(n) || d.fits(n, column, 0) {
		return d.value(n, column, column)
	}
	all := d.block(n, column)
	all[0] = all[0][column:]
	if n.Content[0].Value != "name" {
		if short := d.paragraph(n, column, column, 0); short != nil && len(short) < len(all) {
			return short
		}
	}
	return all
}

// value is what stands after a key, at a column; its further lines begin at
// another, and the first is empty where all are below the key.
func (d *document) value(n *yaml.Node, indent, column int) []string {
	if n.Kind == yaml.ScalarNode {
		return d.textBeside(n, indent)
	}
	if whole(n) || d.fits(n, column, 0) {
		return []string{d.line(n)}
	}
	all := append([]string{strings.TrimSpace(anchorOf(n))}, d.block(n, indent)...)
	if indent < fieldColumn {
		return all
	}
	if n.Kind == yaml.SequenceNode {
		indent += 2 // as the parts of what stands after a dash
	}
	if short := d.paragraph(n, indent, column, 0); short != nil && len(short) < len(all) {
		return short
	}
	return all
}

// paragraph is a node in brackets that begins at a column, and has its further
// lines at another; behind it so many brackets and commas follow. nil: it is too
// long for one, or has extensions in a list, which are looked for by their names.
func (d *document) paragraph(n *yaml.Node, indent, column, after int) []string {
	if d.fits(n, column, after) {
		return []string{d.line(n)}
	}
	if n.Kind == yaml.ScalarNode || whole(n) || n.Kind == yaml.SequenceNode && isExtension(n.Content[0]) {
		return nil
	}
	open, end := anchorOf(n)+"{", "}"
	if n.Kind == yaml.SequenceNode {
		open, end = anchorOf(n)+"[", "]"
	}
	if head, last := d.allButLast(n); last != nil {
		head = open + head
		if begin := column + utf8.RuneCountInString(head); begin < lineWidth {
			// On a line of its own it would have no more room.
			lines := d.paragraph(last, indent, begin, after+1)
			if lines != nil {
				lines[0] = head + lines[0]
				lines[len(lines)-1] += end
			}
			return lines
		}
	}
	lines := []string{open}
	begin, blank := column, "" // of the last line, and what stands before its next part
	filled := true             // it has only parts that are whole there
	for i, part := range n.Content {
		key := ""
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key = d.scalar(n.Content[i-1]) + ": "
		}
		rest, comma := 1, ","
		if i+1 == len(n.Content) {
			rest, comma = after+1, end
		}
		at := &lines[len(lines)-1]
		if filled && d.fits(part, begin+utf8.RuneCountInString(*at+blank+key), rest) {
			*at += blank + key + d.line(part) + comma
			blank = " "
			continue
		}
		all := d.paragraph(part, indent+2, indent+utf8.RuneCountInString(key), rest)
		if all == nil || len(lines)+len(all) > paragraphLines {
			return nil
		}
		begin, blank, filled = 0, " ", len(all) == 1
		lines = append(lines, strings.Repeat(" ", indent)+key+all[0])
		lines = append(lines, all[1:]...)
		lines[len(lines)-1] += comma
	}
	return lines
}

// allButLast is a node up to its last part, for which the line goes on, where
// only scalars stand before it; nil where that is not so.
func (d *document) allButLast(n *yaml.Node) (string, *yaml.Node) {
	last := n.Content[len(n.Content)-1]
	if last.Kind == yaml.ScalarNode || n.Kind == yaml.SequenceNode && len(n.Content) > 1 {
		return "", nil
	}
	var head strings.Builder
	for i, part := range n.Content[:len(n.Content)-1] {
		if part.Kind != yaml.ScalarNode {
			return "", nil
		}
		head.WriteString(d.scalar(part))
		if i%2 == 0 {
			head.WriteString(": ")
		} else {
			head.WriteString(", ")
		}
	}
	return head.String(), last
}

// isExtension reports whether a node is an extension, as filters and access logs are.
func isExtension(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].Value == "name" &&
		slices.ContainsFunc(n.Content, func(part *yaml.Node) bool { return part.Value == "typed_config" })
}

// fits reports whether a node has room on a line from a column on, before so many
// brackets and commas.
func (d *document) fits(n *yaml.Node, column, after int) bool {
	return column+d.width(n)+after <= lineWidth
}

// whole reports whether a node has no parts that could stand on lines of their own.
func whole(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode && len(n.Content) == 0 }

func anchorOf(n *yaml.Node) string {
	if n.Anchor == "" {
		return ""
	}
	return "&" + n.Anchor + " "
}

// line is a node on one line: {key: value, key: value} or [item, item].
func (d *document) line(n *yaml.Node) string {
	var parts []string
	for i, part := range n.Content {
		if n.Kind == yaml.SequenceNode {
			parts = append(parts, d.line(part))
		} else if i%2 == 1 {
			parts = append(parts, d.scalar(n.Content[i-1])+": "+d.line(part))
		}
	}
	all := strings.Join(parts, ", ")
	switch n.Kind {
	case yaml.AliasNode:
		return "*" + n.Value
	case yaml.ScalarNode:
		return d.scalar(n)
	case yaml.SequenceNode:
		return anchorOf(n) + "[" + all + "]"
	default:
		return anchorOf(n) + "{" + all + "}"
	}
}

// width is how many columns a node has on one line. It is more than lineWidth
// where that is known to be so.
func (d *document) width(n *yaml.Node) int {
	switch n.Kind {
	case yaml.ScalarNode:
		return utf8.RuneCountInString(d.scalar(n))
	case yaml.AliasNode:
		return len("*") + len(n.Value)
	}
	sum := len(anchorOf(n)) + 2*max(1, len(n.Content)) // brackets, and what stands before each part but the first
	for _, part := range n.Content {
		if sum > lineWidth {
			break
		}
		sum += d.width(part)
	}
	return sum
}

// plain texts are like nothing but a text, to no version of YAML. Most are.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]{5,}$`)

// escaped are characters that readers of YAML take for breaks, indentation or
// nothing, or that the package has escapes for that Envoy's reader takes for others.
func escaped(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff
}

// scalar is how a scalar stands inside of brackets, with its quotes.
func (d *document) scalar(n *yaml.Node) string {
	if n.Tag != textTag || plain.MatchString(n.Value) {
		return n.Value
	}
	if text, known := d.scalars[n.Value]; known {
		return text
	}
	text := strconv.QuoteToASCII(n.Value) // whose escapes are YAML's, too
	if n.Value != "<<" && !strings.ContainsFunc(n.Value, escaped) {
		text = quoted(n.Value)
	}
	d.scalars[n.Value] = text
	return text
}

// quoted is a text as the YAML package writes it in brackets. Encode knows what
// older versions of YAML take for something else.
func quoted(text string) string {
	n := &yaml.Node{}
	err := n.Encode(text)
	written, other := yaml.Marshal(&yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{n}})
	if err = cmp.Or(err, other); err != nil {
		panic(fmt.Sprintf("envoy: %q is no YAML: %v", text, err))
	}
	return string(written[len("[") : len(written)-len("]\n")])
}

// textBeside is a scalar after a key or a dash. One of several lines, as a program
// is, has them below, if nothing in it needs quotes.
func (d *document) textBeside(n *yaml.Node, indent int) []string {
	if !strings.Contains(strings.TrimPrefix(n.Value, "\n"), "\n") || strings.ContainsFunc(strings.ReplaceAll(n.Value, "\n", ""), escaped) {
		return []string{d.scalar(n)}
	}
	lines := strings.Split(n.Value, "\n")
	head := "|2-" // two columns in, whatever its first line begins with
	if end := len(lines) - 1; lines[end] == "" && lines[end-1] != "" {
		head, lines = "|2", lines[:end]
	} else if lines[end] == "" {
		return []string{d.scalar(n)}
	}
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", indent) + line
		}
	}
	return append([]string{head}, lines...)
}
