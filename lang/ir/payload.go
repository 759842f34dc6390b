package ir

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// A Payload is the configuration of the Envoy filter that an action of the
// program's own stands for, as plain data: what its fields are, only the backend
// knows.
type Payload struct {
	TCP  bool // a network filter; else an HTTP filter
	Root *Term
	At   diag.Span // of the fact's first word
}

// TypeName is the name of the filter's configuration, as "@type" gives it; ""
// where it does not.
func (p *Payload) TypeName() string {
	if p.Root == nil {
		return ""
	}
	for _, e := range p.Root.Map {
		if e.Key == "@type" && e.Value.Kind == ConstTerm {
			return e.Value.Value.Str[strings.LastIndexByte(e.Value.Value.Str, '/')+1:]
		}
	}
	return ""
}

// TermKind of a Term.
type TermKind uint8

const (
	ConstTerm TermKind = iota
	ParamTerm
	TextTerm
	ListTerm
	MapTerm
)

// A Term is a value in a payload. Only the fields of its Kind are set.
type Term struct {
	Kind TermKind
	At   diag.Span

	Type  string // ConstTerm: its type in the grammar's form: `int`, `percent`, …
	Value Value

	Param string // ParamTerm: stands for its argument
	Of    string // of a rate parameter: "events" (an int), "period" (a duration); "" for the whole

	Text []Piece // TextTerm

	List []*Term
	Map  []TermEntry // in the order written
}

// A TermEntry is a field of a message, or an entry of a map.
type TermEntry struct {
	Key   string
	At    diag.Span // of the key
	Value *Term
}

// A Piece of a string: constant text, or an argument.
type Piece struct {
	Text  string
	Param string
	At    diag.Span // of the argument's `${…}`
}

// Params gives the parameters that a term depends on, in the order written.
func (t *Term) Params() []string {
	var out []string
	switch t.Kind {
	case ParamTerm:
		out = append(out, t.Param)
	case TextTerm:
		for _, p := range t.Text {
			if p.Param != "" {
				out = append(out, p.Param)
			}
		}
	}
	for _, e := range t.List {
		out = append(out, e.Params()...)
	}
	for _, e := range t.Map {
		out = append(out, e.Value.Params()...)
	}
	return out
}

// Param gives a parameter of a declaration by its name; nil when there is none.
func (d *ActionDecl) Param(name string) *Param {
	for i := range d.Params {
		if d.Params[i].Name == name {
			return &d.Params[i]
		}
	}
	return nil
}
