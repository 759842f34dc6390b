package kube

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A service closed by @closed gets a NetworkPolicy for what its pods send: the
// calls that the graph has, name lookups, and what the ADM in the same pods
// asks. A NetworkPolicy acts on addresses of pods, behind a Service's own: so
// it names pods and their ports. Answers are not sent calls, and traffic to the
// pod's own node is always admitted; the kubelet's probes need no rule.

type egressRule struct {
	To    []networkPeer `yaml:"to"`
	Ports []networkPort `yaml:"ports,omitempty"` // none: every port
}

// everywhere is what a NetworkPolicy knows of hosts whose addresses it is not
// told.
var everywhere = []networkPeer{{IPBlock: &ipBlock{"0.0.0.0/0"}}, {IPBlock: &ipBlock{"::/0"}}}

// nodeLocalDNS is where the name server on each node listens where the cluster
// has one (k8s.io/dns, node-cache -localip).
const nodeLocalDNS = "169.254.20.10/32"

// A closing is the rules of one closed service on their way.
type closing struct {
	*overlay
	*ir.Closed
	pods      map[string]string // labels of its pods
	namespace string            // of their manifests, which may name none
	space     string            // that they run in: the graph's where the manifests name none
	rules     []egressRule
	open      []gap // what is open more widely than was asked for
}

// A gap is something that can't be closed, and the way out.
type gap struct{ why, out string }

// closeCallers adds rules for the closed services to the NetworkPolicies.
func (o *overlay) closeCallers(policies map[*graph.Service]*networkPolicy) {
	for _, cl := range o.l.Program.Closed {
		c := &closing{overlay: o, Closed: cl}
		if g := c.close(); g != nil {
			c.warn("nothing keeps %s from other calls than @closed allows: %s", *g)
			continue
		}
		np := policies[cl.Service]
		if np == nil {
			np = o.newNetworkPolicy(cl.Service, c.pods, c.namespace)
			policies[cl.Service] = np
		}
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, "Egress")
		np.Spec.Egress = c.rules
		o.callers = append(o.callers, cl)
		for _, g := range c.open {
			c.warn("@closed of %s is wider than written: %s", g)
		}
	}
}

func (c *closing) warn(format string, g gap) {
	what := fmt.Sprintf(format, c.Service.Name, g.why)
	c.bag.Warnf(c.Policies[0].Closed, codeClosedOpen, "%s", what).WithHint("%s", g.out).
		WithNote(c.Service.At, "the service is declared here")
	c.notes = append(c.notes, what+".")
}

// close fills the rules, or says why the service can't be closed at all.
func (c *closing) close() *gap {
	if c.Base == nil {
		return &gap{"without a base, the labels of the pods are not known", "give the manifests with --base"}
	}
	if g := c.ownPods(); g != nil {
		return g
	}
	// Replication is in no call graph.
	c.rules = append(c.rules, egressRule{To: []networkPeer{{PodSelector: &labelSelector{c.pods}}}})
	for _, call := range c.Calls {
		var g *gap
		switch to := call.To.(type) {
		case *graph.Service:
			g = c.toService(to, call.Port)
		case *graph.External:
			g = c.toHost(to.Host, call.Port, to.Addresses, "external "+to.Name)
		}
		if g != nil {
			return g
		}
	}
	if g := c.toADMsHosts(); g != nil {
		return g
	}
	c.toNameServers()
	c.widened()
	return nil
}

