// Package solver finds the fewest ADMs that enforce every obligation.
//
// In: the checked program (ir) and the graph. Out: a Placement that Verify has
// accepted, or diagnostics that name a minimal set of policies and graph lines
// that can't hold together. An optimum is never claimed without proof.
//
// The way: Build writes the question down in integers (problem.go), closePins
// draws what the pins imply (close.go), newCover turns what is left into a
// weighted vertex cover (cover.go, with the proof), the reducer shrinks that
// (reduce.go, halves.go), an engine solves each component that remains
// (engine.go), and the same steps backwards give the placement, and a proof of
// its bound that can be checked by adding up (dual.go, certificate.go).
package solver

import (
	"fmt"
	"slices"

	"admc.dev/admc/lang/ir"
)

// A Placement says which services have an ADM and where each obligation is
// enforced.
type Placement struct {
	ADMs      []string   // service names, sorted
	Assigned  []Assigned // in the order of ir.Program.Obligations
	Objective int64      // the sum of the ADMs' weights, in units of 10^-Scale
	Bound     int64      // a proved lower bound of it
	Proved    bool       // Objective == Bound
	Minimise  string     // what the weights are: MinimiseADMs, MinimiseProxies or MinimiseCost
	Engine    string     // the engine that found it, "" when it was found earlier and kept
	// Scale is 0 unless costs with decimals are minimised: then weights,
	// Objective and Bound were multiplied by ten to its power.
	Scale int
	Certificate

	// Of the change against Options.Previous; not in placement.json, where a
	// second run, which changes nothing, would have to erase it.
	Added, Removed []string // services that got or lost their ADM; gone services aren't listed
	ProvedChange   bool     // no placement of this weight changes fewer; false without a previous one
	ChangeKind     string   // CertificateDual: by adding up; CertificateSearch: an engine finished
}

// weigh writes a weight in the unit of what is minimised.
func (p *Placement) weigh(w int64) string {
	if p.Minimise != MinimiseCost {
		unit := "ADM"
		if p.Minimise == MinimiseProxies {
			unit = "proxy replica"
		}
		if w != 1 {
			unit += "s"
		}
		return fmt.Sprintf("%d %s", w, unit)
	}
	text := fmt.Sprintf("%0*d", p.Scale+1, w)
	if p.Scale > 0 {
		text = text[:len(text)-p.Scale] + "." + text[len(text)-p.Scale:]
	}
	return "ADMs of cost " + text
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
	_, ok := slices.BinarySearch(p.ADMs, service)
	return ok
}
