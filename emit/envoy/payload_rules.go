package envoy

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"admc.dev/admc/lang/diag"
)

// A fieldError is what the rules generated from Envoy's .proto files report.
type fieldError interface {
	Field() string // in Go's spelling, with [key] for an element
	Reason() string
	Cause() error
}

// embedded is the reason that a message gives for another one in it, which has
// been looked at by itself.
const embedded = "embedded message failed validation"

// rules holds a message to the field rules of its .proto file, and finds the
// field that each is about. Where there are strange fields, a missing one may be
// what one of them was meant to be.
func (b *builder) rules(m protoreflect.Message, held map[protoreflect.FieldNumber]namedNode, where diag.Span, strange bool) bool {
	v, can := m.Interface().(interface{ ValidateAll() error })
	if !can {
		return true
	}
	err := v.ValidateAll()
	if err == nil {
		return true
	}
	list := []error{err}
	if all, several := err.(interface{ AllErrors() []error }); several {
		list = all.AllErrors()
	}
	ok := true
	for _, e := range list {
		f, is := e.(fieldError)
		if !is || f.Reason() == embedded {
			continue
		}
		name, n, there := b.ruled(m.Descriptor(), f.Field(), held)
		switch {
		case !there && strange:
		case !there:
			b.wrong(where, "%s: %s: %s", m.Descriptor().FullName(), name, f.Reason())
			ok = false
		case n == nil:
		case b.call == nil && n.unknown():
		default:
			b.badValue(n, "the field %s of %s: %s", name, m.Descriptor().FullName(), f.Reason())
			ok = false
		}
	}
	return ok
}

// ruled finds what a rule is about: a field, or a oneof, with the node that the
// payload has for it, if it is there; nil when something is wrong with that
// already.
func (b *builder) ruled(md protoreflect.MessageDescriptor, goName string, held map[protoreflect.FieldNumber]namedNode) (name string, n *node, there bool) {
	goName, _, _ = strings.Cut(goName, "[")
	same := func(name protoreflect.Name) bool {
		return strings.EqualFold(strings.ReplaceAll(string(name), "_", ""), strings.ReplaceAll(goName, "_", ""))
	}
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); same(fd.Name()) {
			e, there := held[fd.Number()]
			return string(fd.Name()), e.node, there
		}
	}
	for i := range md.Oneofs().Len() {
		of := md.Oneofs().Get(i)
		if !same(of.Name()) {
			continue
		}
		var names []string
		for k := range of.Fields().Len() {
			fd := of.Fields().Get(k)
			names = append(names, string(fd.Name()))
			if e, there := held[fd.Number()]; there {
				return string(of.Name()), e.node, true
			}
		}
		return "one of " + strings.Join(names, ", "), nil, false
	}
	return goName, nil, false
}
