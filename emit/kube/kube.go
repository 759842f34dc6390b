// Package kube emits what brings the ADMs into a cluster: a kustomize overlay
// that gives each service of the placement a native sidecar, and nothing to the
// others.
//
// In: a layout, the Envoy files of the ADMs (an earlier backend wrote them),
// and, where there is one, the base: the manifests of the services as they are
// without admc. Out: kustomization.yaml, per ADM a ConfigMap and a patch of its
// workload, a headless Service per version that a policy chooses, a
// NetworkPolicy per port whose security policies stand at the callers and per
// service that @closed closes, and a README.
//
// Refused, where there is a base to see it: a workload that isn't there, pods
// that an ADM can't reach (host network, sandboxes, Windows), names and ports
// that clash, Services whose ports are not their pods' ports.
package kube

import (
	"path"
	"time"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// DefaultImage is the proxy: the official build, pinned to the version whose
// API the Envoy files are written for.
const DefaultImage = "docker.io/envoyproxy/envoy:v1.40.0"

// A Backend emits the overlay. The zero Backend emits a kustomize Component, to
// be listed in a kustomization of the user's own.
type Backend struct {
	Base    *Base  // nil: nothing is known of the manifests, and nothing checked
	BaseRef string // path from the output directory to the base, as kustomize reads it
	Image   string // "": DefaultImage
	// Drain is how long a pod that ends may wait for the requests of its callers;
	// 0: it doesn't. Image must then have admc as /usr/local/bin/admc.
	Drain time.Duration
}

// Name is "kube".
func (b Backend) Name() string { return "kube" }

// Emit adds the overlay to out. The ADMs' Envoy files are in out already.
func (b Backend) Emit(l *layout.Layout, out *emit.Files, bag *diag.Bag) {
	if bag.HasErrors() {
		return // an ADM may have no Envoy file
	}
	o := &overlay{Backend: b, l: l, out: out, bag: bag}
	for _, adm := range l.ADMs {
		o.adm(adm)
	}
	if bag.HasErrors() {
		return // what follows would complain about the same pods
	}
	o.versions()
	o.closeWorld()
	o.kustomization()
	o.readme()
}

// overlay is one run of Emit.
type overlay struct {
	Backend
	l   *layout.Layout
	out *emit.Files
	bag *diag.Bag

	resources []string // files of objects of our own, in the order of the kustomization
	patches   []string
	kinds     []string     // of those objects, each once
	notes     []string     // what stays open, for the README
	closed    []string     // receivers with a NetworkPolicy
	callers   []*ir.Closed // that have one for what they send
	spaces    []string     // namespaces of our own objects, each once
}

// adm emits one ADM: its configuration and a patch for each workload whose pods
// are the service's.
func (o *overlay) adm(adm *layout.ADM) {
	config, ok := o.out.Get(adm.Dir + "/envoy.yaml")
	if !ok {
		panic("kube: no Envoy file in " + adm.Dir)
	}
	files := map[string]string{"envoy.yaml": string(config)}
	for _, p := range o.out.Paths() {
		if path.Dir(p) == adm.Dir { // what the proxy's backend wrote
			text, _ := o.out.Get(p)
			files[path.Base(p)] = string(text)
		}
	}
	workloads := o.workloads(adm)
	if len(workloads) == 0 {
		return
	}
	namespace := workloads[0].namespace
	cm := o.configMap(adm, namespace, files)
	o.addResource(adm.Dir+"/configmap.yaml", cm)
	for i, w := range workloads {
		o.otherAccount(adm, w)
		o.checkGrace(adm, w)
		name := adm.Dir + "/patch.yaml"
		if i > 0 {
			name = adm.Dir + "/patch-" + w.name + ".yaml"
		}
		o.out.Add(name, render(o.l.Header, o.patch(adm, w, cm.Metadata.Name, files)))
		o.patches = append(o.patches, name)
	}
}

// target is a workload to be patched.
type target struct {
	kind, name, namespace string
	pod                   *podSpec // nil without a base
}

// workloads gives the workloads of an ADM's service, the graph's first; none
// when they can't have an ADM, which is in the bag.
func (o *overlay) workloads(adm *layout.ADM) []target {
	s := adm.Service
	if o.Base == nil {
		if len(s.Versions) > 1 && adm.Has(ir.Ingress) {
			o.bag.Warnf(s.At, codeVersionsUnseen, "only the pods of %s/%s get the ADM of %s, which has %d versions", s.Workload.Kind, s.Workload.Name, s.Name, len(s.Versions)).
				WithHint("with --base, every workload behind the service is patched")
		}
		return []target{{kind: s.Workload.Kind, name: s.Workload.Name, namespace: s.Namespace}}
	}
	var out []target
	for _, w := range o.Base.checkADM(adm, o.bag) {
		out = append(out, target{w.Kind, w.Metadata.Name, w.Metadata.Namespace, &w.workload.Template.Spec})
	}
	return out
}
