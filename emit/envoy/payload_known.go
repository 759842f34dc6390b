package envoy

import (
	"encoding/base64"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A conversion fills a message that is not written as a map of its fields, or
// need not be. done is false when the value is for somebody else.
type conversion func(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (done, ok bool)

// conversionOf gives the conversion of a message; nil when it is written as a
// map of its fields.
func conversionOf(name protoreflect.FullName) conversion {
	switch name {
	case "google.protobuf.Duration":
		return durationField
	case "google.protobuf.Timestamp":
		return timeField
	case "google.protobuf.FieldMask":
		return maskField
	case "google.protobuf.Struct":
		return structField
	case "google.protobuf.ListValue":
		return listField
	case "google.protobuf.Value":
		return valueField
	case "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue",
		"google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int32Value",
		"google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value":
		return wrapperField
	case "envoy.type.v3.Percent":
		return onlyFrom("percent", func(n *node) proto.Message { return percent(n) })
	case "envoy.config.core.v3.RuntimePercent":
		return onlyFrom("percent", func(n *node) proto.Message { return &corev3.RuntimePercent{DefaultValue: percent(n)} })
	case "envoy.type.v3.FractionalPercent":
		return onlyFrom("percent", func(n *node) proto.Message { return fraction(n.value.Float) })
	case "envoy.config.core.v3.RuntimeFractionalPercent":
		return onlyFrom("percent", func(n *node) proto.Message { return runtimeFraction(n.value.Float) })
	case "envoy.type.v3.TokenBucket":
		return rateField
	}
	return nil
}

func percent(n *node) *typev3.Percent { return &typev3.Percent{Value: n.value.Float * 100} }

// wrapperField is written as the value in it.
func wrapperField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	inner := m.Descriptor().Fields().ByName("value")
	if n.kind != scalarNode || !fitsScalar(inner.Kind(), n.typ) {
		return true, b.mismatch(fd, n, wantedScalar(inner))
	}
	v, ok := b.scalar(inner, n)
	if ok {
		m.Set(inner, v)
	}
	return true, ok
}

func durationField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	switch {
	case n.kind == scalarNode && n.typ == "duration":
		proto.Merge(m.Interface(), durationpb.New(n.value.Dur))
		return true, true
	case n.kind == scalarNode && n.typ == "string" && len(n.from) == 0:
		if protojson.Unmarshal([]byte(`"`+n.value.Str+`"`), m.Interface()) == nil {
			return true, true // protobuf's own form
		}
	}
	return true, b.mismatch(fd, n, "a duration such as 250ms")
}

func timeField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	if n.kind != scalarNode || n.typ != "string" {
		return true, b.mismatch(fd, n, "a time such as \"2026-01-01T00:00:00Z\"")
	}
	t, err := time.Parse(time.RFC3339Nano, n.value.Str)
	if err != nil && !n.unknown() {
		b.badValue(n, "the field %s is a time such as \"2026-01-01T00:00:00Z\" (RFC 3339)", fd.Name())
		return true, false
	}
	proto.Merge(m.Interface(), timestamppb.New(t))
	return true, true
}

func maskField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	if n.kind != scalarNode || n.typ != "string" {
		return true, b.mismatch(fd, n, "the names of fields in a string, with commas")
	}
	paths := m.Mutable(m.Descriptor().Fields().ByName("paths")).List()
	for _, p := range strings.Split(n.value.Str, ",") {
		paths.Append(protoreflect.ValueOfString(p))
	}
	return true, true
}

// onlyFrom is a message that one type of the language is written for.
func onlyFrom(typ string, make func(n *node) proto.Message) conversion {
	return func(_ *builder, m protoreflect.Message, n *node, _ protoreflect.FieldDescriptor) (bool, bool) {
		if n.kind != scalarNode || n.typ != typ {
			return false, false
		}
		proto.Merge(m.Interface(), make(n))
		return true, true
	}
}

// rateField is a bucket that holds one period's events and is refilled in one.
func rateField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	if n.kind != scalarNode || n.typ != "rate" {
		return false, false
	}
	if n.value.Int < 0 || n.value.Int > 1<<32-1 || n.value.Int == 0 && !n.unknown() {
		b.badValue(n, "the field %s counts from 1 to %d in a period", fd.Name(), 1<<32-1)
		return true, false
	}
	proto.Merge(m.Interface(), &typev3.TokenBucket{
		MaxTokens: uint32(n.value.Int), TokensPerFill: u32(uint32(n.value.Int)), FillInterval: seconds(n.value.Dur),
	})
	return true, true
}

func structField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	if n.kind != mapNode {
		return true, b.mismatch(fd, n, "a map")
	}
	v, ok := b.plain(n)
	if ok {
		proto.Merge(m.Interface(), v.GetStructValue())
	}
	return true, ok
}

func listField(b *builder, m protoreflect.Message, n *node, fd protoreflect.FieldDescriptor) (bool, bool) {
	if n.kind != listNode {
		return true, b.mismatch(fd, n, "a list")
	}
	v, ok := b.plain(n)
	if ok {
		proto.Merge(m.Interface(), v.GetListValue())
	}
	return true, ok
}

func valueField(b *builder, m protoreflect.Message, n *node, _ protoreflect.FieldDescriptor) (bool, bool) {
	v, ok := b.plain(n)
	if ok {
		proto.Merge(m.Interface(), v)
	}
	return true, ok
}

// plain is a value where a configuration may have any: durations as protobuf's
// JSON has them, percents as shares.
func (b *builder) plain(n *node) (*structpb.Value, bool) {
	switch n.kind {
	case listNode:
		list := &structpb.ListValue{}
		for _, e := range n.list {
			v, ok := b.plain(e)
			if !ok {
				return nil, false
			}
			list.Values = append(list.Values, v)
		}
		return structpb.NewListValue(list), true
	case mapNode:
		fields := map[string]*structpb.Value{}
		for _, e := range n.named {
			v, ok := b.plain(e.node)
			if !ok {
				return nil, false
			}
			fields[e.key] = v
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: fields}), true
	}
	switch n.typ {
	case "bool":
		return structpb.NewBoolValue(n.value.Bool), true
	case "int", "size":
		return structpb.NewNumberValue(float64(n.value.Int)), true
	case "float", "percent":
		return structpb.NewNumberValue(n.value.Float), true
	case "rate":
		b.wrong(n.at, "a rate has no form of its own in a structure").WithHint("its .events and its .period have")
		return nil, false
	}
	return structpb.NewStringValue(textOf(n.value)), true
}

func decodeBytes(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }
