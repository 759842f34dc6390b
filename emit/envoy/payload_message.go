package envoy

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/lang/diag"
)

// message fills a message from a map. where stands for the message as a whole:
// the key that it is the value of. It is false when something is wrong, which is
// then reported.
func (b *builder) message(m protoreflect.Message, n *node, where diag.Span) bool {
	md, ok, strange := m.Descriptor(), true, false
	held := map[protoreflect.FieldNumber]namedNode{}
	for _, e := range n.named {
		if e.key == "@type" {
			continue
		}
		fd := b.fieldNamed(md, e)
		if fd == nil {
			ok, strange = false, true
			continue
		}
		if first, twice := held[fd.Number()]; twice {
			b.wrong(e.at, "the field %s is there twice", fd.Name()).WithNote(first.at, "it is here first")
			ok = false
			continue
		}
		if of := fd.ContainingOneof(); of != nil && !of.IsSynthetic() {
			if set := m.WhichOneof(of); set != nil {
				b.wrong(e.at, "%s and %s exclude each other: %s is one of its fields", fd.Name(), set.Name(), of.Name()).
					WithNote(held[set.Number()].at, "%s is here", set.Name())
				ok = false
				continue
			}
		}
		held[fd.Number()] = e
		if !b.assign(m, fd, e) {
			ok = false
			e.node = nil // whatever a rule has to say about it comes of that
			held[fd.Number()] = e
		}
	}
	kept := b.rules(m, held, where, strange)
	return b.references(m, held, where) && kept && ok
}

// fieldNamed finds a field by its name in the .proto file, or in JSON.
func (b *builder) fieldNamed(md protoreflect.MessageDescriptor, e namedNode) protoreflect.FieldDescriptor {
	fields := md.Fields()
	if fd := fields.ByName(protoreflect.Name(e.key)); fd != nil {
		return fd
	}
	if fd := fields.ByJSONName(e.key); fd != nil {
		return fd
	}
	names := make([]string, fields.Len())
	for i := range fields.Len() {
		names[i] = string(fields.Get(i).Name())
	}
	d := b.wrong(e.at, "%s has no field %q", md.FullName(), e.key)
	if near := diag.Suggest(e.key, names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(e.at, fmt.Sprintf("%q", near))
	} else if len(names) == 0 {
		d.WithHint("it has none")
	} else {
		d.WithHint("its fields are %s", strings.Join(names, ", "))
	}
	return nil
}

func (b *builder) assign(m protoreflect.Message, fd protoreflect.FieldDescriptor, e namedNode) bool {
	switch {
	case fd.IsMap():
		return b.assignMap(m, fd, e)
	case fd.IsList():
		return b.assignList(m, fd, e)
	}
	v, ok := b.single(fd, e.node, e.at, m.NewField)
	if ok {
		m.Set(fd, v)
	}
	return ok
}

func (b *builder) assignMap(m protoreflect.Message, fd protoreflect.FieldDescriptor, e namedNode) bool {
	if e.node.kind != mapNode {
		return b.mismatch(fd, e.node, "a map in { }")
	}
	out, ok := m.Mutable(fd).Map(), true
	for _, x := range e.node.named {
		key, good := b.mapKey(fd.MapKey(), x)
		v, fits := b.single(fd.MapValue(), x.node, x.at, func(protoreflect.FieldDescriptor) protoreflect.Value { return out.NewValue() })
		if ok = ok && good && fits; ok {
			out.Set(key, v)
		}
	}
	return ok
}

func (b *builder) mapKey(fd protoreflect.FieldDescriptor, x namedNode) (protoreflect.MapKey, bool) {
	if fd.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString(x.key).MapKey(), true
	}
	b.wrong(x.at, "the keys of this map are no strings, which only they can be here")
	return protoreflect.MapKey{}, false
}

func (b *builder) assignList(m protoreflect.Message, fd protoreflect.FieldDescriptor, e namedNode) bool {
	if e.node.kind != listNode {
		return b.mismatch(fd, e.node, "a list in [ ]")
	}
	out, ok := m.Mutable(fd).List(), true
	for _, x := range e.node.list {
		v, fits := b.single(fd, x, e.at, func(protoreflect.FieldDescriptor) protoreflect.Value { return out.NewElement() })
		if ok = ok && fits; ok {
			out.Append(v)
		}
	}
	return ok
}

