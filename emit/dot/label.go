package dot

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A duty is one obligation on one call, with the end where it is enforced.
type duty struct {
	policy string
	side   ir.Side
	edge   *ir.Edge
	of     *ir.Obligation
}

// dutiesOf gives what is enforced on each call, at the caller first, then by
// policy.
func dutiesOf(l *layout.Layout) map[*graph.Call][]duty {
	out := map[*graph.Call][]duty{}
	for _, a := range l.Placement.Assigned {
		for _, e := range a.Obligation.Edges {
			out[e.Call] = append(out[e.Call], duty{a.Obligation.Policy.Name, a.Side, e, a.Obligation})
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b duty) int {
			if a.side != b.side {
				return int(b.side) - int(a.side)
			}
			return strings.Compare(a.policy, b.policy)
		})
	}
	return out
}

// obligations counts what an ADM enforces.
func obligations(a *layout.ADM) int {
	n := 0
	for _, l := range a.Listeners {
		n += len(l.Rules)
	}
	return n
}

// mostPolicies is how many policies a call shows by name.
const mostPolicies = 4

// callLabel is the protocol, and above it the policies: to the left what the
// caller enforces, to the right what the receiver does.
func (d *drawing) callLabel(c *graph.Call) string {
	var rows []string
	row := func(align, content string) {
		rows = append(rows, fmt.Sprintf(`<TR><TD ALIGN="%s">%s</TD></TR>`, align, content))
	}
	duties := d.duties[c]
	for i, o := range duties {
		if i == mostPolicies-1 && len(duties) > mostPolicies {
			row("CENTER", small(fmt.Sprintf("and %d more", len(duties)-i), grey))
			break
		}
		name := coloured(o.policy, ink)
		switch o.side {
		case ir.Egress:
			row("LEFT", coloured("● ", ink)+name)
		case ir.Ingress:
			row("RIGHT", name+coloured(" ●", ink))
		default:
			row("CENTER", coloured("● ", ink)+name+coloured(" ●", ink))
		}
	}
	protocol := string(c.Protocol)
	if c.PortName != "" && c.PortName != protocol {
		protocol += " (" + c.PortName + ")"
	}
	row("CENTER", escape(protocol))
	return html(`<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">` + strings.Join(rows, "") + `</TABLE>`)
}

// callTip says all that is enforced on a call.
func (d *drawing) callTip(c *graph.Call) string {
	lines := []string{fmt.Sprintf("%s -> %s:%d (%s)", c.From.NodeName(), c.To.NodeName(), c.Port, c.Protocol)}
	for _, o := range d.duties[c] {
		lines = append(lines, o.policy+": "+o.text())
	}
	return strings.Join(lines, "\n")
}

// text says what the duty does, under which condition, and where.
func (o duty) text() string {
	var actions []string
	for _, a := range o.of.Actions {
		actions = append(actions, a.Name())
	}
	s := strings.Join(actions, ", ")
	if o.edge.Cond != nil {
		s += " when " + o.edge.Cond.Text
	}
	return s + ", at " + sideText[o.side]
}

var sideText = map[ir.Side]string{
	ir.Egress: "egress", ir.Ingress: "ingress", ir.Ingress | ir.Egress: "both ends",
}

// serviceTip lists what the service's ADM enforces.
func (d *drawing) serviceTip(s *graph.Service) string {
	lines := []string{s.Name}
	if a := d.adms[s]; a != nil {
		for _, l := range a.Listeners {
			for _, r := range l.Rules {
				lines = append(lines, fmt.Sprintf("%s, %s", r.Obligation.ID(), l.Side))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// title is the graph's name and what the placement came to, over the legend of
// what occurs in the picture.
func (d *drawing) title() string {
	g := d.l.Graph
	sum := count(len(d.l.ADMs), "ADM") + " for " + count(len(g.Services), "service")
	if p := d.l.Placement; p.Proved && p.Objective == int64(len(d.l.ADMs)) {
		sum += ", proved fewest"
	} else if p.Proved {
		sum += ", proved best" // by another measure than their number
	}
	drawn := 0
	for _, s := range g.Services {
		if d.shown[s] {
			drawn++
		}
	}
	if drawn < len(g.Services) {
		sum += fmt.Sprintf("; drawn: the %d that policies touch", drawn)
	}
	return html(fmt.Sprintf(`<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"><TR><TD ALIGN="LEFT"><FONT POINT-SIZE="17"><B>%s</B></FONT>  %s</TD></TR><TR><TD ALIGN="LEFT">%s</TD></TR><TR><TD HEIGHT="10"></TD></TR></TABLE>`,
		escape(g.Name), escape(sum), d.legend()))
}

// legend explains the signs that occur in the picture.
func (d *drawing) legend() string {
	var cells []string
	key := func(sign, meaning string) {
		cells = append(cells, sign, fmt.Sprintf(`<TD ALIGN="LEFT">%s</TD>`, small(meaning+"   ", grey)))
	}
	if len(d.adms) > 0 {
		key(fmt.Sprintf(`<TD BORDER="2" STYLE="ROUNDED" COLOR="%s" BGCOLOR="%s" CELLPADDING="3">%s</TD>`, ink, admFill, small("ADM", ink)), "has a proxy")
	}
	sides := ir.Side(0)
	for _, duties := range d.duties {
		for _, o := range duties {
			sides |= o.side
		}
	}
	if sides&ir.Egress != 0 {
		key(`<TD>`+small("● policy", ink)+`</TD>`, "enforced by the caller’s ADM")
	}
	if sides&ir.Ingress != 0 {
		key(`<TD>`+small("policy ●", ink)+`</TD>`, "enforced by the receiver’s ADM")
	}
	for _, e := range d.l.Graph.Externals {
		if d.shown[e] {
			key(fmt.Sprintf(`<TD BORDER="1" STYLE="ROUNDED,DASHED" COLOR="%s" CELLPADDING="3">%s</TD>`, grey, small("name", ink)), "outside the mesh")
			break
		}
	}
	if len(cells) == 0 {
		return ""
	}
	return `<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="5" CELLPADDING="1"><TR>` + strings.Join(cells, "") + `</TR></TABLE>`
}
