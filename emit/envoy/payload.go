package envoy

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// An action that a program declares stands for an Envoy filter whose
// configuration it gives as a payload. The payload is held to Envoy's own
// messages where it is declared, with arguments that are not known yet, and at
// each call, with those that are. A mistake is reported once: at its field in
// the declaration, or at the argument that makes it one.

// CheckPayloads reports what is wrong with the payloads of a program's actions.
func CheckPayloads(p *ir.Program, bag *diag.Bag) {
	broken := map[*ir.ActionDecl]bool{}
	for _, d := range p.Actions {
		before, _ := bag.Count()
		for _, x := range d.Payloads {
			b := &builder{bag: bag, decl: d}
			b.filter(x)
		}
		now, _ := bag.Count()
		broken[d] = now > before
	}
	for _, policy := range p.Policies {
		for _, a := range policy.Actions {
			if broken[a.Decl] {
				continue
			}
			for _, x := range a.Decl.Payloads {
				b := &builder{bag: bag, decl: a.Decl, call: a}
				b.filter(x)
			}
		}
	}
}

// A builder makes the message of one payload.
type builder struct {
	bag  *diag.Bag
	decl *ir.ActionDecl
	call *ir.Action // nil: the declaration itself is looked at
}

// filter gives the filter's configuration; nil when it is wrong, which is then
// reported.
func (b *builder) filter(x *ir.Payload) proto.Message {
	if x.Root == nil {
		return nil // the checker has said why
	}
	n := b.node(x.Root)
	typ, t := b.typeOf(n, x.At)
	if typ == nil {
		return nil
	}
	if !b.isFilter(typ.Descriptor().FullName(), x, t.at) {
		return nil
	}
	m := typ.New()
	if !b.message(m, n, x.At) {
		return nil
	}
	// Times and masks have values that only their JSON forms refuse.
	if _, err := protojson.Marshal(m.Interface()); err != nil {
		b.badValue(&node{at: x.At, from: n.params(), open: n.unknown()}, "the configuration can't be written: %v", err)
		return nil
	}
	return m.Interface()
}

// typeOf reads "@type", and gives where it is.
func (b *builder) typeOf(n *node, where diag.Span) (protoreflect.MessageType, *node) {
	t := n.field("@type")
	switch {
	case t == nil:
		b.wrong(where, "the configuration does not say of what: it has no \"@type\"").
			WithHint(`"@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"`)
		return nil, nil
	case t.kind != scalarNode || t.typ != "string" || len(t.from) > 0:
		b.wrong(t.at, "\"@type\" is a constant string")
		return nil, nil
	}
	url := t.value.Str
	name := protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])
	typ, err := protoregistry.GlobalTypes.FindMessageByName(name)
	switch {
	case err != nil:
		d := b.wrong(t.at, "Envoy has no configuration %q, or none that a filter of an action can hold", name)
		if near := nearestType(name); near != "" {
			d.WithHint("did you mean %s?", near).WithFix(t.at, fmt.Sprintf("%q", "type.googleapis.com/"+near))
		}
		return nil, nil
	case !strings.HasPrefix(url, "type.googleapis.com/"):
		b.wrong(t.at, "a type is written with its prefix").
			WithHint("type.googleapis.com/%s", name).WithFix(t.at, fmt.Sprintf("%q", "type.googleapis.com/"+string(name)))
		return nil, nil
	}
	return typ, t
}

// nearestType finds a known message with a name that is nearly this one; a name
// without its package will do.
func nearestType(name protoreflect.FullName) string {
	var all, same []string
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		full := t.Descriptor().FullName()
		if strings.HasPrefix(string(full), "envoy.extensions.") {
			all = append(all, string(full))
			if full.Name() == name.Name() {
				same = append(same, string(full))
			}
		}
		return true
	})
	slices.Sort(all)
	if len(same) == 1 {
		return same[0]
	}
	return diag.Suggest(string(name), all)
}

// isFilter reports a message that does not configure a filter of that plane.
func (b *builder) isFilter(name protoreflect.FullName, x *ir.Payload, at diag.Span) bool {
	own, other, pkg, foreign, kind := httpFilters, networkFilters, httpFilterPackage, networkFilterPackage, "an HTTP filter"
	if x.TCP {
		own, other, pkg, foreign, kind = other, own, foreign, pkg, "a network filter"
	}
	short, ours := strings.CutPrefix(string(name), pkg)
	why, known := own[protoreflect.FullName(short)]
	switch {
	case ours && known && why == "":
		return true
	case ours && known:
		b.wrong(at, "%s can't be an action: %s", name, why)
		return false
	}
	d := b.wrong(at, "%s does not configure %s", name, kind)
	if rest, theirs := strings.CutPrefix(string(name), foreign); theirs {
		if _, known := other[protoreflect.FullName(rest)]; known {
			d.WithHint("it configures %s: envoy %s { … }", map[bool]string{true: "an HTTP filter", false: "a network filter"}[x.TCP], map[bool]string{true: "http", false: "tcp"}[x.TCP])
		}
	}
	return false
}

// wrong reports a mistake of the declaration's. At a call it is not made again.
func (b *builder) wrong(at diag.Span, format string, args ...any) *diag.Diagnostic {
	if b.call != nil {
		return b.unsaid().Errorf(at, CodePayload, format, args...)
	}
	return b.bag.Errorf(at, CodePayload, format, args...)
}

// badValue reports a value that its field can't have: at the call, if an
// argument of it is the reason.
func (b *builder) badValue(n *node, format string, args ...any) *diag.Diagnostic {
	if b.call == nil {
		if n.unknown() {
			return b.unsaid().Errorf(n.at, CodePayload, format, args...) // each call is looked at
		}
		return b.bag.Errorf(n.at, CodePayload, format, args...)
	}
	for _, name := range n.params() {
		if v := b.call.Args[name]; !v.At.IsZero() {
			return b.bag.Errorf(v.At, CodePayload, format, args...).WithNote(n.at, "it goes into the filter of %s here", b.decl.Name)
		}
	}
	return b.unsaid().Errorf(n.at, CodePayload, format, args...)
}

// unsaid takes what is said elsewhere.
func (b *builder) unsaid() *diag.Bag { return &diag.Bag{} }
