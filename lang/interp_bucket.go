package lang

import (
	"math/big"
	"time"

	"admc.dev/admc/lang/ir"
)

// A bucket admits a rate, in exact arithmetic. Its level is kept in parts of a
// token: one token is one period long in nanoseconds, and each nanosecond adds
// as many parts as the rate has events.
type bucket struct {
	events, token, size big.Int
	level               big.Int
	last                time.Duration // on the interpreter's clock
}

// newBucket is full. It is what a service's only pod admits (layout.BudgetOf
// for one replica).
func newBucket(a *ir.Action) *bucket {
	rate, burst := a.Args["rate"], a.Args["burst"].Int
	if burst == 0 {
		burst = max(1, int64(float64(rate.Int)/rate.Dur.Seconds()))
	}
	b := &bucket{}
	b.events.SetInt64(rate.Int)
	b.token.SetInt64(int64(rate.Dur))
	b.size.Mul(big.NewInt(burst), &b.token)
	b.level.Set(&b.size)
	return b
}

// take takes a token, if there is a whole one, and gives how many are left.
// Time must not go back between calls.
func (b *bucket) take(now time.Duration) (ok bool, left int64) {
	added := big.NewInt(int64(now - b.last))
	b.last = now
	b.level.Add(&b.level, added.Mul(added, &b.events))
	if b.level.Cmp(&b.size) > 0 {
		b.level.Set(&b.size)
	}
	if ok = b.level.Cmp(&b.token) >= 0; ok {
		b.level.Sub(&b.level, &b.token)
	}
	return ok, new(big.Int).Quo(&b.level, &b.token).Int64()
}
