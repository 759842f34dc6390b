package adm

import (
	"math"
	"slices"
	"time"
)

// A Round is some requests through one set of proxies.
type Round struct {
	Took []int64       // nanoseconds, of each request
	CPU  time.Duration // of all its proxies together
}

func (r Round) median() float64 { return quantile(micros(r.Took), 0.5) }

// perRequest is microseconds of CPU for a request in one of n proxies.
func (r Round) perRequest(n int) float64 {
	return float64(r.CPU.Nanoseconds()) / 1e3 / float64(len(r.Took)) / float64(max(1, n))
}

// A Spread is the median of what rounds gave, and its quartiles.
type Spread struct{ Median, Low, High float64 }

func spread(x []float64) Spread {
	return Spread{quantile(x, 0.5), quantile(x, 0.25), quantile(x, 0.75)}
}

// quantile is the q-th part of the way through the sorted values, between two of
// them in proportion.
func quantile(x []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func micros(nanos []int64) []float64 {
	out := make([]float64, len(nanos))
	for i, n := range nanos {
		out[i] = float64(n) / 1e3
	}
	return out
}

// Latency of requests, in microseconds.
type Latency struct{ Median, P99 float64 }

func latency(rounds []Round) Latency {
	var all []int64
	for _, r := range rounds {
		all = append(all, r.Took...)
	}
	x := micros(all)
	return Latency{quantile(x, 0.5), quantile(x, 0.99)}
}

// ratio of latencies: of the medians of rounds that were next to each other.
func ratio(rounds, others []Round) float64 {
	x := make([]float64, len(rounds))
	for i := range rounds {
		x[i] = rounds[i].median() / others[i].median()
	}
	return quantile(x, 0.5)
}

// A Hop is an empty ADM beside no proxy.
type Hop struct {
	Plane, At string
	Direct    Latency
	Empty     Latency
	Ratio     float64 // of the median latencies, to that without a proxy
	CPU       Spread  // microseconds for a request, of one proxy
	Resident  float64 // MiB of memory, of one proxy
	Idle      float64 // microseconds of CPU in a second without requests, of one proxy
}

// A Measured is a row: an action's policy beside no proxy and an empty ADM.
type Measured struct {
	Action   string // "" for what is no action
	Variant  string // "" for the one that the action's cost is
	Plane    string
	At       string
	Latency  Latency
	ToDirect float64 // ratios of the median latencies
	ToEmpty  float64
	Extra    Spread // microseconds of CPU for a request, on top of an empty ADM
}

// noise is what an empty ADM differs from another, in microseconds: less is not
// told from nothing.
const noise = 5

// figure rounds what was measured to what a declaration says: 1 for what is lost
// in the noise, then steps of 5, then of 10.
func figure(micros float64) float64 {
	switch {
	case micros < noise:
		return 1
	case micros < 100:
		return math.Round(micros/5) * 5
	}
	return math.Round(micros/10) * 10
}

// fits reports whether a declared cost is within what rounds gave.
func (s Spread) fits(cost float64) bool {
	return figure(s.Low) <= cost && cost <= figure(s.High)
}
