package graph

import (
	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// An Object is the one mapping of a YAML file, such as admc.yaml, whose mistakes are
// told as those of a graph are. A value that is wrong reads as none.
type Object struct {
	l *loader
	o object
}

// ReadObject reads a file that takes the given keys, all of them optional. what names
// the file in messages. An empty file is an object without keys.
func ReadObject(src *diag.Source, what string, keys []string, bag *diag.Bag) *Object {
	out := &Object{l: &loader{src: src, bag: bag, pos: newPositions(src)}}
	root, empty := out.l.document(what)
	if root != nil && !empty {
		out.o, _ = out.l.object(root, what, keys)
	}
	return out
}

// At is the place of a key's value; that of the file where it has none.
func (o *Object) At(key string) diag.Span {
	if n := o.o.get(key); n != nil {
		return o.l.pos.span(n)
	}
	return o.l.src.Span(0, 0)
}

// Text of a key; "" where it has none.
func (o *Object) Text(key string) string { return read(o, key, o.l.text) }

// Bool of a key; false where it has none.
func (o *Object) Bool(key string) bool { return read(o, key, o.l.boolean) }

// Choice is the word of a key that is one of some; "" where it has none.
func (o *Object) Choice(key string, of []string) string {
	return read(o, key, func(n *yaml.Node, what string) (string, bool) { return o.l.choice(n, what, of) })
}

// Texts are the texts in the list of a key.
func (o *Object) Texts(key string) []string {
	return read(o, key, func(n *yaml.Node, what string) (out []string, ok bool) {
		items, ok := o.l.list(n, what)
		for _, item := range items {
			if s, good := o.l.text(resolved(item), "an item of "+what); good {
				out = append(out, s)
			}
		}
		return out, ok
	})
}

// Found describes what a key has, for a message that it is not what is wanted.
func (o *Object) Found(key string) string { return describe(o.o.get(key)) }

// Has reports whether there is a key.
func (o *Object) Has(key string) bool { return o.o.get(key) != nil }

// Raw is the text of a scalar, whatever YAML takes it for; "" where there is none.
func (o *Object) Raw(key string) string {
	if n := o.o.get(key); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

func read[T any](o *Object, key string, as func(n *yaml.Node, what string) (T, bool)) (out T) {
	if n := o.o.get(key); n != nil {
		out, _ = as(n, key)
	}
	return out
}
