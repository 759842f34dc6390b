package diag

import (
	"encoding/json"
	"io"
)

// jsonPlace is a range of a file. Lines and columns count from 1, columns in
// runes; the end is behind the last rune. offset and length are bytes.
type jsonPlace struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"endLine"`
	EndColumn int    `json:"endColumn"`
	Offset    int    `json:"offset"`
	Length    int    `json:"length"`
}

type jsonNote struct {
	At   *jsonPlace `json:"at,omitempty"`
	Text string     `json:"text"`
}

type jsonFix struct {
	At      *jsonPlace `json:"at"`
	Replace string     `json:"replace"`
}

type jsonDiagnostic struct {
	Severity string     `json:"severity"`
	Code     Code       `json:"code"`
	Message  string     `json:"message"`
	At       *jsonPlace `json:"at,omitempty"`
	Hints    []string   `json:"hints,omitempty"`
	Notes    []jsonNote `json:"notes,omitempty"`
	Fixes    []jsonFix  `json:"fixes,omitempty"`
}

// WriteJSON renders diagnostics for programs: an array, "[]" when there are
// none, of objects with severity ("error" or "warning"), code and message, and
// where there are any, at, hints, notes and fixes. A fix says which range of
// which file to replace by what.
func WriteJSON(w io.Writer, list []*Diagnostic) error {
	out := make([]jsonDiagnostic, len(list))
	for i, d := range list {
		out[i] = jsonDiagnostic{Severity: d.Severity.String(), Code: d.Code, Message: d.Message, At: place(d.At), Hints: d.Hints}
		for _, n := range d.Notes {
			out[i].Notes = append(out[i].Notes, jsonNote{place(n.At), n.Text})
		}
		for _, f := range d.Fixes {
			out[i].Fixes = append(out[i].Fixes, jsonFix{place(f.At), f.Replace})
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// place is nil for a span without a place.
func place(s Span) *jsonPlace {
	if s.IsZero() {
		return nil
	}
	line, col := s.Src.Position(s.Start)
	endLine, endCol := s.Src.Position(s.End)
	return &jsonPlace{s.Src.Path(), line, col, endLine, endCol, int(s.Start), int(s.End - s.Start)}
}
