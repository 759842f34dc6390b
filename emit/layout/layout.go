// Package layout assigns, once, the names and ports that all backends share.
//
// In: graph, program and placement. Out: for each ADM its listeners, each with
// the obligations that are enforced on it. The same input gives the same
// layout; nothing is refused.
package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// ADMMemory is what an ADM's container may use, in bytes: beyond it the node ends
// the proxy, so the proxy sheds load before that. It is what 20,000 connections
// of HTTP need; what is set aside for the pod is far less.
const ADMMemory = 1 << 30

// FirstPort is where listener ports begin. Ports that the service itself uses
// are passed over.
const FirstPort = 15100

// ReadyPort is where an ADM answers the kubelet's startup probe: HTTP 200 on
// ReadyPath, on every address of the pod, once its listeners are up. An ADM that
// keeps a metric gives its counters on MetricsPath in Prometheus' text format;
// nothing else is served there. A service that uses the port itself gets the
// next free one.
const (
	ReadyPort   = 15090
	ReadyPath   = "/ready"
	MetricsPath = "/stats/prometheus"
)

// AdminSocket is where the admin interface of an ADM's Envoy listens. Its
// directory is one that only the ADM's container has.
const AdminSocket = "/run/admc/admin.sock"

// What `admc adm drain` asks there: to end connections, and what is open.
const (
	DrainPath = "/healthcheck/fail"
	StatsPath = "/stats"
)

// A Layout is everything a backend needs.
type Layout struct {
	Graph     *graph.Graph
	Program   *ir.Program
	Placement *solver.Placement
	ADMs      []*ADM // sorted by service name
	// Header is the first line of every generated text file, without a comment
	// mark or a line end.
	Header string
}

// An ADM is the proxy of one service.
type ADM struct {
	Service   *graph.Service
	Dir       string      // adm/<service>, with "/" of a qualified name as "."
	ReadyPort int         // the listener for the startup probe, see the constant
	Listeners []*Listener // ingress by port, then egress by receiver and port; empty where the user said `adm: always`
}

// Has reports whether the ADM has listeners on a side.
func (a *ADM) Has(side ir.Side) bool {
	return slices.ContainsFunc(a.Listeners, func(l *Listener) bool { return l.Side == side })
}

// A Listener takes the connections of one port: inbound to this service, or
// outbound from this service to one port of one receiver. It listens on
// loopback only; the redirect programs bring it its connections, and
// SO_ORIGINAL_DST on an accepted socket is the address that was dialled.
type Listener struct {
	Name     string // ingress_8080, egress_mongodb-geo_27017; unique in the ADM
	Side     ir.Side
	Port     int        // loopback port
	Receiver graph.Node // ingress: this ADM's service
	// ReceiverPort and Protocol are those of the receiver's port.
	ReceiverPort int
	PortName     string
	Protocol     graph.Protocol
	Rules        []*Rule // sorted by the obligation's ID
	// Beside are the obligations on the listener's calls that are enforced at the
	// other end only.
	Beside []*ir.Obligation
	// Seal: connections are encrypted and both ends proved; nil: they are not.
	Seal *Seal
	// FailClosed: connections are refused while the ADM is dead, because a rule
	// here belongs to a policy that must not fail open.
	FailClosed bool
}

// A Rule is one obligation on one listener.
type Rule struct {
	Obligation *ir.Obligation
	// Edges of the obligation that pass this listener: all of them at ingress,
	// the one of this ADM's service at egress.
	Edges []*ir.Edge
	// Cond is the condition left for the proxy; nil: always. It is the same for
	// all Edges.
	Cond *ir.Condition
	// Replicas is the number of pods of the service whose ADM this is, at its
	// maximum; a counter's budget is divided by it.
	Replicas int
	// Except are callers whose connections are not this rule's; Group names the
	// rule where the obligation has several on the listener.
	Except []ir.Proof
	Group  string
}

// New lays out a placement.
func New(g *graph.Graph, prog *ir.Program, pl *solver.Placement, header string) *Layout {
	l := &Layout{Graph: g, Program: prog, Placement: pl, Header: header}
	byService := map[string]*ADM{}
	for _, name := range pl.ADMs {
		adm := &ADM{Service: g.Service(name), Dir: "adm/" + FileName(name)}
		l.ADMs = append(l.ADMs, adm)
		byService[name] = adm
	}
	for _, a := range pl.Assigned {
		o := a.Obligation
		if a.Side&ir.Ingress != 0 {
			byService[o.Receiver.NodeName()].receive(o)
		}
		if a.Side&ir.Egress != 0 {
			for _, e := range o.Edges {
				byService[e.Sender.NodeName()].add(ir.Egress, o, []*ir.Edge{e})
			}
		}
	}
	l.besides(pl)
	for _, adm := range l.ADMs {
		adm.assignPorts()
		for _, listener := range adm.Listeners {
			listener.seal()
		}
	}
	return l
}