// ownPods finds labels that select the service's pods and no others.
func (c *closing) ownPods() *gap {
	c.pods, c.namespace = c.Base.podLabels(c.Service)
	if len(c.pods) == 0 {
		return &gap{"the base has no Service or workload of that name", "name its workload in the graph, as in `workload: StatefulSet/NAME`"}
	}
	c.space = cmp.Or(c.namespace, c.Service.Namespace)
	its := false
	for _, w := range c.Base.behind(c.pods, c.namespace) {
		if w.workload.Template.Spec.HostNetwork {
			return &gap{"its pods use the node's network, where a NetworkPolicy does not hold", "give them a network of their own"}
		}
		if other := c.ownerOf(w); other != nil && other != c.Service {
			return &gap{fmt.Sprintf("the labels %s are those of %s's pods, too", labelText(c.pods), other.Name), "give the two a label that tells them apart, and each Service that label in its selector"}
		}
		its = its || w.runs(c.Service)
	}
	if its {
		return nil
	}
	for _, w := range c.Base.objects {
		if w.workload != nil && w.runs(c.Service) {
			return &gap{fmt.Sprintf("the pods of %s %s do not have the labels %s of its Service", w.Kind, w.Metadata.Name, labelText(c.pods)), "name the workload of its pods in the graph"}
		}
	}
	return nil
}

// ownerOf is the service of the graph that names the workload; nil for none.
func (o *overlay) ownerOf(w *object) *graph.Service {
	i := slices.IndexFunc(o.l.Graph.Services, w.runs)
	if i < 0 {
		return nil
	}
	return o.l.Graph.Services[i]
}

// runs reports whether a workload is the one that the graph names for s.
func (o *object) runs(s *graph.Service) bool {
	return o.Kind == s.Workload.Kind && o.Metadata.Name == s.Workload.Name && inNamespace(o, s)
}

// toService admits calls to a port of a service of the graph.
func (c *closing) toService(s *graph.Service, port int) *gap {
	labels, namespace := c.Base.podLabels(s)
	onNode := slices.ContainsFunc(c.Base.behind(labels, namespace), func(w *object) bool { return w.workload.Template.Spec.HostNetwork })
	give := fmt.Sprintf("give `addresses` of %s in the graph", s.Name)
	switch {
	case len(labels) > 0 && !onNode:
		c.alike(s, labels, namespace)
		return c.toPods(labels, cmp.Or(namespace, s.Namespace), c.Base.dialledPorts(c.Base.serviceOf(s), port), fmt.Sprintf("%s:%d", s.Name, port))
	case len(s.Addresses) > 0:
		c.rules = append(c.rules, egressRule{To: blocks(s.Addresses)}) // the pods' port is not known
		return nil
	case onNode:
		return &gap{fmt.Sprintf("it calls %s, whose pods use the node's network", s.Name), give}
	}
	return &gap{fmt.Sprintf("it calls %s, of which the base has no Service and no workload", s.Name), give}
}

// alike notes other services whose pods have the labels of a receiver's, and so
// are reached with it.
func (c *closing) alike(s *graph.Service, labels map[string]string, namespace string) {
	for _, w := range c.Base.behind(labels, namespace) {
		if other := c.ownerOf(w); other != nil && other != s && other != c.Service {
			c.open = append(c.open, gap{fmt.Sprintf("the pods of %s have the labels %s of those of %s, too", other.Name, labelText(labels), s.Name),
				"give the two a label that tells them apart, and each Service that label in its selector"})
		}
	}
}

func (c *closing) toPods(labels map[string]string, namespace string, ports []int, what string) *gap {
	if len(ports) == 0 {
		return &gap{fmt.Sprintf("the pods' port behind %s is not known", what), "give the Service's `targetPort` as a number, or the pods a port of that name"}
	}
	peer := networkPeer{PodSelector: &labelSelector{labels}}
	if namespace != c.space {
		peer.NamespaceSelector = inSpace(namespace)
	}
	r := egressRule{To: []networkPeer{peer}}
	for _, p := range ports {
		r.Ports = append(r.Ports, networkPort{"TCP", p, 0})
	}
	c.rules = append(c.rules, r)
	return nil
}

func inSpace(namespace string) *labelSelector {
	return &labelSelector{map[string]string{"kubernetes.io/metadata.name": namespace}}
}

