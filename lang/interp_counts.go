package lang

import (
	"time"

	"admc.dev/admc/graph"
)

// A window is what a rate-limit service counts of one budget: it begins anew with
// each period of the clock.
type window struct {
	number int64 // of the period, since Epoch
	taken  int64
}

// take takes one of the budget of a period, if there is one, and gives how many
// are left.
func (w *window) take(now, period time.Duration, budget int64) (ok bool, left int64) {
	if n := int64(now / period); n != w.number {
		*w = window{number: n}
	}
	if ok = w.taken < budget; ok {
		w.taken++
	}
	return ok, budget - w.taken
}

// A flight is a request that is at work behind a concurrency_limit.
type flight struct {
	by         *exchange
	run        int
	start, end time.Duration
}

// crowds admits as many requests at a time as it may. Of requests of one run
// that begin in the same moment none is answered before the others are there.
func crowds(a *attempt, c *act) {
	key := a.counter(c)
	var now []*flight
	for _, f := range a.in.flights[key] {
		if f.by != a.exchange && (f.end > a.at || f.start == a.at && f.run == a.in.runs) {
			now = append(now, f)
		}
	}
	if most := c.Args["max"].Int; int64(len(now)) >= most {
		a.in.flights[key] = now
		status := 503
		switch a.plane() {
		case graph.GRPC:
			status = codeNumber("RESOURCE_EXHAUSTED")
		case graph.TCP:
			status = 0
		}
		a.end(c, status, "")
		a.acts(c, "", "refused it%s, %d are at work", a.with(a.answer.Status), most)
		return
	}
	f := &flight{by: a.exchange, run: a.in.runs, start: a.at, end: a.at}
	a.in.flights[key] = append(now, f)
	a.exchange.flights = append(a.exchange.flights, f)
	a.acts(c, "", "is number %d at work", len(now)+1)
}

// landed ends what an attempt has at work.
func (x *exchange) landed(end time.Duration) {
	for _, f := range x.flights {
		f.end = end
	}
	x.flights = nil
}
