package graph

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const maxPort = 65535

var portKeys = []string{"name", "port", "protocol"}

// ports reads what a service listens on. When one fails, all of them count as
// not known, so that no call into the service is said to be wrong.
func (l *loader) ports(s *Service, n *yaml.Node) {
	items, ok := l.list(n, "ports")
	if !ok {
		l.broken[s] = true
		return
	}
	s.Ports = make([]*Port, 0, len(items))
	numbers, names := map[int]*Port{}, map[string]*Port{}
	for _, item := range items {
		p := l.port(resolved(item))
		if p == nil {
			l.broken[s] = true
			continue
		}
		if first := numbers[p.Number]; first != nil {
			l.bag.Errorf(p.At, DuplicatePort, "%s has the port %d already", s.Name, p.Number).WithNote(first.At, "it is here")
			continue
		}
		if first := names[p.Name]; first != nil && p.Name != "" {
			l.bag.Errorf(p.At, DuplicatePort, "%s has a port named %q already", s.Name, p.Name).WithNote(first.At, "it is here")
			continue
		}
		numbers[p.Number], names[p.Name] = p, p
		s.Ports = append(s.Ports, p)
	}
	sortPorts(s.Ports)
}

func sortPorts(ports []*Port) {
	slices.SortFunc(ports, func(a, b *Port) int { return cmp.Compare(a.Number, b.Number) })
}

// port reads one port; nil when it failed.
func (l *loader) port(n *yaml.Node) *Port {
	o, ok := l.object(n, "a port", portKeys)
	if !ok {
		return nil
	}
	p := &Port{}
	number, protocol := l.must(o, "port", "a port"), l.must(o, "protocol", "a port")
	ok = number != nil && protocol != nil
	if number != nil {
		var good bool
		p.Number, good = l.integer(number, "a port's number", 1, maxPort)
		p.At = l.pos.span(number)
		ok = ok && good
	}
	if protocol != nil {
		var good bool
		p.Protocol, good = l.protocol(protocol)
		ok = ok && good
	}
	if name := o.get("name"); name != nil {
		s, good := l.text(name, "a port's name")
		if good && !isPortName(s) {
			l.badName(l.pos.span(name), "a port", s, portNameRule, isPortName)
			good = false
		}
		p.Name, ok = s, ok && good
	}
	if !ok {
		return nil
	}
	return p
}

func (l *loader) protocol(n *yaml.Node) (Protocol, bool) {
	p, ok := l.choice(n, "a protocol", protocolNames)
	return Protocol(p), ok
}

var protocolNames = Protocols()

var externalKeys = []string{"host", "port", "protocol", "addresses"}

func (l *loader) externals(n *yaml.Node) {
	content, ok := l.entries(n, "externals")
	if !ok {
		return
	}
	for i := 0; i < len(content); i += 2 {
		if e := l.external(content[i], resolved(content[i+1])); e != nil && l.declare(e) {
			l.g.Externals = append(l.g.Externals, e)
		}
	}
}

// external reads one external; nil when not even its name is known. Host, port
// and protocol come together or not at all; addresses can be known of both kinds.
func (l *loader) external(key, n *yaml.Node) *External {
	name, ok := l.text(key, "an external's name")
	if !ok {
		return nil
	}
	e := &External{Name: name, At: l.pos.span(key)}
	if !isSubdomain(name) {
		l.badName(e.At, "an external", name, subdomainRule, isSubdomain)
	}
	o, ok := l.object(n, "an external", externalKeys)
	if !ok {
		l.broken[e] = true
		return e
	}
	if len(o.content) == 0 {
		if len(n.Content) > 0 {
			l.broken[e] = true // its keys were all unknown
		}
		return e
	}
	if n := o.get("addresses"); n != nil {
		if e.Addresses = l.addresses(n, nil); len(o.content) == 2 {
			return e // it calls in, from these
		}
	}
	host, port, protocol := l.must(o, "host", "an external that is called"), l.must(o, "port", "an external that is called"),
		l.must(o, "protocol", "an external that is called")
	good := host != nil && port != nil && protocol != nil
	if host != nil {
		e.Host, ok = l.host(host)
		good = good && ok
	}
	if port != nil {
		e.Port, ok = l.integer(port, "a port's number", 1, maxPort)
		good = good && ok
	}
	if protocol != nil {
		e.Protocol, ok = l.protocol(protocol)
		good = good && ok
	}
	if !good {
		l.broken[e] = true
	}
	return e
}

// host reads a DNS name or an IP address.
func (l *loader) host(n *yaml.Node) (string, bool) {
	s, ok := l.text(n, "host")
	if !ok {
		return "", false
	}
	if _, err := netip.ParseAddr(s); err == nil || isSubdomain(s) && !isDigits(s[strings.LastIndexByte(s, '.')+1:]) {
		return s, true
	}
	at := l.pos.span(n)
	d := l.bag.Errorf(at, BadHost, "%s is no DNS name and no IP address", quote(s))
	bare := s
	if _, rest, ok := strings.Cut(s, "://"); ok {
		bare = rest
	}
	bare, _, _ = strings.Cut(bare, "/")
	bare, _, _ = strings.Cut(bare, ":")
	bare = strings.ToLower(bare)
	if bare != s && isSubdomain(bare) {
		d.WithHint("did you mean %q? the port stands in `port`, the scheme is `protocol`", bare).WithFix(at, bare)
	}
	return "", false
}
