package envoy

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// lowering gives how an action is lowered: a standard one by the table, one that
// the program declares by its payloads. nil: not at all.
func loweringOf(d *ir.ActionDecl) *lowering {
	if !d.User {
		return lowerings[d.Name]
	}
	low := &lowering{writes: func(c *call) []string { return c.Writes }, waits: func(*call) bool { return true }}
	if d.Payload(graph.HTTP) != nil {
		low.http = ownHTTP
	}
	if d.Payload(graph.TCP) != nil {
		low.tcp = ownTCP
		low.chained = d.State == ""
	}
	return low
}

// ownHTTP adds the HTTP filter of an action that the program declares.
func ownHTTP(h *httpChain, c *call) {
	if m := h.own(c, graph.HTTP); m != nil {
		h.add(c, m)
	}
}

// ownTCP adds the network filter of one. What it counts, each filter chain would
// count for itself.
func ownTCP(t *tcpChain, c *call) {
	branched := slices.ContainsFunc(t.level.calls, func(c *call) bool { return c.when != nil })
	if branched && c.Decl.State != "" {
		t.cannot(c.Action, "%s beside conditions on connections: each of their outcomes would have a %s of its own", c.Name(), c.Decl.State)
		return
	}
	if m := t.own(c, graph.TCP); m != nil {
		t.add(c, m)
	}
}

// own gives the filter's configuration with the arguments of a call.
func (a *adm) own(c *call, plane graph.Plane) proto.Message {
	b := &builder{bag: a.bag, decl: c.Decl, call: c.Action}
	m := b.filter(c.Decl.Payload(plane))
	if m == nil {
		a.cannot(c.Action, "%s: its filter is no configuration of Envoy's", c.Name())
	}
	return m
}
