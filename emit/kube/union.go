package kube

import (
	"fmt"
	"net/netip"
	"slices"
)

// What any NetworkPolicy admits is admitted: a policy of the base for what the
// same pods send opens what a closed service should not reach. What it admits
// within the closed service's own rules does no harm.

// outgoing is a rule of the base for what pods send.
type outgoing struct {
	To []struct {
		PodSelector       *selector `yaml:"podSelector"`
		NamespaceSelector *selector `yaml:"namespaceSelector"`
		IPBlock           *ipBlock  `yaml:"ipBlock"`
	} `yaml:"to"`
	Ports []struct {
		Protocol string `yaml:"protocol"`
		Port     string `yaml:"port"` // a number, a container port's name, "" for every port
		EndPort  int    `yaml:"endPort"`
	} `yaml:"ports"`
}

// widened notes each NetworkPolicy of the base that admits more.
func (c *closing) widened() {
	for _, o := range c.Base.objects {
		elsewhere := o.Metadata.Namespace != "" && o.Metadata.Namespace != c.space
		if o.network == nil || elsewhere || !c.chosenBy(o.network) {
			continue
		}
		types := o.network.PolicyTypes
		if len(types) > 0 && !slices.Contains(types, "Egress") {
			continue
		}
		for i, r := range o.network.Egress {
			if !c.covers(r) {
				c.open = append(c.open, gap{fmt.Sprintf("NetworkPolicy %s of the base selects the same pods, its egress rule %d admits more, and what either admits is admitted", o.Metadata.Name, i+1),
					"leave these pods out of its podSelector, or take the rule out"})
			}
		}
	}
}

// chosenBy reports whether a NetworkPolicy of the base selects pods of the
// closed service.
func (c *closing) chosenBy(n *networkSpec) bool {
	workloads := c.Base.behind(c.pods, c.namespace)
	for _, w := range workloads {
		if n.PodSelector.matches(w.workload.Template.Metadata.Labels) {
			return true
		}
	}
	return len(workloads) == 0 && n.PodSelector.matches(c.pods)
}

// matches holds labels to a selector as the API server does: every label and
// every expression.
func (s *selector) matches(labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if got, there := labels[k]; !there || got != v {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		got, there := labels[e.Key]
		is := map[string]bool{
			"In":           there && slices.Contains(e.Values, got),
			"NotIn":        !there || !slices.Contains(e.Values, got),
			"Exists":       there,
			"DoesNotExist": !there,
		}
		if !is[e.Operator] {
			return false
		}
	}
	return true
}

// covers reports whether all that a rule of the base admits is admitted by the
// closed service's own rules.
func (c *closing) covers(r outgoing) bool {
	if len(r.To) == 0 {
		return false // anywhere
	}
	for _, to := range r.To {
		within := func(p networkPeer) bool {
			switch {
			case p.IPBlock != nil || to.IPBlock != nil:
				return p.IPBlock != nil && to.IPBlock != nil && p.IPBlock.contains(to.IPBlock)
			case to.PodSelector == nil || !to.PodSelector.asks(p.PodSelector.MatchLabels):
				return false
			case p.NamespaceSelector != nil:
				return to.NamespaceSelector != nil && to.NamespaceSelector.asks(p.NamespaceSelector.MatchLabels)
			}
			return to.NamespaceSelector == nil || to.NamespaceSelector.asks(inSpace(c.space).MatchLabels)
		}
		if len(r.Ports) == 0 && !c.admits(within, networkPort{}) {
			return false
		}
		for _, p := range r.Ports {
			port := networkPort{Protocol: p.Protocol, EndPort: p.EndPort}
			if port.Protocol == "" {
				port.Protocol = "TCP"
			}
			if _, err := fmt.Sscan(p.Port, &port.Port); err != nil && p.Port != "" {
				return false // a name, of whichever pod is there
			}
			if !c.admits(within, port) {
				return false
			}
		}
	}
	return true
}

// admits reports whether an own rule for a peer admits a port; a port of 0 is
// every port.
func (c *closing) admits(peer func(networkPeer) bool, port networkPort) bool {
	return slices.ContainsFunc(c.rules, func(own egressRule) bool {
		same := len(own.Ports) == 0 || slices.ContainsFunc(own.Ports, func(p networkPort) bool {
			return p.Protocol == port.Protocol && p.Port == port.Port && port.EndPort <= p.Port
		})
		return same && slices.ContainsFunc(own.To, peer)
	})
}

// asks reports whether a selector asks for all of the labels, whatever else it
// asks for.
func (s *selector) asks(labels map[string]string) bool {
	for k, v := range labels {
		if s.MatchLabels[k] != v {
			return false
		}
	}
	return true
}

func (b *ipBlock) contains(other *ipBlock) bool {
	outer, err := netip.ParsePrefix(b.CIDR)
	inner, err2 := netip.ParsePrefix(other.CIDR)
	return err == nil && err2 == nil && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
