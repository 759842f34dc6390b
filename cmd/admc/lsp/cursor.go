package lsp

import (
	"context"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// A cursor is a place in an open document, and the program around it.
type cursor struct {
	*loaded
	b      *buffer
	off    int
	tokens []syntax.Token
	inText bool // in a comment or a string, where nothing is completed
}

func (s *server) cursor(ctx context.Context, b *buffer, p position) *cursor {
	c := &cursor{loaded: s.current(ctx, b), b: b, off: offsetOf(b.src, p)}
	var comments []diag.Span
	c.tokens, comments = syntax.Tokens(b.src)
	line, _ := b.src.Position(int32(c.off))
	c.inText = slices.ContainsFunc(comments, func(at diag.Span) bool {
		its, _ := b.src.Position(at.Start)
		return its == line && int(at.Start) < c.off
	}) ||
		slices.ContainsFunc(c.tokens, func(t syntax.Token) bool {
			return t.Kind == syntax.TokenString && t.Start < c.off && c.off < t.End
		})
	return c
}

// under gives the word at the cursor, also right behind it; -1 when there is
// none.
func (c *cursor) under() int {
	i := slices.IndexFunc(c.tokens, func(t syntax.Token) bool {
		return t.Kind == syntax.TokenWord && t.Start <= c.off && c.off <= t.End
	})
	if i < 0 { // on the mark in front of a name
		i = slices.IndexFunc(c.tokens, func(t syntax.Token) bool { return t.Start <= c.off && c.off < t.End })
		if i < 0 || i+1 >= len(c.tokens) || c.tokens[i].Text != "$" && c.tokens[i].Text != "@" {
			return -1
		}
		i++
	}
	return i
}

// A declared name of the program.
type declared struct {
	kind, name string
	at         diag.Span
}

// declarations finds the names that the files declare, from tokens: a file
// that is broken elsewhere still declares them.
func (c *cursor) declarations() []declared {
	var out []declared
	own := false
	for _, f := range c.Files {
		own = own || absolute(f.Src) == c.b.path || f.Src == c.b.src
		out = append(out, declarationsIn(f.Src)...)
	}
	if !own {
		out = append(out, declarationsIn(c.b.src)...)
	}
	return out
}

func declarationsIn(src *diag.Source) []declared {
	tokens, _ := syntax.Tokens(src)
	var out []declared
	walk(tokens, func(t syntax.Token, p place) {
		if p.slot == slotName && t.Kind == syntax.TokenWord {
			out = append(out, declared{p.decl, t.Text, src.Span(t.Start, t.End)})
		}
	})
	return out
}

// own are the actions that the program can call.
func (c *cursor) own() lang.Actions { return lang.ActionsOf(c.Files) }

func (c *cursor) find(kind, name string) *declared {
	for _, d := range c.declarations() {
		if d.kind == kind && d.name == name {
			return &d
		}
	}
	return nil
}

// nodes gives the services and externals that a pattern names.
func (c *cursor) nodes(pattern string) []graph.Node {
	if c.Graph == nil {
		return nil
	}
	if n := c.Graph.Lookup(pattern); n != nil {
		return []graph.Node{n}
	}
	if !strings.Contains(pattern, "*") {
		return nil
	}
	var out []graph.Node
	for _, s := range c.Graph.Services {
		if matches(pattern, s.Name) {
			out = append(out, s)
		}
	}
	return out
}

// matches reports whether a pattern, in which * stands for any run without a
// slash, covers a name.
func matches(pattern, name string) bool {
	head, rest, many := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, head)
	if !ok || !many {
		return ok && name == ""
	}
	for {
		if matches(rest, name) {
			return true
		}
		if name == "" || name[0] == '/' {
			return false
		}
		name = name[1:]
	}
}
