package main

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// An explanation is what `admc explain` says, ready to be printed as text or
// JSON. Its keys are a contract.
type explanation struct {
	Graph       string       `json:"graph"`
	Subject     string       `json:"subject,omitempty"` // the service, policy or obligation asked for
	ADMs        []string     `json:"adms"`
	Objective   int64        `json:"objective"`
	Bound       int64        `json:"bound"`
	Proved      bool         `json:"proved"`
	Obligations []explained  `json:"obligations"`
	Closed      []closed     `json:"closed"`
	Paths       []chained    `json:"paths"`
	service     graphService // set when the subject is a service
}

type graphService struct {
	name   string
	hasADM bool
}

// An explained obligation: where it is and why it is not elsewhere.
type explained struct {
	ID        string         `json:"id"` // as placement.json has it
	Policy    string         `json:"policy"`
	Part      string         `json:"part"` // "", or the action that has calls or a condition of its own
	At        string         `json:"at"`   // file:line:col of the policy
	Receiver  string         `json:"receiver"`
	Port      int            `json:"port"`
	Protocol  graph.Protocol `json:"protocol"`
	Senders   []string       `json:"senders"`
	Side      string         `json:"side"`
	On        []string       `json:"on"`     // the services whose ADMs enforce it
	Reason    string         `json:"reason"` // the solver's: "free", or what forced the side
	Actions   []string       `json:"actions"`
	Stamps    []string       `json:"stamps"` // what becomes of members of the baggage header
	Budgets   []string       `json:"budgets"`
	Apart     []string       `json:"apart"`     // how the receiver's ADM tells callers apart
	Condition []string       `json:"condition"` // residual conditions, "" for always; one, or one per sender
	Excluded  []excluded     `json:"excluded"`
	spare     bool           // at the callers though the receiver has an ADM
}

type excluded struct {
	Side string `json:"side"`
	Why  string `json:"why"`
	At   string `json:"at"`
}

// A closed service: what it calls, and nothing else.
type closed struct {
	Service string   `json:"service"`
	Calls   []string `json:"calls"` // receiver:port
	By      []string `json:"by"`    // policies
	At      []string `json:"at"`    // their @closed
}

// newExplanation explains everything, or what concerns one service or policy.
func newExplanation(l *layout.Layout, args []string) (*explanation, error) {
	e := &explanation{
		Graph: l.Graph.Name, ADMs: append([]string{}, l.Placement.ADMs...), Obligations: []explained{}, Closed: []closed{}, Paths: []chained{},
		Objective: l.Placement.Objective, Bound: l.Placement.Bound, Proved: l.Placement.Proved,
	}
	keep, keepClosed := func(solver.Assigned) bool { return true }, func(*ir.Closed) bool { return true }
	for _, p := range l.Program.Policies {
		if len(args) == 0 || p.Name == args[0] {
			e.Paths = append(e.Paths, explainPaths(p)...)
		}
	}
	if len(args) == 1 {
		e.Subject = args[0]
		isService := l.Graph.Service(e.Subject) != nil
		policy := slices.IndexFunc(l.Program.Policies, func(p *ir.Policy) bool { return p.Name == e.Subject })
		isPolicy := policy >= 0
		stamps := func(solver.Assigned) bool { return false }
		if isPolicy {
			stamps = stampsFor(l.Program.Policies[policy])
		}
		isObligation := slices.ContainsFunc(l.Placement.Assigned, func(a solver.Assigned) bool { return a.Obligation.ID() == e.Subject })
		if !isService && !isPolicy && !isObligation {
			return nil, unknownSubject(l, e.Subject)
		}
		if isService {
			e.service = graphService{e.Subject, l.Placement.HasADM(e.Subject)}
		}
		keep = func(a solver.Assigned) bool {
			return isPolicy && (a.Obligation.Policy.Name == e.Subject || stamps(a)) || isService && slices.Contains(enforcers(a), e.Subject) || a.Obligation.ID() == e.Subject
		}
		keepClosed = func(cl *ir.Closed) bool {
			by := func(p *ir.Policy) bool { return p.Name == e.Subject }
			return isService && cl.Service.Name == e.Subject || isPolicy && slices.ContainsFunc(cl.Policies, by)
		}
	}
	for _, a := range l.Placement.Assigned {
		if keep(a) {
			x := explain(l.Graph, a)
			x.spare = a.Side == ir.Egress && l.Placement.HasADM(x.Receiver)
			e.Obligations = append(e.Obligations, x)
		}
	}
	for _, cl := range l.Program.Closed {
		if keepClosed(cl) {
			e.Closed = append(e.Closed, explainClosed(cl))
		}
	}
	return e, nil
}