// besides fills in Listener.Beside, in the order of the placement.
func (l *Layout) besides(pl *solver.Placement) {
	type port struct {
		receiver graph.Node
		number   int
	}
	at := map[port][]solver.Assigned{}
	for _, a := range pl.Assigned {
		k := port{a.Obligation.Receiver, a.Obligation.Port}
		at[k] = append(at[k], a)
	}
	for _, adm := range l.ADMs {
		for _, listener := range adm.Listeners {
			for _, a := range at[port{listener.Receiver, listener.ReceiverPort}] {
				mine := listener.Side == ir.Ingress || slices.ContainsFunc(a.Obligation.Edges, func(e *ir.Edge) bool { return e.Sender == adm.Service })
				if mine && a.Side&listener.Side == 0 {
					listener.Beside = append(listener.Beside, a.Obligation)
				}
			}
		}
	}
}

// receive adds an obligation at ingress: a rule for each group of its callers.
func (a *ADM) receive(o *ir.Obligation) {
	if len(o.Apart) == 0 {
		a.add(ir.Ingress, o, o.Edges)
		return
	}
	for _, g := range o.Apart {
		r := a.add(ir.Ingress, o, g.Edges)
		r.Except = g.Not
		if len(o.Apart) > 1 {
			r.Group = FileName(g.Edges[0].Sender.NodeName())
		}
	}
}

func (a *ADM) add(side ir.Side, o *ir.Obligation, edges []*ir.Edge) *Rule {
	i := slices.IndexFunc(a.Listeners, func(l *Listener) bool {
		return l.Side == side && l.Receiver == o.Receiver && l.ReceiverPort == o.Port
	})
	if i < 0 {
		l := &Listener{Side: side, Receiver: o.Receiver, ReceiverPort: o.Port, PortName: o.PortName, Protocol: o.Protocol}
		if side == ir.Ingress {
			l.Name = fmt.Sprintf("ingress_%d", o.Port)
		} else {
			l.Name = fmt.Sprintf("egress_%s_%d", FileName(o.Receiver.NodeName()), o.Port)
		}
		a.Listeners = append(a.Listeners, l)
		i = len(a.Listeners) - 1
	}
	l := a.Listeners[i]
	r := &Rule{Obligation: o, Edges: edges, Cond: edges[0].Cond, Replicas: a.Service.MaxReplicas}
	l.Rules = append(l.Rules, r)
	l.FailClosed = l.FailClosed || o.Policy.FailClosed
	return r
}

func (a *ADM) assignPorts() {
	slices.SortFunc(a.Listeners, func(x, y *Listener) int {
		return cmp.Or(cmp.Compare(x.Side, y.Side),
			strings.Compare(x.Receiver.NodeName(), y.Receiver.NodeName()),
			cmp.Compare(x.ReceiverPort, y.ReceiverPort))
	})
	taken := map[int]bool{}
	for _, p := range a.Service.Ports {
		taken[p.Number] = true
	}
	a.ReadyPort = ReadyPort
	for taken[a.ReadyPort] {
		a.ReadyPort--
	}
	next := FirstPort
	for _, l := range a.Listeners {
		slices.SortFunc(l.Rules, func(x, y *Rule) int {
			return cmp.Or(strings.Compare(x.Obligation.ID(), y.Obligation.ID()), strings.Compare(x.Group, y.Group))
		})
		for taken[next] {
			next++
		}
		l.Port = next
		next++
	}
}

// FileName makes a service name fit for a path and an identifier: the "/" of a
// qualified name becomes ".".
func FileName(service string) string { return strings.ReplaceAll(service, "/", ".") }

// VersionHost is the DNS name of the headless Service that is emitted for one
// version of a service, for actions that choose a version.
func VersionHost(s *graph.Service, version string) string {
	return fmt.Sprintf("%s.%s.svc.cluster.local", VersionService(s, version), s.Namespace)
}

// VersionService is the name of that headless Service.
func VersionService(s *graph.Service, version string) string {
	return fmt.Sprintf("%s-%s-admc", KubeName(s), version)
}

// PodsHost is the DNS name of the headless Service that is emitted for all pods
// of a service, for actions that choose among them.
func PodsHost(s *graph.Service) string {
	return fmt.Sprintf("%s.%s.svc.cluster.local", PodsService(s), s.Namespace)
}

// PodsService is the name of that headless Service.
func PodsService(s *graph.Service) string { return KubeName(s) + "-admc-pods" }

// NearHost is the DNS name of the Service that is emitted for the pods of a
// service which are in the caller's zone, as far as there are any.
func NearHost(s *graph.Service) string {
	return fmt.Sprintf("%s.%s.svc.cluster.local", NearService(s), s.Namespace)
}

// NearService is the name of that Service.
func NearService(s *graph.Service) string { return KubeName(s) + "-admc-near" }

// KubeName is the name of the service's Kubernetes objects, without the
// namespace of a qualified name.
func KubeName(s *graph.Service) string {
	return s.Name[strings.LastIndexByte(s.Name, '/')+1:]
}
