package graph

import (
	"cmp"
	"net/netip"
	"slices"

	"admc.dev/admc/lang/diag"
)

// An owned prefix is one of a service's `addresses`.
type owned struct {
	netip.Prefix
	service *Service
	at      diag.Span
}

// sharedAddresses finds services one of whose addresses is another's too: it
// would prove the one to be the other. Sorted by their first address, the wider
// before the narrower, a prefix overlaps one that came before only if it lies
// within it, and the widest of those is still open then.
func (l *loader) sharedAddresses() {
	slices.SortFunc(l.prefixes, func(a, b owned) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()), cmp.Compare(a.at.Start, b.at.Start))
	})
	var open []owned
	for _, p := range l.prefixes {
		for len(open) > 0 && !open[len(open)-1].Overlaps(p.Prefix) {
			open = open[:len(open)-1]
		}
		if i := slices.IndexFunc(open, func(q owned) bool { return q.service != p.service }); i >= 0 {
			l.bag.Errorf(p.at, SharedAddress, "%s of %s overlaps %s of %s", p.Prefix, p.service.Name, open[i].Prefix, open[i].service.Name).
				WithHint("an address tells who calls, so that it can be of one service only").
				WithNote(open[i].at, "%s has it here", open[i].service.Name)
		}
		open = append(open, p)
	}
}
