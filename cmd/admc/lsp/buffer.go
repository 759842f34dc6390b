package lsp

import (
	"context"
	"slices"
	"strings"

	"admc.dev/admc/lang/diag"
)

// A buffer is an open document.
type buffer struct {
	uri, path string // path is "" for a document that is no file
	version   int
	src       *diag.Source
}

// isPolicy reports whether the document is a policy program: the others, graphs
// and admc.yaml, only get diagnostics.
func (b *buffer) isPolicy() bool {
	return !strings.HasSuffix(b.uri, ".yaml") && !strings.HasSuffix(b.uri, ".yml") && !strings.HasSuffix(b.uri, ".json")
}

func newBuffer(uri string, version int, text []byte) *buffer {
	b := &buffer{uri: uri, path: pathOf(uri), version: version}
	name := b.path
	if name == "" {
		name = uri
	}
	b.src = diag.NewSource(name, text)
	return b
}

func (s *server) open(d document) {
	s.buffers[d.URI] = newBuffer(d.URI, d.Version, []byte(d.Text))
	s.touch(d.URI)
}

// change applies edits, each to the result of the one before it.
func (s *server) change(p changeParams) {
	b := s.buffers[p.TextDocument.URI]
	if b == nil {
		return
	}
	for _, c := range p.Changes {
		text := []byte(c.Text)
		if c.Range != nil {
			start, end := offsetOf(b.src, c.Range.Start), offsetOf(b.src, c.Range.End)
			text = slices.Concat(b.src.Text[:start], text, b.src.Text[max(start, end):])
		}
		b = newBuffer(b.uri, p.TextDocument.Version, text)
	}
	s.buffers[b.uri] = b
	s.touch(b.uri)
}

func (s *server) savedOrClosed(uri string, closed bool) {
	if closed {
		delete(s.buffers, uri)
		if pathOf(uri) == "" {
			s.publish(uri, nil, nil)
		}
		s.stale()
		return
	}
	s.touch(uri)
	s.stale() // the file may be admc.yaml, which any program may read
}

// touch marks a document to be checked.
func (s *server) touch(uri string) {
	if s.dirty == nil {
		s.dirty = map[string]bool{}
	}
	s.dirty[uri] = true
	s.program = nil
}

// stale marks every document.
func (s *server) stale() {
	for uri := range s.buffers {
		s.touch(uri)
	}
	s.program = nil
}

// texts are the buffers as Load takes them.
func (s *server) texts() map[string][]byte {
	out := map[string][]byte{}
	for _, b := range s.buffers {
		if b.path != "" {
			out[b.path] = b.src.Text
		}
	}
	return out
}

// refresh checks the programs of the documents that changed, each program once.
func (s *server) refresh(ctx context.Context) {
	for len(s.dirty) > 0 {
		uris := make([]string, 0, len(s.dirty))
		for uri := range s.dirty {
			uris = append(uris, uri)
		}
		slices.Sort(uris)
		uri := uris[0]
		delete(s.dirty, uri)
		b := s.buffers[uri]
		if b == nil {
			continue
		}
		s.safely(func() (any, error) {
			l := s.load(ctx, b)
			s.program = l
			s.report(l)
			for other := range s.dirty {
				if l.sources[pathOf(other)] != nil {
					delete(s.dirty, other)
				}
			}
			return nil, nil
		})
	}
}
