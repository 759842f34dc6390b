package layout

import (
	"fmt"
	"time"

	"admc.dev/admc/lang/ir"
)

// A Budget is what one proxy admits: Events in each Per, refilled continuously,
// and up to Burst at once.
type Budget struct {
	Events int64
	Per    time.Duration
	Burst  int64 // below 1 where an explicit burst doesn't suffice for all pods
}

// BudgetOf is the share of a rate_limit that each of a service's pods admits:
// `n per period` divided by r is n in r periods, without rounding. A scope of
// "pod" is not divided. Without a burst the bucket holds one second's rate, at
// least one event.
func BudgetOf(a *ir.Action, replicas int) Budget {
	rate := a.Args["rate"]
	share := int64(1)
	if a.Args["scope"].Str != "pod" {
		share = int64(max(1, replicas))
	}
	b := Budget{Events: rate.Int, Per: time.Duration(share) * rate.Dur}
	if burst := a.Args["burst"].Int; burst > 0 {
		b.Burst = burst / share
		return b
	}
	b.Burst = max(1, int64(float64(rate.Int)/rate.Dur.Seconds()/float64(share)))
	return b
}

// String is "500 in 3s, at most 16 at once".
func (b Budget) String() string {
	return fmt.Sprintf("%d in %s, at most %d at once", b.Events, b.Per, b.Burst)
}
