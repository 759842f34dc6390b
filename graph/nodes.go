package graph

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// An object is a YAML mapping whose keys were checked: key, value, key, value.
// Aliases and merge keys are resolved.
type object struct {
	at      diag.Span // where a key that is missing should stand
	content []*yaml.Node
	meant   []string // keys that others may have been meant for, which were reported
}

// maxKeys is more than any mapping of the format has.
const maxKeys = 12

// get gives a key's value, nil where it is absent.
func (o object) get(key string) *yaml.Node {
	for i := 0; i < len(o.content); i += 2 {
		if o.content[i].Value == key {
			return resolved(o.content[i+1])
		}
	}
	return nil
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// object reads a mapping that takes the given keys only. ok is false when n is
// no mapping; keys that are unknown or come twice are reported and left out.
func (l *loader) object(n *yaml.Node, what string, keys []string) (o object, ok bool) {
	o.content, ok = l.entries(n, what)
	if !ok {
		return o, false
	}
	o.at = l.pos.span(n)
	var first [maxKeys]*yaml.Node
	clean := true
	for i := 0; i < len(o.content); i += 2 {
		key := o.content[i]
		k := slices.Index(keys, key.Value)
		switch {
		case k < 0:
			clean = false
			o.meant = append(o.meant, l.unknownKey(key, what, keys))
		case first[k] != nil:
			clean = false
			l.duplicateKey(key, first[k])
		default:
			first[k] = key
		}
	}
	if !clean {
		o.content = onlyKnown(o.content, keys)
	}
	return o, true
}

// onlyKnown keeps the first entry of each known key.
func onlyKnown(content []*yaml.Node, keys []string) []*yaml.Node {
	var out []*yaml.Node
	for _, key := range keys {
		for i := 0; i < len(content); i += 2 {
			if content[i].Value == key {
				out = append(out, content[i], content[i+1])
				break
			}
		}
	}
	return out
}

func (l *loader) duplicateKey(second, first *yaml.Node) {
	l.bag.Errorf(l.pos.span(second), DuplicateKey, "the key %s comes a second time", quote(second.Value)).
		WithNote(l.pos.span(first), "it is here already")
}

// unknownKey gives the key that is suggested; "" where none is.
func (l *loader) unknownKey(n *yaml.Node, what string, keys []string) string {
	at := l.pos.span(n)
	d := l.bag.Errorf(at, UnknownKey, "%s has no key %q", what, n.Value)
	if near := diag.Suggest(n.Value, keys); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(at, near)
		return near
	}
	d.WithHint("it takes %s", strings.Join(keys, ", "))
	return ""
}

// entries gives the keys and values of a mapping. Keys are scalars; what `<<`
// brings in stands behind what is written. ok is false when n is no mapping.
func (l *loader) entries(n *yaml.Node, what string) (content []*yaml.Node, ok bool) {
	if n.Kind != yaml.MappingNode {
		d := l.wrongType(n, what, "a mapping")
		if isNull(n) {
			d.WithHint("write `{}` where there is nothing to say")
		}
		return nil, false
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Kind != yaml.ScalarNode || n.Content[i].Tag == "!!merge" {
			return l.merged(n), true
		}
	}
	return n.Content, true
}

// list gives the items of a list; ok is false when n is none.
func (l *loader) list(n *yaml.Node, what string) (items []*yaml.Node, ok bool) {
	if n.Kind != yaml.SequenceNode {
		d := l.wrongType(n, what, "a list")
		if isNull(n) {
			d.WithHint("leave the key out where there is nothing to list")
		} else {
			d.WithHint("a list is written [x, y], or one `- x` a line")
		}
		return nil, false
	}
	return n.Content, true
}

// wrongType reports that a value is none of the wanted type.
func (l *loader) wrongType(n *yaml.Node, what, wanted string) *diag.Diagnostic {
	return l.bag.Errorf(l.pos.span(n), WrongType, "%s is %s, found %s", what, wanted, describe(n))
}

// describe names a node as the user sees it.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "the truth value " + n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	case "!!str":
		return "the text " + quote(n.Value)
	}
	return "a value tagged " + n.Tag
}

// quote writes text in double quotes, cut where it is long.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
