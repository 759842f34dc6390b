package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// What the filter of a declared action does, nobody can tell without running it.
// Its facts say what it may do, so that the interpreter knows which expectations
// hang on it: those are neither passed nor failed.

// A Doubt is what is not known of a request's outcome.
type Doubt struct {
	Policy string
	Action *ir.Action
	// Whole: everything, because it may have answered the request, or changed
	// what something behind it decides by; Why says which.
	Whole bool
	Why   string
	Parts []string // else the parts of the messages that it may have changed
}

// own is the deed of every action that a program declares.
var own = deed{
	request: func(a *attempt, c *act) {
		a.acts(c, "", "did with it what only %s's filter knows", c.Name())
		a.doubted(c)
		if c.Decl.Ends {
			a.doubtAll(c, "it may have answered the request itself")
			if a.in.unsure == nil || c.Rank < a.in.unsure.Rank {
				a.in.unsure = c
			}
		}
	},
	// An answer that somebody before it gave meets it too.
	response: func(a *attempt, c *act) { a.doubted(c) },
}

// deedOf gives what an action does; known is false when nobody says so.
func deedOf(d *ir.ActionDecl) (does deed, known bool) {
	if d.User {
		return own, true
	}
	does, known = deeds[d.Name]
	return does, known
}

// doubted notes the parts that an action that acted may have changed.
func (a *attempt) doubted(c *act) {
	writes := putIn(c.Decl.Writes, c.Args)
	switch {
	case len(writes) == 0:
	case slices.ContainsFunc(writes, func(w string) bool { return covers(w, "response.code") }):
		a.doubtAll(c, "it may have changed the answer's status")
	case a.res.Doubt == nil:
		a.res.Doubt = &Doubt{Policy: c.rule.policy.Name, Action: c.Action, Parts: writes}
	default:
		a.res.Doubt.Parts = append(a.res.Doubt.Parts, writes...)
	}
}

func (x *exchange) doubtAll(c *act, why string) {
	if x.res.Doubt == nil || !x.res.Doubt.Whole {
		x.res.Doubt = &Doubt{Policy: c.rule.policy.Name, Action: c.Action, Whole: true, Why: why}
	}
}

// doubt looks, before an action acts, at what is not known by then: whether its
// policy applies, and how full its counter is.
func (a *attempt) doubt(c *act) {
	if c.rule.answered {
		return // until there is an answer
	}
	if _, decided := a.decided[c.rule]; !decided {
		a.doubtCondition(c.rule)
	}
	if a.in.unsure != nil && c.Rank > a.in.unsure.Rank && c.Decl.State != "" && a.decide(c.rule) {
		a.doubtAll(a.in.unsure, "it may have answered requests that "+c.rule.policy.Name+" counts")
	}
}

// doubtCondition looks, when a condition is decided, at what it reads.
func (a *attempt) doubtCondition(r *rule) {
	d := a.res.Doubt
	if d != nil && !d.Whole && r.cond != nil && changedBy(d.Parts, r.cond.Reads) {
		d.Whole, d.Why = true, fmt.Sprintf("it may have changed what the condition of %s reads", r.policy.Name)
	}
}

func changedBy(parts, reads []string) bool {
	return slices.ContainsFunc(parts, func(w string) bool {
		return slices.ContainsFunc(reads, func(r string) bool { r = canonical(r); return covers(w, r) || covers(r, w) })
	})
}

// undecided gives nil where what an expectation is about is known of every
// request.
func undecided(e *ir.Expect, r *ir.TestRequest, results []*Result) *Failure {
	for i, res := range results {
		d := res.Doubt
		if d == nil || !d.Whole && !(e.Kind == "header" && changedBy(d.Parts, []string{fmt.Sprintf("%s.headers[%q]", e.Of, strings.ToLower(e.Name))})) {
			continue
		}
		why := d.Why
		if !d.Whole {
			why = fmt.Sprintf("it may have changed %s.headers[%q]", e.Of, e.Name)
		}
		plane, times := r.Call.Protocol.Plane(), ""
		if e.Times > 0 {
			times = fmt.Sprintf(" x %d", e.Times)
		}
		return &Failure{
			Expect: e, Request: r, Expected: expectText(e, plane, times), Number: i + 1, Result: res,
			Got:       tally(e, plane, results),
			Undecided: fmt.Sprintf("%s of policy %s acted, and what its filter does is not known here: %s", d.Action.Name(), d.Policy, why),
		}
	}
	return nil
}
