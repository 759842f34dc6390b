package graph

import (
	"fmt"
	"strings"
)

// dropRepeats takes out calls that stand twice, after they are sorted. A topic
// may repeat a call; two items of `calls` may not.
func (l *loader) dropRepeats() {
	kept := l.g.Calls[:0:0]
	for _, c := range l.g.Calls {
		if len(kept) == 0 || !c.same(kept[len(kept)-1]) {
			kept = append(kept, c)
			continue
		}
		first := kept[len(kept)-1]
		if l.fromTopic[c] {
			continue
		}
		l.bag.Errorf(c.At, DuplicateCall, "%s calls port %d of %s twice", c.From.NodeName(), c.Port, c.To.NodeName()).
			WithNote(first.At, "the call is here already")
	}
	if len(kept) < len(l.g.Calls) {
		l.g.Calls = kept
		l.g.index()
	}
}

// fillStarts settles which services begin call chains: what the file says, else
// those that consume a topic and those that nobody else calls.
func (l *loader) fillStarts() {
	for _, s := range l.g.Services {
		if !l.starts[s] {
			s.Starts = l.consumers[s] || !l.g.isCalled(s)
		}
	}
}

// sameObject finds a service that is declared as `name` and as `ns/name`.
func (l *loader) sameObject() {
	for _, s := range l.g.Services {
		ns, base, qualified := strings.Cut(s.Name, "/")
		if !qualified {
			continue
		}
		if other, _ := l.nodes[base].(*Service); other != nil && other.Namespace == ns {
			l.bag.Errorf(s.At, DuplicateService, "%q is declared twice: %q is in the namespace %q", s.Name, base, ns).
				WithNote(other.At, "it is declared here as %q", base)
		}
	}
}

// sharedWorkloads finds services that run in the same pods. Only a workload
// that is written can be another service's.
func (l *loader) sharedWorkloads() {
	type object struct {
		Workload
		namespace string
	}
	owner := make(map[object]*Service)
	for _, s := range l.g.Services {
		if l.hasWorkload[s] {
			owner[object{s.Workload, s.Namespace}] = nil
		}
	}
	if len(owner) == 0 {
		return
	}
	for _, s := range l.g.Services {
		o := object{s.Workload, s.Namespace}
		first, watched := owner[o]
		switch {
		case !watched:
		case first == nil:
			owner[o] = s
		default:
			l.bag.Errorf(s.At, SharedWorkload, "%s and %s are both run by %s/%s", first.Name, s.Name, s.Workload.Kind, s.Workload.Name).
				WithHint("an ADM serves one service: declare one with the ports of both").
				WithNote(first.At, "%s is declared here", first.Name)
		}
	}
}

// sameAddress finds externals whose host and port are another node's: the
// redirect could not tell the calls to one from those to the other.
func (l *loader) sameAddress() {
	// Few externals, many services: only a service that some host begins with
	// is worth writing out.
	named := map[string]bool{}
	for _, e := range l.g.Externals {
		named[e.Host] = true
		for i, c := range e.Host {
			if c == '.' {
				named[e.Host[:i]] = true
			}
		}
	}
	owner := map[string]Node{}
	for _, s := range l.g.Services {
		base := s.Name[strings.LastIndexByte(s.Name, '/')+1:]
		if !named[base] {
			continue
		}
		for _, p := range s.Ports {
			for _, host := range []string{base, base + "." + s.Namespace, base + "." + s.Namespace + ".svc", base + "." + s.Namespace + ".svc.cluster.local"} {
				owner[fmt.Sprintf("%s:%d", host, p.Number)] = s
			}
		}
	}
	for _, e := range l.g.Externals {
		if e.Host == "" {
			continue
		}
		address := fmt.Sprintf("%s:%d", e.Host, e.Port)
		if first := owner[address]; first != nil {
			l.bag.Errorf(e.At, SameAddress, "%s and %s are both at %s", e.Name, first.NodeName(), address).
				WithHint("calls to them can't be told apart: declare one").
				WithNote(first.Span(), "%s is declared here", first.NodeName())
			continue
		}
		owner[address] = e
	}
}
