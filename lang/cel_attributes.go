package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
)

// An attribute is what a condition can look at. Names are Envoy's
// (arch_overview/advanced/attributes), except those that Envoy doesn't have:
// they are answered from the graph, or rewritten to what it has.
type attribute struct {
	name   string
	kind   kind
	planes []graph.Plane
	// static answers a read of it from what is known before any request; nil when
	// only the proxy knows.
	static func(read *term, from, to graph.Node) value
	// refused says why a `when` can't read it, "" when it can.
	refused string
	hint    string
}

var (
	everyPlane = []graph.Plane{graph.HTTP, graph.GRPC, graph.TCP}
	messages   = []graph.Plane{graph.HTTP, graph.GRPC}
	grpcOnly   = []graph.Plane{graph.GRPC}
)

const (
	afterRequest  = "is known only when the request is over, and a condition is decided when it begins"
	afterResponse = "is known only when the whole answer has been passed on"
)

// attributes is the environment of every plane, as documented in the language
// reference.
var attributes = []*attribute{
	{name: "request.path", kind: kindString, planes: messages},
	{name: "request.url_path", kind: kindString, planes: messages},
	{name: "request.query", kind: kindString, planes: messages},
	{name: "request.host", kind: kindString, planes: messages},
	{name: "request.method", kind: kindString, planes: messages},
	{name: "request.scheme", kind: kindString, planes: messages, static: plainHTTP},
	{name: "request.headers", kind: kindMap, planes: messages},
	{name: "request.id", kind: kindString, planes: messages},
	{name: "request.time", kind: kindTime, planes: messages},
	{name: "request.size", kind: kindInt, planes: messages, refused: afterRequest,
		hint: `request.headers["content-length"] is what the caller announced`},

	{name: "response.code", kind: kindInt, planes: []graph.Plane{graph.HTTP}},
	{name: "response.headers", kind: kindMap, planes: messages},
	{name: "response.size", kind: kindInt, planes: messages, refused: afterResponse,
		hint: `response.headers["content-length"] is what the receiver announced`},

	{name: "grpc.service", kind: kindString, planes: grpcOnly},
	{name: "grpc.method", kind: kindString, planes: grpcOnly},
	{name: "jwt.claims", kind: kindMap, planes: messages},

	{name: "connection.mtls", kind: kindBool, planes: everyPlane},
	{name: "connection.requested_server_name", kind: kindString, planes: everyPlane},

	{name: "source.address", kind: kindString, planes: everyPlane},
	{name: "source.port", kind: kindInt, planes: everyPlane},
	{name: "source.service", kind: kindString, planes: everyPlane, static: ofSource(serviceName)},
	{name: "source.namespace", kind: kindString, planes: everyPlane, static: ofSource(namespace)},
	{name: "source.labels", kind: kindMap, planes: everyPlane, static: ofSource(label)},

	{name: "destination.address", kind: kindString, planes: everyPlane},
	{name: "destination.port", kind: kindInt, planes: everyPlane},
	{name: "destination.service", kind: kindString, planes: everyPlane, static: ofDestination(serviceName)},
	{name: "destination.namespace", kind: kindString, planes: everyPlane, static: ofDestination(namespace)},
	{name: "destination.labels", kind: kindMap, planes: everyPlane, static: ofDestination(label)},
}

// moved are attributes that Envoy has under a name the language leaves out,
// because there is another way to say it.
var moved = map[string]string{
	"request.useragent":  `request.headers["user-agent"]`,
	"request.user_agent": `request.headers["user-agent"]`,
	"request.referer":    `request.headers["referer"]`,
	"request.authority":  "request.host",
	"request.uri":        "request.path",
	"request.url":        "request.path",
	"connection.sni":     "connection.requested_server_name",
	"request.header":     "request.headers",
	"source.name":        "source.service",
	"destination.name":   "destination.service",
}

func findAttribute(name string) *attribute {
	i := slices.IndexFunc(attributes, func(a *attribute) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return attributes[i]
}

func (a *attribute) on(plane graph.Plane) bool { return slices.Contains(a.planes, plane) }

// attributeNames gives what a condition of the plane can read.
func attributeNames(plane graph.Plane) []string {
	var names []string
	for _, a := range attributes {
		if a.on(plane) && a.refused == "" {
			names = append(names, a.name)
		}
	}
	return names
}

func ofSource(fact func(*term, graph.Node) value) func(*term, graph.Node, graph.Node) value {
	return func(read *term, from, _ graph.Node) value { return fact(read, from) }
}

func ofDestination(fact func(*term, graph.Node) value) func(*term, graph.Node, graph.Node) value {
	return func(read *term, _, to graph.Node) value { return fact(read, to) }
}

// plainHTTP is the scheme of all that a proxy reads as requests: TLS of the
// application's own passes as bytes, and what proxies seal they open first. The
// proxy's own attribute is what a caller writes into its target.
func plainHTTP(*term, graph.Node, graph.Node) value { return stringValue("http") }

// serviceName is the name without the namespace that qualifies it in a graph
// with two services of that name.
func serviceName(_ *term, n graph.Node) value {
	name := n.NodeName()
	if _, mesh := n.(*graph.Service); mesh {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	return stringValue(name)
}

// namespace of an external is "".
func namespace(_ *term, n graph.Node) value {
	if s, mesh := n.(*graph.Service); mesh {
		return stringValue(s.Namespace)
	}
	return stringValue("")
}

// label answers both a read and a presence test; an external has none.
func label(read *term, n graph.Node) value {
	s, mesh := n.(*graph.Service)
	text, there := "", false
	if mesh {
		text, there = s.Labels[read.key]
	}
	if read.op == opHas {
		return boolValue(there)
	}
	return stringValue(text)
}
