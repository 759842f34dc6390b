package kube

import (
	"admc.dev/admc/lang/ir"
)

// closeWorld says what a caller without an ADM can still do.
func (o *overlay) closeWorld() {
	for _, a := range o.l.Placement.Assigned {
		if a.Side == ir.Egress && a.Obligation.Policy.FailClosed {
			_ = a
		}
	}
}
