package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// ActionNames gives the standard actions, sorted.
func ActionNames() []string { return slices.Clone(prelude().names) }

// Doc is Actions.Doc of the standard ones.
func Doc(name string) (text string, ok bool) { return StandardActions().Doc(name) }

// Doc is the text of `admc doc ACTION`: the signature, the documentation with an
// example, and the facts that place it. It is printed from the declaration. ok
// is false when there is no such action.
func (a Actions) Doc(name string) (text string, ok bool) {
	d := a.Decl(name)
	if d == nil {
		return "", false
	}
	var b strings.Builder
	b.WriteString(signature(d) + "\n\n")
	for _, line := range strings.Split(d.Doc, "\n") {
		b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
	}
	b.WriteByte('\n')
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("phase", "%s", phaseText(d))
	label := "runs"
	for _, side := range []ir.DeclSide{ir.Either, ir.IngressOnly, ir.EgressOnly, ir.BothEnds} {
		planes := slices.DeleteFunc(planeList(d), func(p string) bool { return d.Sides[graph.Plane(p)] != side })
		if len(planes) > 0 {
			row(label, "%s: %s", strings.Join(planes, ", "), sideText(d, side))
			label = ""
		}
	}
	for _, list := range []struct {
		name  string
		parts []string
	}{{"reads", d.Reads}, {"writes", d.Writes}, {"provides", d.Provides}, {"needs", d.Needs}} {
		if len(list.parts) > 0 {
			row(list.name, "%s", strings.Join(list.parts, ", "))
		}
	}
	if d.Ends {
		row("ends", "may answer the request itself, so that later actions do not run")
	}
	if d.State != "" {
		row("state", "a %s, shared as `%s` says; caller: %s; service: %s; pod: %s", d.State, d.Scope,
			"counted at the callers, unless caller and receiver are one replica each", "at the receiver, unless both are one replica each", "at the receiver")
	}
	if d.Single {
		row("single", "only one can hold for a request; two on one edge are an error")
	}
	if d.Security {
		row("security", "must not fail open: @fail(closed) unless the policy says @fail(open)")
	}
	for _, p := range d.Payloads {
		row("filter", "%s: %s", map[bool]string{false: "http, grpc", true: "tcp"}[p.TCP], p.TypeName())
	}
	if d.User && slices.Contains(slices.Collect(maps.Values(d.Sides)), ir.Either) {
		row("promise", "that it does the same at either side is the declaration's word, and the compiler takes it.")
		row("", "To see for yourself, compile one policy of it with @ingress and with @egress, and send both the same requests.")
	}
	if d.Cost > 0 || len(d.Costs) > 0 {
		row("cost", "%s", costText(d))
	}
	row("declared", "%s", d.At)
	return b.String(), true
}

// signature is the declaration's head, on several lines where one is too long.
func signature(d *ir.ActionDecl) string {
	params := make([]string, len(d.Params))
	for i, p := range d.Params {
		params[i] = p.Name + ": " + p.Type
		if p.Default != "" {
			params[i] += " = " + p.Default
		}
	}
	if one := d.Name + "(" + strings.Join(params, ", ") + ")"; len(one) <= 100 {
		return one
	}
	return d.Name + "(\n    " + strings.Join(params, ",\n    ") + ",\n)"
}

// costText gives the costs on one line: that of most planes, then the others.
func costText(d *ir.ActionDecl) string {
	text := fmt.Sprintf("about %g microseconds of CPU for a request", d.Cost)
	for _, plane := range Planes() {
		if c, ok := d.Costs[plane]; ok {
			text += fmt.Sprintf(", %g for %s", c, map[graph.Plane]string{graph.HTTP: "one of http", graph.GRPC: "a call of grpc", graph.TCP: "a connection of tcp"}[plane])
		}
	}
	return text + fmt.Sprintf(", beside the %d of passing it on", ir.HopMicros)
}

func phaseText(d *ir.ActionDecl) string {
	if d.Wraps {
		return "none: it wraps the request, and stands outside everything that acts on the edge"
	}
	text := d.Phase.String()
	switch {
	case d.Phase == ir.Transport:
		return text + ", before " + (d.Phase + 1).String()
	case d.Phase == ir.Observe:
		return text + ", after " + (d.Phase - 1).String()
	}
	return text + ", after " + (d.Phase - 1).String() + " and before " + (d.Phase + 1).String()
}

func sideText(d *ir.ActionDecl, side ir.DeclSide) string {
	switch side {
	case ir.IngressOnly:
		return "at the receiver only"
	case ir.EgressOnly:
		if d.Wraps {
			return "at the callers only, where the whole request is seen, every attempt of it included"
		}
		if touches("upstream", d.Writes) {
			return "at the callers only, because at the receiver one pod is left to choose"
		}
		return "at the callers only, because they make the connection"
	case ir.BothEnds:
		return "at both ends of the call"
	}
	return "at the receiver, or at all its callers; no caller and no service can tell which"
}
