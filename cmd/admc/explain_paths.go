package main

import (
	"fmt"
	"io"
	"strings"

	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// A chained call is one with which call chains end that a policy's paths are
// about, and how it is decided whether they match.
type chained struct {
	Policy string `json:"policy"`
	Call   string `json:"call"`
	// Decided: "every" chain matches, "none" does, or each "request" tells.
	Decided string `json:"decided"`
	Member  string `json:"member"`  // of its baggage header, by which a request tells
	Matches string `json:"matches"` // a chain that does
	Other   string `json:"other"`   // a chain that does not
}

func explainPaths(p *ir.Policy) []chained {
	out := []chained{}
	for _, c := range p.Paths {
		x := chained{Policy: p.Name, Call: fmt.Sprintf("%s -> %s:%d", c.Call.From.NodeName(), c.Call.To.NodeName(), c.Call.Port),
			Decided: string(c.Verdict), Member: c.Member}
		if c.Verdict == ir.Mixed {
			x.Decided, x.Matches, x.Other = "request", ir.ChainText(c.Matching), ir.ChainText(c.Other)
		}
		out = append(out, x)
	}
	return out
}

func (c *chained) text(w io.Writer) {
	fmt.Fprintf(w, "\n%s on chains that end with %s\n", c.Policy, c.Call)
	switch {
	case c.Decided == string(ir.EveryChain):
		fmt.Fprintf(w, "  decided   by the graph: every chain matches\n")
		return
	case c.Decided == string(ir.NoChain):
		fmt.Fprintf(w, "  decided   by the graph: none matches\n")
		return
	case c.Member == "":
		fmt.Fprintf(w, "  decided   not at all: the policy does nothing there, whatever the chain\n")
	default:
		fmt.Fprintf(w, "  decided   by the request: by the member %s of its baggage header\n", c.Member)
	}
	if c.Matches != "" && c.Other != "" {
		fmt.Fprintf(w, "  matches   %s\n", c.Matches)
		fmt.Fprintf(w, "  does not  %s\n", c.Other)
	}
}

// stampsFor gives what finds the stamps that a policy decides by, though they may
// be named after another one with the same paths.
func stampsFor(p *ir.Policy) func(a solver.Assigned) bool {
	members := map[string]bool{}
	for _, c := range p.Paths {
		members[c.Member] = c.Member != ""
	}
	return func(a solver.Assigned) bool {
		act := a.Obligation.Actions[0]
		return act.Name() == ir.StampAction && members[act.Args["member"].Str]
	}
}

// stampText says what a stamp makes of its member.
func stampText(a *ir.Action) string {
	becomes := func(v string) string {
		if v == "" {
			return "taken off"
		}
		return "made " + v
	}
	to := a.Args["to"].Map
	member := a.Args["member"].Str
	if len(to) == 1 {
		return fmt.Sprintf("%s is %s, whatever it was", member, becomes(to[0].Value.Str))
	}
	var parts []string
	for _, e := range to {
		switch {
		case e.Key == e.Value.Str:
		case e.Key == "":
			parts = append(parts, "where it is missing "+becomes(e.Value.Str))
		default:
			parts = append(parts, e.Key+" is "+becomes(e.Value.Str))
		}
	}
	return member + ": " + strings.Join(parts, ", ")
}
