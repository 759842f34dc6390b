package lsp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// completions collects what can stand in one place, which it replaces.
type completions struct {
	*cursor
	at   span
	list []completionItem
}

func (l *completions) add(kind int, label, detail, doc string) {
	item := completionItem{Label: label, Kind: kind, Detail: detail, TextEdit: textEdit{l.at, label}}
	if doc != "" {
		item.Documentation = &markup{"markdown", doc}
	}
	l.list = append(l.list, item)
}

// completion gives what the grammar and the program allow at the cursor. The
// word that is being typed is replaced; the client picks what fits it.
func (s *server) completion(_ context.Context, c *cursor) ([]completionItem, error) {
	l := &completions{cursor: c, list: []completionItem{}}
	if c.inText {
		return l.list, nil
	}
	n := slices.IndexFunc(c.tokens, func(t syntax.Token) bool { return t.End >= c.off })
	if n < 0 {
		n = len(c.tokens)
	}
	start, first := c.off, true
	if n < len(c.tokens) {
		switch t := c.tokens[n]; {
		case t.Kind == syntax.TokenWord && t.Start < c.off:
			start, first = t.Start, t.First
		case t.Kind == syntax.TokenCondition && t.Start <= c.off:
			l.conditionAt(c.off)
			return l.list, nil
		case t.Start < c.off:
			n++ // right behind a mark
		}
	}
	if start == c.off {
		line, _ := c.b.src.Position(int32(c.off))
		first = strings.TrimSpace(string(c.b.src.Text[c.b.src.LineStart(line):c.off])) == ""
	}
	l.at = rangeOf(c.b.src.Span(start, c.off))
	l.fill(placeOf(c.tokens, n, first))
	return l.list, nil
}

func (l *completions) fill(p place) {
	switch p.slot {
	case slotDecl:
		l.words("file", "")
		l.words("@", "@")
	case slotClause:
		l.words("policy", "")
		l.actions()
	case slotAction:
		l.actions()
	case slotFact:
		l.words("action", "")
	case slotPayload:
		l.parameters(p)
	case slotAnnotation:
		l.words("@", "")
	case slotExpect:
		l.words("expect", "")
	case slotEndpoint:
		l.words("endpoints", "")
		l.services()
		l.declared("let", "$")
	case slotCallee:
		l.services()
	case slotRequest:
		l.services()
		l.add(kindKeyword, "expect", "", "")
	case slotLet:
		l.declared("let", "")
	case slotPolicy:
		l.declared("policy", "")
	case slotProtocol:
		for _, name := range graph.Protocols() {
			l.add(kindEnumValue, name, "", "")
		}
	case slotLabelKey, slotLabelValue:
		l.labels(p)
	case slotParam, slotValue:
		l.arguments(p)
	case slotCondition:
		l.conditionAt(l.off)
	}
}

func (l *completions) words(where, mark string) {
	for _, w := range lang.Words {
		if w.Where == where {
			l.add(kindKeyword, mark+w.Word, "", w.Doc)
		}
	}
}

func (l *completions) actions() {
	own := l.own()
	for _, name := range own.Names() {
		d := own.Decl(name)
		params := make([]string, len(d.Params))
		for i, p := range d.Params {
			params[i] = paramText(p)
		}
		l.add(kindFunction, name, name+"("+strings.Join(params, ", ")+")", l.aboutAction(name))
	}
	for _, d := range l.declarations() { // those that can't be read yet
		if d.kind == "action" && own.Decl(d.name) == nil {
			l.add(kindFunction, d.name, "", "")
		}
	}
}

// parameters of the action that is being declared, by its tokens: the filter is
// broken while it is typed.
func (l *completions) parameters(p place) {
	depth, inside := 0, false
	for i, t := range l.tokens {
		switch {
		case i > 0 && l.tokens[i-1].Text == "action" && t.Text == p.call:
			depth, inside = 0, true
		case !inside:
		case t.Text == "(":
			depth++
		case t.Text == ")":
			depth--
			inside = depth > 0
		case depth == 1 && i+1 < len(l.tokens) && l.tokens[i+1].Text == ":":
			l.add(kindVariable, t.Text, "", "")
		}
	}
	l.declared("let", "$")
}

func (l *completions) services() {
	if l.Graph == nil {
		return
	}
	for _, s := range l.Graph.Services {
		l.add(kindModule, s.Name, "service", "")
	}
	for _, e := range l.Graph.Externals {
		l.add(kindModule, e.Name, "external", "")
	}
}

func (l *completions) declared(kind, mark string) {
	icon := map[string]int{"let": kindVariable, "action": kindFunction, "policy": kindReference}[kind]
	for _, d := range l.declarations() {
		if d.kind == kind {
			line, _ := d.at.Src.Position(d.at.Start)
			l.add(icon, mark+d.name, strings.TrimSpace(d.at.Src.Line(line)), "")
		}
	}
}

// labels gives the keys that services have, or the values of one.
func (l *completions) labels(p place) {
	if l.Graph == nil {
		return
	}
	found := map[string]int{}
	for _, s := range l.Graph.Services {
		for k, v := range s.Labels {
			if p.slot == slotLabelKey {
				found[k]++
			} else if k == p.key {
				found[v]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		l.add(kindProperty, name, count(found[name], "service"), "")
	}
}

// arguments gives the names that a call has not given yet, and the values that
// the argument at the cursor can have.
func (l *completions) arguments(p place) {
	if p.call == "@fail" {
		l.add(kindEnumValue, "open", "", "")
		l.add(kindEnumValue, "closed", "", "")
		return
	}
	d := l.own().Decl(p.call)
	if d == nil {
		return
	}
	value := -1
	for i, q := range d.Params {
		switch {
		case p.slot == slotValue && p.arg == q.Name, (p.slot == slotParam || p.arg == "") && p.index == i && len(p.used) == 0:
			value = i
		}
		if p.slot == slotParam && i >= p.index-len(p.used) && !slices.Contains(p.used, q.Name) {
			l.addText(kindField, q.Name, q.Name+": ", paramText(q))
		}
	}
	if value >= 0 {
		l.values(d.Params[value])
	}
	l.declared("let", "$")
}

func (l *completions) addText(kind int, label, text, detail string) {
	l.add(kind, label, detail, "")
	l.list[len(l.list)-1].TextEdit.NewText = text
}

// values gives the words of an enum, or of a list of one, and truth values.
func (l *completions) values(p ir.Param) {
	typ := p.Type
	if typ == "bool" {
		l.add(kindEnumValue, "true", "", "")
		l.add(kindEnumValue, "false", "", "")
		return
	}
	_, words, ok := strings.Cut(typ, "enum(")
	if !ok {
		return
	}
	words, _, _ = strings.Cut(words, ")")
	for _, w := range strings.Split(words, ", ") {
		l.add(kindEnumValue, w, fmt.Sprintf("of %s", p.Name), "")
	}
}

// conditionAt gives the attributes that a condition can read; what is typed of
// one, dots included, is replaced.
func (l *completions) conditionAt(off int) {
	text := l.b.src.Text
	start := off
	for start > 0 && (isNameByte(text[start-1]) || text[start-1] == '.') {
		start--
	}
	l.at = rangeOf(l.b.src.Span(start, off))
	for _, name := range lang.Attributes() {
		l.add(kindProperty, name, "", "")
	}
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
