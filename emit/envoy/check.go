package envoy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
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

// Check holds one bootstrap to what can be known without running it: it parses
// with no unknown field; every message in it keeps its field rules, those
// inside google.protobuf.Any too; clusters and internal listeners that it
// refers to exist, and each cluster is referred to; names and addresses are
// unique; each HTTP filter list ends in its one router and each network filter
// list in a filter that takes the connection; regular expressions compile.
func Check(path string, text []byte) []error {
	js, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	boot := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(js, boot); err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	c := &checker{path: path, used: map[string]bool{}, internal: map[string]bool{}}
	c.validate(boot)
	c.walk(boot.ProtoReflect())
	c.names(boot)
	c.references(boot)
	return c.errs
}

type checker struct {
	path     string
	errs     []error
	used     map[string]bool // clusters referred to
	internal map[string]bool // internal listeners referred to
	started  bool            // the internal listener extension is there
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

// walk visits every message, unpacking each Any.
func (c *checker) walk(m protoreflect.Message) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			c.errorf("%s: %v", a.GetTypeUrl(), err)
			return
		}
		c.validate(inner)
		c.walk(inner.ProtoReflect())
		return
	}
	c.visit(m.Interface())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { c.walk(v.Message()); return true })
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				c.walk(v.List().Get(i).Message())
			}
		case !f.IsList() && !f.IsMap() && f.Message() != nil:
			c.walk(v.Message())
		}
		return true
	})
}

// visit checks one message by itself and notes what it refers to.
func (c *checker) visit(m proto.Message) {
	switch m := m.(type) {
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
		c.internal[m.GetServerListenerName()] = true
	case *internalv3.InternalListener:
		c.started = true
	case *envoymatcherv3.RegexMatcher:
		if _, err := regexp.Compile(m.Regex); err != nil {
			c.errorf("%v", err)
		}
	case *hcmv3.HttpConnectionManager:
		c.httpFilters(m)
	case *listenerv3.FilterChain:
		c.networkFilters(m)
	}
}

func (c *checker) use(cluster string) {
	if cluster != "" {
		c.used[cluster] = true
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

// references checks that what is referred to exists, and that no cluster is
// there for nothing.
func (c *checker) references(boot *bootstrapv3.Bootstrap) {
	clusters := map[string]*clusterv3.Cluster{}
	for _, k := range boot.GetStaticResources().GetClusters() {
		clusters[k.Name] = k
		if !c.used[k.Name] {
			c.errorf("nothing refers to cluster %s", k.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.used)) {
		if clusters[name] == nil {
			c.errorf("no cluster %s", name)
		}
	}
	listeners := map[string]bool{}
	for _, l := range boot.GetStaticResources().GetListeners() {
		if l.GetInternalListener() != nil {
			listeners[l.Name] = true
			if !c.internal[l.Name] {
				c.errorf("nothing refers to the internal listener %s", l.Name)
			}
			if !c.started {
				c.errorf("the internal listener %s needs the bootstrap extension", l.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.internal)) {
		if !listeners[name] {
			c.errorf("no internal listener %s", name)
		}
	}
}
