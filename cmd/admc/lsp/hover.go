package lsp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// hover says what the word at the cursor is: an action's documentation, where a
// policy's obligations run and why, a service's ports and its ADM.
func (s *server) hover(_ context.Context, c *cursor) (*hover, error) {
	i := c.under()
	if i < 0 {
		return nil, nil
	}
	t := c.tokens[i]
	text := c.about(i, placeOf(c.tokens, i, t.First))
	if text == "" {
		return nil, nil
	}
	return &hover{markup{"markdown", text}, rangeOf(c.b.src.Span(t.Start, t.End))}, nil
}

func (c *cursor) about(i int, p place) string {
	t := c.tokens[i]
	switch p.slot {
	case slotDecl:
		return word("file", t.Text)
	case slotClause, slotAction:
		if text := c.aboutAction(t.Text); text != "" {
			return text
		}
		return word("policy", t.Text) + word("endpoints", t.Text)
	case slotAnnotation:
		return word("@", t.Text)
	case slotFact:
		return word("action", t.Text)
	case slotPayload:
		if d := c.own().Decl(p.call); d != nil && d.Param(t.Text) != nil {
			return block(paramText(*d.Param(t.Text)))
		}
	case slotExpect:
		return word("expect", t.Text)
	case slotName, slotPolicy:
		switch {
		case p.slot == slotPolicy || p.decl == "policy":
			return c.aboutPolicy(t.Text)
		case p.decl == "action":
			return c.aboutAction(t.Text)
		}
	case slotEndpoint, slotRequest, slotCallee:
		return c.aboutNodes(t.Text)
	case slotLet:
		if d := c.find("let", t.Text); d != nil {
			line, _ := d.at.Src.Position(d.at.Start)
			return block(strings.TrimSpace(d.at.Src.Line(line)))
		}
	case slotParam:
		if d := c.own().Decl(p.call); d != nil && i+1 < len(c.tokens) && c.tokens[i+1].Text == ":" {
			for _, q := range d.Params {
				if q.Name == t.Text {
					return block(paramText(q))
				}
			}
		}
	}
	return ""
}

func block(text string) string { return "```adm\n" + strings.TrimSuffix(text, "\n") + "\n```\n" }

func word(where, text string) string {
	for _, w := range lang.Words {
		if w.Where == where && w.Word == text {
			return w.Doc
		}
	}
	return ""
}

func paramText(p ir.Param) string {
	if p.Default == "" {
		return p.Name + ": " + p.Type
	}
	return p.Name + ": " + p.Type + " = " + p.Default
}

func (c *cursor) aboutAction(name string) string {
	if text, ok := c.own().Doc(name); ok {
		return "```text\n" + text + "```\n"
	}
	if d := c.find("action", name); d != nil {
		line, _ := d.at.Src.Position(d.at.Start)
		return block(strings.TrimSpace(d.at.Src.Line(line)))
	}
	return ""
}

// aboutPolicy is the comment above a policy and its derivation.
func (c *cursor) aboutPolicy(name string) string {
	var out string
	for _, f := range c.Files {
		for _, d := range f.Decls {
			if p, ok := d.(*syntax.Policy); ok && p.Name.Name == name {
				for _, above := range p.Above {
					out += strings.TrimSpace(strings.TrimPrefix(above.Text, "//")) + "\n"
				}
			}
		}
	}
	if out != "" {
		out += "\n"
	}
	if c.Explain != nil {
		if text := c.Explain(name); text != "" {
			return out + "```text\n" + text + "```\n"
		}
	}
	if c.find("policy", name) == nil {
		return ""
	}
	return out + "Where it runs is known when the program has no errors.\n"
}

func (c *cursor) aboutNodes(pattern string) string {
	if text := word("endpoints", pattern); text != "" {
		return text
	}
	nodes := c.nodes(pattern)
	if strings.Contains(pattern, "*") {
		return fmt.Sprintf("%s: %s", count(len(nodes), "service"), strings.Join(names(nodes), ", "))
	}
	if len(nodes) == 0 {
		return ""
	}
	var b strings.Builder
	switch n := nodes[0].(type) {
	case *graph.External:
		fmt.Fprintf(&b, "external `%s`", n.Name)
		if n.Host != "" {
			fmt.Fprintf(&b, " at %s:%d (%s)", n.Host, n.Port, n.Protocol)
		}
		b.WriteString("\n")
	case *graph.Service:
		fmt.Fprintf(&b, "service `%s`\n\n", n.Name)
		for _, p := range n.Ports {
			fmt.Fprintf(&b, "* port %d %s\n", p.Number, p.Protocol)
		}
		var labels []string
		for k, v := range n.Labels {
			labels = append(labels, k+"="+v)
		}
		if slices.Sort(labels); len(labels) > 0 {
			fmt.Fprintf(&b, "* labels %s\n", strings.Join(labels, ", "))
		}
	}
	callers, callees := c.Graph.CallsTo(nodes[0]), c.Graph.CallsFrom(nodes[0])
	fmt.Fprintf(&b, "* called by %s, calls %s\n", ends(callers, true), ends(callees, false))
	if _, external := nodes[0].(*graph.External); !external && c.Explain != nil {
		if text := c.Explain(pattern); text != "" {
			b.WriteString("\n```text\n" + text + "```\n")
		}
	}
	return b.String()
}

func names(nodes []graph.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.NodeName()
	}
	return out
}

func ends(calls []*graph.Call, from bool) string {
	var out []string
	for _, c := range calls {
		n := c.To
		if from {
			n = c.From
		}
		out = append(out, n.NodeName())
	}
	if out = slices.Compact(out); len(out) == 0 {
		return "nobody"
	}
	return strings.Join(out, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// definition gives where the name at the cursor is declared.
func (s *server) definition(_ context.Context, c *cursor) ([]location, error) {
	i := c.under()
	if i < 0 {
		return nil, nil
	}
	t := c.tokens[i]
	p := placeOf(c.tokens, i, t.First)
	var at []diag.Span
	declared := func(kind, name string) {
		if d := c.find(kind, name); d != nil {
			at = append(at, d.at)
		}
	}
	action := func(name string) {
		declared("action", name)
		if d := c.own().Decl(name); d != nil && len(at) == 0 {
			at = append(at, d.At)
		}
	}
	switch p.slot {
	case slotLet:
		declared("let", t.Text)
	case slotPolicy:
		declared("policy", t.Text)
	case slotName:
		declared(p.decl, t.Text)
	case slotClause, slotAction:
		action(t.Text)
	case slotParam:
		if i+1 < len(c.tokens) && c.tokens[i+1].Text == ":" {
			action(p.call)
		}
	case slotEndpoint, slotRequest, slotCallee:
		for _, n := range c.nodes(t.Text) {
			at = append(at, n.Span())
		}
	}
	var out []location
	for _, span := range at {
		if uri := s.uri(span.Src); uri != "" {
			out = append(out, location{uri, rangeOf(span)})
		}
	}
	return out, nil
}

// format lays a document out; null where it has errors.
func (s *server) format(uri string) ([]textEdit, error) {
	b := s.buffers[uri]
	if b == nil || !b.isPolicy() {
		return nil, nil
	}
	bag := &diag.Bag{}
	f := syntax.Parse(b.src, bag)
	if bag.HasErrors() {
		return nil, nil
	}
	var out strings.Builder
	if err := syntax.Print(&out, f); err != nil {
		return nil, err
	}
	if out.String() == string(b.src.Text) {
		return []textEdit{}, nil
	}
	edit := diag.Difference(b.src, []byte(out.String()))
	return []textEdit{{rangeOf(edit.At), edit.Replace}}, nil
}
