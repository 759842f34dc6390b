package lsp

import (
	"slices"

	"admc.dev/admc/lang/syntax"
)

// A slot is what the grammar wants at a place.
type slot uint8

const (
	slotNone       slot = iota
	slotDecl            // a declaration, or the annotation of one
	slotName            // the name being declared
	slotClause          // a clause or an action of a policy
	slotEndpoint        // services
	slotLabelKey        // in [ … ]
	slotLabelValue      // behind = or !=
	slotLet             // behind $
	slotProtocol        // behind the colon of `on`
	slotAnnotation      // behind @
	slotParam           // an argument: its name, or a value without one
	slotValue           // the value of a named argument
	slotAction          // an action's name where it isn't called
	slotPolicy          // a policy's name where it isn't declared
	slotExpect          // behind expect
	slotRequest         // a request of a test, or expect
	slotCallee          // behind the arrow of a request: one service
	slotCondition       // CEL
	slotFact            // a fact of a declared action
	slotPayload         // a value in its filter's configuration
)

// A place says what is wanted somewhere in a file, and by whom.
type place struct {
	slot  slot
	decl  string   // slotName: "policy", "let", …
	call  string   // in parentheses: the action's name, "@fail" for an annotation
	arg   string   // slotValue: the argument's name
	index int      // slotParam: how many stand before it
	used  []string // slotParam: names that are given already
	key   string   // slotLabelValue
}

// A frame is one open bracket, or the file.
type frame struct {
	kind   string // "file", "policy", "require", "test", "action", "call", "labels", "list", "set", "map", "when"
	call   string
	name   string // of the action that is being declared
	open   string // the bracket
	head   string // the first word of the clause or declaration
	last   string // the token before
	before string // and the one before that
	colon  bool   // protocols follow
	arg    string
	index  int
	used   []string
	key    string
}

var declWords = []string{"let", "policy", "require", "test", "action"}

// placeOf tells what is wanted where token n stands, or would stand; first is
// whether it is the first of its line. It reads what is before it, broken or
// not: brackets that close nothing are passed over, and a declaration's keyword
// at the start of a line, with a name behind it, starts afresh.
func placeOf(tokens []syntax.Token, n int, first bool) place {
	return walk(tokens[:n], func(syntax.Token, place) {}).place(first)
}

// walk goes through tokens, tells for each what was wanted where it stands, and
// gives the frame behind the last one.
func walk(tokens []syntax.Token, visit func(syntax.Token, place)) *frame {
	stack := []*frame{{kind: "file"}}
	for i, t := range tokens {
		if t.First && t.Kind == syntax.TokenWord && slices.Contains(declWords, t.Text) && i+1 < len(tokens) && startsDecl(t, tokens[i+1]) {
			stack = []*frame{{kind: "file"}}
		}
		visit(t, stack[len(stack)-1].place(t.First))
		stack = step(stack, t)
	}
	return stack[len(stack)-1]
}

func startsDecl(t, next syntax.Token) bool {
	if next.First {
		return false
	}
	if t.Text == "test" {
		return next.Kind == syntax.TokenString
	}
	return next.Kind == syntax.TokenWord
}

var closers = map[string]string{")": "(", "]": "[", "}": "{"}

func step(stack []*frame, t syntax.Token) []*frame {
	f := stack[len(stack)-1]
	punct := t.Kind == syntax.TokenPunct
	switch {
	case punct && (t.Text == "(" || t.Text == "[" || t.Text == "{"):
		in := f.inner(t.Text)
		f.note(t.Text)
		return append(stack, in)
	case punct && closers[t.Text] != "":
		for i := len(stack) - 1; i > 0; i-- {
			if stack[i].open == closers[t.Text] {
				f = stack[i-1]
				f.closed(stack[i].kind)
				f.note(t.Text)
				return stack[:i]
			}
		}
		return stack
	}
	f.advance(t)
	return stack
}

func (f *frame) note(text string) { f.before, f.last = f.last, text }

// inner gives the frame of a bracket that opens here.
func (f *frame) inner(open string) *frame {
	in := &frame{open: open, call: f.call, arg: f.arg, index: f.index, name: f.name}
	switch {
	case f.kind == "payload" || f.kind == "action" && open == "{":
		in.kind = "payload"
	case open == "(":
		*in = frame{open: open, kind: "call", call: f.last}
		if f.before == "@" {
			in.call = "@" + f.last
		}
	case open == "[" && (f.kind == "call" || f.kind == "list" || f.kind == "map"):
		in.kind = "list"
	case open == "[":
		in.kind = "labels"
	case f.last == "when" || f.last == "cel":
		in.kind = "when"
	case f.kind == "call" || f.kind == "list" || f.kind == "map" || f.kind == "test":
		in.kind = "map"
	case f.kind == "file" && f.head != "let" && slices.Contains(declWords, f.head):
		in.kind = f.head
	default:
		in.kind = "set"
	}
	return in
}

