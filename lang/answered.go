package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A condition on the answer (`response.…`) is decided when there is one, so
// only actions that do nothing before can hang on it.

// inTime reports whether every action of a policy acts late enough for its
// condition, and complains about the first that does not.
func (c *checker) inTime(p *policy) bool {
	for _, plane := range []graph.Plane{graph.HTTP, graph.GRPC} {
		cond := p.compiled[plane]
		if cond == nil {
			continue
		}
		i := slices.IndexFunc(cond.reads, ofAnswer)
		if i < 0 {
			continue
		}
		for _, t := range p.calls {
			if afterAnswer(t) || t.unsure("of") {
				continue
			}
			c.bag.Errorf(cond.readAt(cond.reads[i]), AttributeTooLate, "%s is part of the answer, and %s acts before there is one", cond.reads[i], t.act.decl.Name).
				WithHint("access_log, metric, and set_header and append_header of the response can have such a condition").
				WithNote(t.ir.At, "%s is here", t.act.decl.Name)
			return false
		}
	}
	return true
}

func ofAnswer(read string) bool { return strings.HasPrefix(read, "response.") }

// afterAnswer reports whether an action has all of its effect on the answer, or
// after it. Whether the filter of a declared one acts is decided before.
func afterAnswer(t *typedCall) bool {
	d := t.act.decl
	if d.User || d.Ends || d.Wraps || d.State != "" || len(d.Provides)+len(d.Needs) > 0 {
		return false
	}
	if len(t.writes) == 0 {
		return d.Phase == ir.Observe
	}
	return !slices.ContainsFunc(t.writes, func(w string) bool { return !ofAnswer(w) })
}
