package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

type networkPolicy struct {
	APIVersion string      `yaml:"apiVersion"`
	Kind       string      `yaml:"kind"`
	Metadata   meta        `yaml:"metadata"`
	Spec       networkBody `yaml:"spec"`
}

type networkBody struct {
	PodSelector labelSelector `yaml:"podSelector"`
	PolicyTypes []string      `yaml:"policyTypes"`
	Ingress     []networkRule `yaml:"ingress,omitempty"`
	Egress      []egressRule  `yaml:"egress,omitempty"`
}

type networkRule struct {
	From  []networkPeer `yaml:"from,omitempty"` // none: from anywhere
	Ports []networkPort `yaml:"ports"`
}

// networkPeer has a PodSelector or an IPBlock.
type networkPeer struct {
	NamespaceSelector *labelSelector `yaml:"namespaceSelector,omitempty"`
	PodSelector       *labelSelector `yaml:"podSelector,omitempty"`
	IPBlock           *ipBlock       `yaml:"ipBlock,omitempty"`
}

type ipBlock struct {
	CIDR string `yaml:"cidr"`
}

type labelSelector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type networkPort struct {
	Protocol string `yaml:"protocol"`
	Port     int    `yaml:"port"`
	EndPort  int    `yaml:"endPort,omitempty"`
}

// guardedPort is a port whose policies stand at the callers and must not fail
// open: whoever calls it without an ADM has to be kept away by the network.
type guardedPort struct {
	receiver *graph.Service
	port     int
	policies []string
	at       diag.Span       // of the first policy
	held     map[string]bool // callers whose ADM holds them to the policies
}

// closeWorld emits a NetworkPolicy for each receiver of guarded ports and for
// each service that calls nothing else. Where one can't be made right, a warning
// says what stays open.
func (o *overlay) closeWorld() {
	policies := map[*graph.Service]*networkPolicy{}
	o.closeReceivers(policies)
	o.closeCallers(policies)
	for _, s := range o.l.Graph.Services {
		if np := policies[s]; np != nil {
			o.addResource("network/"+layout.FileName(s.Name)+".yaml", np)
		}
	}
}

// closeReceivers admits to guarded ports the pods that have the ADM, and callers
// that no policy concerns. Isolation is per pod, so every other port is admitted
// from anywhere.
func (o *overlay) closeReceivers(policies map[*graph.Service]*networkPolicy) {
	guarded := o.guardedPorts()
	for len(guarded) > 0 {
		receiver := guarded[0].receiver
		n := slices.IndexFunc(guarded, func(g *guardedPort) bool { return g.receiver != receiver })
		if n < 0 {
			n = len(guarded)
		}
		if np, why := o.networkPolicy(receiver, guarded[:n]); why != "" {
			o.leaveOpen(guarded[:n], why)
		} else {
			policies[receiver] = np
			o.closed = append(o.closed, receiver.Name)
		}
		guarded = guarded[n:]
	}
}

// guardedPorts are sorted by receiver and port.
func (o *overlay) guardedPorts() []*guardedPort {
	found := map[string]*guardedPort{}
	for _, a := range o.l.Placement.Assigned {
		ob := a.Obligation
		receiver, ok := ob.Receiver.(*graph.Service)
		if !ok || a.Side != ir.Egress || !ob.Policy.FailClosed {
			continue
		}
		key := fmt.Sprintf("%s %05d", receiver.Name, ob.Port)
		g := found[key]
		if g == nil {
			g = &guardedPort{receiver: receiver, port: ob.Port, at: ob.Policy.At, held: map[string]bool{}}
			found[key] = g
		}
		if !slices.Contains(g.policies, ob.Policy.Name) {
			g.policies = append(g.policies, ob.Policy.Name)
		}
		for _, e := range ob.Edges {
			g.held[e.Sender.NodeName()] = true
		}
	}
	var out []*guardedPort
	for _, key := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[key])
	}
	return out
}

func (o *overlay) leaveOpen(guarded []*guardedPort, why string) {
	for _, g := range guarded {
		are := "is"
		if len(g.policies) > 1 {
			are = "are"
		}
		what := fmt.Sprintf("%s %s enforced at the callers of %s:%d, and nothing keeps away a pod without an ADM: %s", strings.Join(g.policies, ", "), are, g.receiver.Name, g.port, why)
		o.bag.Warnf(g.at, codeWorldOpen, "%s", what).
			WithHint("@strict before the policy enforces it at the receiver")
		o.notes = append(o.notes, what+".")
	}
}

