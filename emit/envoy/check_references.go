package envoy

import (
	"maps"
	"path"
	"regexp"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	commonlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	httplimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	inputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	exprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// names are what one kind of thing is called where it is made, and where it is
// referred to.
type names struct{ made, used map[string]bool }

func newNames() *names { return &names{map[string]bool{}, map[string]bool{}} }

// settle reports what is referred to and not made; with each, also what is made
// for nothing.
func (c *checker) settle(what string, n *names, each bool) {
	for _, name := range slices.Sorted(maps.Keys(n.used)) {
		if !n.made[name] {
			c.errorf("no %s %s", what, name)
		}
	}
	if !each {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.made)) {
		if !n.used[name] {
			c.errorf("nothing refers to %s %s", what, name)
		}
	}
}

// Texts of CEL and of formats that name something.
var (
	stateInText    = regexp.MustCompile(`filter_state\["([^"]*)"\]|"([^"]*)" in filter_state`)
	refusalInText  = regexp.MustCompile(`rbac_access_denied_matched_policy\[([^\]]*)\]`)
	metadataInText = regexp.MustCompile(`filter_metadata\["` + regexp.QuoteMeta(ir.JWTMetadata) + `"\]\["([^"]*)"\]`)
)

// text notes what a string refers to.
func (c *checker) text(s string) {
	for _, m := range stateInText.FindAllStringSubmatch(s, -1) {
		c.states.used[m[1]+m[2]] = true
	}
	for _, m := range refusalInText.FindAllStringSubmatch(s, -1) {
		c.refusals.used[m[1]] = true
	}
	for _, m := range metadataInText.FindAllStringSubmatch(s, -1) {
		c.claims.used[m[1]] = true
	}
}

// refer notes the names in one message that are not of clusters.
func (c *checker) refer(m proto.Message) {
	switch m := m.(type) {
	case *statev3.FilterStateValue:
		c.states.made[m.GetObjectKey()] = true
	case *inputv3.FilterStateInput:
		c.states.used[m.Key] = true
	case *envoymatcherv3.FilterStateMatcher:
		c.states.used[m.Key] = true
	case *rbacconfigv3.RBAC:
		for name := range m.Policies {
			c.refusals.made[name] = true
		}
	case *jwtv3.JwtAuthentication:
		c.providers(m)
	case *jwtv3.JwtProvider:
		c.claims.made[m.PayloadInMetadata] = true
	case *tlsv3.SdsSecretConfig:
		c.secret(m)
	case *listenerv3.Listener:
		c.chains(m)
	case *overloadv3.OverloadManager:
		c.overload(m)
	case *httplimitv3.LocalRateLimit:
		c.descriptors(m)
	case *clusterv3.Cluster:
		if of := m.GetLoadAssignment(); of != nil && of.ClusterName != m.Name {
			c.errorf("cluster %s has the endpoints of %s", m.Name, of.ClusterName)
		}
	}
}

// providers checks that the rules of a jwt filter name its providers, and each.
func (c *checker) providers(m *jwtv3.JwtAuthentication) {
	n := newNames()
	for name := range m.Providers {
		n.made[name] = true
	}
	walk(m.ProtoReflect(), func(in proto.Message) {
		if r, ok := in.(*jwtv3.JwtRequirement); ok && r.GetProviderName() != "" {
			n.used[r.GetProviderName()] = true
		}
	}, nil)
	c.settle("provider of tokens", n, true)
}

// secret checks that a secret is in a file beside the bootstrap that is called
// after it, or comes from a server.
func (c *checker) secret(m *tlsv3.SdsSecretConfig) {
	file := m.GetSdsConfig().GetPathConfigSource().GetPath()
	if file == "" {
		return
	}
	if path.Dir(file) != SecretsDirectory || path.Base(file) != m.Name+".yaml" {
		c.errorf("the secret %s is looked for in %s", m.Name, file)
	}
	c.files.used[path.Base(file)] = true
}