// toHost admits calls to a host that is no service of the graph: a Service of
// the base, an address, or a name outside the cluster.
func (c *closing) toHost(host string, port int, addresses []netip.Prefix, what string) *gap {
	tcp := []networkPort{{"TCP", port, 0}}
	if ip, err := netip.ParseAddr(host); err == nil && len(addresses) == 0 {
		addresses = []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}
	}
	if len(addresses) > 0 {
		c.rules = append(c.rules, egressRule{To: blocks(addresses), Ports: tcp})
		return nil
	}
	if svc := c.Base.serviceAt(host, c.namespace); svc != nil && len(svc.service.Selector) > 0 {
		return c.toPods(svc.service.Selector, cmp.Or(svc.Metadata.Namespace, c.space), c.Base.dialledPorts(svc, port), fmt.Sprintf("%s:%d", host, port))
	}
	out := fmt.Sprintf("an external with `host: %s` and `addresses` in the graph says where it is", host)
	if c.inCluster(host) {
		return &gap{fmt.Sprintf("it calls %s, which is %s in the cluster, and the base does not show its pods", what, host), out}
	}
	c.rules = append(c.rules, egressRule{To: everywhere, Ports: tcp})
	c.open = append(c.open, gap{fmt.Sprintf("port %d of every address is open, because %s is %s, and a NetworkPolicy knows addresses and no names", port, what, host), out})
	return nil
}

// inCluster reports whether a name is one that the cluster's own DNS answers.
func (o *overlay) inCluster(host string) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(labels) == 2 && slices.ContainsFunc(o.l.Graph.Services, func(s *graph.Service) bool { return s.Namespace == labels[1] }) {
		return true
	}
	return len(labels) < 2 || slices.Contains(labels, "svc") || labels[len(labels)-1] == "local"
}

// serviceAt finds a Service by a name as pods of a namespace write it: name,
// name.namespace, name.namespace.svc, with or without the cluster's domain.
func (b *Base) serviceAt(host, namespace string) *object {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(labels) > 2 && labels[2] != "svc" {
		return nil
	}
	if len(labels) > 1 {
		namespace = labels[1]
	}
	for _, o := range b.objects {
		if o.service != nil && o.Metadata.Name == labels[0] && o.Metadata.Namespace == namespace {
			return o
		}
	}
	return nil
}

// dialledPorts gives the pods' ports that a call to a Service's port arrives at
// (nil Service: the port itself). A headless Service maps nothing: who looks up
// its name dials the port that it knows.
func (b *Base) dialledPorts(svc *object, port int) []int {
	if svc == nil {
		return []int{port}
	}
	for i, p := range svc.service.Ports {
		if p.Port == port {
			out := slices.Clone(b.targetPorts(svc, i))
			if svc.service.ClusterIP == "None" && !slices.Contains(out, port) {
				out = append(out, port)
			}
			slices.Sort(out)
			return out
		}
	}
	return []int{port} // dialled past the Service
}

func blocks(prefixes []netip.Prefix) []networkPeer {
	var out []networkPeer
	for _, p := range prefixes {
		out = append(out, networkPeer{IPBlock: &ipBlock{p.String()}})
	}
	return out
}

// toADMsHosts admits what the ADM in the service's pods asks by itself: key
// sets, authorizers, rate-limit services.
func (c *closing) toADMsHosts() *gap {
	done := map[string]bool{}
	for _, a := range c.actionsInPods() {
		host, port := asks(a)
		key := fmt.Sprint(host, " ", port)
		if host == "" || done[key] {
			continue
		}
		done[key] = true
		var addresses []netip.Prefix
		for _, e := range c.l.Graph.Externals {
			if e.Host == host {
				addresses = append(addresses, e.Addresses...)
			}
		}
		if g := c.toHost(host, port, addresses, "the host that "+a.Name()+" asks"); g != nil {
			return g
		}
	}
	return nil
}

// actionsInPods gives the actions of the service's ADM.
func (c *closing) actionsInPods() []*ir.Action {
	var out []*ir.Action
	for _, adm := range c.l.ADMs {
		if adm.Service != c.Service {
			continue
		}
		for _, l := range adm.Listeners {
			for _, r := range l.Rules {
				out = append(out, r.Obligation.Actions...)
			}
		}
	}
	return out
}

