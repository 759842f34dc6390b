//go:build linux

package envoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// references are the fields of emitted messages that name something else in the
// file or beside it, as "field" or, of a map's keys, "field{}", with what the text
// holds that is meant where only some texts of the field name something.
var references = []struct{ field, holds string }{
	{"envoy.config.core.v3.EnvoyInternalAddress.server_listener_name", ""},
	{"envoy.config.core.v3.GrpcService.EnvoyGrpc.cluster_name", ""},
	{"envoy.config.core.v3.HttpUri.cluster", ""},
	{"envoy.config.core.v3.PathConfigSource.path", ""},
	{"envoy.config.core.v3.Pipe.path", layout.AdminSocket},
	{"envoy.config.overload.v3.Trigger.name", ""},
	{"envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry.key", ""},
	{"envoy.config.endpoint.v3.ClusterLoadAssignment.cluster_name", ""},
	{"envoy.config.rbac.v3.RBAC.policies{}", ""},
	{"envoy.config.route.v3.RouteAction.RequestMirrorPolicy.cluster", ""},
	{"envoy.config.route.v3.RouteAction.cluster", ""},
	{"envoy.config.route.v3.VirtualHost.typed_per_filter_config{}", ""},
	{"envoy.config.route.v3.WeightedCluster.ClusterWeight.name", ""},
	{"envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter.expression", "rbac_access_denied_matched_policy["},
	{"envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter.expression", `filter_state["`},
	{"envoy.config.core.v3.DataSource.inline_string", `["envoy.filters.http.jwt_authn"]["`},
	{"envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement.provider_name", ""},
	{"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight.name", ""},
	{"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.cluster", ""},
	{"envoy.extensions.matching.common_inputs.network.v3.FilterStateInput.key", ""},
	{"envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig.name", "c"}, // of a file; those of a server are its own
	{"envoy.type.matcher.v3.FilterStateMatcher.key", ""},
	{"envoy.type.matcher.v3.RegexMatcher.regex", ""},
	{"xds.type.matcher.v3.RegexMatcher.regex", ""},
	{"google.protobuf.StringValue.value", ""},
}

