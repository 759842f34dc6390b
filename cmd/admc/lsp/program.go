package lsp

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// A loaded program, or one document without one.
type loaded struct {
	*Program
	sources map[string]*diag.Source // by absolute path
	alone   *buffer                 // the document, where there is no program
	why     error                   // why there is none
}

// load checks the program of a document. Without one, the document is read by
// itself.
func (s *server) load(ctx context.Context, b *buffer) *loaded {
	l := &loaded{sources: map[string]*diag.Source{}}
	if b.path != "" {
		l.Program, l.why = s.Load(ctx, b.path, s.texts())
	}
	if l.Program == nil {
		l.alone = b
		l.Program = &Program{}
		if bag := (&diag.Bag{}); b.isPolicy() {
			l.Files = []*syntax.File{syntax.Parse(b.src, bag)}
			l.Diagnostics = bag.All()
		}
	}
	for _, src := range l.Sources {
		l.sources[absolute(src)] = src
	}
	return l
}

func absolute(src *diag.Source) string {
	path, err := filepath.Abs(src.Path())
	if err != nil {
		return src.Path()
	}
	return path
}

// current gives the program of a document as it is now.
func (s *server) current(ctx context.Context, b *buffer) *loaded {
	s.refresh(ctx)
	if s.program == nil || s.program.alone != b && s.program.sources[b.path] == nil {
		s.program = s.load(ctx, b)
	}
	return s.program
}

// uri names a source as the client does; "" where it can't be opened.
func (s *server) uri(src *diag.Source) string {
	if src.Embedded {
		path, err := s.Embedded(src)
		if err != nil {
			return ""
		}
		return uriOf(path)
	}
	path := absolute(src)
	for _, b := range s.buffers {
		if b.src == src || b.path != "" && b.path == path {
			return b.uri
		}
	}
	return uriOf(path)
}

// report publishes what is to be said about each file of a program.
func (s *server) report(l *loaded) {
	lists := map[string][]diagnostic{}
	for _, src := range l.Sources {
		lists[s.uri(src)] = nil
	}
	if l.alone != nil {
		lists[l.alone.uri] = nil
		if l.why != nil {
			lists[l.alone.uri] = []diagnostic{{Severity: 3, Source: "admc", Message: l.why.Error()}}
		}
	}
	for _, d := range l.Diagnostics {
		at := d.At
		if at.IsZero() {
			if len(l.Sources) == 0 {
				continue
			}
			at = l.Sources[0].Span(0, 0) // some file has to carry it
		}
		uri := s.uri(at.Src)
		lists[uri] = append(lists[uri], s.diagnostic(d, at))
	}
	for _, uri := range slices.Sorted(maps.Keys(lists)) {
		var version *int
		if b := s.buffers[uri]; b != nil {
			version = &b.version
		}
		s.publish(uri, version, lists[uri])
	}
}

// publish says what is wrong with a file, if that is news.
func (s *server) publish(uri string, version *int, list []diagnostic) {
	p := publishParams{uri, version, list}
	if list == nil {
		p.Diagnostics = []diagnostic{}
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	last, said := s.published[uri]
	if last == string(text) || !said && version == nil && len(list) == 0 {
		return
	}
	s.published[uri] = string(text)
	s.notify("textDocument/publishDiagnostics", p)
}

func (s *server) diagnostic(d *diag.Diagnostic, at diag.Span) diagnostic {
	out := diagnostic{Range: rangeOf(at), Severity: 1, Code: string(d.Code), Source: "admc", Message: d.Message}
	if d.Severity == diag.Warning {
		out.Severity = 2
	}
	for _, h := range d.Hints {
		out.Message += "\nhint: " + h
	}
	for _, n := range d.Notes {
		uri := ""
		if !n.At.IsZero() {
			uri = s.uri(n.At.Src)
		}
		if uri == "" {
			out.Message += "\nnote: " + n.Text
			continue
		}
		out.Related = append(out.Related, related{location{uri, rangeOf(n.At)}, n.Text})
	}
	return out
}

// codeActions gives the fixes of what is wrong in a range.
func (s *server) codeActions(ctx context.Context, p rangeParams) ([]codeAction, error) {
	b := s.buffers[p.TextDocument.URI]
	if b == nil {
		return nil, nil
	}
	out := []codeAction{}
	for _, d := range s.current(ctx, b).Diagnostics {
		if len(d.Fixes) == 0 || d.At.IsZero() || s.uri(d.At.Src) != b.uri || !touches(rangeOf(d.At), p.Range) {
			continue
		}
		a := codeAction{Title: "Fix: " + d.Message, Kind: "quickfix"}
		a.Edit.Changes = map[string][]textEdit{}
		for _, f := range d.Fixes {
			a.Title = "Replace by " + f.Replace
			if f.Replace == "" {
				a.Title = "Remove " + f.At.Text()
			}
			uri := s.uri(f.At.Src)
			a.Edit.Changes[uri] = append(a.Edit.Changes[uri], textEdit{rangeOf(f.At), f.Replace})
		}
		out = append(out, a)
	}
	return out, nil
}

func touches(a, b span) bool { return !before(a.End, b.Start) && !before(b.End, a.Start) }

func before(a, b position) bool {
	return a.Line < b.Line || a.Line == b.Line && a.Character < b.Character
}
