package solver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A Record is a placement.json as it was read: well formed, but held to nothing
// yet. Placement holds it to a program, Consistent to itself.
type Record struct {
	file placementFile
	adms []string // sorted
	text []byte
}

// ReadPlacement reads a placement.json of this version. Unknown keys are
// refused, because a later version may mean something by them.
func ReadPlacement(text []byte) (*Record, error) {
	r := &Record{text: text}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r.file); err != nil {
		return nil, fmt.Errorf("not a placement: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("not a placement: something follows it")
	}
	if r.file.APIVersion != apiVersion || r.file.Kind != kind {
		return nil, fmt.Errorf("not a placement of %s: it is a %q of %q", apiVersion, r.file.Kind, r.file.APIVersion)
	}
	for _, a := range r.file.ADMs {
		r.adms = append(r.adms, a.Service)
	}
	slices.Sort(r.adms)
	return r, nil
}

// ADMs are the services that have one, sorted.
func (r *Record) ADMs() []string { return r.adms }

// Inputs are the files it was made from.
func (r *Record) Inputs() []Input { return r.file.Inputs }

// Minimise is what the weights of its ADMs are.
func (r *Record) Minimise() string { return r.file.Minimise }

// Claim says in a sentence how far the record's bound is proved.
func (r *Record) Claim() string {
	f := &r.file
	pl := Placement{Minimise: f.Minimise, Scale: f.Scale}
	switch {
	case f.Certificate.Kind == CertificateSearch:
		return "feasible; bound claimed, not checked"
	case f.Proved:
		return pl.weigh(f.Objective) + ", proved fewest: the certificate adds up"
	}
	return fmt.Sprintf("%s, at least %s needed: the certificate adds up", pl.weigh(f.Objective), pl.weigh(f.Bound))
}

// Check holds the record to a program without a solver: it is what JSON gives
// for a placement that Verify accepts, with the reasons that the program gives.
// The record's inputs are taken as they are. The placement is given when
// nothing is wrong.
func (r *Record) Check(prog *ir.Program, g *graph.Graph) (*Placement, error) {
	p, err := Build(prog, g, Options{Minimise: r.file.Minimise})
	if err != nil {
		return nil, err
	}
	c := closePins(p)
	if len(c.conflicts) > 0 {
		bag := &diag.Bag{}
		explainConflicts(c, bag)
		return nil, wrong("no placement is: %s", bag.All()[0].Message)
	}
	if bag := (&diag.Bag{}); c.unrated(bag) {
		return nil, wrong("it can't be told: %s", bag.All()[0].Message)
	}
	pl, err := r.placement(p)
	if err != nil {
		return nil, err
	}
	if err := Verify(p, pl); err != nil {
		return nil, err
	}
	for i := range p.Obligations {
		o := &p.Obligations[i]
		if got, want := pl.Assigned[o.Order].Reason, c.reason(i); got != want {
			return nil, wrong("the reason of %s is %q, not %q", o.Of.ID(), want, got)
		}
	}
	return pl, r.sameBytes(pl)
}

// sameBytes finds what the placement's own rendering has otherwise.
func (r *Record) sameBytes(pl *Placement) error {
	want, got := strings.Split(string(pl.JSON(r.file.Inputs)), "\n"), strings.Split(string(r.text), "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return wrong("line %d is %q where %q follows from the rest", i+1, strings.TrimSpace(got[i]), strings.TrimSpace(want[i]))
		}
	}
	if len(want) != len(got) {
		return wrong("it has %d lines, not %d", len(got), len(want))
	}
	return nil
}

// placement finds the program's obligations in the record.
func (r *Record) placement(p *Problem) (*Placement, error) {
	f := &r.file
	pl := &Placement{ADMs: []string{}, Objective: f.Objective, Bound: f.Bound, Proved: f.Proved, Minimise: f.Minimise, Scale: f.Scale,
		Certificate: f.Certificate, Assigned: make([]Assigned, len(p.Obligations))}
	if f.Minimise != p.Minimise {
		return nil, wrong("it minimises %s, not %s", f.Minimise, p.Minimise)
	}
	for _, a := range f.ADMs {
		pl.ADMs = append(pl.ADMs, a.Service)
	}
	byID := make(map[string]*obligationFile, len(f.Obligations))
	for i := range f.Obligations {
		o := &f.Obligations[i]
		if byID[o.id()] != nil {
			return nil, wrong("%s is there twice", o.id())
		}
		byID[o.id()] = o
	}
	for i := range p.Obligations {
		of := p.Obligations[i].Of
		o := byID[of.ID()]
		if o == nil {
			return nil, wrong("%s is enforced nowhere", of.ID())
		}
		delete(byID, of.ID())
		if want := senderNames(of); !slices.Equal(o.Senders, want) {
			return nil, wrong("the senders of %s are %s, not %s", of.ID(), strings.Join(want, ", "), strings.Join(o.Senders, ", "))
		}
		pl.Assigned[p.Obligations[i].Order] = Assigned{of, sideNamed(o.Side), o.Reason}
	}
	for i := range f.Obligations {
		if id := f.Obligations[i].id(); byID[id] != nil {
			return nil, wrong("the policies and the graph have no %s", id)
		}
	}
	return pl, nil
}

