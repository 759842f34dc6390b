package envoy

import (
	"fmt"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"
)

// nested is a text in lists of lists and mappings, so deep that no line has room
// for the innermost.
func nested(text string, depth int) *structpb.Value {
	list := &structpb.ListValue{Values: []*structpb.Value{structpb.NewListValue(&structpb.ListValue{}), structpb.NewStructValue(&structpb.Struct{}), structpb.NewStringValue(text)}}
	switch {
	case depth == 0:
	case depth%3 == 0:
		list.Values = append(list.Values, nested(text, depth-1))
	case depth%3 == 1:
		list.Values = []*structpb.Value{nested(text, depth-1)}
	default:
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": nested(text, depth-1), "name": structpb.NewStringValue(text)}})
	}
	return structpb.NewListValue(list)
}

// TestRender: whatever a text looks like, on one line, on several, and where it is
// referred to, what is read is what was written.
func TestRender(t *testing.T) {
	odd := []string{
		"", "yes", "No", "off", "y", "012", "1_000", "1:30", ".inf", "<<", "=", "false", "plain/text", "on", "~", "null", "12", "1e3", "0x1f", "2026-01-01", "a, b", "{a}", "[a]", "a: b", "a #b", "#", "&a", "*a", "!a", "%a", "@a", "`", "- a", "?", "|", ">",
		`"quoted"`, "it's", ` in blanks `, "two\nlines", "\ttab\nx", "x\n\ty", " x\ny", "\n\tx\n", "x\r\ny", "x \ny\n\n", "\nshop", "\n# shop", "\n# a\n  b\n", "# a\nb", "  a\n b\n", "\n\n", "a\n\n\nb", "a\u0085b", "a\u2028b\u2029", "\ufeffa\nb", "a\u0085b\nc", "tab\t", "\u00e4\u20ac\U0001f600", "\x00\x7f", `back\slash`, strings.Repeat("long ", 60), strings.Repeat("\nlong ", 60), strings.Repeat("long\n", 60),
	}
	boot := &bootstrapv3.Bootstrap{Node: &corev3.Node{Id: "x"}, StaticResources: &bootstrapv3.Bootstrap_StaticResources{}}
	for i := range 2 { // the second refers to the first
		all := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for k, text := range odd {
			all.Fields[fmt.Sprint("key_", k)] = structpb.NewStringValue(text)
			all.Fields[text+"."] = nested(text, 90)
			all.Fields[text+"!"] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{
				structpb.NewStringValue(text), structpb.NewBoolValue(true), structpb.NewNumberValue(1 << 40), structpb.NewNumberValue(0.1), structpb.NewNullValue(),
			}})
		}
		boot.StaticResources.Clusters = append(boot.StaticResources.Clusters, &clusterv3.Cluster{
			Name: fmt.Sprint("c", i), CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{
				{MaxConnections: u32(1<<32 - 1), MaxPendingRequests: u32(1), MaxRequests: u32(2), MaxRetries: u32(3)}, {MaxRetries: u32(4), TrackRemaining: true},
			}},
			Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"m": {Fields: map[string]*structpb.Value{"all": structpb.NewStructValue(all)}}}},
		})
	}
	text := render("test", boot)
	if !strings.Contains(string(text), "circuit_breakers: *circuit_breakers\n") || strings.Count(string(text), "\n        m:\n") != 2 {
		t.Errorf("not what is shared, or metadata is:\n%s", text)
	}
	js, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	read := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(js, read); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !proto.Equal(read, boot) {
		t.Errorf("read:\n%s\nof\n%s", render("test", read), text)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if key, _, flow := strings.Cut(line, ": {"); flow && len([]rune(line)) > lineWidth {
			t.Errorf("line %d, of %s, has %d columns", i+1, key, len([]rune(line)))
		}
	}
}
