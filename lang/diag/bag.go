package diag

import (
	"fmt"
	"slices"
)

// A Code names a kind of diagnostic, such as "unknown-argument". It is stable:
// users silence, search and document by it.
type Code string

// CodeDoc documents one code: what it means, a program or graph that causes it
// and one that does not. Tests hold the examples to it.
type CodeDoc struct {
	Code     Code
	Summary  string // one sentence
	Bad      string // gives exactly this code
	Good     string // gives nothing
	BadGraph string // the graph Bad and Good are checked against; "" means the package's default
	// GoodGraph is that of Good, where the graph is what is wrong; "": as for Bad.
	GoodGraph string
}

// Severity of a diagnostic. Errors end the run after the phase that found them.
type Severity uint8

const (
	Error Severity = iota
	Warning
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Note points at another place that explains the diagnostic.
type Note struct {
	At   Span // zero: a note without a place
	Text string
}

// A Fix is one obvious edit: At is replaced by Replace.
type Fix struct {
	At      Span
	Replace string
}

// A Diagnostic is one thing said to the user about the input.
type Diagnostic struct {
	Severity Severity
	At       Span
	Code     Code
	Message  string // one line, no final period
	Hints    []string
	Notes    []Note
	Fixes    []Fix
}

// WithHint adds a line that says what to do.
func (d *Diagnostic) WithHint(format string, args ...any) *Diagnostic {
	d.Hints = append(d.Hints, fmt.Sprintf(format, args...))
	return d
}

// WithNote adds a line that points at another place.
func (d *Diagnostic) WithNote(at Span, format string, args ...any) *Diagnostic {
	d.Notes = append(d.Notes, Note{at, fmt.Sprintf(format, args...)})
	return d
}

// WithFix adds the edit that mends it.
func (d *Diagnostic) WithFix(at Span, replace string) *Diagnostic {
	d.Fixes = append(d.Fixes, Fix{at, replace})
	return d
}

// A Bag collects diagnostics. The same code at the same place with the same
// message is kept once. The zero Bag is ready to use.
type Bag struct {
	list []*Diagnostic
	seen map[string]bool
}

// Errorf reports an error in the user's input.
func (b *Bag) Errorf(at Span, c Code, format string, args ...any) *Diagnostic {
	return b.add(Error, at, c, fmt.Sprintf(format, args...))
}

// Warnf reports something that is legal and probably not meant.
func (b *Bag) Warnf(at Span, c Code, format string, args ...any) *Diagnostic {
	return b.add(Warning, at, c, fmt.Sprintf(format, args...))
}

func (b *Bag) add(sev Severity, at Span, c Code, msg string) *Diagnostic {
	d := &Diagnostic{Severity: sev, At: at, Code: c, Message: msg}
	key := fmt.Sprintf("%s\x00%s\x00%s", at, c, msg)
	if b.seen[key] {
		return d // the caller may decorate it; nobody prints it
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[key] = true
	b.list = append(b.list, d)
	return d
}

// Merge adds the diagnostics of another bag.
func (b *Bag) Merge(other *Bag) {
	for _, d := range other.list {
		n := len(b.list)
		if b.add(d.Severity, d.At, d.Code, d.Message); len(b.list) > n {
			b.list[n] = d // with its hints, notes and fixes
		}
	}
}

// Keep leaves only the diagnostics that it is true of.
func (b *Bag) Keep(is func(*Diagnostic) bool) {
	b.list = slices.DeleteFunc(b.list, func(d *Diagnostic) bool { return !is(d) })
}

// HasErrors reports whether the phase that filled the bag may be followed by
// another one.
func (b *Bag) HasErrors() bool {
	return slices.ContainsFunc(b.list, func(d *Diagnostic) bool { return d.Severity == Error })
}

// Count gives the number of errors and of warnings.
func (b *Bag) Count() (errors, warnings int) {
	for _, d := range b.list {
		if d.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	return
}

// All gives the diagnostics sorted by file, place and code.
func (b *Bag) All() []*Diagnostic {
	out := slices.Clone(b.list)
	slices.SortStableFunc(out, func(x, y *Diagnostic) int {
		if c := x.At.Compare(y.At); c != 0 {
			return c
		}
		if x.Code != y.Code {
			if x.Code < y.Code {
				return -1
			}
			return 1
		}
		return 0
	})
	return out
}
