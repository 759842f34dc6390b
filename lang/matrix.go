package lang

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A sample is a call of a standard action, as the matrix looks at it.
type sampleCall struct {
	name string
	call *typedCall
	both bool
}

// samples are one call of each action with its defaults, and a second one where
// a word among the arguments decides which message it is about.
func samples(lib *library) []sampleCall {
	var out []sampleCall
	for _, name := range lib.names {
		a := lib.actions[name]
		add := func(label string, args map[string]ir.Value) {
			c := &typedCall{act: a, ir: &ir.Action{Decl: a.decl, Args: args}}
			c.reads, c.writes = putIn(a.decl.Reads, args), putIn(a.decl.Writes, args)
			out = append(out, sampleCall{label, c, a.decl.Sides[graph.HTTP] == ir.BothEnds})
		}
		args := map[string]ir.Value{}
		for _, p := range a.params {
			if p.def != nil {
				args[p.name] = *p.def
			} else if p.typ.Name == "string" {
				args[p.name] = ir.Value{Kind: ir.String, Str: "x"}
			}
		}
		add(name, args)
		if of := a.param("of"); of != nil {
			other := maps.Clone(args)
			other["of"] = ir.Value{Kind: ir.String, Str: "response"}
			add(name+" (response)", other)
		}
	}
	return out
}

// A meeting is what two actions of two policies do to each other on one call.
type meeting struct {
	mark     string
	request  string // why they do not commute on it; "" when they do
	response string
	conflict string
}

// meet looks at two calls, in the order in which they act; equal actions are
// taken to have different arguments.
func meet(a, b sampleCall) meeting {
	p := effect{a.call, &obligation{policy: &policy{ir: &ir.Policy{Name: "P"}}}}
	q := effect{b.call, &obligation{policy: &policy{ir: &ir.Policy{Name: "Q"}}}}
	m := meeting{conflict: clashing(a.call, b.call)}
	switch {
	case a.both || b.both:
		m.mark = "="
	case a.call.act.decl.Wraps || b.call.act.decl.Wraps:
		m.mark = "w"
		r := &relation{}
		if r.watch(p, q, forbid{}); len(r.forbid) > 0 {
			m.response = r.forbid[0].text(&obligation{policy: p.o.policy, acts: []*typedCall{a.call}}, &obligation{policy: q.o.policy, acts: []*typedCall{b.call}})
		}
	default:
		if a.name == b.name {
			q.typedCall = otherwise(b.call)
		}
		m.request = cmp.Or(requestOrder(p, q).text(p, q), copySeen(p, q).text(p, q), copySeen(q, p).text(q, p))
		for _, why := range []string{answerSeen(p, q).text(p, q), answerSeen(q, p).text(q, p), responseOrder(p, q).text(p, q)} {
			if m.response == "" {
				m.response = why
			}
		}
		m.mark = [...]string{"·", "q", "r", "b"}[bit(m.request != "")+2*bit(m.response != "")]
	}
	if m.conflict != "" {
		m.mark = "!"
	}
	return m
}

// otherwise is a call of the same action whose answer is another one.
func otherwise(c *typedCall) *typedCall {
	out, action := *c, *c.ir
	action.Args = maps.Clone(action.Args)
	for name, v := range action.Args {
		v.Int++
		action.Args[name] = v
	}
	out.ir = &action
	return &out
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

const matrixHead = `# Which actions commute

Printed from the %s by ` + "`admc doc --matrix`" + `; do not edit.

Two policies act on one call. Where their actions commute, the compiler may put them on either side of the call in any
combination; where they do not, it keeps them in order: a request meets the caller's proxy before the receiver's, an answer the
other way. Actions that name a header are taken to name the same one, and equal actions to have different arguments. Conditions can
add to this: a policy reads what its ` + "`when`" + ` reads.

| mark | they |
| --- | --- |
| · | commute |
| q | do not commute on the request |
| r | do not commute on the response |
| b | commute on neither |
| ! | conflict: only one can hold for a request, so both on it are an error unless @priority decides |
| w | always act in one order: one is a wrapper, outside all that acts on the call |
| = | are not ordered: one is enforced at both ends |

`

// Matrix is the text of docs/matrix.md: Actions.Matrix of the standard ones.
func Matrix() string { return StandardActions().Matrix() }

// Matrix says for every pair of actions whether they commute on the request and
// on the response, and why not.
func (a Actions) Matrix() string {
	all, from := samples(a.lib), "prelude"
	if a.Own() {
		from = "standard library and the actions that the program declares"
	}
	slices.SortStableFunc(all, func(a, b sampleCall) int { return int(a.call.act.decl.Phase) - int(b.call.act.decl.Phase) })
	var b strings.Builder
	fmt.Fprintf(&b, matrixHead, from)
	b.WriteString("Numbers are the actions of the rows, in the order in which they act: " + strings.Join(phaseWords(), " < ") + ".\n\n")
	b.WriteString("| |")
	for i := range all {
		fmt.Fprintf(&b, " %d |", i+1)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(all)) + "\n")
	for i, x := range all {
		fmt.Fprintf(&b, "| %d %s |", i+1, x.name)
		for k, y := range all {
			m := meet(x, y)
			if k < i {
				m = meet(y, x)
			}
			fmt.Fprintf(&b, " %s |", m.mark)
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n## Why\n\nP has the action that acts first. A pair that is not here commutes, or one of the two is a wrapper or at both ends.\n")
	for i, x := range all {
		lines := reasons(x, all[i:])
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n### %s\n\n%s", x.name, strings.Join(lines, ""))
		}
	}
	return b.String()
}

func reasons(x sampleCall, later []sampleCall) []string {
	var out []string
	for _, y := range later {
		m := meet(x, y)
		for _, r := range []struct{ what, why string }{{"conflict", m.conflict}, {"request", m.request}, {"response", m.response}} {
			if r.why != "" {
				out = append(out, fmt.Sprintf("* %s, %s: %s\n", y.name, r.what, r.why))
			}
		}
	}
	return out
}

func phaseWords() []string {
	var out []string
	for p := ir.Transport; p < ir.Wrapper; p++ {
		out = append(out, p.String())
	}
	return out
}
