package kube

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// checkADM gives the workloads whose pods get the ADM: the graph's, and every
// other one behind the same Service, because a call may reach either. None
// when the pods can't have it; why is in the bag.
func (b *Base) checkADM(adm *layout.ADM, bag *diag.Bag) []*object {
	main := b.workloadOf(adm.Service, bag)
	if main == nil {
		return nil
	}
	all := []*object{main}
	if svc := b.serviceOf(adm.Service); svc != nil {
		for _, w := range b.behind(svc.service.Selector, svc.Metadata.Namespace) {
			if w != main {
				all = append(all, w)
			}
		}
	}
	for _, w := range all {
		b.checkPod(adm, w, bag)
		b.checkSender(adm, w, bag)
		b.checkProbes(adm, w, bag)
	}
	for _, l := range adm.Listeners {
		b.checkPorts(adm, l, bag)
	}
	b.checkReplicas(adm, all, bag)
	return all
}

// checkReplicas warns where a budget is divided by fewer pods than there are.
func (b *Base) checkReplicas(adm *layout.ADM, all []*object, bag *diag.Bag) {
	counts := slices.ContainsFunc(adm.Listeners, func(l *layout.Listener) bool {
		return slices.ContainsFunc(l.Rules, func(r *layout.Rule) bool {
			return slices.ContainsFunc(r.Obligation.Actions, func(a *ir.Action) bool { return a.Decl.State != "" })
		})
	})
	sum := 0
	for _, w := range all {
		switch {
		case w.Kind == "DaemonSet":
			return // a pod per node
		case w.workload.Replicas == nil:
			sum++
		default:
			sum += *w.workload.Replicas
		}
	}
	if !counts || sum <= adm.Service.MaxReplicas {
		return
	}
	bag.Warnf(b.files.at(all[0], "spec", "replicas"), codeReplicasDiffer, "%s has %d pods here and %d in the graph, and each pod's ADM counts for itself: together they admit more than the budget",
		adm.Service.Name, sum, adm.Service.MaxReplicas).
		WithHint("say `replicas: %d` in the graph, and the budgets are divided by it", sum).
		WithNote(adm.Service.At, "the service is declared here")
}

// workloadOf finds the workload that the graph names; it reports when there is
// none.
func (b *Base) workloadOf(s *graph.Service, bag *diag.Bag) *object {
	var elsewhere, otherKind *object
	var names []string
	for _, o := range b.objects {
		switch {
		case o.workload == nil:
			continue
		case o.Metadata.Name != s.Workload.Name:
			names = append(names, o.Metadata.Name)
		case o.Kind != s.Workload.Kind:
			otherKind = o
		case !inNamespace(o, s):
			elsewhere = o
		default:
			return o
		}
	}
	if elsewhere != nil {
		bag.Errorf(b.files.at(elsewhere, "metadata", "namespace"), codeNamespaceDiffers, "%s %s is in namespace %s, the graph says %s",
			elsewhere.Kind, elsewhere.Metadata.Name, elsewhere.Metadata.Namespace, s.Namespace).
			WithNote(s.At, "the service is declared here")
		return nil
	}
	e := bag.Errorf(s.At, codeUnknownWorkload, "%s gets an ADM, but the base has no %s %s", s.Name, s.Workload.Kind, s.Workload.Name)
	if otherKind != nil {
		e.WithHint("it has a %s of that name: say `workload: %s/%s` in the graph", otherKind.Kind, otherKind.Kind, s.Workload.Name).
			WithNote(b.files.at(otherKind, "kind"), "it is here")
	} else if near := diag.Suggest(s.Workload.Name, names); near != "" {
		e.WithHint("did you mean %q?", near)
	}
	return nil
}

// sandboxes are runtime classes whose pods have a network stack of their own,
// which the redirect programs don't see.
var sandboxes = []string{"gvisor", "runsc", "kata"}

