package graph

import (
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxReplicas bounds a service's pods; Kubernetes clusters end long before.
const maxReplicas = 1_000_000

var serviceKeys = []string{
	"namespace", "labels", "replicas", "workload", "serviceAccount", "ports", "versions", "adm", "cost", "capacity", "starts", "addresses",
}

func (l *loader) services(n *yaml.Node) {
	content, ok := l.entries(n, "services")
	if !ok {
		return
	}
	l.g.Services = make([]*Service, 0, len(content)/2)
	for i := 0; i < len(content); i += 2 {
		if s := l.service(content[i], resolved(content[i+1])); s != nil && l.declare(s) {
			l.g.Services = append(l.g.Services, s)
		}
	}
	l.sameObject()
}

// service reads one service; nil when not even its name is known.
func (l *loader) service(key, n *yaml.Node) *Service {
	name, ok := l.text(key, "a service's name")
	if !ok {
		return nil
	}
	s := &Service{Name: name, Namespace: l.g.Namespace, At: l.pos.span(key)}
	ns, base, qualified := strings.Cut(name, "/")
	switch {
	case !qualified:
		base = name
		if !isSubdomain(name) {
			l.badName(s.At, "a service", name, subdomainRule, isSubdomain)
		}
	case !isLabel(ns) || !isSubdomain(base):
		l.bag.Errorf(s.At, BadKubernetesName, "%q is no name for a service", name).
			WithHint("a qualified name is namespace/name; %s", subdomainRule)
	default:
		s.Namespace = ns
	}
	s.setDefaults(base)
	o, ok := l.object(n, "a service", serviceKeys)
	if !ok {
		l.broken[s] = true
		return s
	}
	if n := o.get("namespace"); n != nil {
		l.serviceNamespace(s, n, qualified)
	}
	if n := o.get("labels"); n != nil {
		s.Labels = l.labels(n)
	}
	if n := o.get("replicas"); n != nil {
		l.replicas(s, n)
	}
	if n := o.get("workload"); n != nil {
		l.workload(s, n)
	}
	s.ServiceAccount = s.Workload.Name
	if n := o.get("serviceAccount"); n != nil {
		l.serviceAccount(s, n)
	}
	if n := o.get("ports"); n != nil {
		l.ports(s, n)
	}
	if n := o.get("versions"); n != nil {
		s.Versions = l.versions(n)
	}
	l.admFields(s, o)
	if n := o.get("starts"); n != nil {
		s.Starts, _ = l.boolean(n, "starts")
		l.starts[s] = true
	}
	if n := o.get("addresses"); n != nil {
		s.Addresses = l.addresses(n, s)
	}
	return s
}

// setDefaults gives what `{}` means.
func (s *Service) setDefaults(base string) {
	s.MinReplicas, s.MaxReplicas = 1, 1
	s.Workload = Workload{"Deployment", base}
	s.ADM = ADMAuto
	s.Cost = Decimal{Set: true, Units: 1}
}

func (l *loader) serviceNamespace(s *Service, n *yaml.Node, qualified bool) {
	ns, ok := l.namespace(n)
	if !ok {
		return
	}
	if qualified && ns != s.Namespace {
		l.bag.Errorf(l.pos.span(n), BadKubernetesName, "%s is in the namespace of its name, not in %q", s.Name, ns)
		return
	}
	s.Namespace = ns
}

// admFields reads what concerns the service's ADM.
func (l *loader) admFields(s *Service, o object) {
	if n := o.get("adm"); n != nil {
		if v, ok := l.choice(n, "adm", []string{"auto", "never", "always"}); ok {
			s.ADM, s.ADMAt = ADMChoice(v), l.pos.span(n)
		}
	}
	if n := o.get("cost"); n != nil {
		if d := l.positive(n, "cost", "digits with at most one point, as in 2 or 0.5", parseDecimal); d.Set {
			s.Cost = d
		}
	}
	if n := o.get("capacity"); n != nil {
		s.Capacity = l.positive(n, "capacity", "CPU cores, as in 2, 0.5 or 50m", parseCPU)
	}
}

func (l *loader) labels(n *yaml.Node) map[string]string {
	content, ok := l.entries(n, "labels")
	if !ok {
		return nil
	}
	out := make(map[string]string, len(content)/2)
	first := make(map[string]*yaml.Node, len(content)/2)
	for i := 0; i < len(content); i += 2 {
		key, ok := l.text(content[i], "a label's key")
		if !ok {
			continue
		}
		if first[key] != nil {
			l.duplicateKey(content[i], first[key])
			continue
		}
		first[key] = content[i]
		value, ok := l.text(resolved(content[i+1]), "a label's value")
		if !isLabelKey(key) {
			l.bag.Errorf(l.pos.span(content[i]), BadLabel, "%s is no label key", quote(key)).
				WithHint("Kubernetes takes [prefix/]name, the name at most 63 letters, digits and inner `-`, `_`, `.`")
		}
		if ok && value != "" && !isQualified(value) {
			l.badLabelValue(resolved(content[i+1]))
		}
		out[key] = value
	}
	return out
}

func (l *loader) badLabelValue(n *yaml.Node) {
	l.bag.Errorf(l.pos.span(n), BadLabel, "%s is no label value", quote(n.Value)).
		WithHint("Kubernetes takes at most 63 letters, digits and inner `-`, `_`, `.`")
}

var replicaKeys = []string{"min", "max"}

func (l *loader) replicas(s *Service, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if v, ok := l.integer(n, "replicas", 1, maxReplicas); ok {
			s.MinReplicas, s.MaxReplicas = v, v
		}
		return
	}
	o, ok := l.object(n, "replicas", replicaKeys)
	if !ok {
		return
	}
	least, most := l.must(o, "min", "replicas"), l.must(o, "max", "replicas")
	if least == nil || most == nil {
		return
	}
	a, ok := l.integer(least, "min", 1, maxReplicas)
	b, ok2 := l.integer(most, "max", 1, maxReplicas)
	if !ok || !ok2 {
		return
	}
	if a > b {
		l.bag.Errorf(l.pos.span(most), OutOfRange, "max is at least min, found %d", b).
			WithNote(l.pos.span(least), "min is %d here", a)
		return
	}
	s.MinReplicas, s.MaxReplicas = a, b
}

