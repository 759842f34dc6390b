package envoy

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// A pod that is going to end tells its callers before it does: `admc adm drain`
// asks the ADM for /healthcheck/fail, and Envoy then ends every inbound HTTP
// connection with the answer to its next request (HTTP/1 `connection: close`,
// HTTP/2 GOAWAY), while requests and streams that are open go on and new
// connections are still taken: the other nodes hear of the pod's end later.
// Envoy's drain_listeners would close the listeners after a while, and with them
// the policies that hold as long as the listener is there.

// drainable tells inbound listeners from the others: statistics by the
// listener's name instead of its address, so that `admc adm drain` can count
// what is open. What the pod's own application calls is left alone; it needs
// that to end well.
func (a *adm) drainable(l *layout.Listener, listeners []*listenerv3.Listener) {
	if !a.Has(ir.Ingress) { // nothing that can be asked to go
		return
	}
	for _, made := range listeners {
		switch {
		case l.Side == ir.Egress:
			made.DrainType = listenerv3.Listener_MODIFY_ONLY
		case made.GetInternalListener() == nil:
			made.StatPrefix = l.Name
		}
	}
}
