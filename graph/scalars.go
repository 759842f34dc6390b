package graph

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// text reads text. What YAML takes for a number or a truth value is an error
// that asks for quotes.
func (l *loader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value, true
	}
	d := l.wrongType(n, what, "text")
	if n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value != "" {
		d.WithHint("write %q in quotes to mean the text", n.Value).WithFix(l.pos.span(n), strconv.Quote(n.Value))
	}
	return "", false
}

// integer reads a whole number in plain digits, from least to most.
func (l *loader) integer(n *yaml.Node, what string, least, most int) (int, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		d := l.wrongType(n, what, "a whole number")
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && isDigits(n.Value) {
			d.WithHint("leave the quotes out").WithFix(l.pos.span(n), n.Value)
		}
		return 0, false
	}
	plain := isDigits(n.Value) && (n.Value == "0" || n.Value[0] != '0')
	v, err := strconv.Atoi(n.Value)
	if !plain && !strings.HasPrefix(n.Value, "-") {
		l.bag.Errorf(l.pos.span(n), OutOfRange, "%s is written in plain decimal digits, found %s", what, n.Value)
		return 0, false
	}
	if err != nil || v < least || v > most {
		l.bag.Errorf(l.pos.span(n), OutOfRange, "%s is from %d to %d, found %s", what, least, most, n.Value)
		return 0, false
	}
	return v, true
}

// boolean reads true or false. YAML 1.1's other words for them are text here.
func (l *loader) boolean(n *yaml.Node, what string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" {
		return strings.EqualFold(n.Value, "true"), true
	}
	d := l.wrongType(n, what, "true or false")
	if n.Kind != yaml.ScalarNode {
		return false, false
	}
	switch strings.ToLower(n.Value) {
	case "yes", "on", "y", "true":
		d.WithHint("write true").WithFix(l.pos.span(n), "true")
	case "no", "off", "n", "false":
		d.WithHint("write false").WithFix(l.pos.span(n), "false")
	}
	return false, false
}

// choice reads one of the given words.
func (l *loader) choice(n *yaml.Node, what string, choices []string) (string, bool) {
	if n.Kind == yaml.ScalarNode && slices.Contains(choices, n.Value) {
		return n.Value, true
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!bool" {
		l.wrongType(n, what, "one of "+strings.Join(choices, ", "))
		return "", false
	}
	at := l.pos.span(n)
	d := l.bag.Errorf(at, UnknownChoice, "%s can't be %s", what, quote(n.Value))
	if near := diag.Suggest(strings.ToLower(n.Value), choices); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(at, near)
	} else {
		d.WithHint("choose from %s", strings.Join(choices, ", "))
	}
	return "", false
}

// decimal reads an exact decimal number; parse knows its form.
func (l *loader) decimal(n *yaml.Node, what, form string, parse func(string) (Decimal, bool, bool)) Decimal {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" && n.Tag != "!!str" {
		l.wrongType(n, what, "a decimal number")
		return Decimal{}
	}
	at := l.pos.span(n)
	d, ok, exact := parse(n.Value)
	switch {
	case !ok:
		d := l.bag.Errorf(at, BadDecimal, "%s can't be %s", what, quote(n.Value)).WithHint("write %s", form)
		if strings.HasPrefix(n.Value, ".") {
			d.WithFix(at, "0"+n.Value)
		}
		return Decimal{}
	case !exact:
		l.bag.Errorf(at, BadDecimal, "%s has too many digits to be kept exactly: %s", what, quote(n.Value))
		return Decimal{}
	case n.Tag == "!!str" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 && n.Value[len(n.Value)-1] != 'm':
		l.wrongType(n, what, "a decimal number").WithHint("leave the quotes out").WithFix(at, n.Value)
		return Decimal{}
	}
	d.At = at
	return d
}

// positive is a decimal that may not be 0.
func (l *loader) positive(n *yaml.Node, what, form string, parse func(string) (Decimal, bool, bool)) Decimal {
	d := l.decimal(n, what, form, parse)
	if d.Set && d.Units == 0 {
		l.bag.Errorf(d.At, BadDecimal, "%s is more than 0", what)
		return Decimal{}
	}
	return d
}