// single gives one value of a field.
func (b *builder) single(fd protoreflect.FieldDescriptor, n *node, where diag.Span, fresh func(protoreflect.FieldDescriptor) protoreflect.Value) (protoreflect.Value, bool) {
	if fd.Message() == nil {
		return b.scalar(fd, n)
	}
	v := fresh(fd)
	m := v.Message()
	if fd.Message().FullName() == "google.protobuf.Any" {
		return v, b.any(m, n, where)
	}
	if convert := conversionOf(fd.Message().FullName()); convert != nil {
		if done, ok := convert(b, m, n, fd); done {
			return v, ok
		}
	}
	if n.kind != mapNode {
		return v, b.mismatch(fd, n, wantedMessage(fd.Message()))
	}
	return v, b.message(m, n, where)
}

// any fills a google.protobuf.Any.
func (b *builder) any(m protoreflect.Message, n *node, where diag.Span) bool {
	if n.kind != mapNode {
		b.wrong(n.at, "a configuration of some type is a map with \"@type\", but %s", n.shown())
		return false
	}
	typ, _ := b.typeOf(n, where)
	if typ == nil {
		return false
	}
	inner := typ.New()
	if !b.message(inner, n, where) {
		return false
	}
	packed, err := anypb.New(inner.Interface())
	if err != nil {
		panic(err) // required fields are proto2's
	}
	proto.Merge(m.Interface(), packed)
	return true
}

func (b *builder) mismatch(fd protoreflect.FieldDescriptor, n *node, wanted string) bool {
	d := b.wrong(n.at, "the field %s is %s, but %s", fd.Name(), wanted, n.shown())
	if n.kind == scalarNode {
		switch {
		case n.typ == "percent" && fd.Message() == nil:
			d.WithHint("a percent fits Envoy's Percent, FractionalPercent and RuntimeFractionalPercent")
		case n.typ == "rate" && len(n.from) > 0:
			d.WithHint("%s.events is how many, %s.period in how long; a whole rate fits a TokenBucket", n.from[0], n.from[0])
		case n.typ == "duration" && fd.Message() == nil:
			d.WithHint("this field is no duration; say in a parameter of type int what it counts")
		case fd.IsList():
			d.WithHint("a list stands in brackets: [%s]", n.at.Text())
		}
	}
	return false
}

func (b *builder) scalar(fd protoreflect.FieldDescriptor, n *node) (protoreflect.Value, bool) {
	zero := protoreflect.Value{}
	wanted := wantedScalar(fd)
	if n.kind != scalarNode || !fitsScalar(fd.Kind(), n.typ) {
		return zero, b.mismatch(fd, n, wanted)
	}
	switch k := fd.Kind(); k {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n.value.Bool), true
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.value.Str), true
	case protoreflect.EnumKind:
		return b.enum(fd, n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(number(n))), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(number(n)), true
	case protoreflect.BytesKind:
		raw, err := decodeBytes(n.value.Str)
		if err != nil && !n.unknown() {
			b.badValue(n, "the field %s is bytes in base64, and this is not: %v", fd.Name(), err)
			return zero, false
		}
		return protoreflect.ValueOfBytes(raw), true
	default:
		low, high := intRange(k)
		if i := n.value.Int; i < low || i > high {
			b.badValue(n, "the field %s is %s, and %d is not", fd.Name(), wanted, i)
			return zero, false
		}
		return intValue(k, n.value.Int), true
	}
}

func fitsScalar(k protoreflect.Kind, typ string) bool {
	switch k {
	case protoreflect.BoolKind:
		return typ == "bool"
	case protoreflect.StringKind, protoreflect.EnumKind, protoreflect.BytesKind:
		return typ == "string"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return typ == "float" || typ == "int"
	}
	return typ == "int" || typ == "size"
}

func number(n *node) float64 {
	if n.typ == "int" {
		return float64(n.value.Int)
	}
	return n.value.Float
}