// naming are the fields that name nothing else: names of the thing itself,
// addresses, headers, values.
var naming = strings.Fields(`
	envoy.config.accesslog.v3.AccessLog.name envoy.config.accesslog.v3.ExtensionFilter.name envoy.config.accesslog.v3.ResponseFlagFilter.flags
	envoy.config.bootstrap.v3.RuntimeLayer.name envoy.config.cluster.v3.Cluster.name envoy.config.cluster.v3.Cluster.typed_extension_protocol_options{}
	envoy.config.common.mutation_rules.v3.HeaderMutation.remove envoy.config.core.v3.CidrRange.address_prefix envoy.config.core.v3.HeaderValue.key
	envoy.config.core.v3.HeaderValue.value envoy.config.core.v3.HttpUri.uri envoy.config.core.v3.Metadata.filter_metadata{}
	envoy.config.core.v3.Node.cluster envoy.config.core.v3.Node.id envoy.config.core.v3.SocketAddress.address
	envoy.config.core.v3.TransportSocket.name envoy.config.core.v3.TypedExtensionConfig.name envoy.config.listener.v3.Filter.name
	envoy.config.listener.v3.FilterChain.name envoy.config.listener.v3.FilterChainMatch.application_protocols
	envoy.config.listener.v3.FilterChainMatch.transport_protocol envoy.config.listener.v3.Listener.name envoy.config.listener.v3.ListenerFilter.name
	envoy.config.route.v3.HeaderMatcher.name envoy.config.route.v3.RateLimit.Action.GenericKey.descriptor_key
	envoy.config.route.v3.RateLimit.Action.GenericKey.descriptor_value envoy.config.route.v3.RetryPolicy.retry_on
	envoy.config.route.v3.RouteAction.HashPolicy.Cookie.name envoy.config.route.v3.RouteAction.HashPolicy.Header.header_name
	envoy.config.route.v3.RouteConfiguration.name envoy.config.route.v3.RouteConfiguration.request_headers_to_remove
	envoy.config.route.v3.RouteMatch.path envoy.config.route.v3.RouteMatch.prefix envoy.config.route.v3.VirtualHost.domains
	envoy.config.route.v3.VirtualHost.name envoy.config.route.v3.VirtualHost.request_headers_to_remove
	envoy.config.route.v3.VirtualHost.response_headers_to_remove envoy.extensions.access_loggers.stats.v3.Config.Stat.name
	envoy.extensions.access_loggers.stats.v3.Config.Tag.name envoy.extensions.access_loggers.stats.v3.Config.Tag.value_format
	envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue.factory_key envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue.object_key
	envoy.extensions.filters.http.bandwidth_limit.v3.BandwidthLimit.stat_prefix envoy.extensions.filters.http.cors.v3.CorsPolicy.allow_headers
	envoy.extensions.filters.http.cors.v3.CorsPolicy.allow_methods envoy.extensions.filters.http.cors.v3.CorsPolicy.max_age
	envoy.extensions.filters.http.fault.v3.HTTPFault.abort_percent_runtime envoy.extensions.filters.http.fault.v3.HTTPFault.delay_percent_runtime
	envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.stat_prefix envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication.providers{}
	envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication.stat_prefix envoy.extensions.filters.http.jwt_authn.v3.JwtHeader.name
	envoy.extensions.filters.http.jwt_authn.v3.JwtHeader.value_prefix envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.audiences
	envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.issuer envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.payload_in_metadata envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit.stat_prefix
	envoy.extensions.filters.http.ratelimit.v3.RateLimit.domain envoy.extensions.filters.http.ratelimit.v3.RateLimit.stat_prefix
	envoy.extensions.filters.http.rbac.v3.RBAC.rules_stat_prefix envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit.stat_prefix
	envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig.upgrade_type
	envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.stat_prefix
	envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.name
	envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit.share_key envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit.stat_prefix
	envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.stat_prefix envoy.extensions.matching.input_matchers.ip.v3.Ip.stat_prefix
	envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.alpn_protocols
	envoy.type.matcher.v3.HttpRequestHeaderMatchInput.header_name envoy.type.matcher.v3.StringMatcher.exact envoy.type.matcher.v3.StringMatcher.prefix
	envoy.config.core.v3.RuntimeFeatureFlag.runtime_key envoy.config.core.v3.RuntimeFractionalPercent.runtime_key envoy.config.accesslog.v3.RuntimeFilter.runtime_key
	envoy.config.listener.v3.Listener.stat_prefix envoy.config.overload.v3.OverloadAction.name envoy.config.overload.v3.ResourceMonitor.name
	envoy.config.route.v3.RetryPolicy.RetryHostPredicate.name envoy.config.route.v3.Route.stat_prefix
	envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor.descriptor_key envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor.text
	envoy.type.v3.Scope.prefix google.protobuf.Struct.fields{} google.protobuf.Value.string_value xds.core.v3.TypedExtensionConfig.name
	xds.type.matcher.v3.StringMatcher.exact`)

// everyFile are the files of every row of the enforcement tables, and of sealed
// listeners, each with the names of those beside it.
func everyFile(t *testing.T) map[*bootstrapv3.Bootstrap][]string {
	t.Helper()
	out := map[*bootstrapv3.Bootstrap][]string{}
	add := func(l *layout.Layout) {
		files := emitted(t, l)
		for _, a := range l.ADMs {
			var beside []string
			for _, p := range files.Paths() {
				if name, mine := strings.CutPrefix(p, a.Dir+"/"); mine && name != FileName && name != BootstrapName {
					beside = append(beside, name)
				}
			}
			out[configurationOf(files, a.Dir).merged(t)] = beside
		}
	}
	for _, r := range slices.Concat(rows, wrapped, observed, apart, pathRows, chosen, copied, hedged, ejected, answers) {
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			if r.sides&side != 0 {
				p := newProgram()
				p.call(8080, r.proto, side, copyPolicies(r.policies)...)
				add(p.layout())
			}
		}
	}
	for _, from := range []args{{"certificates": str("/tls"), "sds": str("")}, {"certificates": str(""), "sds": str("/sds")}} {
		p, by := newProgram(), act("mtls", from)
		for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
			p.call(8080, "http", side, do("sealed", by))
		}
		for _, a := range []*layout.ADM{p.client, p.server} {
			a.Listeners[0].Seal = &layout.Seal{By: []*ir.Action{by}, Peers: []string{"spiffe://test/ns/test/sa/a"}, Plaintext: true}
		}
		add(p.layout())
	}
	return out
}

