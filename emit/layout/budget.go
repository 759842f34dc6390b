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
	rate, share := a.Args["rate"], sharers(a, replicas)
	b := Budget{Events: rate.Int, Per: time.Duration(share) * rate.Dur}
	if burst := a.Args["burst"].Int; burst > 0 {
		b.Burst = burst / share
		return b
	}
	b.Burst = max(1, int64(float64(rate.Int)/rate.Dur.Seconds()/float64(share)))
	return b
}

// PartOf says what one of a service's pods admits of an action's limit.
func PartOf(a *ir.Action, replicas int) string {
	switch {
	case a.Args["rate"].Kind == ir.Rate:
		return BudgetOf(a, replicas).String()
	case a.Args["max"].Kind == ir.Int:
		return fmt.Sprintf("%d at a time", Share(a, a.Args["max"].Int, replicas))
	}
	return fmt.Sprintf("%d KiB in a second each way", Share(a, a.Args["limit"].Int, replicas)/1024)
}

// Share is one pod's part of a limit that is no rate, rounded down; 0 where there
// is less than one for each.
func Share(a *ir.Action, limit int64, replicas int) int64 { return limit / sharers(a, replicas) }

// sharers are the pods between which an action's budget is divided.
func sharers(a *ir.Action, replicas int) int64 {
	if a.Args["scope"].Str == "pod" {
		return 1
	}
	return int64(max(1, replicas))
}

// String is "500 in 3s, at most 16 at once".
func (b Budget) String() string {
	return fmt.Sprintf("%d in %s, at most %d at once", b.Events, b.Per, b.Burst)
}
