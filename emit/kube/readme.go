package kube

import (
	"bytes"
	"fmt"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

// readme says in plain words what the directory is, for whoever finds it in a
// repository or is called at night.
func (o *overlay) readme() {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("<!-- %s -->", o.l.Header)
	name := o.l.Graph.Name
	if name == "" {
		name = "This application"
	}
	p("# %s: its ADMs\n", name)
	o.readmeServices(p)
	o.readmeApply(p)
	o.readmeTraffic(p)
	if len(o.closed) > 0 {
		p("\n## Callers without an ADM\n")
		p("Policies that must not fail open are enforced at the callers of %s. The NetworkPolicies", strings.Join(o.closed, ", "))
		p("in `network/` keep other pods away from those ports. They hold only where the cluster's network plugin")
		p("enforces NetworkPolicy with port ranges, and against pods of the old template too: while pods are being")
		p("replaced, those without an ADM are refused.")
	}
	o.readmeClosed(p)
	if len(o.notes) > 0 {
		p("\n## What stays open\n")
		for _, n := range o.notes {
			p("* %s", n)
		}
	}
	o.out.Add("README.md", b.Bytes())
}

type printer func(format string, args ...any)

func (o *overlay) readmeServices(p printer) {
	all := len(o.l.Graph.Services)
	if len(o.l.ADMs) == 0 {
		if len(o.resources) == 0 {
			p("No policy needs a proxy: every service runs as it did (%d of them), and there is nothing to apply.", all)
		} else {
			p("No policy needs a proxy: every service runs as it did (%d of them). What there is to apply needs none.", all)
		}
		return
	}
	p("An ADM is a proxy that a service has only if some policy needs one: here %d of %d. The others run as they", len(o.l.ADMs), all)
	p("did, without a proxy, a ConfigMap or a patch.\n")
	p("| service | its ADM enforces | on | why there |")
	p("|---|---|---|---|")
	reasons := map[*ir.Obligation]string{}
	for _, a := range o.l.Placement.Assigned {
		reasons[a.Obligation] = a.Reason
	}
	stamps := false
	for _, adm := range o.l.ADMs {
		first := adm.Service.Name
		for _, l := range adm.Listeners {
			on := fmt.Sprintf("calls that come in on port %d", l.ReceiverPort)
			if l.Side == ir.Egress {
				on = fmt.Sprintf("its own calls to %s:%d", l.Receiver.NodeName(), l.ReceiverPort)
			}
			for _, r := range l.Rules {
				what := "`" + r.Obligation.Policy.Name + "`"
				if r.Obligation.Actions[0].Name() == ir.StampAction {
					what, stamps = what+" (its stamp)", true
				}
				p("| %s | %s | %s | %s |", first, what, on, reasonText(reasons[r.Obligation]))
				first = ""
			}
		}
		if len(adm.Listeners) == 0 {
			p("| %s | nothing yet | | the graph says `adm: always` |", first)
		}
	}
	if stamps {
		p("\nA stamp keeps what requests carry in their `%s` header, by which other proxies tell how they came. The", ir.PathHeader)
		p("applications have to pass that header on from the requests that they get to those that they make for them.")
	}
}

// reasonText fits a table's cell.
func reasonText(reason string) string {
	if reason == "free" || reason == "" {
		return "either end would do; this one makes the fewest proxies"
	}
	return strings.ReplaceAll(strings.ReplaceAll(reason, "\n", " "), "|", `\|`)
}

func (o *overlay) readmeApply(p printer) {
	if len(o.resources) == 0 {
		return
	}
	p("\n## Apply\n")
	if len(o.l.ADMs) == 0 {
		o.readmeApplyPolicies(p)
		return
	}
	if o.listsBase() {
		p("    kubectl diff -k .      # what changes")
		p("    kubectl apply -k .\n")
		p("This directory lists its base (`%s`) and patches only the workloads above. It needs Kubernetes 1.29", o.BaseRef)
	} else {
		p("This directory is a kustomize Component. List it in the kustomization of the services, whose manifests")
		p("must carry the namespace that the call graph gives them:\n")
		p("    components:")
		p("      - path/to/this/directory\n")
		p("A workload that is not found is an error of `kubectl kustomize`, not a silent gap. It needs Kubernetes 1.29")
	}
	p("or later (native sidecars). The pods of those workloads are replaced, as with any change of their template;")
	p("a new configuration has a new name, and the pods follow it.")
	o.readmeUndo(p)
	p("\nConfigurations of earlier runs carry the same labels, and stay until they are deleted.")
}

// readmeApplyPolicies is for a directory that has NetworkPolicies and no ADM.
func (o *overlay) readmeApplyPolicies(p printer) {
	if o.listsBase() {
		p("    kubectl diff -k .      # what changes")
		p("    kubectl apply -k .\n")
		p("This directory lists its base (`%s`) and changes no workload of it.", o.BaseRef)
	} else {
		p("This directory is a kustomize Component. List it in the kustomization of the services; it changes none")
		p("of their workloads:\n")
		p("    components:")
		p("      - path/to/this/directory")
	}
	o.readmeUndo(p)
}

func (o *overlay) readmeUndo(p printer) {
	p("\n## Undo\n")
	if o.listsBase() {
		p("    kubectl apply -k %s", o.BaseRef)
	} else {
		p("Take the component out of the kustomization and apply that. Then:\n")
	}
	p("    %s", o.deletion())
}

// deletion names the objects that are admc's own.
func (o *overlay) deletion() string {
	where := "--all-namespaces"
	if len(o.spaces) == 1 {
		where = "--namespace " + o.spaces[0]
		if o.spaces[0] == "" {
			where = "--namespace NAMESPACE"
		}
	}
	return fmt.Sprintf("kubectl delete %s %s -l app.kubernetes.io/managed-by=admc,app.kubernetes.io/part-of=%s",
		strings.ToLower(strings.Join(o.kinds, ",")), where, o.partOf())
}

func (o *overlay) readmeTraffic(p printer) {
	if len(o.l.ADMs) == 0 {
		return
	}
	p("\n## What brings traffic to an ADM\n")
	p("An ADM listens on the pod's loopback address only, and on port %d for the kubelet's startup probe. The", layout.ReadyPort)
	p("connections that it polices are brought to it by the eBPF programs in `bpf/`, configured per service by")
	p("`bpf/<service>.json`: calls that no policy touches never leave their path.\n")
	p("**Not automatic yet:** attaching these programs to the pods. The agent that does it on each node is a later")
	p("release. Until they are attached, the ADMs run, and calls go past them: **no policy is enforced.**")
}
