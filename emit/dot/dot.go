// Package dot draws a placement as a Graphviz graph.
//
// In: a layout. Out: DOT source, the same for the same input, and SVG where
// graphviz's `dot` is there to render it. Nothing is refused.
//
// Services are boxes, datastores cylinders, externals dashed. A service with an
// ADM is filled, has a heavy border and says how many obligations it enforces,
// so that it stands out without colour too. A call shows its protocol and the
// policies on it, each with a dot at the end where it is enforced: `● name` at
// the caller, `name ●` at the receiver. A graph too large to be read is cut down
// to what policies touch. What does not fit in a label is a tooltip of the SVG.
package dot

import (
	"fmt"
	"strings"

	"github.com/awalterschulze/gographviz"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// One typeface and few colours. Text is dark on light everywhere; in grey the
// fill of an ADM is still darker than the page.
const (
	font    = "Helvetica,Arial,sans-serif"
	ink     = "#1b1f24" // text and policed calls
	grey    = "#57606a" // protocols and remarks
	pale    = "#9aa4af" // what no policy touches
	admFill = "#ffd67a"
)

// graphName is the graph's name in the source; the one people read is in the
// title.
const graphName = "placement"

// Graph gives the DOT source of the service graph with its ADMs.
func Graph(l *layout.Layout) string {
	d := &drawing{g: gographviz.NewGraph(), l: l, adms: map[*graph.Service]*layout.ADM{}}
	for _, a := range l.ADMs {
		d.adms[a.Service] = a
	}
	d.duties = dutiesOf(l)
	d.choose()
	d.frame()
	for _, s := range l.Graph.Services {
		if d.shown[s] {
			d.service(s)
		}
	}
	for _, e := range l.Graph.Externals {
		if d.shown[e] {
			d.external(e)
		}
	}
	for _, c := range l.Graph.Calls {
		if d.shown[c.From] && d.shown[c.To] {
			d.call(c)
		}
	}
	return d.g.String()
}

// A drawing is under way for one layout.
type drawing struct {
	g      *gographviz.Graph
	l      *layout.Layout
	adms   map[*graph.Service]*layout.ADM
	duties map[*graph.Call][]duty
	shown  map[graph.Node]bool
}

// mostNodes is how many nodes are drawn whole; `dot` takes minutes for many more,
// and nobody could read them.
const mostNodes = 250

// choose settles which nodes are drawn: all of them, or in a large graph those
// with an ADM and those at an end of a policed call.
func (d *drawing) choose() {
	d.shown = map[graph.Node]bool{}
	g := d.l.Graph
	all := len(g.Services)+len(g.Externals) <= mostNodes
	for _, s := range g.Services {
		d.shown[s] = all || d.adms[s] != nil
	}
	for _, e := range g.Externals {
		d.shown[e] = all
	}
	for c := range d.duties {
		d.shown[c.From], d.shown[c.To] = true, true
	}
}

// must holds the library to taking what this package writes.
func must(err error) {
	if err != nil {
		panic("dot: " + err.Error())
	}
}

// frame sets what holds for the whole picture.
func (d *drawing) frame() {
	must(d.g.SetName(graphName))
	must(d.g.SetDir(true))
	for k, v := range map[string]string{
		"rankdir": "LR", "bgcolor": "white", "fontname": text(font), "fontsize": "11", "fontcolor": text(ink),
		"nodesep": "0.28", "ranksep": "0.55", "pad": "0.3", "labelloc": "t", "labeljust": "l", "label": d.title(),
		"tooltip": text(d.l.Graph.Name),
	} {
		must(d.g.AddAttr(graphName, k, v))
	}
}

func (d *drawing) node(n graph.Node, attrs map[string]string) {
	for k, v := range map[string]string{"fontname": text(font), "fontsize": "12", "fontcolor": text(ink), "margin": text("0.14,0.07"), "height": "0.4"} {
		attrs[k] = v
	}
	must(d.g.AddNode(graphName, text(n.NodeName()), attrs))
}

func (d *drawing) service(s *graph.Service) {
	attrs := map[string]string{"shape": "box", "style": text("rounded,filled"), "fillcolor": "white", "color": text(pale)}
	if isDatastore(s) {
		attrs["shape"], attrs["style"] = "cylinder", "filled"
	}
	lines := []string{escape(s.Name)}
	if s.MaxReplicas > 1 {
		lines[0] += small(fmt.Sprintf(" ×%d", s.MaxReplicas), grey)
	}
	if a := d.adms[s]; a != nil {
		attrs["fillcolor"], attrs["color"], attrs["penwidth"] = text(admFill), text(ink), "2"
		lines[0] = bold(lines[0])
		lines = append(lines, small("ADM · "+count(obligations(a), "obligation"), ink))
	} else if s.ADM == graph.ADMNever {
		lines = append(lines, small("never an ADM", grey))
	}
	attrs["label"], attrs["tooltip"] = html(strings.Join(lines, "<BR/>")), text(d.serviceTip(s))
	d.node(s, attrs)
}

func (d *drawing) external(e *graph.External) {
	label := escape(e.Name)
	if e.Host != "" && e.Host != e.Name {
		label += "<BR/>" + small(e.Host, grey)
	}
	d.node(e, map[string]string{"shape": "box", "style": text("rounded,dashed"), "color": text(grey), "label": html(label),
		"tooltip": text(e.Name + ", outside the mesh")})
}

func (d *drawing) call(c *graph.Call) {
	attrs := map[string]string{"color": text(pale), "arrowsize": "0.7", "fontname": text(font), "fontsize": "9", "fontcolor": text(grey),
		"label": d.callLabel(c), "tooltip": text(d.callTip(c)), "labeltooltip": text(d.callTip(c))}
	duties := d.duties[c]
	if len(duties) > 0 {
		attrs["color"], attrs["penwidth"], attrs["weight"] = text(ink), "1.4", "3"
	}
	for _, o := range duties {
		if o.side&ir.Egress != 0 {
			attrs["dir"], attrs["arrowtail"] = "both", "dot"
		}
		if o.side&ir.Ingress != 0 {
			attrs["arrowhead"] = "dotnormal"
		}
	}
	must(d.g.AddEdge(text(c.From.NodeName()), text(c.To.NodeName()), true, attrs))
}

// isDatastore reports whether a service keeps data or messages, by the protocol
// of a port.
func isDatastore(s *graph.Service) bool {
	for _, p := range s.Ports {
		switch p.Protocol {
		case "redis", "mongodb", "memcached", "mysql", "postgres", "kafka", "amqp":
			return true
		}
	}
	return false
}