var workloadKinds = []string{"Deployment", "StatefulSet", "DaemonSet"}

func (l *loader) workload(s *Service, n *yaml.Node) {
	text, ok := l.text(n, "workload")
	if !ok {
		return
	}
	at := l.pos.span(n)
	kind, name, ok := strings.Cut(text, "/")
	if !ok {
		d := l.bag.Errorf(at, BadWorkload, "%s has no kind", quote(text))
		if isSubdomain(text) {
			d.WithHint("did you mean %q?", "Deployment/"+text).WithFix(at, "Deployment/"+text)
		}
		return
	}
	if !slices.Contains(workloadKinds, kind) {
		d := l.bag.Errorf(at, BadWorkload, "%s is no kind of workload that can have an ADM", quote(kind))
		for _, k := range workloadKinds {
			if strings.EqualFold(k, kind) {
				d.WithHint("did you mean %q?", k+"/"+name).WithFix(at, k+"/"+name)
				return
			}
		}
		d.WithHint("it is one of %s", strings.Join(workloadKinds, ", "))
		return
	}
	if !isSubdomain(name) {
		l.badName(at, "a workload", name, subdomainRule, func(string) bool { return false })
		return
	}
	s.Workload = Workload{kind, name}
	l.hasWorkload[s] = true
}

func (l *loader) versions(n *yaml.Node) []string {
	items, ok := l.list(n, "versions")
	if !ok {
		return nil
	}
	first := map[string]*yaml.Node{}
	var out []string
	for _, item := range items {
		v, ok := l.text(resolved(item), "a version")
		switch {
		case !ok:
		case !isQualified(v):
			l.badLabelValue(resolved(item))
		case l.isNew(first, item, v):
			out = append(out, v)
		}
	}
	return out
}

// isNew enters an item of a list; that it is there already is an error.
func (l *loader) isNew(first map[string]*yaml.Node, item *yaml.Node, value string) bool {
	if f := first[value]; f != nil {
		l.bag.Errorf(l.pos.span(item), DuplicateItem, "%s is listed twice", quote(value)).
			WithNote(l.pos.span(f), "it is listed here already")
		return false
	}
	first[value] = item
	return true
}

// addresses reads prefixes; an owner is a service that they are proof of.
func (l *loader) addresses(n *yaml.Node, owner *Service) []netip.Prefix {
	items, ok := l.list(n, "addresses")
	if !ok {
		return nil
	}
	first := map[string]*yaml.Node{}
	var out []netip.Prefix
	for _, item := range items {
		v, ok := l.text(resolved(item), "an address")
		if !ok {
			continue
		}
		if p, ok := l.prefix(resolved(item), v); ok && l.isNew(first, item, v) {
			out = append(out, p)
			if owner != nil {
				l.prefixes = append(l.prefixes, owned{p, owner, l.pos.span(resolved(item))})
			}
		}
	}
	return out
}

func (l *loader) prefix(n *yaml.Node, v string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(v)
	at := l.pos.span(n)
	if err == nil && p.Addr().Is4In6() {
		// A connection over IPv4 has an IPv4 address, which is in no such prefix.
		d := l.bag.Errorf(at, BadAddress, "%s is an IPv4 prefix written as IPv6, in which no connection's address is", quote(v))
		if plain := netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked(); plain.IsValid() {
			d.WithHint("did you mean %q?", plain).WithFix(at, plain.String())
		}
		return netip.Prefix{}, false
	}
	if err == nil && p == p.Masked() {
		return p, true
	}
	if err == nil {
		l.bag.Errorf(at, BadAddress, "%s has bits set behind its prefix", quote(v)).
			WithHint("did you mean %q?", p.Masked()).WithFix(at, p.Masked().String())
		return netip.Prefix{}, false
	}
	d := l.bag.Errorf(at, BadAddress, "%s is no prefix in CIDR notation", quote(v))
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		one := netip.PrefixFrom(a, a.BitLen()).String()
		d.WithHint("did you mean %q?", one).WithFix(at, one)
	}
	return netip.Prefix{}, false
}
