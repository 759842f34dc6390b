package envoy

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"admc.dev/admc/lang/ir"
)

// metadataKey is the filter_metadata namespace of what admc writes.
const metadataKey = "admc"

// policyMetadata says, on a listener, which policies it enforces and where each is
// written, so that an operator who reads the configuration finds the line; the
// switch of each, and which of its actions go on when that is off. Policies come in
// the order of the calls.
func policyMetadata(calls []*call) *corev3.Metadata {
	var list []*structpb.Value
	index := map[string]*structpb.Struct{}
	for _, c := range calls {
		p := c.policy()
		st := index[p.Name]
		if st == nil {
			st = &structpb.Struct{Fields: map[string]*structpb.Value{
				"policy": structpb.NewStringValue(p.Name),
				"source": structpb.NewStringValue(sourceLine(p)),
			}}
			if c.rule.Cond != nil {
				st.Fields["when"] = structpb.NewStringValue(c.rule.Cond.Text)
			}
			if p.Sample < 1 {
				st.Fields["sample"] = structpb.NewNumberValue(p.Sample)
			}
			index[p.Name] = st
			list = append(list, structpb.NewStructValue(st))
		}
	}
	for _, c := range calls {
		tellSwitch(index[c.policy().Name], c)
	}
	if len(list) == 0 {
		return nil
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		metadataKey: {Fields: map[string]*structpb.Value{
			"policies": structpb.NewListValue(&structpb.ListValue{Values: list}),
		}},
	}}
}

// tellSwitch adds to what is said of a policy whether one of its calls has its
// switch.
func tellSwitch(of *structpb.Struct, c *call) {
	if c.switched {
		of.Fields["switch"] = structpb.NewStringValue(c.switchKey())
		return
	}
	names := of.Fields["no_switch"].GetListValue()
	if names == nil {
		names = &structpb.ListValue{}
		of.Fields["no_switch"] = structpb.NewListValue(names)
	}
	names.Values = append(names.Values, structpb.NewStringValue(c.Name()))
}

// sourceLine is file:line of a policy.
func sourceLine(p *ir.Policy) string {
	if p.At.IsZero() {
		return "-"
	}
	line, _ := p.At.Src.Position(p.At.Start)
	return p.At.Src.Name + ":" + strconv.Itoa(line)
}
