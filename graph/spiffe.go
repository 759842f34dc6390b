package graph

import (
	"gopkg.in/yaml.v3"
)

// SPIFFEID names the service's pods in a trust domain, in the form that meshes on
// Kubernetes use: spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT (SPIFFE-ID, section 2).
func (s *Service) SPIFFEID(trustDomain string) string {
	return "spiffe://" + trustDomain + "/ns/" + s.Namespace + "/sa/" + s.ServiceAccount
}

func (l *loader) serviceAccount(s *Service, n *yaml.Node) {
	name, ok := l.text(n, "serviceAccount")
	if !ok {
		return
	}
	if !isSubdomain(name) {
		l.bag.Errorf(l.pos.span(n), BadKubernetesName, "%s can't be the name of a service account", quote(name)).
			WithHint("it is lower-case letters, digits, dashes and dots, as in \"frontend\"")
		return
	}
	s.ServiceAccount = name
}