func explainClosed(cl *ir.Closed) closed {
	out := closed{Service: cl.Service.Name, Calls: []string{}}
	for _, call := range cl.Calls {
		out.Calls = append(out.Calls, fmt.Sprintf("%s:%d", call.To.NodeName(), call.Port))
	}
	for _, p := range cl.Policies {
		out.By, out.At = append(out.By, p.Name), append(out.At, p.Closed.Show())
	}
	return out
}

func unknownSubject(l *layout.Layout, name string) error {
	var names []string
	for _, s := range l.Graph.Services {
		names = append(names, s.Name)
	}
	for _, p := range l.Program.Policies {
		names = append(names, p.Name)
	}
	if strings.Contains(name, "@") {
		for _, a := range l.Placement.Assigned {
			names = append(names, a.Obligation.ID())
		}
	}
	if near := diag.Suggest(name, names); near != "" {
		return fmt.Errorf("no service, policy or obligation is called %q: did you mean %q?", name, near)
	}
	return fmt.Errorf("no service, policy or obligation is called %q", name)
}

// enforcers are the services whose ADMs enforce an obligation.
func enforcers(a solver.Assigned) []string {
	var out []string
	if a.Side&ir.Ingress != 0 {
		out = append(out, a.Obligation.Receiver.NodeName())
	}
	if a.Side&ir.Egress != 0 {
		for _, e := range a.Obligation.Edges {
			out = append(out, e.Sender.NodeName())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// apart says what the receiver's ADM does by who calls; empty where it treats all
// callers alike.
func apart(a solver.Assigned) []string {
	out := []string{}
	if a.Side != ir.Ingress {
		return out
	}
	names := func(n int, name func(int) string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = name(i)
		}
		return strings.Join(list, ", ")
	}
	for _, g := range a.Obligation.Apart {
		not := names(len(g.Not), func(i int) string { return g.Not[i].Caller.Name })
		if len(a.Obligation.Apart) == 1 {
			return append(out, fmt.Sprintf("%s by its %s, and leaves it out", not, proofs(g)))
		}
		out = append(out, fmt.Sprintf("%s, by the %s of %s", names(len(g.Edges), func(i int) string { return g.Edges[i].Sender.NodeName() }), proofs(g), not))
	}
	return out
}

func proofs(g *ir.Group) string {
	if g.Not[0].SPIFFE != "" {
		return "certificate"
	}
	return "addresses"
}

// budgets says what each proxy of an obligation counts to.
func budgets(g *graph.Graph, a *ir.Action, on []string, groups int) []string {
	var out []string
	for _, name := range on {
		s := g.Service(name)
		each := ""
		if s.MaxReplicas > 1 {
			each = fmt.Sprintf("each of up to %d pods of ", s.MaxReplicas)
		}
		if groups > 1 {
			each = "for each caller, " + each
		}
		out = append(out, fmt.Sprintf("%s%s: %s", each, name, layout.PartOf(a, s.MaxReplicas)))
	}
	return out
}

func explain(g *graph.Graph, a solver.Assigned) explained {
	o := a.Obligation
	x := explained{
		ID: o.ID(), Part: o.Part,
		Policy: o.Policy.Name, At: o.Policy.At.Show(), Receiver: o.Receiver.NodeName(), Port: o.Port, Protocol: o.Protocol,
		Side: a.Side.String(), On: enforcers(a), Reason: a.Reason, Excluded: []excluded{}, Budgets: []string{}, Stamps: []string{}, Apart: apart(a),
	}
	conds := map[string]bool{}
	for _, e := range o.Edges {
		x.Senders = append(x.Senders, e.Sender.NodeName())
		text := ""
		if e.Cond != nil {
			text = e.Cond.Text
		}
		conds[text] = true
		x.Condition = append(x.Condition, text)
	}
	if len(conds) == 1 {
		x.Condition = x.Condition[:1]
	}
	for _, act := range o.Actions {
		x.Actions = append(x.Actions, act.Name())
		if act.Name() == ir.StampAction {
			x.Stamps = append(x.Stamps, stampText(act))
		}
		if act.Decl.State == "counter" && !act.Args["global"].Bool {
			x.Budgets = append(x.Budgets, budgets(g, act, x.On, len(x.Apart))...)
		}
	}
	for _, r := range o.Reasons {
		x.Excluded = append(x.Excluded, excluded{r.Excludes.String(), r.Text, r.At.Show()})
	}
	return x
}

func (e *explanation) text() string {
	var b strings.Builder
	switch {
	case e.service.name != "" && !e.service.hasADM:
		fmt.Fprintf(&b, "%s has no ADM: nothing is enforced there.\n", e.service.name)
	case e.service.name != "" && len(e.Obligations) == 0:
		fmt.Fprintf(&b, "%s has an ADM because the graph says `adm: always`; nothing is enforced there.\n", e.service.name)
	case e.service.name != "":
		fmt.Fprintf(&b, "%s has an ADM. Enforced there:\n", e.service.name)
	default:
		state := "proved fewest"
		if !e.Proved {
			state = fmt.Sprintf("at least %d", e.Bound)
		}
		fmt.Fprintf(&b, "%s: %s (%s): %s\n", e.Graph, count(len(e.ADMs), "ADM"), state, strings.Join(e.ADMs, ", "))
	}
	if e.Subject != "" {
		for _, c := range e.Paths {
			c.text(&b)
		}
	}
	for _, o := range e.Obligations {
		o.text(&b)
	}
	for _, c := range e.Closed {
		c.text(&b)
	}
	return b.String()
}

func (c *closed) text(b *strings.Builder) {
	calls := "nothing"
	if len(c.Calls) > 0 {
		calls = strings.Join(c.Calls, ", ") + " and nothing else"
	}
	fmt.Fprintf(b, "\n%s calls %s\n", c.Service, calls)
	for i, name := range c.By {
		fmt.Fprintf(b, "  by        @closed of %s (%s)\n", name, c.At[i])
	}
	fmt.Fprintf(b, "  enforced  by a NetworkPolicy on its pods, without an ADM\n")
}

func (o *explained) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s on %s -> %s:%d (%s)\n", o.Policy, strings.Join(o.Senders, ", "), o.Receiver, o.Port, o.Protocol)
	fmt.Fprintf(b, "  does      %s\n", strings.Join(o.Actions, ", "))
	for i, c := range o.Condition {
		switch {
		case c == "":
		case len(o.Condition) == 1:
			fmt.Fprintf(b, "  when      %s\n", c)
		default:
			fmt.Fprintf(b, "  when      %s (from %s)\n", c, o.Senders[i])
		}
	}
	for _, s := range o.Stamps {
		fmt.Fprintf(b, "  stamps    %s\n", s)
	}
	for _, s := range o.Budgets {
		fmt.Fprintf(b, "  budget    %s\n", s)
	}
	for _, s := range o.Apart {
		fmt.Fprintf(b, "  tells     %s\n", s)
	}
	fmt.Fprintf(b, "  enforced  at %s, on %s\n", o.Side, strings.Join(o.On, ", "))
	if o.Reason == "free" && o.spare {
		fmt.Fprintf(b, "  because   either side would do, and both ends have an ADM; this way none has too much to do\n")
		return
	}
	if o.Reason == "free" {
		fmt.Fprintf(b, "  because   either side would do; this one needs the fewest ADMs\n")
		return
	}
	if len(o.Excluded) == 0 {
		fmt.Fprintf(b, "  because   %s\n", o.Reason)
	}
	for _, x := range o.Excluded {
		fmt.Fprintf(b, "  not at %s: %s (%s)\n", x.Side, x.Why, x.At)
	}
}
