package solver

import (
	"errors"
	"fmt"
	"slices"

	"admc.dev/admc/lang/ir"
)

// Verify holds a placement to the problem, in integers and without a solver:
//
//   - every obligation is there once, at a side it may have, at both if it
//     needs both;
//   - the ADMs that its side needs are there, at services that may have one;
//   - every row holds, no ADM takes more than its capacity, every `always` has an ADM, and no other service has one
//     that enforces nothing;
//   - the objective is the sum of the ADMs' weights, the bound is at most that,
//     Proved says that they are equal, and a dual certificate adds up to the
//     bound. A search certificate is a claim: nothing is checked of it.
//
// It gives the first thing that is wrong, or nil.
func Verify(p *Problem, pl *Placement) error {
	v := &verifier{p: p, pl: pl, y: make([]bool, len(p.Nodes)), sides: make([]ir.Side, len(p.Obligations)), busy: make([]bool, len(p.Nodes))}
	for _, check := range []func() error{v.adms, v.obligations, v.rows, v.capacities, v.idle, v.bound} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

type verifier struct {
	p     *Problem
	pl    *Placement
	y     []bool
	sides []ir.Side
	busy  []bool // the ADM enforces something
}

func (v *verifier) adms() error {
	node := make(map[string]int, len(v.p.Nodes))
	for i := range v.p.Nodes {
		node[v.p.Nodes[i].Name] = i
	}
	if !slices.IsSorted(v.pl.ADMs) {
		return wrong("the ADMs are not sorted")
	}
	for _, name := range v.pl.ADMs {
		i, ok := node[name]
		switch {
		case !ok:
			return wrong("there is no service %s to have an ADM", name)
		case v.y[i]:
			return wrong("%s is listed twice", name)
		case v.p.Nodes[i].Pin == Never || v.p.Nodes[i].Pin == External:
			return wrong("%s may not have an ADM", name)
		}
		v.y[i] = true
	}
	for i := range v.p.Nodes {
		if v.p.Nodes[i].Pin == Always && !v.y[i] {
			return wrong("%s must have an ADM", v.p.Nodes[i].Name)
		}
	}
	return nil
}

func (v *verifier) obligations() error {
	if len(v.pl.Assigned) != len(v.p.Obligations) {
		return wrong("it assigns %d obligations of %d", len(v.pl.Assigned), len(v.p.Obligations))
	}
	for i := range v.p.Obligations {
		o := &v.p.Obligations[i]
		a := &v.pl.Assigned[o.Order]
		id := o.Of.ID()
		switch {
		case a.Obligation != o.Of:
			return wrong("%s is not where it belongs in the list", id)
		case a.Side != ir.Ingress && a.Side != ir.Egress && a.Side != ir.Ingress|ir.Egress:
			return wrong("%s is at no side", id)
		case a.Side&^o.May != 0:
			return wrong("%s may not be at %s", id, a.Side)
		case o.Both != (a.Side == ir.Ingress|ir.Egress):
			return wrong("%s is enforced at %s", id, a.Side)
		case a.Reason == "":
			return wrong("%s has no reason", id)
		}
		v.sides[i] = a.Side
		if err := v.hosted(o, a.Side); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) hosted(o *Obligation, side ir.Side) error {
	var need []int32
	if side&ir.Ingress != 0 {
		need = append(need, o.Receiver)
	}
	if side&ir.Egress != 0 {
		need = append(need, o.Senders...)
	}
	for _, n := range need {
		if !v.y[n] {
			return wrong("%s is enforced at %s, and %s has no ADM", o.Of.ID(), side, v.p.Nodes[n].Name)
		}
		v.busy[n] = true
	}
	return nil
}

func (v *verifier) rows() error {
	for _, r := range v.p.Rows {
		p, q := v.sides[r.P], v.sides[r.Q]
		switch r.Kind {
		case ir.Forbid:
			if p&r.PSide != 0 && q&r.QSide != 0 {
				return wrong("%s is at %s while %s is at %s: %s", v.p.Obligations[r.P].Of.ID(), p, v.p.Obligations[r.Q].Of.ID(), q, r.Of.Text)
			}
		case ir.Same:
			if q&^p != 0 {
				return wrong("%s is at %s, not with %s: %s", v.p.Obligations[r.Q].Of.ID(), q, v.p.Obligations[r.P].Of.ID(), r.Of.Text)
			}
		}
	}
	return nil
}

func (v *verifier) capacities() error {
	for i := range v.p.Capacities {
		if c := &v.p.Capacities[i]; c.takes(v.sides) > c.Limit {
			return wrong("%s takes %s of CPU, and its capacity is %s", v.p.Nodes[c.Node].Name, c.cpu(c.takes(v.sides)), c.cpu(c.Limit))
		}
	}
	return nil
}

func (v *verifier) idle() error {
	for i := range v.p.Nodes {
		if v.y[i] && !v.busy[i] && v.p.Nodes[i].Pin != Always {
			return wrong("the ADM of %s enforces nothing", v.p.Nodes[i].Name)
		}
	}
	return nil
}

func (v *verifier) bound() error {
	sum := int64(0)
	for i, yes := range v.y {
		if yes {
			sum += v.p.Nodes[i].Weight
		}
	}
	switch {
	case sum != v.pl.Objective:
		return wrong("its ADMs weigh %d, not %d", sum, v.pl.Objective)
	case v.pl.Bound > v.pl.Objective:
		return wrong("its bound %d is above its objective %d", v.pl.Bound, v.pl.Objective)
	case v.pl.Proved != (v.pl.Bound == v.pl.Objective):
		return wrong("proved is %t with objective %d and bound %d", v.pl.Proved, v.pl.Objective, v.pl.Bound)
	case v.pl.Scale != v.p.Scale:
		return wrong("its weights have scale %d, not %d", v.pl.Scale, v.p.Scale)
	}
	switch v.pl.Kind {
	case CertificateSearch:
		if len(v.pl.Parts) > 0 {
			return wrong("a search certificate has no parts")
		}
		return nil
	case CertificateDual:
		got, err := newChecker(v.p).bound(&v.pl.Certificate)
		if err != nil {
			return wrong("%v", err)
		}
		if got != v.pl.Bound {
			return wrong("its certificate adds up to %d, not to the bound %d", got, v.pl.Bound)
		}
		return nil
	}
	return wrong("its certificate is of the kind %q", v.pl.Kind)
}

// errNotVerified begins what Verify says.
var errNotVerified = errors.New("the placement is not right")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotVerified, fmt.Sprintf(format, args...))
}
