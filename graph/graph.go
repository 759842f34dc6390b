// Package graph is the service call graph: services, externals, and the calls
// between them, each with the place in the input that declared it.
//
// In: a file in one of the formats of the table in format.go, or Go values
// (New). Out: a Graph, sorted, with every call resolved to a port and a
// protocol. Unknown keys, unknown services, duplicate names and calls that name
// no port are refused, all at once.
//
// What the file format leaves open is settled so:
//   - Text, numbers and truth values are told apart: `replicas: "2"` and the
//     label value `true` without quotes are errors. Decimals are kept exactly.
//   - A call goes to its callee's only port; `port` (name or number) picks one
//     of several. A service that declares no ports has those that its calls
//     name by number and protocol, and no call may leave either out.
//   - A topic's producers and consumers all connect to its broker, a declared
//     service or external. A broker that is declared nowhere is an external of
//     that name, at the topic's port or its protocol's usual one. That a topic
//     repeats a call is no mistake, that `calls` does is one.
//   - An external is called only if it gives host, port and protocol. No call
//     joins two externals.
//   - `name` and `namespace/name` are both names; two services that are one
//     Kubernetes object, or run in the same pods, are refused.
//   - YAML anchors, aliases and merge keys work. A second document does not.
package graph

import (
	"net/netip"

	"admc.dev/admc/lang/diag"
)

// A Graph is immutable once loaded.
type Graph struct {
	Name      string // "graph" where the file gives none
	Namespace string // of the services that name none; "default" where the file gives none
	Identity  Identity
	// IdentityAt is the value of `identity`; zero when not written.
	IdentityAt diag.Span
	Services   []*Service  // sorted by Name
	Externals  []*External // sorted by Name
	Calls      []*Call     // sorted by From, To, Port; one per (From, To, Port)
	Src        *diag.Source

	byName map[string]Node
	rank   map[Node]int32 // place among all nodes, by name
	// The calls from the node of rank i are Calls[outAt[i]:outAt[i+1]], those
	// to it byCallee[inAt[i]:inAt[i+1]].
	outAt, inAt []int32
	byCallee    []*Call
}

// Identity is how a receiver tells its callers apart.
type Identity string

const (
	IdentityNone      Identity = "none"
	IdentityAddresses Identity = "addresses"
	IdentityPorts     Identity = "ports"
	IdentityMTLS      Identity = "mtls"
)

// A Node is a *Service or an *External.
type Node interface {
	NodeName() string
	Span() diag.Span // the name where it is declared
	node()
}

// A Service runs pods of the mesh and can host an ADM.
type Service struct {
	// Name is the key in the file: "name", or "ns/name" where two namespaces
	// have a service of the same name.
	Name      string
	Namespace string
	Labels    map[string]string
	// MinReplicas and MaxReplicas are equal unless the service autoscales.
	MinReplicas, MaxReplicas int
	Workload                 Workload
	ServiceAccount           string  // of the pods; the workload's name by default
	Ports                    []*Port // sorted by number
	Versions                 []string
	ADM                      ADMChoice
	Cost                     Decimal // weight of an ADM here; 1 by default
	Capacity                 Decimal // CPU cores; Set is false when unlimited
	// Starts: it begins call chains by itself; as written, else whether it
	// consumes a topic or nobody but itself calls it.
	Starts bool
	// Addresses that its pods, and nothing else, have; as written. No two
	// services share one.
	Addresses []netip.Prefix
	At        diag.Span
	ADMAt     diag.Span // of the value of `adm`; zero when not written
}

// A Workload is the Kubernetes object that makes the service's pods.
type Workload struct {
	Kind string // Deployment, StatefulSet, DaemonSet
	Name string
}

// A Port of a service.
type Port struct {
	Name     string // "" when it has none
	Number   int
	Protocol Protocol
	At       diag.Span
}

// ADMChoice is what the user allows at a service.
type ADMChoice string

const (
	ADMAuto   ADMChoice = "auto"
	ADMNever  ADMChoice = "never"
	ADMAlways ADMChoice = "always"
)

// A Decimal is an exact decimal number: Units / 10^Scale.
type Decimal struct {
	Set   bool
	Units int64
	Scale int
	At    diag.Span
}

// An External is outside the mesh: it calls in, is called, or both. It can't
// host an ADM.
type External struct {
	Name     string
	Host     string // "" when it only calls in
	Port     int
	Protocol Protocol
	// Addresses are prefixes in which all addresses of the host are, as written.
	Addresses []netip.Prefix
	At        diag.Span
}

// A Call is an edge: From may open connections to To's port.
type Call struct {
	From, To Node
	Port     int
	PortName string
	Protocol Protocol
	RPS      Decimal
	At       diag.Span
}

func (s *Service) NodeName() string  { return s.Name }
func (s *Service) Span() diag.Span   { return s.At }
func (*Service) node()               {}
func (e *External) NodeName() string { return e.Name }
func (e *External) Span() diag.Span  { return e.At }
func (*External) node()              {}

// Lookup finds a service or an external by its name; nil when there is none.
func (g *Graph) Lookup(name string) Node { return g.byName[name] }

// Service finds a service by its name; nil when there is none.
func (g *Graph) Service(name string) *Service {
	s, _ := g.byName[name].(*Service)
	return s
}
