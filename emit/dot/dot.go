// Package dot draws a placement as a Graphviz graph.
//
// In: a layout. Out: DOT source, the same for the same input, and SVG where
// graphviz's `dot` is there to render it. Nothing is refused.
//
// Services are boxes, datastores cylinders, externals dashed ellipses. A service
// with an ADM is filled and says what it enforces. A policed call is dark, names
// its policies, and has a dot at the end where they are enforced.
package dot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/awalterschulze/gographviz"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// attrs are Graphviz attributes; values are plain text, quoted when written.
type attrs map[string]string

func (a attrs) quoted() map[string]string {
	out := map[string]string{}
	for k, v := range a {
		out[k] = strconv.Quote(v)
	}
	return out
}

const (
	font    = "Helvetica,Arial,sans-serif"
	ink     = "#1b1f24"
	pale    = "#8c959f"
	admFill = "#ffd67a" // light enough for dark text, and darker than white in grey
)

// Graph gives the DOT source of the service graph with its ADMs.
func Graph(l *layout.Layout) string {
	d := drawing{gographviz.NewGraph()}
	d.must(d.g.SetName("placement"))
	d.must(d.g.SetDir(true))
	for k, v := range (attrs{
		"rankdir": "LR", "bgcolor": "white", "fontname": font, "fontsize": "11", "fontcolor": ink,
		"nodesep": "0.25", "ranksep": "0.9", "pad": "0.3", "labelloc": "b", "label": caption(l),
	}).quoted() {
		d.must(d.g.AddAttr("placement", k, v))
	}
	for _, s := range l.Graph.Services {
		d.service(l, s)
	}
	for _, e := range l.Graph.Externals {
		d.node(e.Name, attrs{"label": e.Name, "shape": "ellipse", "style": "dashed", "color": pale})
	}
	policed := policedCalls(l)
	for _, c := range l.Graph.Calls {
		d.call(c, policed[c])
	}
	return d.g.String()
}

// drawing wraps the library; its errors are about names and attributes that
// this package writes, so they are ours.
type drawing struct{ g *gographviz.Graph }

func (d drawing) must(err error) {
	if err != nil {
		panic("dot: " + err.Error())
	}
}

func (d drawing) node(name string, a attrs) {
	all := attrs{"fontname": font, "fontsize": "12", "fontcolor": ink, "margin": "0.12,0.06"}
	for k, v := range a {
		all[k] = v
	}
	d.must(d.g.AddNode("placement", strconv.Quote(name), all.quoted()))
}

func (d drawing) service(l *layout.Layout, s *graph.Service) {
	a := attrs{"label": s.Name, "shape": "box", "style": "rounded,filled", "fillcolor": "white", "color": pale}
	if isDatastore(s) {
		a["shape"], a["style"] = "cylinder", "filled"
	}
	if i := slices.IndexFunc(l.ADMs, func(adm *layout.ADM) bool { return adm.Service == s }); i >= 0 {
		a["fillcolor"], a["color"], a["penwidth"] = admFill, ink, "1.8"
		a["label"] = s.Name + "\n" + duty(l.ADMs[i])
	}
	d.node(s.Name, a)
}

// duty says how much an ADM has to do.
func duty(adm *layout.ADM) string {
	rules := 0
	for _, l := range adm.Listeners {
		rules += len(l.Rules)
	}
	if rules == 1 {
		return "ADM: 1 obligation"
	}
	return fmt.Sprintf("ADM: %d obligations", rules)
}

func (d drawing) call(c *graph.Call, p *policedCall) {
	a := attrs{"color": pale, "arrowsize": "0.7", "fontname": font, "fontsize": "10", "fontcolor": ink}
	if p != nil {
		a["color"], a["penwidth"], a["label"] = ink, "1.4", label(c, p)
		if p.sides&ir.Egress != 0 {
			a["dir"], a["arrowtail"] = "both", "dot"
		}
		if p.sides&ir.Ingress != 0 {
			a["arrowhead"] = "dotnormal"
		}
	}
	d.must(d.g.AddEdge(strconv.Quote(c.From.NodeName()), strconv.Quote(c.To.NodeName()), true, a.quoted()))
}

// label names the policies of a call, the first three and how many more.
func label(c *graph.Call, p *policedCall) string {
	names := p.names
	more := ""
	if len(names) > 3 {
		names, more = names[:3], fmt.Sprintf("\n+%d more", len(names)-3)
	}
	return " " + strings.Join(names, "\n ") + more + fmt.Sprintf("\n (%s)", c.Protocol)
}

// A policedCall is what is enforced on one call, and at which ends.
type policedCall struct {
	names []string // of policies, sorted
	sides ir.Side
}

func policedCalls(l *layout.Layout) map[*graph.Call]*policedCall {
	out := map[*graph.Call]*policedCall{}
	for _, a := range l.Placement.Assigned {
		for _, e := range a.Obligation.Edges {
			p := out[e.Call]
			if p == nil {
				p = &policedCall{}
				out[e.Call] = p
			}
			p.sides |= a.Side
			if name := a.Obligation.Policy.Name; !slices.Contains(p.names, name) {
				p.names = append(p.names, name)
			}
		}
	}
	for _, p := range out {
		slices.Sort(p.names)
	}
	return out
}

func isDatastore(s *graph.Service) bool {
	return slices.ContainsFunc(s.Ports, func(p *graph.Port) bool {
		switch p.Protocol {
		case "redis", "mongodb", "memcached", "mysql", "postgres", "kafka", "amqp":
			return true
		}
		return false
	})
}

// caption is the legend under the picture.
func caption(l *layout.Layout) string {
	adms := fmt.Sprintf("%d ADMs", len(l.ADMs))
	if len(l.ADMs) == 1 {
		adms = "1 ADM"
	}
	return fmt.Sprintf("\n%s: %s for %d services\nfilled: a service with an ADM    dark: a policed call, with a dot at the end where its policies are enforced",
		l.Graph.Name, adms, len(l.Graph.Services))
}