func (b *builder) enum(fd protoreflect.FieldDescriptor, n *node) (protoreflect.Value, bool) {
	values := fd.Enum().Values()
	words := n.words
	if !n.open {
		words = []string{n.value.Str}
	}
	var names []string
	for i := range values.Len() {
		names = append(names, string(values.Get(i).Name()))
	}
	for _, w := range words {
		if !slices.Contains(names, w) {
			// Words of the parameter's type are the declaration's own.
			report := b.badValue
			if n.open {
				report = func(n *node, format string, args ...any) *diag.Diagnostic { return b.wrong(n.at, format, args...) }
			}
			d := report(n, "the field %s can't be %q", fd.Name(), w)
			if near := diag.Suggest(w, names); near != "" {
				d.WithHint("did you mean %q?", near)
			} else {
				d.WithHint("it is one of %s", strings.Join(names, ", "))
			}
			return protoreflect.Value{}, false
		}
	}
	if n.open {
		return protoreflect.ValueOfEnum(values.Get(0).Number()), true
	}
	return protoreflect.ValueOfEnum(values.ByName(protoreflect.Name(n.value.Str)).Number()), true
}

func intRange(k protoreflect.Kind) (low, high int64) {
	switch k {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 0, math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 0, math.MaxInt64
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func intValue(k protoreflect.Kind, i int64) protoreflect.Value {
	switch k {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(i))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(i))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(i))
	}
	return protoreflect.ValueOfInt64(i)
}

// wantedScalar describes a field for a message.
func wantedScalar(fd protoreflect.FieldDescriptor) string {
	switch k := fd.Kind(); k {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "bytes, as a string in base64"
	case protoreflect.EnumKind:
		return "a word of " + string(fd.Enum().FullName()) + ", as a string"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	default:
		low, high := intRange(k)
		if low == 0 {
			return fmt.Sprintf("an int from 0 to %d", high)
		}
		return fmt.Sprintf("an int from %d to %d", low, high)
	}
}

func wantedMessage(md protoreflect.MessageDescriptor) string {
	return "a map with the fields of " + string(md.FullName())
}

// references holds what a message refers to against what an ADM has: a filter of
// an action can't add clusters, secrets or a control plane to it.
func (b *builder) references(m protoreflect.Message, held map[protoreflect.FieldNumber]namedNode, where diag.Span) bool {
	md, ok := m.Descriptor(), true
	for number, e := range held {
		fd := md.Fields().ByNumber(number)
		name := string(fd.Name())
		switch {
		case e.node == nil:
		case fd.Kind() == protoreflect.StringKind && (namesCluster(name) || md.FullName() == "envoy.config.route.v3.WeightedCluster.ClusterWeight" && name == "name"):
			b.wrong(e.node.at, "%s names a cluster, and an ADM has only those that its own calls need", name).
				WithHint("what reaches a server by its address, such as google_grpc, needs no cluster")
			ok = false
		case md.FullName() == "envoy.config.core.v3.EnvoyInternalAddress":
			b.wrong(e.node.at, "%s names a listener inside the ADM, and those are its own", name)
			ok = false
		case md.FullName() == "envoy.config.core.v3.ConfigSource" && (name == "ads" || name == "api_config_source"):
			b.wrong(e.node.at, "%s asks a control plane, and an ADM has none", name).WithHint("path_config_source reads a file")
			ok = false
		case name == "regex" && strings.HasSuffix(string(md.FullName()), ".RegexMatcher") && !e.node.unknown():
			if _, err := regexp.Compile(e.node.value.Str); err != nil {
				b.badValue(e.node, "%s", err)
				ok = false
			}
		}
	}
	if md.FullName() == "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig" && !holds(held, md, "sds_config") {
		b.wrong(where, "the secret is looked for in the ADM's own file, which has none").
			WithHint(`"sds_config": {"path_config_source": {"path": "…"}} reads one`)
		ok = false
	}
	return ok
}

func holds(held map[protoreflect.FieldNumber]namedNode, md protoreflect.MessageDescriptor, field protoreflect.Name) bool {
	_, there := held[md.Fields().ByName(field).Number()]
	return there
}

// namesCluster tells it by the name of a field: Envoy has no other mark for it.
func namesCluster(field string) bool {
	return field == "cluster" || field == "cluster_name" || strings.HasSuffix(field, "_cluster") || strings.HasSuffix(field, "_cluster_name")
}
