package main

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// assumptions change what the graph says of services before anything is
// checked: `adm:SERVICE=never`.
type assumptions []assumption

type assumption struct {
	service string
	choice  graph.ADMChoice
}

func parseAssumptions(list []string) (assumptions, error) {
	var out assumptions
	for _, text := range list {
		rest, ok := strings.CutPrefix(text, "adm:")
		i := strings.LastIndex(rest, "=")
		if !ok || i <= 0 {
			return nil, fmt.Errorf("--what-if %q: write adm:SERVICE=never, =always or =auto", text)
		}
		switch choice := graph.ADMChoice(rest[i+1:]); choice {
		case graph.ADMNever, graph.ADMAlways, graph.ADMAuto:
			named := func(a assumption) bool { return a.service == rest[:i] }
			switch j := slices.IndexFunc(out, named); {
			case j < 0:
				out = append(out, assumption{rest[:i], choice})
			case out[j].choice != choice:
				return nil, fmt.Errorf("--what-if %q: all hold together, and something else is assumed of %s already", text, rest[:i])
			}
		default:
			return nil, fmt.Errorf("--what-if %q: a service has its ADM never, always or auto, not %q", text, rest[i+1:])
		}
	}
	return out, nil
}

// known holds the services named to the graph.
func (list assumptions) known(g *graph.Graph) error {
	for _, a := range list {
		if g.Service(a.service) != nil {
			continue
		}
		var names []string
		for _, s := range g.Services {
			names = append(names, s.Name)
		}
		hint := ""
		if near := diag.Suggest(a.service, names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("--what-if: the graph has no service %q%s", a.service, hint)
	}
	return nil
}

func (list assumptions) apply(g *graph.Graph) {
	for _, a := range list {
		if s := g.Service(a.service); s != nil {
			s.ADM, s.ADMAt = a.choice, diag.Span{}
		}
	}
}

func (list assumptions) String() string {
	var texts []string
	for _, a := range list {
		texts = append(texts, "adm:"+a.service+"="+string(a.choice))
	}
	return strings.Join(texts, ", ")
}
