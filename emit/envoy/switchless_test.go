package envoy

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// switchless are the actions without a switch where they stand alone and without a
// condition, by protocol; docs/operate.md names them.
var switchless = map[graph.Protocol][]string{
	"http": {"connect_timeout", "lb", "locality", "mtls", "outlier_detection", "stamp", "tag", "trace"},
	"tcp":  {"connect_timeout", "lb", "locality", "mtls", "outlier_detection"},
}

// TestEverySwitch: each action has the switch of its policy built in, or the
// listener's metadata says that it has none.
func TestEverySwitch(t *testing.T) {
	needed := args{
		"rate": rate(1, time.Second), "name": str("x-a"), "value": str("1"), "after": dur(time.Second), "version": str("v1"),
		"weights": weights("v1", 1.0), "abort": num(500), "jwks": str(testKeysInline), "issuer": str("iss"), "origins": strs("https://a.test"),
		"address": str("guard.test:1"), "max": num(9), "limit": num(1 << 20), "size": num(9), "host": str("a.test"), "labels": labelled(), "member": str("m"), "to": labelled(),
	}
	for proto, without := range switchless {
		var got []string
		for _, name := range slices.Sorted(maps.Keys(lowerings)) {
			low := lowerings[name]
			if proto.Plane() == graph.TCP && low.tcp == nil || proto.Plane() != graph.TCP && low.http == nil {
				continue
			}
			a := args{}
			for k, v := range needed {
				if _, has := defaults[name][k]; !has || k == "jwks" || k == "host" || k == "abort" {
					a[k] = v
				}
			}
			prog := newProgram()
			prog.call(20000, proto, ir.Egress, do("p", act(name, a)))
			c := configurationOf(emitted(t, prog.layout()), "adm/client")
			said := c.merged(t).StaticResources.Listeners[0].Metadata.FilterMetadata[metadataKey].Fields["policies"].GetListValue().Values[0].GetStructValue().Fields
			key := said["switch"].GetStringValue()
			if key == "" {
				got = append(got, name)
				if fixed := said["no_switch"].GetListValue().GetValues(); len(fixed) != 1 || fixed[0].GetStringValue() != name {
					t.Errorf("%s on %s: the metadata says neither of a switch nor that there is none", name, proto)
				}
			}
			// Beside the metadata, where something looks at it.
			if uses := len(looksAt.FindAll(c.policies, -1)); (uses > 0) != (key != "") {
				t.Errorf("%s on %s: the metadata says %q, and %d places look at the switch", name, proto, key, uses)
			}
		}
		if !slices.Equal(got, without) {
			t.Errorf("on %s these have no switch: %v, want %v", proto, got, without)
		}
	}
}

// looksAt are the settings that name the switch of p.
var looksAt = regexp.MustCompile(`(runtime_key|_runtime): ` + regexp.QuoteMeta(Switch("p")))

const testKeysInline = `{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"a2V5"}]}`

func labelled() ir.Value { return ir.Value{Kind: ir.Map} }