// checkPod refuses pods that an ADM can't be in.
func (b *Base) checkPod(adm *layout.ADM, w *object, bag *diag.Bag) {
	pod := &w.workload.Template.Spec
	at := func(path ...string) diag.Span {
		return b.files.at(w, append([]string{"spec", "template", "spec"}, path...)...)
	}
	unreachable := func(span diag.Span, why string) {
		bag.Errorf(span, codeUnreachablePod, "%s %s can't have an ADM: %s", w.Kind, w.Metadata.Name, why).
			WithHint("say `adm: never` for %s in the graph, and its policies go to the other side", adm.Service.Name)
	}
	if pod.HostNetwork {
		unreachable(at("hostNetwork"), "its pods use the node's network, which is not theirs to redirect")
	}
	if pod.OS.Name == "windows" || pod.NodeSelector["kubernetes.io/os"] == "windows" {
		unreachable(at(), "its pods run on Windows")
	}
	for _, s := range sandboxes {
		if strings.Contains(strings.ToLower(pod.RuntimeClassName), s) {
			unreachable(at("runtimeClassName"), "its pods run in a sandbox, whose connections the node's kernel does not see")
		}
	}
	for _, c := range pod.InitContainers {
		b.checkContainer(adm, w, "initContainers", c, bag)
	}
	for _, c := range pod.Containers {
		b.checkContainer(adm, w, "containers", c, bag)
	}
	for _, v := range pod.Volumes {
		if v.Name == sidecarName {
			bag.Errorf(at("volumes", "name="+v.Name, "name"), codeNameTaken, "%s %s has a volume named %q, which is the ADM's name", w.Kind, w.Metadata.Name, v.Name).
				WithHint("rename it")
		}
	}
}

func (b *Base) checkContainer(adm *layout.ADM, w *object, list string, c containerSpec, bag *diag.Bag) {
	at := func(path ...string) diag.Span {
		return b.files.at(w, append([]string{"spec", "template", "spec", list, "name=" + c.Name}, path...)...)
	}
	if c.Name == sidecarName {
		bag.Errorf(at("name"), codeNameTaken, "%s %s has a container named %q, which is the ADM's name", w.Kind, w.Metadata.Name, c.Name).
			WithHint("the base is the manifests without admc; give --base the directory that admc does not write")
	}
	taken := map[int]string{adm.ReadyPort: "answers the startup probe"}
	for _, l := range adm.Listeners {
		taken[l.Port] = "listens for " + l.Name
	}
	for i, p := range c.Ports {
		if use, clash := taken[p.ContainerPort]; clash && p.Protocol != "UDP" {
			bag.Errorf(at("ports", strconv.Itoa(i), "containerPort"), codePortTaken, "port %d of container %s is where the ADM of %s %s", p.ContainerPort, c.Name, adm.Service.Name, use).
				WithHint("list the port among the service's ports in the graph, and the ADM takes another")
		}
	}
}

// checkSender refuses pods that could walk round a policy held against them.
func (b *Base) checkSender(adm *layout.ADM, w *object, bag *diag.Bag) {
	if !guards(adm) {
		return
	}
	for _, c := range w.workload.Template.Spec.Containers {
		why, field := "", []string(nil)
		for i, name := range c.SecurityContext.Capabilities.Add {
			if slices.Contains([]string{"ALL", "NET_RAW", "NET_ADMIN", "SYS_ADMIN"}, strings.TrimPrefix(name, "CAP_")) {
				why, field = "has "+name, []string{"securityContext", "capabilities", "add", strconv.Itoa(i)}
			}
		}
		if c.SecurityContext.Privileged {
			why, field = "is privileged", []string{"securityContext", "privileged"}
		}
		if why == "" {
			continue
		}
		at := b.files.at(w, append([]string{"spec", "template", "spec", "containers", "name=" + c.Name}, field...)...)
		policy := guardedBy(adm)
		bag.Errorf(at, codePrivileged, "container %s %s, and could walk round %s, which is enforced at %s", c.Name, why, policy.Name, adm.Service.Name).
			WithHint("@strict before the policy enforces it at the receiver").
			WithNote(policy.At, "the policy is here")
	}
}

// guardedBy gives the first policy that makes guards true.
func guardedBy(adm *layout.ADM) *ir.Policy {
	for _, l := range adm.Listeners {
		for _, r := range l.Rules {
			if l.Side == ir.Egress && r.Obligation.Policy.FailClosed {
				return r.Obligation.Policy
			}
		}
	}
	panic("kube: an ADM that guards nothing")
}

// checkProbes warns where the kubelet's probes meet policies.
func (b *Base) checkProbes(adm *layout.ADM, w *object, bag *diag.Bag) {
	for _, l := range adm.Listeners {
		if l.Side != ir.Ingress {
			continue
		}
		for _, c := range w.workload.Template.Spec.Containers {
			for _, p := range []struct {
				field string
				spec  *probeSpec
			}{{"startupProbe", c.StartupProbe}, {"readinessProbe", c.ReadinessProbe}, {"livenessProbe", c.LivenessProbe}} {
				if p.spec == nil || !p.spec.dials(l.ReceiverPort, w) {
					continue
				}
				at := b.files.at(w, "spec", "template", "spec", "containers", "name="+c.Name, p.field)
				bag.Warnf(at, codeProbePoliced, "the %s of container %s goes through the ADM of %s, and %s sees it as a request", p.field, c.Name, adm.Service.Name, ruleNames(l)).
					WithHint("an exec probe, or a port without policies, stays out of it")
			}
		}
	}
}