// id is ir.Obligation.ID; only an obligation that needs both ends is at both.
func (o *obligationFile) id() string {
	id := fmt.Sprintf("%s@%s:%d", o.Policy, o.Receiver, o.Port)
	switch {
	case o.Side == eitherSide.String():
		id += "#both"
	case o.Part != "":
		id += "#" + o.Part
	}
	return id
}

func sideNamed(name string) ir.Side {
	for _, s := range []ir.Side{ir.Ingress, ir.Egress, eitherSide} {
		if s.String() == name {
			return s
		}
	}
	return 0
}

// Consistent holds the record to itself, for want of its inputs. The problem is
// read off the record: an obligation whose reason is "free" may be anywhere, any
// other only where it is; an ADM that enforces nothing, or has a unit row in the
// certificate, is taken to be `always`.
// Weights other than 1 are not in the record, nor are order rows: of them
// nothing is said.
func (r *Record) Consistent() error {
	prog, g := r.readBack()
	p, err := Build(prog, g, Options{})
	if err != nil {
		return err
	}
	if r.file.Minimise != MinimiseCost && r.file.Scale != 0 || r.file.Scale < 0 {
		return wrong("its scale is %d", r.file.Scale)
	}
	p.Minimise, p.Scale = r.file.Minimise, r.file.Scale
	pl, err := r.placement(p)
	if err != nil {
		return err
	}
	if r.file.Minimise != MinimiseADMs {
		if !slices.Contains([]string{MinimiseProxies, MinimiseCost}, r.file.Minimise) {
			return wrong("nothing minimises %q", r.file.Minimise)
		}
		claimed := *pl
		claimed.Objective, claimed.Bound, claimed.Proved, claimed.Certificate = int64(len(pl.ADMs)), int64(len(pl.ADMs)), true, Certificate{Kind: CertificateSearch}
		if err := Verify(p, &claimed); err != nil {
			return err
		}
		return r.sameBytes(pl)
	}
	if err := Verify(p, pl); err != nil {
		return err
	}
	return r.sameBytes(pl)
}

func (r *Record) readBack() (*ir.Program, *graph.Graph) {
	prog, g := &ir.Program{}, &graph.Graph{}
	node, policy, busy := map[string]*graph.Service{}, map[string]*ir.Policy{}, map[string]bool{}
	at := func(name string) *graph.Service {
		if node[name] == nil {
			node[name] = &graph.Service{Name: name, ADM: graph.ADMAuto}
			g.Services = append(g.Services, node[name])
		}
		return node[name]
	}
	for i := range r.file.Obligations {
		o := &r.file.Obligations[i]
		if policy[o.Policy] == nil {
			policy[o.Policy] = &ir.Policy{Name: o.Policy}
		}
		side := sideNamed(o.Side)
		of := &ir.Obligation{Policy: policy[o.Policy], Part: o.Part, Receiver: at(o.Receiver), Port: o.Port, May: side, Both: side == eitherSide}
		if o.Reason == reasonFree {
			of.May = eitherSide
		}
		for _, s := range o.Senders {
			of.Edges = append(of.Edges, &ir.Edge{Sender: at(s)})
			busy[s] = busy[s] || side&ir.Egress != 0
		}
		busy[o.Receiver] = busy[o.Receiver] || side&ir.Ingress != 0
		prog.Obligations = append(prog.Obligations, of)
	}
	for _, part := range r.file.Certificate.Parts {
		for _, row := range part.Rows {
			if row.Kind == unitRow && len(row.Services) == 1 {
				busy[row.Services[0]] = false
			}
		}
	}
	for _, name := range r.adms {
		if s := at(name); !busy[name] {
			s.ADM = graph.ADMAlways
		}
	}
	return prog, g
}