// chains checks that the matcher of a listener names its filter chains, and each.
func (c *checker) chains(m *listenerv3.Listener) {
	if m.FilterChainMatcher == nil {
		return
	}
	n := newNames()
	for _, f := range m.FilterChains {
		n.made[f.Name] = true
	}
	walk(m.FilterChainMatcher.ProtoReflect(), func(in proto.Message) {
		if name, ok := in.(*wrapperspb.StringValue); ok {
			n.used[name.Value] = true
		}
	}, nil)
	c.settle("filter chain", n, true)
}

// perFilter checks that what a route or a virtual host configures of a filter has
// that filter in its manager.
func (c *checker) perFilter(m *hcmv3.HttpConnectionManager) {
	n := newNames()
	for _, f := range m.HttpFilters {
		n.made[f.Name] = true
	}
	walk(m.ProtoReflect(), func(in proto.Message) {
		if of, ok := in.(interface {
			GetTypedPerFilterConfig() map[string]*anypb.Any
		}); ok {
			for name := range of.GetTypedPerFilterConfig() {
				n.used[name] = true
			}
		}
	}, nil)
	c.settle("HTTP filter", n, false)
}

// decidedFirst checks that a filter reads no filter state that only a later filter
// of the manager writes: it would find nothing there, which is "no".
func (c *checker) decidedFirst(m *hcmv3.HttpConnectionManager) {
	writes := map[string]int{} // by key: the first filter that does
	for i, f := range m.HttpFilters {
		walk(f.ProtoReflect(), func(in proto.Message) {
			if v, ok := in.(*statev3.FilterStateValue); ok {
				if _, known := writes[v.GetObjectKey()]; !known {
					writes[v.GetObjectKey()] = i
				}
			}
		}, nil)
	}
	for i, f := range m.HttpFilters {
		read := func(key string) {
			if at, ok := writes[key]; ok && at > i {
				c.errorf("%s: the filter %s reads %s, which %s writes after it", m.StatPrefix, f.Name, key, m.HttpFilters[at].Name)
			}
		}
		walk(f.ProtoReflect(), func(in proto.Message) {
			switch in := in.(type) {
			case *inputv3.FilterStateInput:
				read(in.Key)
			case *envoymatcherv3.FilterStateMatcher:
				read(in.Key)
			}
		}, func(text string) {
			for _, found := range stateInText.FindAllStringSubmatch(text, -1) {
				read(found[1] + found[2])
			}
		})
	}
}

// admin checks that the admin interface is where `admc adm drain` and operators
// look for it, and that the cluster of the metrics leads there.
func (c *checker) admin(boot *bootstrapv3.Bootstrap) {
	at := func(what string, a *corev3.Address) {
		if p := a.GetPipe().GetPath(); p != layout.AdminSocket {
			c.errorf("%s is at %q", what, p)
		}
	}
	at("the admin interface", boot.GetAdmin().GetAddress())
	for _, k := range boot.GetStaticResources().GetClusters() {
		if k.Name == metricsName {
			at("the cluster of the metrics", k.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress())
		}
	}
}

// overload checks that what sheds load goes by a resource that is watched.
func (c *checker) overload(m *overloadv3.OverloadManager) {
	n := newNames()
	for _, of := range m.ResourceMonitors {
		n.made[of.Name] = true
	}
	for _, a := range m.Actions {
		for _, t := range a.Triggers {
			n.used[t.Name] = true
		}
	}
	c.settle("resource monitor", n, false)
}

// descriptors checks that what a filter counts by is what it makes of a request:
// of anything else nothing would have a bucket of its own.
func (c *checker) descriptors(m *httplimitv3.LocalRateLimit) {
	n := newNames()
	walk(m.ProtoReflect(), func(in proto.Message) {
		switch in := in.(type) {
		case *exprv3.Descriptor:
			n.made[in.DescriptorKey] = true
		case *commonlimitv3.RateLimitDescriptor_Entry:
			n.used[in.Key] = true
		}
	}, nil)
	c.settle("descriptor", n, true)
}
