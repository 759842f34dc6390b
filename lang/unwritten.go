package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// unwritten adds the rows of three obligations: one that may answer, a later one
// that changes a part of the request, and one that looks at that part when there is
// an answer. On one proxy the request that is answered has not been changed by then.
// So the answer must not come from the receiver's side where the change is made at
// the caller's.
func (j *joiner) unwritten(group []*obligation) {
	for _, q := range group {
		for k, b := range q.acts {
			part := lookedAt(group, b)
			if part == "" || q.ir.May&ir.Egress == 0 {
				continue
			}
			for _, p := range group {
				for i, a := range p.acts {
					if p == q || p.ir.May&ir.Ingress == 0 || !a.act.decl.Ends || a.act.decl.Wraps || p.ir.Both || q.ir.Both || a.ir.Rank > b.ir.Rank || !j.shareCall(p, q) {
						continue
					}
					f := forbid{a: i, b: k, xSide: ir.Ingress, ySide: ir.Egress, why: reason{answeredBefore, part}}
					j.forbids(p, q, &relation{forbid: []forbid{f}})
				}
			}
		}
	}
}

// shareCall reports whether two obligations have a call in common.
func (j *joiner) shareCall(p, q *obligation) bool {
	return slices.ContainsFunc(p.calls, func(n int32) bool { _, in := slices.BinarySearch(q.calls, n); return in })
}

// lookedAt gives a part of the request that an action changes and another
// obligation looks at on the way back; "" when there is none.
func lookedAt(group []*obligation, b *typedCall) string {
	if !slices.ContainsFunc(b.writes, func(w string) bool { return strings.HasPrefix(w, "request") }) {
		return ""
	}
	for _, o := range group {
		for _, t := range o.acts {
			late := t.act.decl.Phase == ir.Observe || touches("response", t.writes)
			if late && t != b {
				if part := common("request", b.writes, effect{t, o}.reading()); part != "" {
					return part
				}
			}
		}
	}
	return ""
}
