package lang

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A proxy counts for itself, so that a counter shared by several proxies is a
// budget divided between them. Where it is divided, and so where it must be, is
// decided by its scope and by the replicas of both ends.

// counter excludes the sides at which an action's counter would not be shared
// as its scope says. An end outside the mesh decides before replicas do.
func (v *verdicts) counter(o *obligation, t *typedCall) {
	if t.unsure(t.act.decl.Scope) || t.unsure("global") {
		return
	}
	scope := t.ir.Args[t.act.decl.Scope]
	at := place(scope, t.ir.At)
	name, port := t.act.decl.Name, portName(o.ir)
	v.oneBudget(o, t)
	many := manyReplicas(o.ir)
	if global(t) {
		many = nil // replicas share what a service counts
	}
	switch scope.Str {
	case "caller":
		if many != nil && !hasExternalSender(o.ir) {
			v.exclude(o, ir.Ingress, ruleState, at,
				"%s counts for each caller, at the caller, because %s has %s", name, many.Name, replicaText(many))
		}
	case "service":
		_, outside := o.ir.Receiver.(*graph.External)
		if n := len(o.calls); n > 1 && !global(t) {
			v.exclude(o, ir.Egress, ruleState, at, "%s keeps one budget for the %d callers of %s together", name, n, port)
		} else if many != nil && !outside {
			v.exclude(o, ir.Egress, ruleState, at,
				"%s keeps one budget for %s, at the receiver, because %s has %s", name, port, many.Name, replicaText(many))
		}
	case "pod":
		v.exclude(o, ir.Egress, ruleState, at, "%s keeps a budget for each pod of %s", name, o.ir.Receiver.NodeName())
	}
}

// global reports a counter that a service outside the proxies keeps.
func global(t *typedCall) bool { return !t.act.decl.User && t.ir.Args["global"].Bool }

// manyReplicas gives an end that may have more than one replica, the receiver
// first; nil where every end has one.
func manyReplicas(o *ir.Obligation) *graph.Service {
	if s, ok := o.Receiver.(*graph.Service); ok && s.MaxReplicas > 1 {
		return s
	}
	for _, e := range o.Edges {
		if s, ok := e.Sender.(*graph.Service); ok && s.MaxReplicas > 1 {
			return s
		}
	}
	return nil
}

func hasExternalSender(o *ir.Obligation) bool {
	return slices.ContainsFunc(o.Edges, func(e *ir.Edge) bool { _, ext := e.Sender.(*graph.External); return ext })
}

func replicaText(s *graph.Service) string {
	if s.MinReplicas != s.MaxReplicas {
		return fmt.Sprintf("%d to %d replicas", s.MinReplicas, s.MaxReplicas)
	}
	return count(s.MaxReplicas, "replica")
}

// A division is one action's budget in the ADMs of services with several
// replicas.
type division struct {
	call    *typedCall
	holders []*graph.Service
}

// divide notes which services' replicas divide the budget of an obligation that
// has one side left. With both sides left every end has one replica.
func (v *verdicts) divide(o *obligation, t *typedCall) {
	if t.unsure(t.act.decl.Scope) || t.unsure("global") || global(t) || t.ir.Args[t.act.decl.Scope].Str == "pod" {
		return
	}
	var holders []*graph.Service
	switch o.ir.May {
	case ir.Ingress:
		holders = append(holders, o.ir.Receiver.(*graph.Service))
	case ir.Egress:
		for _, e := range o.ir.Edges {
			holders = append(holders, e.Sender.(*graph.Service))
		}
	}
	i := slices.IndexFunc(v.divided, func(d *division) bool { return d.call == t })
	for _, s := range holders {
		if s.MaxReplicas <= 1 {
			continue
		}
		if i < 0 {
			i = len(v.divided)
			v.divided = append(v.divided, &division{call: t})
		}
		if d := v.divided[i]; !slices.Contains(d.holders, s) {
			d.holders = append(d.holders, s)
		}
	}
}