// closed notes that a bracket inside was closed.
func (f *frame) closed(kind string) {
	switch {
	case kind == f.head && f.kind == "file", kind == "when" && f.kind == "policy":
		f.head = ""
	case kind == "call" && f.kind == "policy" && f.before != "@":
		f.head = ""
	}
}

// connectors are what an operand follows.
var connectors = []string{"on", "path", "->", "~>", ",", ":", "|", "except", "=", "{", "[", "(", "!=", "$", "@"}

func (f *frame) advance(t syntax.Token) {
	joined := slices.Contains(connectors, f.last)
	word := t.Kind == syntax.TokenWord
	switch f.kind {
	case "file":
		if word && slices.Contains(declWords, t.Text) && (f.head == "" || t.First) && f.last != "@" {
			f.head = t.Text
		} else if word && f.head == "action" && f.last == "action" {
			f.name = t.Text
		}
	case "policy", "require":
		switch {
		case t.Text == "@":
		case f.last == "@":
			f.head = "" // an annotation has no place here; what follows it starts a clause
		case f.head == "", !joined && word && t.Text != "except" && (f.head != "require-has" || t.Text != "and" && t.Text != "or"):
			f.head, f.colon = t.Text, false
			if t.Text == "has" {
				f.head = "require-has"
			}
		}
		if t.Text == ":" {
			f.colon = true
		} else if t.Text == "," {
			f.colon = false
		}
	case "test", "action":
		// A test may stand on one line.
		if t.First || f.kind == "test" && (f.head == "" || t.Text == "expect" && !joined) {
			f.head, f.colon = t.Text, false
		}
	case "call":
		switch t.Text {
		case ",":
			f.index++
			f.arg = ""
		case ":":
			f.arg = f.last
			f.used = append(f.used, f.last)
		}
	case "labels":
		switch t.Text {
		case "=", "!=":
			f.key = f.last
		case ",":
			f.key = ""
		}
	}
	f.note(t.Text)
}

// place tells what follows what the frame has.
func (f *frame) place(first bool) place {
	switch {
	case f.kind == "when":
		return place{slot: slotCondition}
	case f.last == "$":
		return place{slot: slotLet}
	case f.last == "@":
		return place{slot: slotAnnotation}
	}
	joined := slices.Contains(connectors, f.last)
	switch f.kind {
	case "file":
		switch {
		case f.head != "" && f.last == f.head:
			return place{slot: slotName, decl: f.head}
		case f.head == "let" && joined:
			return place{slot: slotEndpoint}
		}
		return place{slot: slotDecl}
	case "policy", "require":
		return f.clausePlace(joined)
	case "test":
		return f.requestPlace(first)
	case "action":
		if first {
			return place{slot: slotFact}
		}
	case "payload":
		if f.last == ":" || f.open == "[" && (f.last == "" || f.last == ",") {
			return place{slot: slotPayload, call: f.name}
		}
	case "set":
		if joined || f.last == "" {
			return place{slot: slotEndpoint}
		}
	case "labels":
		if f.key != "" && (f.last == "=" || f.last == "!=") {
			return place{slot: slotLabelValue, key: f.key}
		}
		if f.last == "" || f.last == "," {
			return place{slot: slotLabelKey}
		}
	case "call", "list":
		return f.argumentPlace()
	}
	return place{}
}

func (f *frame) clausePlace(joined bool) place {
	switch {
	case (f.head == "on" || f.head == "path") && joined && f.colon:
		return place{slot: slotProtocol}
	case (f.head == "on" || f.head == "path") && joined:
		return place{slot: slotEndpoint}
	case f.head == "sample" && f.last == "sample":
		return place{}
	case f.head == "require-has" && (f.last == "has" || f.last == "and" || f.last == "or"):
		return place{slot: slotAction}
	}
	return place{slot: slotClause}
}

func (f *frame) requestPlace(first bool) place {
	switch {
	case first || f.head == "":
		return place{slot: slotRequest}
	case f.last == "expect":
		return place{slot: slotExpect}
	case f.last == "by":
		return place{slot: slotPolicy}
	case f.last == "->":
		return place{slot: slotCallee}
	case f.last == ":":
		return place{slot: slotProtocol}
	}
	return place{}
}

func (f *frame) argumentPlace() place {
	p := place{call: f.call, arg: f.arg, index: f.index, used: f.used}
	switch {
	case f.call == "@before" || f.call == "@after":
		p.slot = slotPolicy
	case f.arg != "" && (f.last == ":" || f.kind == "list"):
		p.slot = slotValue
	case f.last == "" || f.last == ",":
		p.slot = slotParam
		if f.kind == "list" {
			p.slot = slotValue // of an argument without a name
		}
	}
	return p
}
