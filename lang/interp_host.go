package lang

import (
	"net"
	"strconv"

	"admc.dev/admc/graph"
)

// clientHost is what a client that says nothing else sends as the host of a
// request on the call: what it dialled. HTTP leaves out the scheme's own port (RFC
// 9110, section 7.2). gRPC does not: its :authority is the target as written, and
// one without a port means 443 there. "" on a byte stream.
//
// A service is dialled by its name, from another namespace with its own behind it;
// an external one by its host.
func clientHost(c *graph.Call) string {
	var name string
	switch to := c.To.(type) {
	case *graph.External:
		name = to.Host
	case *graph.Service:
		name = baseName(to)
		if from, ok := c.From.(*graph.Service); ok && from.Namespace != to.Namespace {
			name += "." + to.Namespace
		}
	}
	switch plane := c.Protocol.Plane(); {
	case plane == graph.TCP:
		return ""
	case plane == graph.HTTP && c.Port == 80:
		if ip := net.ParseIP(name); ip != nil && ip.To4() == nil {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(c.Port))
}
