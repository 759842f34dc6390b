package envoy

import (
	"slices"

	"admc.dev/admc/emit/layout"
)

// Connections that are passed on are counted at a cluster, after all filters. Where
// something has to act after the counting, the listener passes connections on to an
// internal listener, which has the rest.

// A tcpLevel is the calls that one listener has.
type tcpLevel struct {
	calls   []*call
	inside  bool   // it is of an internal listener
	next    string // the internal listener behind it; "": the receiver
	counted *call  // whose connections are counted on the way to next
}

// tcpLevels of a listener, the outermost first: mostly one. What observes sees every
// connection at the first, and what chooses the receiver's pod does so at the last.
func (a *adm) tcpLevels(l *layout.Listener, calls []*call) []tcpLevel {
	var observing, choosing, acting []*call
	several := false
	for _, c := range calls {
		switch {
		case c.low.observes:
			observing = append(observing, c)
		case c.low.routed != "" || c.Name() == "mtls":
			choosing = append(choosing, c)
			several = several || c.Name() == "split"
		default:
			acting = append(acting, c)
		}
	}
	levels := []tcpLevel{{calls: observing}}
	for i, c := range acting {
		now := &levels[len(levels)-1]
		before := len(now.calls) > 0 && slices.Contains(acting, now.calls[len(now.calls)-1])
		now.calls = append(now.calls, c)
		if c.Name() == "concurrency_limit" && (before || conditioned(c, calls)) && (several || i+1 < len(acting)) {
			now.next, now.counted = levelName(l, len(levels)), c
			levels = append(levels, tcpLevel{inside: true})
		}
	}
	last := &levels[len(levels)-1]
	last.calls = append(last.calls, choosing...)
	return levels
}
