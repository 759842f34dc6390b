package lang

import (
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// lookalikes reports policies on one port of which one goes by a header that is
// taken off for another: where a policy reads or writes x-user, an ADM takes x_user
// off, since many servers make one name of both (RFC 3875, section 4.1.18). What
// became of the second policy would hang on where each is placed.
func (c *checker) lookalikes(obligations []*ir.Obligation) {
	type port struct {
		receiver graph.Node
		number   int
	}
	type use struct {
		name string
		by   *ir.Policy
	}
	first := map[port]map[string]use{} // by the name that both are to such a server
	told := map[[2]*ir.Policy]bool{}
	for _, o := range obligations {
		at := port{o.Receiver, o.Port}
		for _, name := range headersOf(o) {
			if first[at] == nil {
				first[at] = map[string]use{}
			}
			one := strings.ReplaceAll(name, "_", "-")
			before, there := first[at][one]
			if !there {
				first[at][one] = use{name, o.Policy}
				continue
			}
			if pair := [2]*ir.Policy{before.by, o.Policy}; before.name != name && !told[pair] {
				told[pair] = true
				c.bag.Errorf(o.Policy.At, HeaderLookalike, "policy %s goes by the header %s and policy %s by %s: many servers make one name of both, so that an ADM takes one off for the other",
					o.Policy.Name, name, before.by.Name, before.name).
					WithHint("write one of the names in both, the one that the callers send")
			}
		}
	}
}

// headersOf are the names of the request headers that an obligation reads or writes,
// if they have more than one word.
func headersOf(o *ir.Obligation) []string {
	var out []string
	for _, e := range o.Edges {
		if e.Cond != nil {
			out = append(out, headersIn(e.Cond.Reads)...)
		}
	}
	for _, a := range o.Actions {
		out = append(out, headersIn(putIn(a.Decl.Reads, a.Args))...)
		out = append(out, headersIn(putIn(a.Decl.Writes, a.Args))...)
	}
	return out
}

// headersIn are the names of several words among the request headers of parts.
func headersIn(parts []string) []string {
	var out []string
	for _, part := range parts {
		if name, ok := ir.RequestHeader(part); ok && strings.ContainsAny(name, "-_") {
			out = append(out, name)
		}
	}
	return out
}

// looksLike reports whether a header could pass for another: it has `_` for some `-`.
func looksLike(name, other string) bool {
	if name == other || len(name) != len(other) {
		return false
	}
	for i := range len(name) {
		if name[i] != other[i] && (name[i] != '_' || other[i] != '-') {
			return false
		}
	}
	return true
}
