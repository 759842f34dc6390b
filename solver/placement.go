// Package solver finds the fewest ADMs that enforce every obligation.
//
// In: the checked program (ir) and the graph. Out: a Placement that Verify has
// accepted, or diagnostics that name a minimal set of policies and graph lines
// that can't hold together. An optimum is never claimed without proof.
package solver

import (
	"admc.dev/admc/lang/ir"
)

// A Placement says which services have an ADM and where each obligation is
// enforced.
type Placement struct {
	ADMs      []string   // service names, sorted
	Assigned  []Assigned // in the order of ir.Program.Obligations
	Objective int64      // the sum of the ADMs' weights
	Bound     int64      // a proved lower bound of it
	Proved    bool       // Objective == Bound
	Engine    string     // the engine that found it
	Certificate
}

// An Assigned obligation.
type Assigned struct {
	Obligation *ir.Obligation
	Side       ir.Side // Ingress, Egress, or both bits for an obligation with Both
	// Reason is "free" when either side was possible, else why it is here.
	Reason string
}

// HasADM reports whether a service has an ADM.
func (p *Placement) HasADM(service string) bool {
	for _, s := range p.ADMs {
		if s == service {
			return true
		}
	}
	return false
}
