package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

var callKeys = []string{"from", "to", "port", "protocol", "rps"}

func (l *loader) callList(n *yaml.Node) {
	items, ok := l.list(n, "calls")
	if !ok {
		return
	}
	l.calls = make([]*Call, 0, 2*len(items))
	for _, item := range items {
		l.call(resolved(item))
	}
}

// call reads one item of `calls`: one call for each name in `to`.
func (l *loader) call(n *yaml.Node) {
	o, ok := l.object(n, "a call", callKeys)
	if !ok {
		return
	}
	var from Node
	if n := l.must(o, "from", "a call"); n != nil {
		from = l.lookup(n, "from")
	}
	w, good := l.way(o)
	if n := o.get("rps"); n != nil {
		w.rps = l.decimal(n, "rps", "digits with at most one point, as in 120 or 0.5", parseDecimal)
	}
	to := l.must(o, "to", "a call")
	if to == nil {
		return
	}
	for _, n := range l.names(to, "to") {
		callee := l.lookup(n, "to")
		if from != nil && callee != nil && good {
			l.connect(from, callee, w, l.pos.span(n))
		}
	}
}

// names gives the nodes of a name or of a list of names; each name once.
func (l *loader) names(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	if n.Kind != yaml.SequenceNode {
		l.wrongType(n, what, "a name or a list of names")
		return nil
	}
	if len(n.Content) == 0 {
		l.bag.Errorf(l.pos.span(n), MissingKey, "%s names nobody", what)
	}
	out := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		out[i] = resolved(item)
	}
	return out
}

// A way is what a call says of the port it goes to.
type way struct {
	number   int    // 0: not given
	name     string // "": not given
	portAt   diag.Span
	protocol Protocol // "": not given
	protoAt  diag.Span
	rps      Decimal
}

// way reads `port` and `protocol`; ok is false when one of them failed.
func (l *loader) way(o object) (w way, ok bool) {
	ok = true
	if n := o.get("port"); n != nil {
		w.portAt = l.pos.span(n)
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && !isDigits(n.Value) {
			w.name = n.Value
			ok = n.Value != ""
			if !ok {
				l.wrongType(n, "port", "a port's name or number")
			}
		} else {
			w.number, ok = l.integer(n, "port", 1, maxPort)
		}
	}
	if n := o.get("protocol"); n != nil {
		var good bool
		w.protoAt = l.pos.span(n)
		w.protocol, good = l.protocol(n)
		ok = ok && good
	}
	return w, ok
}

// connect adds the call to the port that the way leads to.
func (l *loader) connect(from, to Node, w way, at diag.Span) *Call {
	if l.broken[to] {
		return nil
	}
	c := &Call{From: from, To: to, RPS: w.rps, At: at}
	var found bool
	switch to := to.(type) {
	case *Service:
		found = l.toService(c, to, w)
	case *External:
		found = l.toExternal(c, to, w)
	}
	if !found {
		return nil
	}
	l.calls = append(l.calls, c)
	return c
}

func (l *loader) toService(c *Call, s *Service, w way) bool {
	if len(s.Ports) == 0 || l.implied[s] {
		return l.toImplied(c, s, w)
	}
	p := s.Ports[0]
	if w.portAt.IsZero() {
		if len(s.Ports) > 1 {
			l.bag.Errorf(c.At, AmbiguousPort, "%s has %d ports; the call does not say which", s.Name, len(s.Ports)).
				WithHint("add one of %s", strings.Join(portChoices(s), ", ")).
				WithNote(s.At, "%s is declared here", s.Name)
			return false
		}
	} else {
		i := slices.IndexFunc(s.Ports, func(p *Port) bool {
			return p.Number == w.number || w.name != "" && p.Name == w.name
		})
		if i < 0 {
			l.unknownPort(s, w)
			return false
		}
		p = s.Ports[i]
	}
	c.Port, c.PortName, c.Protocol = p.Number, p.Name, p.Protocol
	return l.sameProtocol(s.Name, p.Protocol, p.At, w)
}

// toImplied resolves a call to a service that declares no ports: the call has to
// give both number and protocol, and so gives the service a port.
func (l *loader) toImplied(c *Call, s *Service, w way) bool {
	if w.number == 0 || w.protocol == "" {
		l.bag.Errorf(c.At, NoPort, "%s declares no ports", s.Name).
			WithHint("declare them, or give the port's number and its protocol in the call").
			WithNote(s.At, "%s is declared here", s.Name)
		return false
	}
	c.Port, c.Protocol = w.number, w.protocol
	for _, p := range s.Ports {
		if p.Number == w.number {
			return l.sameProtocol(s.Name, p.Protocol, p.At, w)
		}
	}
	l.implied[s] = true
	s.Ports = append(s.Ports, &Port{Number: w.number, Protocol: w.protocol, At: w.portAt})
	sortPorts(s.Ports)
	return true
}

func (l *loader) toExternal(c *Call, e *External, w way) bool {
	if _, out := c.From.(*External); out {
		l.bag.Errorf(c.At, ExternalToExternal, "%s and %s are both outside the mesh; nothing can be enforced on this call", c.From.NodeName(), e.Name)
		return false
	}
	if e.Host == "" {
		l.bag.Errorf(c.At, ExternalNoHost, "%s is called, and its declaration gives no host", e.Name).
			WithHint("write `%s: {host: …, port: …, protocol: …}`", e.Name).
			WithNote(e.At, "%s is declared here", e.Name)
		return false
	}
	if !w.portAt.IsZero() && w.number != e.Port {
		l.bag.Errorf(w.portAt, UnknownPort, "the port of %s is %d", e.Name, e.Port).WithNote(e.At, "%s is declared here", e.Name)
		return false
	}
	c.Port, c.Protocol = e.Port, e.Protocol
	return l.sameProtocol(e.Name, e.Protocol, e.At, w)
}

func (l *loader) sameProtocol(callee string, p Protocol, at diag.Span, w way) bool {
	if w.protocol == "" || w.protocol == p {
		return true
	}
	l.bag.Errorf(w.protoAt, ProtocolMismatch, "the call says %s, the port of %s speaks %s", w.protocol, callee, p).
		WithFix(w.protoAt, string(p)).
		WithNote(at, "it is declared here")
	return false
}

func (l *loader) unknownPort(s *Service, w way) {
	if w.name == "" {
		l.bag.Errorf(w.portAt, UnknownPort, "%s has no port %d", s.Name, w.number).
			WithHint("it has %s", strings.Join(portChoices(s), ", ")).
			WithNote(s.At, "%s is declared here", s.Name)
		return
	}
	d := l.bag.Errorf(w.portAt, UnknownPort, "%s has no port named %q", s.Name, w.name)
	var names []string
	for _, p := range s.Ports {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	if near := diag.Suggest(w.name, names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(w.portAt, near)
	} else {
		d.WithHint("it has %s", strings.Join(portChoices(s), ", "))
	}
	d.WithNote(s.At, "%s is declared here", s.Name)
}

// portChoices writes the ports of a service as a call would name them, the
// first few where there are many.
func portChoices(s *Service) []string {
	const most = 8
	var out []string
	for i, p := range s.Ports {
		if i == most {
			return append(out, fmt.Sprintf("%d more", len(s.Ports)-most))
		}
		out = append(out, "`port: "+cmp.Or(p.Name, strconv.Itoa(p.Number))+"`")
	}
	return out
}
