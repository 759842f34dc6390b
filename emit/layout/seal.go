package layout

import (
	"slices"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A Seal is mutual TLS on the connections of a listener.
type Seal struct {
	By    []*ir.Action // the actions that ask for it, at least one
	Peers []string     // SPIFFE IDs of who may be at the other end, sorted
	// Plaintext: the receiver takes connections that are not sealed, too.
	Plaintext bool
}

// sealAction is the action of the language that seals.
const sealAction = "mtls"

// seal gathers what the listener's rules say of TLS.
func (l *Listener) seal() {
	covered := map[*graph.Call]bool{}
	var left []*graph.Call
	for _, r := range l.Rules {
		for _, a := range r.Obligation.Actions {
			if a.Name() != sealAction {
				continue
			}
			if l.Seal == nil {
				l.Seal = &Seal{}
			}
			l.Seal.By = append(l.Seal.By, a)
			l.Seal.Plaintext = l.Seal.Plaintext || a.Args["mode"].Str == "permissive"
			left = append(left, r.Obligation.LeftOut...)
			for _, e := range r.Edges {
				covered[e.Call] = true
				peer := e.Sender
				if l.Side == ir.Egress {
					peer = l.Receiver
				}
				l.Seal.Peers = append(l.Seal.Peers, peer.(*graph.Service).SPIFFEID(a.Args["trust_domain"].Str))
			}
		}
	}
	if l.Seal == nil {
		return
	}
	slices.Sort(l.Seal.Peers)
	l.Seal.Peers = slices.Compact(l.Seal.Peers)
	l.Seal.Plaintext = l.Seal.Plaintext || slices.ContainsFunc(left, func(c *graph.Call) bool { return !covered[c] })
}

// Certificates says where an ADM's own come from: a directory, or a Unix socket;
// neither where it has none.
func (a *ADM) Certificates() (directory, socket string) {
	for _, l := range a.Listeners {
		if l.Seal != nil {
			return CertificatesOf(l.Seal.By[0])
		}
	}
	return "", ""
}

// CertificatesOf is the source that one action asks for.
func CertificatesOf(seal *ir.Action) (directory, socket string) {
	if socket = seal.Args["sds"].Str; socket != "" {
		return "", socket
	}
	return seal.Args["certificates"].Str, ""
}
