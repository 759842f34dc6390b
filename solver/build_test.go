package solver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A town is a graph and a program under construction, made by hand so that
// these tests need no other phase.
type town struct {
	g    *graph.Graph
	prog *ir.Program
	node map[string]graph.Node
	src  *diag.Source // gives each thing a line of its own
	line int
}

func newTown() *town {
	lines := strings.Repeat("x\n", 4000)
	return &town{g: &graph.Graph{}, prog: &ir.Program{}, node: map[string]graph.Node{}, src: diag.NewSource("town.adm", []byte(lines))}
}

func (t *town) here() diag.Span {
	t.line++
	return t.src.LineSpan(t.line, 1, 1)
}

// service finds or adds a service; a name that begins with "ext" is an
// external.
func (t *town) at(name string) graph.Node {
	if n, ok := t.node[name]; ok {
		return n
	}
	if strings.HasPrefix(name, "ext") {
		e := &graph.External{Name: name, At: t.here()}
		t.g.Externals = append(t.g.Externals, e)
		t.node[name] = e
		return e
	}
	s := &graph.Service{Name: name, MinReplicas: 1, MaxReplicas: 1, ADM: graph.ADMAuto, At: t.here()}
	t.g.Services = append(t.g.Services, s)
	t.node[name] = s
	return s
}

func (t *town) service(name string) *graph.Service { return t.at(name).(*graph.Service) }

func (t *town) policy(name string) *ir.Policy {
	for _, p := range t.prog.Policies {
		if p.Name == name {
			return p
		}
	}
	p := &ir.Policy{Name: name, At: t.here()}
	t.prog.Policies = append(t.prog.Policies, p)
	return p
}

// obligation adds one of the policy on the receiver's port, from the senders.
func (t *town) obligation(policy, receiver string, port int, may ir.Side, senders ...string) *ir.Obligation {
	o := &ir.Obligation{Policy: t.policy(policy), Receiver: t.at(receiver), Port: port, May: may}
	for _, s := range senders {
		o.Edges = append(o.Edges, &ir.Edge{Sender: t.at(s)})
	}
	for _, s := range []ir.Side{ir.Ingress, ir.Egress} {
		if may&s == 0 {
			o.Reasons = append(o.Reasons, ir.Reason{Excludes: s, Rule: "action", Text: policy + " keeps away from " + s.String(), At: t.here()})
		}
	}
	t.prog.Obligations = append(t.prog.Obligations, o)
	return o
}

func (t *town) both(policy, receiver string, port int, senders ...string) *ir.Obligation {
	o := t.obligation(policy, receiver, port, eitherSide, senders...)
	o.Both = true
	return o
}

func (t *town) forbid(p *ir.Obligation, ps ir.Side, q *ir.Obligation) {
	t.prog.Rows = append(t.prog.Rows, &ir.Row{Kind: ir.Forbid, P: p, Q: q, PSide: ps, QSide: ps.Other(),
		Text: fmt.Sprintf("%s before %s forbids %s at %s", p.Policy.Name, q.Policy.Name, q.Policy.Name, ps.Other()), PAt: t.here(), QAt: t.here()})
}

func (t *town) same(p, q *ir.Obligation) {
	t.prog.Rows = append(t.prog.Rows, &ir.Row{Kind: ir.Same, P: p, Q: q,
		Text: q.Policy.Name + " needs what " + p.Policy.Name + " provides", PAt: t.here(), QAt: t.here()})
}

// sorted is the town as the earlier phases give it.
func (t *town) sorted() *town {
	slices.SortFunc(t.g.Services, func(a, b *graph.Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.g.Externals, func(a, b *graph.External) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.prog.Policies, func(a, b *ir.Policy) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.prog.Obligations, func(a, b *ir.Obligation) int { return compareIDs(a, b) })
	for _, o := range t.prog.Obligations {
		slices.SortFunc(o.Edges, func(a, b *ir.Edge) int { return cmp.Compare(a.Sender.NodeName(), b.Sender.NodeName()) })
	}
	return t
}

// place solves with every engine and wants the same of all.
func (t *town) place(tb testing.TB, o Options) *Placement {
	tb.Helper()
	var first *Placement
	for _, name := range Engines() {
		o.Engine = name
		var bag diag.Bag
		pl, err := Place(context.Background(), t.prog, t.g, o, &bag)
		if err != nil || pl == nil {
			tb.Fatalf("%s: %v %v", name, err, messages(&bag))
		}
		if first == nil {
			first = pl
		}
		if pl.Objective != first.Objective {
			tb.Fatalf("%s finds %d, %s finds %d", name, pl.Objective, first.Engine, first.Objective)
		}
	}
	return first
}

func messages(bag *diag.Bag) string {
	var out strings.Builder
	diag.WriteText(&out, bag.All())
	return out.String()
}