func (p *probeSpec) dials(port int, w *object) bool {
	for _, h := range []*handler{p.HTTPGet, p.TCPSocket, p.GRPC} {
		if h != nil && w.resolvePort(h.Port) == port {
			return true
		}
	}
	return false
}

func ruleNames(l *layout.Listener) string {
	var names []string
	for _, r := range l.Rules {
		if name := r.Obligation.Policy.Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// resolvePort gives the number of a port that is a number or a container
// port's name; 0 when no container has the name.
func (o *object) resolvePort(ref string) int {
	if n, err := strconv.Atoi(ref); err == nil {
		return n
	}
	pod := &o.workload.Template.Spec
	for _, c := range slices.Concat(pod.Containers, pod.InitContainers) {
		for _, p := range c.Ports {
			if p.Name == ref && ref != "" {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// checkPorts holds the graph's port against the Service's. The receiver's ADM
// sees the pods' port, the caller's the port that it dialled: the Service's, or
// the pods' where it is headless. Where the two differ, the graph's one number
// can be right for one side only.
func (b *Base) checkPorts(adm *layout.ADM, l *layout.Listener, bag *diag.Bag) {
	receiver, ok := l.Receiver.(*graph.Service)
	if !ok {
		return
	}
	svc := b.serviceOf(receiver)
	if svc == nil {
		return
	}
	podsPort := l.Side == ir.Ingress || svc.service.ClusterIP == "None"
	for i, p := range svc.service.Ports {
		targets := b.targetPorts(svc, i)
		same := len(targets) == 0 || len(targets) == 1 && targets[0] == p.Port
		concerns := p.Port == l.ReceiverPort || slices.Contains(targets, l.ReceiverPort)
		if !concerns || same {
			continue
		}
		right := podsPort && slices.Contains(targets, l.ReceiverPort) && len(targets) == 1 ||
			!podsPort && p.Port == l.ReceiverPort && !dialsPods(l)
		if right {
			continue
		}
		bag.Errorf(b.files.at(svc, "spec", "ports", strconv.Itoa(i), "port"), codePortMapped,
			"Service %s maps port %d to %s of the pods, so the ADM of %s would miss the calls to %s:%d", svc.Metadata.Name, p.Port, joinInts(targets), adm.Service.Name, receiver.Name, l.ReceiverPort).
			WithHint("give the Service a port of the pods' own number, and the graph that number")
	}
}

func joinInts(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, " and ")
}

// targetPorts gives the pods' ports behind the i-th port of a Service; none
// when it is a name that no workload behind the Service has.
func (b *Base) targetPorts(svc *object, i int) []int {
	p := svc.service.Ports[i]
	if p.TargetPort == "" {
		return []int{p.Port}
	}
	if n, err := strconv.Atoi(p.TargetPort); err == nil {
		return []int{n}
	}
	var out []int
	for _, w := range b.behind(svc.service.Selector, svc.Metadata.Namespace) {
		if n := w.resolvePort(p.TargetPort); n != 0 && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// dialsPods: a policy on the listener sends requests to addresses of pods.
func dialsPods(l *layout.Listener) bool {
	for _, r := range l.Rules {
		for _, a := range r.Obligation.Actions {
			if len(versionsOf(a)) > 0 {
				return true
			}
		}
	}
	return false
}

// checkVersion wants pods behind a version that a policy chooses; labels are
// those of the service's pods.
func (b *Base) checkVersion(v *version, labels map[string]string, namespace string, bag *diag.Bag) bool {
	labels = maps.Clone(labels)
	delete(labels, versionLabel)
	var names []string
	for _, w := range b.behind(labels, namespace) {
		name := w.workload.Template.Metadata.Labels[versionLabel]
		if name == v.name {
			return true
		}
		names = append(names, name)
	}
	e := bag.Errorf(v.at, codeUnknownVersion, "version %q of %s has no pods: the base has no workload whose pods have %s,%s=%s",
		v.name, v.service.Name, labelText(labels), versionLabel, v.name)
	if near := diag.Suggest(v.name, names); near != "" {
		e.WithHint("did you mean %q?", near)
	} else {
		e.WithHint("a workload for it needs the label `%s: %s` on its pods", versionLabel, v.name)
	}
	return false
}

func labelText(labels map[string]string) string {
	var out []string
	for _, k := range sortedKeys(labels) {
		out = append(out, fmt.Sprintf("%s=%s", k, labels[k]))
	}
	return strings.Join(out, ",")
}
