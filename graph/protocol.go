package graph

// A Protocol of a port, as the graph file names it.
type Protocol string

// A Plane is how a proxy handles a protocol: as HTTP requests, as gRPC calls,
// or as a byte stream.
type Plane string

const (
	HTTP Plane = "http"
	GRPC Plane = "grpc"
	TCP  Plane = "tcp"
)

// protocols lists every protocol of a graph and the plane it is built on.
var protocols = []struct {
	Name  Protocol
	Plane Plane
}{
	{"http", HTTP}, {"grpc", GRPC},
	{"tcp", TCP}, {"tls", TCP}, {"redis", TCP}, {"mongodb", TCP}, {"memcached", TCP}, {"mysql", TCP},
	{"postgres", TCP}, {"kafka", TCP}, {"amqp", TCP}, {"thrift", TCP},
}

// Plane gives what the protocol is built on; "" for an unknown protocol.
func (p Protocol) Plane() Plane {
	for _, q := range protocols {
		if q.Name == p {
			return q.Plane
		}
	}
	return ""
}

// Protocols gives every known protocol, in the order of the documentation.
func Protocols() []string {
	out := make([]string, len(protocols))
	for i, p := range protocols {
		out[i] = string(p.Name)
	}
	return out
}
