package envoy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A node is a term of a payload with the arguments in it.
type node struct {
	kind  nodeKind
	at    diag.Span
	typ   string // scalarNode: string, int, size, float, bool, duration, rate, percent
	value ir.Value
	words []string // what a string that is not known can be, if the type says
	list  []*node
	named []namedNode
	from  []string // parameters whose arguments it is made of
	open  bool     // an argument that is not known is in it
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	listNode
	mapNode
)

type namedNode struct {
	key  string
	at   diag.Span // of the key
	node *node
}

// field gives an entry of a map; nil when it has none.
func (n *node) field(key string) *node {
	for _, e := range n.named {
		if e.key == key {
			return e.node
		}
	}
	return nil
}

// unknown reports whether an argument in it, at any depth, is not known.
func (n *node) unknown() bool {
	return n.open || slices.ContainsFunc(n.list, (*node).unknown) ||
		slices.ContainsFunc(n.named, func(e namedNode) bool { return e.node.unknown() })
}

// params are the parameters in it, at any depth.
func (n *node) params() []string {
	out := slices.Clone(n.from)
	for _, e := range n.list {
		out = append(out, e.params()...)
	}
	for _, e := range n.named {
		out = append(out, e.node.params()...)
	}
	return out
}

func (b *builder) node(t *ir.Term) *node {
	n := &node{at: t.At}
	switch t.Kind {
	case ir.ConstTerm:
		n.typ, n.value = t.Type, t.Value
	case ir.ListTerm:
		n.kind = listNode
		for _, e := range t.List {
			n.list = append(n.list, b.node(e))
		}
	case ir.MapTerm:
		n.kind = mapNode
		for _, e := range t.Map {
			n.named = append(n.named, namedNode{e.Key, e.At, b.node(e.Value)})
		}
	case ir.TextTerm:
		b.text(n, t.Text)
	case ir.ParamTerm:
		v, known := b.argument(t.Param)
		typ := b.decl.Param(t.Param).Type
		switch t.Of {
		case "events":
			v, typ = ir.Value{Kind: ir.Int, Int: v.Int}, "int"
		case "period":
			v, typ = ir.Value{Kind: ir.Duration, Dur: v.Dur}, "duration"
		}
		n = valueNode(typ, v, known, t.At, t.Param)
	}
	return n
}

// argument of a parameter: of the call, else its default. known is false where
// there is neither.
func (b *builder) argument(name string) (v ir.Value, known bool) {
	if b.call != nil {
		return b.call.Args[name], true
	}
	if def := b.decl.Param(name).Value; def != nil {
		return *def, true
	}
	return ir.Value{}, false
}

// valueNode is an argument of a type in the grammar's form. An unknown list or
// map has one unknown element, so that its type is looked at.
func valueNode(typ string, v ir.Value, known bool, at diag.Span, param string) *node {
	n := &node{at: at, typ: typ, value: v, from: []string{param}, open: !known}
	elem, isList := strings.CutPrefix(typ, "list<")
	value, isMap := strings.CutPrefix(typ, "map<")
	switch {
	case isList:
		n.kind = listNode
		for _, e := range v.List {
			n.list = append(n.list, valueNode(strings.TrimSuffix(elem, ">"), e, true, at, param))
		}
		if !known {
			n.list = []*node{valueNode(strings.TrimSuffix(elem, ">"), ir.Value{}, false, at, param)}
		}
	case isMap:
		n.kind = mapNode
		for _, e := range v.Map {
			n.named = append(n.named, namedNode{e.Key, at, valueNode(strings.TrimSuffix(value, ">"), e.Value, true, at, param)})
		}
		if !known {
			n.named = []namedNode{{"", at, valueNode(strings.TrimSuffix(value, ">"), ir.Value{}, false, at, param)}}
		}
	case strings.HasPrefix(typ, "enum("):
		n.typ = "string"
		if !known {
			n.words = enumWords(typ)
		}
	case typ == "regex":
		n.typ = "string"
	}
	return n
}

// enumWords reads `enum("a", "b")`.
func enumWords(typ string) []string {
	var out []string
	rest := strings.TrimSuffix(strings.TrimPrefix(typ, "enum("), ")")
	for rest != "" {
		word, err := strconv.QuotedPrefix(rest)
		if err != nil {
			panic("no enum: " + typ)
		}
		plain, _ := strconv.Unquote(word)
		out = append(out, plain)
		rest = strings.TrimPrefix(rest[len(word):], ", ")
	}
	return out
}

// text joins the pieces of a string.
func (b *builder) text(n *node, pieces []ir.Piece) {
	n.typ = "string"
	var out strings.Builder
	for _, p := range pieces {
		out.WriteString(p.Text)
		if p.Param == "" {
			continue
		}
		v, known := b.argument(p.Param)
		n.from = append(n.from, p.Param)
		n.open = n.open || !known
		if known {
			out.WriteString(textOf(v))
		}
	}
	n.value = ir.Value{Kind: ir.String, Str: out.String()}
}

// textOf is an argument inside a string. A duration is written as in protobuf's
// JSON: 1.5s.
func textOf(v ir.Value) string {
	switch v.Kind {
	case ir.Int:
		return strconv.FormatInt(v.Int, 10)
	case ir.Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case ir.Bool:
		return strconv.FormatBool(v.Bool)
	case ir.Duration:
		return strconv.FormatFloat(v.Dur.Seconds(), 'f', -1, 64) + "s"
	}
	return v.Str
}

// shown is a node for a message.
func (n *node) shown() string {
	text := strings.Join(strings.Fields(n.at.Text()), " ")
	if r := []rune(text); len(r) > 30 {
		text = string(r[:29]) + "…"
	}
	switch n.kind {
	case listNode:
		return text + " is a list"
	case mapNode:
		return text + " is a map"
	}
	article := "a"
	if n.typ == "int" {
		article = "an"
	}
	return fmt.Sprintf("%s is %s %s", text, article, n.typ)
}
