package main

import (
	"fmt"
	"io"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// writeSummary prints what a person wants to know after a compile: how many
// proxies there are, against how many there would be, and where.
func writeSummary(w io.Writer, l *layout.Layout, dir string, files int) {
	fmt.Fprintf(w, "%s: %s, %s, %s\n", l.Graph.Name,
		count(len(l.Graph.Services), "service"), count(len(l.Graph.Calls), "call"), policies(len(l.Program.Policies)))
	fmt.Fprintf(w, "  full mesh                       %4d proxies\n", len(l.Graph.Services))
	fmt.Fprintf(w, "  sidecars at policed services    %4d\n", len(policedServices(l.Program)))
	fmt.Fprintf(w, "  ADMs                            %4d  %s\n", len(l.ADMs), boundNote(l))
	if note := changeNote(l.Placement, "the previous placement"); note != "" {
		fmt.Fprintf(w, "  %s\n", note)
	}
	writeADMs(w, l)
	fmt.Fprintf(w, "%s in %s\n", count(files, "file"), dir)
}

func writeADMs(w io.Writer, l *layout.Layout) {
	for _, adm := range l.ADMs {
		fmt.Fprintf(w, "    %-24s %s\n", adm.Service.Name, strings.Join(policyNames(adm), ", "))
	}
}

func policies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

func boundNote(l *layout.Layout) string {
	p := l.Placement
	if p.Proved {
		return fmt.Sprintf("(proved fewest: %s certificate)", p.Certificate.Kind)
	}
	return fmt.Sprintf("(not proved fewest: at least %d)", p.Bound)
}

// changeNote says what the placement changes; nothing where there was none
// before, or it stays.
func changeNote(p *solver.Placement, before string) string {
	changes := len(p.Added) + len(p.Removed)
	if changes == 0 {
		return ""
	}
	var parts []string
	if len(p.Added) > 0 {
		parts = append(parts, "new at "+fewOf(p.Added))
	}
	if len(p.Removed) > 0 {
		parts = append(parts, "gone from "+fewOf(p.Removed))
	}
	proof := "not proved fewest changes"
	if p.ProvedChange {
		proof = "proved fewest changes: " + p.ChangeKind + " certificate"
	}
	return fmt.Sprintf("against %s: %s (%s)", before, strings.Join(parts, ", "), proof)
}

// fewOf names a few and counts the rest.
func fewOf(names []string) string {
	const few = 8
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// policedServices names the services that have a proxy in the usual partial injection: a sidecar
// at every service that receives a policed call, and at the senders of a policy
// that only senders can enforce.
func policedServices(p *ir.Program) map[string]bool {
	policed := map[string]bool{}
	for _, o := range p.Obligations {
		if s, ok := o.Receiver.(*graph.Service); ok && o.May&ir.Ingress != 0 {
			policed[s.Name] = true
			if !o.Both {
				continue
			}
		}
		for _, e := range o.Edges {
			if s, ok := e.Sender.(*graph.Service); ok {
				policed[s.Name] = true
			}
		}
	}
	return policed
}

// policyNames lists the policies enforced on an ADM, each once, as
// name@ingress or name@egress.
func policyNames(adm *layout.ADM) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range adm.Listeners {
		for _, r := range l.Rules {
			name := r.Obligation.Policy.Name + "@" + l.Side.String()
			if !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	if len(out) == 0 {
		return []string{"(no policy: the graph says adm: always)"}
	}
	return out
}