// asks gives the host that an action's proxy asks about requests or tells of them; "" for none.
// It stands in an argument `address` or `collector`, host:port, or in one that is
// a URI; an action that may count by itself asks only where it is `global`.
func asks(a *ir.Action) (host string, port int) {
	if global, may := a.Args["global"]; may && !global.Bool {
		return "", 0
	}
	for _, name := range []string{"address", "collector", "jwks_uri"} {
		text := a.Args[name].Str
		if text == "" {
			continue
		}
		scheme, rest, isURI := strings.Cut(text, "://")
		if !isURI {
			rest = text
		}
		rest, _, _ = strings.Cut(rest, "/")
		at, err := netip.ParseAddrPort(rest)
		if err == nil {
			return at.Addr().String(), int(at.Port())
		}
		host, number, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(number); err == nil {
			return host, n
		}
		return host, map[string]int{"http": 80}[scheme] + map[string]int{"https": 443}[scheme]
	}
	return "", 0
}

// toNameServers admits lookups: of the cluster's name servers, of one on each
// node, and of those that the pods name.
func (c *closing) toNameServers() {
	lookups := []networkPort{{"UDP", 53, 0}, {"TCP", 53, 0}}
	peers := []networkPeer{
		{NamespaceSelector: inSpace("kube-system"), PodSelector: &labelSelector{map[string]string{"k8s-app": "kube-dns"}}},
		{IPBlock: &ipBlock{nodeLocalDNS}},
	}
	theirs, cluster := map[string]bool{}, false
	for _, w := range c.Base.behind(c.pods, c.namespace) {
		pod := &w.workload.Template.Spec
		for _, s := range pod.DNSConfig.Nameservers {
			if ip, err := netip.ParseAddr(s); err == nil {
				theirs[netip.PrefixFrom(ip, ip.BitLen()).String()] = true
			}
		}
		cluster = cluster || pod.DNSPolicy != "None"
		if pod.DNSPolicy == "Default" {
			c.rules = append(c.rules, egressRule{To: everywhere, Ports: lookups})
			c.open = append(c.open, gap{fmt.Sprintf("port 53 of every address is open, because the pods of %s %s ask the name servers of their nodes", w.Kind, w.Metadata.Name),
				"without `dnsPolicy: Default` they ask the cluster's"})
			return
		}
	}
	if !cluster && len(theirs) > 0 {
		peers = nil
	}
	for _, p := range slices.Sorted(maps.Keys(theirs)) {
		peers = append(peers, networkPeer{IPBlock: &ipBlock{p}})
	}
	c.rules = append(c.rules, egressRule{To: peers, Ports: lookups})
}

// callText names a call in the README.
func callText(call *graph.Call) string {
	return fmt.Sprintf("%s:%d", call.To.NodeName(), call.Port)
}

// readmeClosed says what @closed did.
func (o *overlay) readmeClosed(p printer) {
	if len(o.callers) == 0 {
		return
	}
	p("\n## Services that call nothing else\n")
	p("| service | may call | by |")
	p("|---|---|---|")
	for _, cl := range o.callers {
		var calls, by []string
		for _, call := range cl.Calls {
			calls = append(calls, callText(call))
		}
		if len(calls) == 0 {
			calls = []string{"nothing"}
		}
		for _, policy := range cl.Policies {
			by = append(by, "`"+policy.Name+"`")
		}
		p("| %s | %s | %s |", cl.Service.Name, strings.Join(calls, ", "), strings.Join(by, ", "))
	}
	p("\nNetworkPolicies in `network/` refuse whatever else their pods send, without a proxy. Open besides: the service's own")
	p("pods, lookups at the cluster's name servers (pods labelled `k8s-app: kube-dns` in kube-system, and %s", strings.TrimSuffix(nodeLocalDNS, "/32"))
	p("on the node), and what the ADM in these pods asks. The API server is not: a service that calls it has it in its graph.")
	p("They hold only where the cluster's network plugin enforces NetworkPolicies on what pods send.")
}
