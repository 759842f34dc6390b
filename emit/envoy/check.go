package envoy

import (
	"fmt"
	"regexp"
	"slices"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	directv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// Check holds an ADM's configuration, whose texts Envoy merges, to what can be
// known without running it: they parse
// with no unknown field; every message in it keeps its field rules, those
// inside google.protobuf.Any too. What it refers to exists: clusters, internal
// listeners, filter chains, HTTP filters, providers of tokens and their claims,
// filter state, refusals that replies are made for, the admin interface, and the
// files of secrets, of which beside are the names; and nothing that is referred to
// by name is there for nothing. Names and addresses are unique. Each HTTP filter
// list ends in its one router and each network filter list in a filter that takes
// the connection, and no filter reads what a later one writes. Regular expressions
// compile.
func Check(path string, texts [][]byte, beside ...string) []error {
	boot := &bootstrapv3.Bootstrap{}
	for _, text := range texts {
		js, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			return []error{fmt.Errorf("%s: %w", path, err)}
		}
		one := &bootstrapv3.Bootstrap{}
		if err := protojson.Unmarshal(js, one); err != nil {
			return []error{fmt.Errorf("%s: %w", path, err)}
		}
		proto.Merge(boot, one)
	}
	c := &checker{
		path: path, clusters: newNames(), internal: newNames(), states: newNames(), refusals: newNames(), claims: newNames(), files: newNames(),
	}
	for _, name := range beside {
		c.files.made[name] = true
	}
	c.validate(boot)
	walk(boot.ProtoReflect(), c.visit, c.text)
	c.names(boot)
	c.references(boot)
	c.admin(boot)
	c.settle("filter state", c.states, false)
	c.settle("rule of RBAC", c.refusals, true)
	c.settle("claims", c.claims, false)
	c.settle("file of a secret", c.files, true)
	return c.errs
}

type checker struct {
	path     string
	errs     []error
	clusters *names
	internal *names // listeners
	started  bool   // the internal listener extension is there
	states   *names // keys of the filter state
	refusals *names // rules of RBAC, by which a reply is told
	claims   *names // where claims of tokens are left
	files    *names // with secrets
}

func (c *checker) errorf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: "+format, append([]any{c.path}, args...)...))
}

// validate runs the generated field rules, which don't enter Any.
func (c *checker) validate(m proto.Message) {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			c.errorf("%s: %v", m.ProtoReflect().Descriptor().FullName(), err)
		}
	}
}

// walk visits every message, those inside google.protobuf.Any too, and every text
// outside of keys, where somebody wants them.
func walk(m protoreflect.Message, visit func(proto.Message), text func(string)) {
	visit(m.Interface())
	if a, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := a.UnmarshalNew(); err == nil {
			walk(inner.ProtoReflect(), visit, text)
		}
		return
	}
	one := func(f protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch {
		case f.Message() != nil:
			walk(v.Message(), visit, text)
		case f.Kind() == protoreflect.StringKind && text != nil:
			text(v.String())
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { one(f.MapValue(), v); return true })
		case f.IsList():
			for i := range v.List().Len() {
				one(f, v.List().Get(i))
			}
		default:
			one(f, v)
		}
		return true
	})
}

