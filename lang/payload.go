package lang

import (
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// The configuration of a filter is a map in the language's own values. What its
// fields are, the backend knows; here a word in it is a parameter, `$name` a
// let, and `${name}` in a string the text of an argument.

// term reads a value of a payload; nil after it reported what is wrong.
func (c *declarer) term(v syntax.Value) *ir.Term {
	switch v := v.(type) {
	case *syntax.Literal:
		switch {
		case v.Bad:
			return nil
		case v.Kind == syntax.Word:
			return c.parameterTerm(v)
		case v.Kind == syntax.String:
			return c.textTerm(v)
		}
		return constant(v)
	case *syntax.List:
		return c.listTerm(v)
	case *syntax.MapLit:
		return c.mapTerm(v)
	case *syntax.Ref:
		if c.values.lookup == nil {
			return nil
		}
		if to := c.values.lookup(v.Name); to != nil {
			return c.term(to)
		}
		return nil
	}
	c.wrong(v.Span(), "%s has no place in a filter's configuration", kindOf(v))
	return nil
}

func constant(v *syntax.Literal) *ir.Term {
	t := &ir.Term{At: v.At, Type: v.Kind.String()}
	switch v.Kind {
	case syntax.Int, syntax.Size:
		t.Value = ir.Value{Kind: ir.Int, Int: v.Int}
	case syntax.Float, syntax.Percent:
		t.Value = ir.Value{Kind: ir.Float, Float: v.Float}
	case syntax.Bool:
		t.Value = ir.Value{Kind: ir.Bool, Bool: v.Bool}
	case syntax.Duration:
		t.Value = ir.Value{Kind: ir.Duration, Dur: v.Dur}
	case syntax.Rate:
		t.Value = ir.Value{Kind: ir.Rate, Int: v.Int, Dur: v.Dur}
	default:
		t.Value = ir.Value{Kind: ir.String, Str: v.Str}
	}
	t.Value.At = v.At
	return t
}

func (c *declarer) listTerm(v *syntax.List) *ir.Term {
	out, whole := &ir.Term{Kind: ir.ListTerm, At: v.At}, true
	for _, e := range v.Elems {
		t := c.term(e)
		whole = whole && t != nil
		out.List = append(out.List, t)
	}
	if !whole {
		return nil
	}
	return out
}

func (c *declarer) mapTerm(v *syntax.MapLit) *ir.Term {
	out, whole := &ir.Term{Kind: ir.MapTerm, At: v.At}, true
	seen := map[string]diag.Span{}
	for _, e := range v.Entries {
		if first, twice := seen[e.Key.Str]; twice {
			c.wrong(e.Key.At, "%q is there twice", e.Key.Str).WithNote(first, "it is here first")
			whole = false
			continue
		}
		seen[e.Key.Str] = e.Key.At
		t := c.term(e.Value)
		whole = whole && t != nil
		out.Map = append(out.Map, ir.TermEntry{Key: e.Key.Str, At: e.Key.At, Value: t})
	}
	if !whole {
		return nil
	}
	return out
}

// parameterTerm reads a word: a parameter, or the events or the period of a rate.
func (c *declarer) parameterTerm(v *syntax.Literal) *ir.Term {
	name, of, dotted := strings.Cut(v.Str, ".")
	p := c.param(name)
	switch {
	case p == nil:
		c.unknownParameter(v.At, name)
	case dotted && p.typ.Name != "rate":
		c.wrong(v.At, "%s has no part %q: it is %s", name, of, typeText(p.typ))
	case dotted && of != "events" && of != "period":
		c.wrong(v.At, "a rate has no part %q", of).WithHint("%s.events is how many, %s.period in how long", name, name)
	default:
		return &ir.Term{Kind: ir.ParamTerm, At: v.At, Param: name, Of: of}
	}
	return nil
}

// textTypes can stand inside a string.
var textTypes = map[string]bool{"string": true, "regex": true, "enum": true, "int": true, "float": true, "bool": true, "size": true, "duration": true}

// textTerm reads a string with `${name}` in it; `$${` is a plain `${`.
func (c *declarer) textTerm(v *syntax.Literal) *ir.Term {
	var pieces []ir.Piece
	var text strings.Builder
	rest, from := v.Str, int(v.At.Start)
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' {
			text.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		name, after, closed := strings.Cut(rest[i+2:], "}")
		at := v.At
		// The place in the source: escapes make the text differ from the value.
		if n := strings.Index(string(v.At.Src.Text[from:v.At.End]), "${"+name); n >= 0 {
			at = v.At.Src.Span(from+n, from+n+len("${"+name))
			from = int(at.End)
		}
		p := c.param(name)
		switch {
		case !closed:
			c.wrong(at, "${ is not closed").WithHint("${name} is the argument; $${ is the characters themselves")
			return nil
		case p == nil:
			c.unknownParameter(at, name)
			return nil
		case !textTypes[p.typ.Name]:
			c.wrong(at, "%s can't stand inside a string: it is %s", name, typeText(p.typ))
			return nil
		}
		text.WriteString(rest[:i])
		if text.Len() > 0 {
			pieces = append(pieces, ir.Piece{Text: text.String()})
			text.Reset()
		}
		pieces = append(pieces, ir.Piece{Param: name, At: at})
		rest = after
	}
	text.WriteString(rest)
	if pieces == nil {
		return &ir.Term{At: v.At, Type: "string", Value: ir.Value{Kind: ir.String, Str: text.String(), At: v.At}}
	}
	if text.Len() > 0 {
		pieces = append(pieces, ir.Piece{Text: text.String()})
	}
	return &ir.Term{Kind: ir.TextTerm, At: v.At, Text: pieces}
}
