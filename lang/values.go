package lang

import (
	"fmt"
	"regexp"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A valueChecker gives values their types. It reports each mistake once, at the
// smallest value that is wrong.
type valueChecker struct {
	bag *diag.Bag
	// lookup gives a let's value; nil after it reported why there is none. A nil
	// function: there are no lets.
	lookup func(syntax.Ident) syntax.Value
}

// typed checks v against a type. what names the value in messages: `argument
// "after" of timeout`. Of a list or a map with something wrong in it the rest is
// given: no wrong element, and a key without its wrong value.
func (c *valueChecker) typed(v syntax.Value, want *syntax.Type, what string) (ir.Value, bool) {
	switch v := v.(type) {
	case *syntax.Ref:
		if c.lookup == nil {
			return ir.Value{}, c.mismatch(v, want, what)
		}
		to := c.lookup(v.Name)
		if to == nil {
			return ir.Value{}, false
		}
		out, ok := c.typed(to, want, what)
		out.At = v.At
		return out, ok
	case *syntax.List:
		if want.Name == "list" {
			return c.list(v, want, what)
		}
	case *syntax.MapLit:
		if want.Name == "map" {
			return c.mapping(v, want, what)
		}
	case *syntax.Literal:
		return c.literal(v, want, what)
	}
	return ir.Value{}, c.mismatch(v, want, what)
}

func (c *valueChecker) list(v *syntax.List, want *syntax.Type, what string) (ir.Value, bool) {
	out, ok := ir.Value{Kind: ir.List, At: v.At}, true
	for _, e := range v.Elems {
		t, good := c.typed(e, want.Elem, "an element of "+what)
		if ok = ok && good; good {
			out.List = append(out.List, t)
		}
	}
	return out, ok
}

func (c *valueChecker) mapping(v *syntax.MapLit, want *syntax.Type, what string) (ir.Value, bool) {
	out, ok := ir.Value{Kind: ir.Map, At: v.At}, true
	seen := map[string]*syntax.Literal{}
	for _, e := range v.Entries {
		if first := seen[e.Key.Str]; first != nil {
			c.bag.Errorf(e.Key.At, BadValue, "the key %q is in %s twice", e.Key.Str, what).
				WithNote(first.At, "it is here first")
			ok = false
			continue
		}
		seen[e.Key.Str] = e.Key
		t, good := c.typed(e.Value, want.Elem, fmt.Sprintf("%q in %s", e.Key.Str, what))
		ok = ok && good
		out.Map = append(out.Map, ir.Entry{Key: e.Key.Str, Value: t})
	}
	return out, ok
}

func (c *valueChecker) literal(v *syntax.Literal, want *syntax.Type, what string) (ir.Value, bool) {
	if v.Bad {
		return ir.Value{}, false
	}
	out := ir.Value{At: v.At}
	match := v.Kind.String() == want.Name
	switch want.Name {
	case "enum":
		if v.Kind == syntax.String || v.Kind == syntax.Word {
			return c.word(v, want, what)
		}
	case "string":
		out.Kind, out.Str = ir.String, v.Str
	case "regex":
		if match = v.Kind == syntax.String; match && !c.regex(v, what) {
			return ir.Value{}, false
		}
		out.Kind, out.Str = ir.String, v.Str
	case "int":
		out.Kind, out.Int = ir.Int, v.Int
	case "size":
		out.Kind, out.Int = ir.Int, v.Int
	case "bool":
		out.Kind, out.Bool = ir.Bool, v.Bool
	case "duration":
		out.Kind, out.Dur = ir.Duration, v.Dur
	case "rate":
		out.Kind, out.Int, out.Dur = ir.Rate, v.Int, v.Dur
	case "percent":
		out.Kind, out.Float = ir.Float, v.Float
	case "float":
		out.Kind, out.Float = ir.Float, v.Float
		if v.Kind == syntax.Int {
			out.Float, match = float64(v.Int), true
		}
	}
	if !match {
		return ir.Value{}, c.mismatch(v, want, what)
	}
	return out, true
}

// regex holds a string to the syntax of RE2, which Go's and Envoy's engine share.
func (c *valueChecker) regex(v *syntax.Literal, what string) bool {
	_, err := regexp.Compile(v.Str)
	if err != nil {
		c.bag.Errorf(v.At, BadValue, "%s is no regular expression (RE2): %s", what, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return err == nil
}

func (c *valueChecker) word(v *syntax.Literal, want *syntax.Type, what string) (ir.Value, bool) {
	for _, w := range want.Words {
		if w == v.Str {
			return ir.Value{Kind: ir.String, Str: w, At: v.At}, true
		}
	}
	d := c.bag.Errorf(v.At, UnknownWord, "%s can't be %q", what, v.Str)
	if near := diag.Suggest(v.Str, want.Words); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(v.At, fmt.Sprintf("%q", near))
	} else {
		d.WithHint("it is one of %s", quoted(want.Words))
	}
	return ir.Value{}, false
}

func (c *valueChecker) mismatch(v syntax.Value, want *syntax.Type, what string) bool {
	d := c.bag.Errorf(v.Span(), TypeMismatch, "%s is %s, but %s is %s", what, wanted(want), shown(v), kindOf(v))
	if hint := conversion(v, want); hint != "" {
		d.WithHint("%s", hint)
	}
	return false
}

// wanted describes a type with an example of how it is written.
func wanted(t *syntax.Type) string {
	switch t.Name {
	case "string":
		return `a string such as "x"`
	case "regex":
		return `a regular expression such as "/v[0-9]+/.*"`
	case "int":
		return "an int such as 3"
	case "float":
		return "a float such as 0.5"
	case "bool":
		return "true or false"
	case "duration":
		return "a duration such as 250ms"
	case "rate":
		return "a rate such as 500/s"
	case "percent":
		return "a percent such as 10%"
	case "size":
		return "a size such as 64KiB"
	case "enum":
		return "one of " + quoted(t.Words)
	case "list":
		return "a list in [ ], each element " + wanted(t.Elem)
	case "map":
		return `a map such as {"v1": …}, each value ` + wanted(t.Elem)
	}
	return "a value of type " + t.Name
}

func kindOf(v syntax.Value) string {
	switch v := v.(type) {
	case *syntax.Literal:
		switch v.Kind {
		case syntax.Int:
			return "an int"
		case syntax.Word:
			return "a word"
		}
		return "a " + v.Kind.String()
	case *syntax.List:
		return "a list"
	case *syntax.MapLit:
		return "a map"
	case *syntax.CELValue:
		return "an expression"
	}
	return "a reference"
}

// shown is a value as written, cut where it is long.
func shown(v syntax.Value) string {
	text := []rune(strings.Join(strings.Fields(v.Span().Text()), " "))
	if len(text) > 30 {
		text = append(text[:29], '…')
	}
	return string(text)
}

var boolText, numberText = map[string]bool{"true": true, "false": true}, regexp.MustCompile(`^-?[0-9]`)

// conversion says how the value would be written if its kind is a near miss.
func conversion(v syntax.Value, want *syntax.Type) string {
	lit, ok := v.(*syntax.Literal)
	if !ok {
		return ""
	}
	switch {
	case lit.Kind == syntax.Int && want.Name == "duration":
		return fmt.Sprintf("a duration has a unit: %ss, %sms", lit.Raw, lit.Raw)
	case lit.Kind == syntax.Int && want.Name == "rate":
		return fmt.Sprintf("a rate says how often: %s/s, %s/m", lit.Raw, lit.Raw)
	case lit.Kind == syntax.Int && want.Name == "percent":
		return fmt.Sprintf("a percent has its sign: %s%%", lit.Raw)
	case lit.Kind == syntax.Word && want.Name == "string":
		return fmt.Sprintf("a string stands in quotes: %q", lit.Str)
	case want.Name == "list":
		return fmt.Sprintf("a list stands in brackets: [%s]", lit.Raw)
	case lit.Kind == syntax.String && (want.Name == "bool" && boolText[lit.Str] || want.Name != "bool" && numberText.MatchString(lit.Str)):
		return "without the quotes it may be one"
	}
	return ""
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}