// visit checks one message by itself and notes what it refers to.
func (c *checker) visit(m proto.Message) {
	c.refer(m)
	switch m := m.(type) {
	case *anypb.Any: // which its message's own rules don't enter
		inner, err := m.UnmarshalNew()
		if err != nil {
			c.errorf("%s: %v", m.GetTypeUrl(), err)
			return
		}
		c.validate(inner)
	case *routev3.RouteAction:
		c.use(m.GetCluster())
		for _, copied := range m.RequestMirrorPolicies {
			c.use(copied.Cluster)
		}
	case *routev3.WeightedCluster:
		for _, w := range m.Clusters {
			c.use(w.Name)
		}
	case *tcpv3.TcpProxy:
		c.use(m.GetCluster())
		for _, w := range m.GetWeightedClusters().GetClusters() {
			c.use(w.Name)
		}
	case *corev3.GrpcService_EnvoyGrpc:
		c.use(m.ClusterName)
	case *corev3.HttpUri:
		c.use(m.GetCluster())
	case *corev3.EnvoyInternalAddress:
		c.internal.used[m.GetServerListenerName()] = true
	case *internalv3.InternalListener:
		c.started = true
	case *envoymatcherv3.RegexMatcher:
		if _, err := regexp.Compile(m.Regex); err != nil {
			c.errorf("%v", err)
		}
	case *matcherv3.RegexMatcher:
		if _, err := regexp.Compile(m.Regex); err != nil {
			c.errorf("%v", err)
		}
	case *hcmv3.HttpConnectionManager:
		c.httpFilters(m)
		c.perFilter(m)
		c.decidedFirst(m)
	case *listenerv3.FilterChain:
		c.networkFilters(m)
	}
}

func (c *checker) use(cluster string) {
	if cluster != "" {
		c.clusters.used[cluster] = true
	}
}

func (c *checker) httpFilters(m *hcmv3.HttpConnectionManager) {
	seen := map[string]bool{}
	for i, f := range m.HttpFilters {
		if seen[f.Name] {
			c.errorf("%s: two HTTP filters are named %s", m.StatPrefix, f.Name)
		}
		seen[f.Name] = true
		if last := i == len(m.HttpFilters)-1; f.GetTypedConfig().MessageIs(&routerv3.Router{}) != last {
			c.errorf("%s: the router must be the last HTTP filter, and the only one", m.StatPrefix)
		}
	}
	if len(m.HttpFilters) == 0 {
		c.errorf("%s: no HTTP filters", m.StatPrefix)
	}
}

func (c *checker) networkFilters(m *listenerv3.FilterChain) {
	for i, f := range m.Filters {
		takes := slices.ContainsFunc([]proto.Message{&hcmv3.HttpConnectionManager{}, &tcpv3.TcpProxy{}, &directv3.Config{}},
			func(t proto.Message) bool { return f.GetTypedConfig().MessageIs(t) })
		if last := i == len(m.Filters)-1; takes != last {
			c.errorf("filter %s: the last network filter, and no other, takes the connection", f.Name)
		}
	}
	if len(m.Filters) == 0 {
		c.errorf("filter chain %q is empty", m.Name)
	}
}

// names checks that listeners, clusters, filter chains and addresses are unique.
func (c *checker) names(boot *bootstrapv3.Bootstrap) {
	unique := func(what string) func(string) {
		seen := map[string]bool{}
		return func(name string) {
			if name == "" || seen[name] {
				c.errorf("%s %q is there twice or has no name", what, name)
			}
			seen[name] = true
		}
	}
	listener, at, cluster := unique("listener"), unique("address"), unique("cluster")
	for _, l := range boot.GetStaticResources().GetListeners() {
		listener(l.Name)
		if s := l.GetAddress().GetSocketAddress(); s != nil {
			at(fmt.Sprintf("%s:%d", s.Address, s.GetPortValue()))
		}
		if len(l.FilterChains) > 1 {
			chain := unique("filter chain")
			for _, f := range l.FilterChains {
				chain(f.Name)
			}
		}
	}
	for _, k := range boot.GetStaticResources().GetClusters() {
		cluster(k.Name)
	}
}

// references checks that clusters and internal listeners that are referred to
// exist, and that none is there for nothing.
func (c *checker) references(boot *bootstrapv3.Bootstrap) {
	for _, k := range boot.GetStaticResources().GetClusters() {
		c.clusters.made[k.Name] = true
	}
	c.settle("cluster", c.clusters, true)
	for _, l := range boot.GetStaticResources().GetListeners() {
		if l.GetInternalListener() != nil {
			c.internal.made[l.Name] = true
			if !c.started {
				c.errorf("the internal listener %s needs the bootstrap extension", l.Name)
			}
		}
	}
	c.settle("internal listener", c.internal, true)
}