// reportDivided warns once for each action about budgets that are divided, and
// refuses bursts that can't be.
func (v *verdicts) reportDivided() {
	for _, d := range v.divided {
		if d.call.act.decl.User {
			v.undivided(d)
			continue
		}
		slices.SortFunc(d.holders, func(a, b *graph.Service) int {
			return cmp.Or(cmp.Compare(b.MaxReplicas, a.MaxReplicas), strings.Compare(a.Name, b.Name))
		})
		most, args := d.holders[0], d.call.ir.Args
		name := d.call.act.decl.Name
		if max, known := args["max"]; name == "concurrency_limit" && known && max.Int < int64(most.MaxReplicas) {
			v.c.bag.Errorf(place(max, d.call.ir.At), BadValue, "a maximum of %d leaves less than 1 for each of the %d proxies of %s", max.Int, most.MaxReplicas, most.Name).
				WithNote(most.At, "%s has %s", most.Name, replicaText(most))
			continue
		}
		if limit, known := args["limit"]; name == "bandwidth_limit" && known && limit.Int < 1024*int64(most.MaxReplicas) {
			v.c.bag.Errorf(place(limit, d.call.ir.At), BadValue, "a limit of %d bytes leaves less than 1 KiB for each of the %d proxies of %s", limit.Int, most.MaxReplicas, most.Name).
				WithNote(most.At, "%s has %s", most.Name, replicaText(most))
			continue
		}
		if burst := args["burst"]; burst.Int > 0 && burst.Int < int64(most.MaxReplicas) {
			v.c.bag.Errorf(place(burst, d.call.ir.At), BadValue, "a burst of %d leaves less than 1 for each of the %d proxies of %s", burst.Int, most.MaxReplicas, most.Name).
				WithHint("a burst of %d gives each 1; without burst it is one second's rate", most.MaxReplicas).
				WithNote(most.At, "%s has %s", most.Name, replicaText(most))
			continue
		}
		if d.call.wrong {
			continue
		}
		others := ""
		if n := len(d.holders) - 1; n > 0 {
			others = fmt.Sprintf(" (and %s like it)", count(n, "service"))
		}
		w := v.c.bag.Warnf(d.call.ir.At, DividedBudget, "%s of policy %s is counted by each of the %d proxies of %s%s with its share of the budget",
			name, v.p.ir.Name, most.MaxReplicas, most.Name, others)
		w.WithHint("%s", skew(most, args))
		w.WithNote(most.At, "%s has %s", most.Name, replicaText(most))
	}
}

// undivided refuses a budget of the program's own action: what in its filter is
// the budget, and so what to divide, only its author knows.
func (v *verdicts) undivided(d *division) {
	most, decl := d.holders[0], d.call.act.decl
	v.c.bag.Errorf(d.call.ir.At, UndividedBudget, "%s of policy %s would be counted by each of the %d proxies of %s, with the whole budget",
		decl.Name, v.p.ir.Name, most.MaxReplicas, most.Name).
		WithHint("the compiler divides the budgets of standard actions; a budget of each pod needs no division: %s: \"pod\"", decl.Scope).
		WithNote(most.At, "%s has %s", most.Name, replicaText(most)).
		WithNote(decl.At, "%s is declared here", decl.Name)
}

// skew says by how much a divided budget can be put off: above it where it is
// less than one request a second for each proxy, which then admits one at once;
// below it as far as connections crowd on few proxies or replicas are missing.
func skew(s *graph.Service, args map[string]ir.Value) string {
	rate := args["rate"]
	if n := int64(s.MaxReplicas); args["burst"].Int == 0 && float64(rate.Int) < rate.Dur.Seconds()*float64(n) {
		return fmt.Sprintf("each proxy admits one request at once, so %d can pass together where one proxy would admit %d; over time, as little as 1/%d of the budget if all connections meet one proxy",
			n, max(1, int64(float64(rate.Int)/rate.Dur.Seconds())), n)
	}
	text := fmt.Sprintf("never more than the budget is admitted, but as little as 1/%d of it if all connections meet one proxy", s.MaxReplicas)
	if s.MinReplicas < s.MaxReplicas {
		text += fmt.Sprintf(", and at most %d/%d while %d of %d replicas run", s.MinReplicas, s.MaxReplicas, s.MinReplicas, s.MaxReplicas)
	}
	return text
}
