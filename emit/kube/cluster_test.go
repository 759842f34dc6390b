package kube

import (
	"bytes"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// A cluster is the pods of rendered manifests, and the NetworkPolicies among
// them, evaluated as the API reference says (k8s.io/api/networking/v1): a pod
// that no policy selects for a direction is open in it; else what any of them
// admits is admitted.
type cluster struct {
	pods     []*simPod
	policies []*networkingv1.NetworkPolicy
}

// A simPod is one pod; an address outside the cluster has no namespace.
type simPod struct {
	name, namespace string
	labels          map[string]string
	spec            corev1.PodSpec
	ip              netip.Addr
}

func newCluster(t *testing.T, objects map[string]rendered) *cluster {
	t.Helper()
	c := &cluster{}
	for key, r := range objects {
		if r.pod != nil {
			var o object
			if err := yaml.Unmarshal(r.text, &o); err != nil {
				t.Fatal(err)
			}
			c.add(o.Metadata.Name, o.Metadata.Namespace, r.pod.Labels).spec = r.pod.Spec
		}
		if bytes.Contains(r.text, []byte("kind: NetworkPolicy\n")) {
			np := &networkingv1.NetworkPolicy{}
			if err := yaml.UnmarshalStrict(r.text, np); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			c.policies = append(c.policies, np)
		}
	}
	return c
}

func (c *cluster) add(name, namespace string, labels map[string]string) *simPod {
	n := len(c.pods) + 1
	p := &simPod{name: name, namespace: namespace, labels: labels, ip: netip.AddrFrom4([4]byte{10, 1, byte(n / 256), byte(n % 256)})}
	c.pods = append(c.pods, p)
	return p
}

func (c *cluster) pod(t *testing.T, name string) *simPod {
	t.Helper()
	for _, p := range c.pods {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no pod %s", name)
	return nil
}

func outside(ip string) *simPod { return &simPod{name: ip, ip: netip.MustParseAddr(ip)} }

// reaches reports whether a connection of one pod to a port of another is
// admitted at both ends. A pod can't be kept from itself.
func (c *cluster) reaches(t *testing.T, from, to *simPod, protocol corev1.Protocol, port int) bool {
	t.Helper()
	return from == to || c.mayLeave(t, from, to, protocol, port) && c.mayEnter(t, from, to, protocol, port)
}

func (c *cluster) mayLeave(t *testing.T, from, to *simPod, protocol corev1.Protocol, port int) bool {
	isolated := false
	for _, np := range c.policies {
		if !chooses(t, np, from) || !hasType(np, networkingv1.PolicyTypeEgress) {
			continue
		}
		isolated = true
		for _, r := range np.Spec.Egress {
			if portMatches(t, r.Ports, to, protocol, port) && peerMatches(t, r.To, np.Namespace, to) {
				return true
			}
		}
	}
	return !isolated
}

func (c *cluster) mayEnter(t *testing.T, from, to *simPod, protocol corev1.Protocol, port int) bool {
	isolated := false
	for _, np := range c.policies {
		if !chooses(t, np, to) || !hasType(np, networkingv1.PolicyTypeIngress) {
			continue
		}
		isolated = true
		for _, r := range np.Spec.Ingress {
			if portMatches(t, r.Ports, to, protocol, port) && peerMatches(t, r.From, np.Namespace, from) {
				return true
			}
		}
	}
	return !isolated
}

func chooses(t *testing.T, np *networkingv1.NetworkPolicy, p *simPod) bool {
	return p.namespace != "" && np.Namespace == p.namespace && selected(t, &np.Spec.PodSelector, p.labels)
}

func selected(t *testing.T, s *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel.Matches(labels.Set(set))
}

// hasType: without policyTypes, a policy is for what comes in, and for what goes
// out if it has a rule for that.
func hasType(np *networkingv1.NetworkPolicy, want networkingv1.PolicyType) bool {
	for _, is := range np.Spec.PolicyTypes {
		if is == want {
			return true
		}
	}
	return len(np.Spec.PolicyTypes) == 0 && (want == networkingv1.PolicyTypeIngress || len(np.Spec.Egress) > 0)
}

// portMatches: no ports are every port.
func portMatches(t *testing.T, ports []networkingv1.NetworkPolicyPort, to *simPod, protocol corev1.Protocol, port int) bool {
	t.Helper()
	if len(ports) == 0 {
		return true
	}
	for _, p := range ports {
		is := corev1.ProtocolTCP
		if p.Protocol != nil {
			is = *p.Protocol
		}
		if is != protocol {
			continue
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			for _, c := range to.spec.Containers {
				for _, cp := range c.Ports {
					if cp.Name == p.Port.StrVal && int(cp.ContainerPort) == port {
						return true
					}
				}
			}
		case p.EndPort != nil && int(p.Port.IntVal) <= port && port <= int(*p.EndPort), int(p.Port.IntVal) == port:
			return true
		}
	}
	return false
}

// peerMatches: no peers are everybody.
func peerMatches(t *testing.T, peers []networkingv1.NetworkPolicyPeer, own string, p *simPod) bool {
	t.Helper()
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if b := peer.IPBlock; b != nil {
			in := netip.MustParsePrefix(b.CIDR).Contains(p.ip)
			for _, e := range b.Except {
				in = in && !netip.MustParsePrefix(e).Contains(p.ip)
			}
			if in {
				return true
			}
			continue
		}
		if p.namespace == "" {
			continue
		}
		space := p.namespace == own
		if peer.NamespaceSelector != nil {
			space = selected(t, peer.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": p.namespace})
		}
		if space && (peer.PodSelector == nil || selected(t, peer.PodSelector, p.labels)) {
			return true
		}
	}
	return false
}

// The evaluator on policies whose outcome the Kubernetes documentation gives
// ("Network Policies": default policies, behaviour of to and from selectors,
// targeting a range of ports).
func TestEvaluator(t *testing.T) {
	const head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
	for _, c := range []struct {
		spec     string
		to       string // pod
		port     int
		reaches  bool
		protocol corev1.Protocol
	}{
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n", to: "redis", port: 6379},
		{spec: "  podSelector: {}\n  policyTypes: [Ingress]\n", to: "dns", port: 53, reaches: true},
		{spec: "  podSelector: {matchLabels: {app: other}}\n  policyTypes: [Egress]\n", to: "redis", port: 6379, reaches: true},
		{spec: "  podSelector: {}\n  egress: [{}]\n", to: "dns", port: 9999, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{podSelector: {matchLabels: {app: redis}}}]}]\n", to: "redis", port: 1, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{podSelector: {}}]}]\n", to: "dns", port: 53},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{namespaceSelector: {}}]}]\n", to: "dns", port: 53, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: redis}}}]}]\n", to: "dns", port: 53},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{namespaceSelector: {}}, {podSelector: {matchLabels: {app: redis}}}]}]\n", to: "dns", port: 53, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{ports: [{port: 32000, endPort: 32768}]}]\n", to: "redis", port: 32768, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{ports: [{port: 32000, endPort: 32768}]}]\n", to: "redis", port: 32769},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{ports: [{port: 53, protocol: UDP}]}]\n", to: "dns", port: 53},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{ports: [{port: 53, protocol: UDP}]}]\n", to: "dns", port: 53, protocol: corev1.ProtocolUDP, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]\n", to: "redis", port: 1},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]\n", to: "redis", port: 1, reaches: true},
		{spec: "  podSelector: {}\n  policyTypes: [Egress]\n", to: "cart", port: 1, reaches: true},
	} {
		world := newCluster(t, map[string]rendered{"p": {text: []byte(head + c.spec)}})
		cart := world.add("cart", "shop", map[string]string{"app": "cart"})
		world.add("redis", "shop", map[string]string{"app": "redis"})
		world.add("dns", "kube-system", map[string]string{"k8s-app": "kube-dns"})
		protocol := c.protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		if got := world.reaches(t, cart, world.pod(t, c.to), protocol, c.port); got != c.reaches {
			t.Errorf("%s%s %s:%d: %v", c.spec, protocol, c.to, c.port, got)
		}
	}
}