// networkPolicy closes the guarded ports of one receiver, or says why it can't.
func (o *overlay) networkPolicy(receiver *graph.Service, guarded []*guardedPort) (*networkPolicy, string) {
	if o.Base == nil {
		return nil, "without a base, the labels of the pods are not known"
	}
	pods, namespace := o.Base.podLabels(receiver)
	if len(pods) == 0 {
		return nil, "the base has no Service or workload of that name"
	}
	for _, w := range o.Base.behind(pods, namespace) {
		if w.workload.Template.Spec.HostNetwork {
			return nil, "its pods use the node's network, where a NetworkPolicy does not hold"
		}
	}
	if other := o.Base.isolates(pods, namespace); other != nil {
		return nil, fmt.Sprintf("NetworkPolicy %s of the base selects the same pods, and what either admits is admitted", other.Metadata.Name)
	}
	np := o.newNetworkPolicy(receiver, pods, namespace)
	np.Spec.PolicyTypes = []string{"Ingress"}
	var closed []int
	for _, g := range guarded {
		port := o.Base.podPort(receiver, g.port)
		if port == 0 {
			return nil, fmt.Sprintf("the pods' port behind port %d of the Service is not known", g.port)
		}
		from, why := o.admitted(g, pods, namespace)
		if why != "" {
			return nil, why
		}
		np.Spec.Ingress = append(np.Spec.Ingress, networkRule{From: from, Ports: []networkPort{{"TCP", port, 0}}})
		closed = append(closed, port)
	}
	np.Spec.Ingress = append(np.Spec.Ingress, networkRule{Ports: otherPorts(closed)})
	return np, ""
}

func (o *overlay) newNetworkPolicy(s *graph.Service, pods map[string]string, namespace string) *networkPolicy {
	return &networkPolicy{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy",
		Metadata: meta{Name: "admc-" + layout.KubeName(s), Namespace: namespace, Labels: o.labels(s)},
		Spec:     networkBody{PodSelector: labelSelector{pods}}}
}

// admitted gives the peers that may open a guarded port: held callers by the
// label that only a pod with the ADM has, other callers by their own labels,
// and the receiver's own pods, whose replication is in no call graph.
func (o *overlay) admitted(g *guardedPort, pods map[string]string, namespace string) ([]networkPeer, string) {
	peers := []networkPeer{{PodSelector: &labelSelector{pods}}}
	for _, c := range o.l.Graph.Calls {
		if c.To != graph.Node(g.receiver) || c.Port != g.port {
			continue
		}
		caller, ok := c.From.(*graph.Service)
		if !ok {
			return nil, fmt.Sprintf("%s calls it too, from outside", c.From.NodeName())
		}
		labels, from := o.Base.podLabels(caller)
		if len(labels) == 0 {
			return nil, fmt.Sprintf("the base has no Service or workload of its caller %s", caller.Name)
		}
		if g.held[caller.Name] {
			labels = map[string]string{PodLabel: layout.KubeName(caller)}
		}
		peer := networkPeer{PodSelector: &labelSelector{labels}}
		if from != namespace {
			if from == "" {
				return nil, fmt.Sprintf("the namespace of its caller %s is not known", caller.Name)
			}
			peer.NamespaceSelector = inSpace(from)
		}
		peers = append(peers, peer)
	}
	return peers, ""
}

// otherPorts is every port but the closed ones, of every protocol.
func otherPorts(closed []int) []networkPort {
	slices.Sort(closed)
	var out []networkPort
	next := 1
	for _, p := range slices.Compact(closed) {
		if p > next {
			out = append(out, networkPort{"TCP", next, p - 1})
		}
		next = p + 1
	}
	if next <= 65535 {
		out = append(out, networkPort{"TCP", next, 65535})
	}
	return append(out, networkPort{"UDP", 1, 65535}, networkPort{"SCTP", 1, 65535})
}

// podLabels gives labels that select the pods of a service: its Service's
// selector, else the labels of its workload's pods.
func (b *Base) podLabels(s *graph.Service) (labels map[string]string, namespace string) {
	if svc := b.serviceOf(s); svc != nil && len(svc.service.Selector) > 0 {
		return svc.service.Selector, svc.Metadata.Namespace
	}
	for _, o := range b.objects {
		if o.workload != nil && o.Kind == s.Workload.Kind && o.Metadata.Name == s.Workload.Name && inNamespace(o, s) {
			return o.workload.Template.Metadata.Labels, o.Metadata.Namespace
		}
	}
	return nil, ""
}

// podPort gives the pods' port behind a service's port; 0 when it is not one.
func (b *Base) podPort(s *graph.Service, port int) int {
	svc := b.serviceOf(s)
	if svc == nil {
		return port
	}
	for i, p := range svc.service.Ports {
		if p.Port == port {
			if targets := b.targetPorts(svc, i); len(targets) == 1 {
				return targets[0]
			}
			return 0
		}
	}
	return port
}

// isolates gives a NetworkPolicy of the base that concerns what comes in to the
// pods that have the labels. An expression in it may leave them out: better one
// warning too many.
func (b *Base) isolates(pods map[string]string, namespace string) *object {
	all := []map[string]string{pods}
	for _, w := range b.behind(pods, namespace) {
		all = append(all, w.workload.Template.Metadata.Labels)
	}
	for _, o := range b.objects {
		if o.network == nil || o.Metadata.Namespace != namespace {
			continue
		}
		types, chosen := o.network.PolicyTypes, o.network.PodSelector.MatchLabels
		if len(types) > 0 && !slices.Contains(types, "Ingress") {
			continue
		}
		for _, labels := range all {
			if len(chosen) == 0 || selects(chosen, labels) {
				return o
			}
		}
	}
	return nil
}