// eachText visits every text of a message, and every key of a map, and puts what
// visit gives in its place.
func eachText(m protoreflect.Message, visit func(field, text string) string) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			panic(err)
		}
		eachText(inner.ProtoReflect(), visit)
		if err := a.MarshalFrom(inner); err != nil {
			panic(err)
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.FullName())
		switch {
		case f.IsMap():
			var keys []string
			v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool { keys = append(keys, k.String()); return true })
			for _, key := range slices.Sorted(slices.Values(keys)) {
				k := protoreflect.ValueOfString(key).MapKey()
				held := v.Map().Get(k)
				if f.MapValue().Message() != nil {
					eachText(held.Message(), visit)
				}
				if other := visit(name+"{}", key); other != key {
					v.Map().Clear(k)
					v.Map().Set(protoreflect.ValueOfString(other).MapKey(), held)
				}
			}
		case f.IsList():
			for i := range v.List().Len() {
				if f.Message() != nil {
					eachText(v.List().Get(i).Message(), visit)
				} else if f.Kind() == protoreflect.StringKind {
					v.List().Set(i, protoreflect.ValueOfString(visit(name, v.List().Get(i).String())))
				}
			}
		case f.Message() != nil:
			eachText(v.Message(), visit)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(visit(name, v.String())))
		}
		return true
	})
}

// TestCheckReferences alters a text of every kind of reference that emitted files
// have, in a file that has it: Check must say so. A field that is in neither table
// belongs into one.
func TestCheckReferences(t *testing.T) {
	files := everyFile(t)
	seen := map[string]bool{}
	tried := make([]int, len(references))
	for boot, beside := range files {
		eachText(boot.ProtoReflect(), func(field, text string) string {
			seen[field] = true
			return text
		})
		for i, r := range references {
			if tried[i] >= 5 {
				continue
			}
			altered, done := proto.Clone(boot).(*bootstrapv3.Bootstrap), false
			eachText(altered.ProtoReflect(), func(field, text string) string {
				if done || field != r.field || !strings.Contains(text, r.holds) || r.field == "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig.name" && beside == nil {
					return text
				}
				done = true
				switch {
				case strings.HasSuffix(field, ".regex"):
					return text + "("
				case strings.HasSuffix(r.holds, "["), strings.HasSuffix(r.holds, `["`):
					return strings.Replace(text, r.holds, r.holds+"no-", 1)
				}
				return text + "-no"
			})
			if !done {
				continue
			}
			tried[i]++
			if errs := Check("x", [][]byte{render("test", altered)}, beside...); len(errs) == 0 {
				t.Errorf("%s holding %q: altered, and nothing is said", r.field, r.holds)
			}
		}
	}
	for i, r := range references {
		seen[r.field] = seen[r.field] && tried[i] > 0
		if tried[i] == 0 {
			t.Errorf("no file has a %s holding %q", r.field, r.holds)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(seen)) {
		if !slices.Contains(naming, field) && !slices.ContainsFunc(references, func(r struct{ field, holds string }) bool { return r.field == field }) {
			t.Errorf("does %s name something else?", field)
		}
	}
	for boot, beside := range files {
		if len(beside) == 0 {
			continue
		}
		if errs := fmt.Sprint(Check("x", [][]byte{render("test", boot)}, beside[1:]...)); !strings.Contains(errs, "no file of a secret "+beside[0]) {
			t.Errorf("without %s: %s", beside[0], errs)
		}
		if errs := fmt.Sprint(Check("x", [][]byte{render("test", boot)}, append([]string{"more.yaml"}, beside...)...)); !strings.Contains(errs, "nothing refers to file of a secret more.yaml") {
			t.Errorf("with a file more: %s", errs)
		}
	}
}

// TestCheckDecidedFirst moves what decides a policy behind what the decision is for.
func TestCheckDecidedFirst(t *testing.T) {
	p := newProgram()
	p.call(8080, "http", ir.Ingress, policy{name: "p", when: beta, reads: betaReads, actions: []*ir.Action{act("deny", nil)}})
	c := configurationOf(emitted(t, p.layout()), "adm/server")
	data := c.policies
	i := strings.Index(string(data), "          - name: p/when")
	j := strings.Index(string(data), "          - name: p/deny")
	k := strings.Index(string(data), "          - {name: router")
	if i < 0 || j < i || k < j {
		t.Fatalf("unexpected file:\n%s", data)
	}
	later := string(data[:i]) + string(data[j:k]) + string(data[i:j]) + string(data[k:])
	if errs := c.check(later); len(errs) != 1 || !strings.Contains(errs[0].Error(), "which p/when writes after it") {
		t.Errorf("decided too late: %v", errs)
	}
}
