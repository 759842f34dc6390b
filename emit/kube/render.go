package kube

//lint:file-ignore SA1019 bases use kustomize's old fields too, and its transformers have no newer door than builtins but krusty

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/builtins"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

// A renderer evaluates kustomizations with kustomize's own transformers, as far
// as the fields go that the checks read: workloads, Services and
// NetworkPolicies with their names, namespaces, labels and pods.
//
// It is not krusty, kustomize's own door to the same transformers, because that
// brings in Go's package plugin, and a program with that package is linked in a
// way that lp_solve's static library does not bear. A test renders the same
// directories with krusty and compares.
type renderer struct {
	factory *resmap.Factory
	helpers *resmap.PluginHelpers
	unread  []string // fields that change manifests in ways that are not followed
}

func newRenderer() *renderer {
	deps := provider.NewDepProvider()
	factory := resmap.NewFactory(deps.GetResourceFactory())
	return &renderer{factory: factory, helpers: resmap.NewPluginHelpers(nil, deps.GetFieldValidator(), factory, types.DisabledPluginConfig())}
}

// render adds what a directory's kustomization gives to m. A Component's
// transformers act on all that is in m already, a Kustomization's on its own.
func (r *renderer) render(dir string, m resmap.ResMap) error {
	text, err := os.ReadFile(kustomizationFile(dir))
	if err != nil {
		return err
	}
	var k types.Kustomization
	if err := k.Unmarshal(text); err != nil {
		return err
	}
	k.FixKustomization()
	if errs := k.EnforceFields(); len(errs) > 0 {
		return fmt.Errorf("%s", strings.Join(errs, "; "))
	}
	for _, ref := range k.Resources {
		if err := r.resource(filepath.Join(dir, filepath.FromSlash(ref)), m); err != nil {
			return err
		}
	}
	for _, ref := range k.Components {
		if err := r.render(filepath.Join(dir, filepath.FromSlash(ref)), m); err != nil {
			return err
		}
	}
	r.noteUnread(&k)
	return r.transform(dir, &k, m)
}

// resource adds a file of manifests or a kustomization of its own.
func (r *renderer) resource(name string, m resmap.ResMap) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if kustomizationFile(name) == "" {
			return fmt.Errorf("%s has no kustomization.yaml", name)
		}
		own := resmap.New()
		if err := r.render(name, own); err != nil {
			return err
		}
		return m.AppendAll(own)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	own, err := r.factory.NewResMapFromBytes(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return m.AppendAll(own)
}

// transform runs the transformers in kustomize's order.
func (r *renderer) transform(dir string, k *types.Kustomization, m resmap.ResMap) error {
	for _, p := range k.PatchesStrategicMerge {
		if err := r.patch(dir, inlineOrFile(dir, string(p)), m); err != nil {
			return err
		}
	}
	for _, p := range k.Patches {
		if err := r.patch(dir, p, m); err != nil {
			return err
		}
	}
	var list []resmap.Transformer
	if k.Namespace != "" {
		list = append(list, &builtins.NamespaceTransformerPlugin{ObjectMeta: types.ObjectMeta{Namespace: k.Namespace},
			FieldSpecs: []types.FieldSpec{{Path: "metadata/namespace", CreateIfNotPresent: true}}})
	}
	if k.NamePrefix != "" {
		list = append(list, &builtins.PrefixTransformerPlugin{Prefix: k.NamePrefix, FieldSpecs: types.FsSlice{{Path: "metadata/name"}}})
	}
	if k.NameSuffix != "" {
		list = append(list, &builtins.SuffixTransformerPlugin{Suffix: k.NameSuffix, FieldSpecs: types.FsSlice{{Path: "metadata/name"}}})
	}
	for _, l := range k.Labels {
		list = append(list, &builtins.LabelTransformerPlugin{Labels: l.Pairs, FieldSpecs: labelFields(l)})
	}
	if len(k.CommonLabels) > 0 {
		list = append(list, &builtins.LabelTransformerPlugin{Labels: k.CommonLabels, FieldSpecs: labelFields(types.Label{IncludeSelectors: true})})
	}
	for _, t := range list {
		if err := t.Transform(m); err != nil {
			return err
		}
	}
	for _, p := range k.PatchesJson6902 {
		if err := r.patch(dir, p, m); err != nil {
			return err
		}
	}
	for _, n := range k.Replicas {
		if err := setReplicas(n, m); err != nil {
			return err
		}
	}
	return nil
}

// patch applies one entry of `patches`. An entry for an object of a kind that
// isn't read may have no target here: generators don't run.
func (r *renderer) patch(dir string, p types.Patch, m resmap.ResMap) error {
	if p.Path != "" {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p.Path)))
		if err != nil {
			return err
		}
		p.Path, p.Patch = "", string(text)
	}
	if p.Target == nil {
		kept, err := r.withTargets(p.Patch, m)
		if err != nil || kept == "" {
			return err
		}
		p.Patch = kept
	}
	config, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	plugin := builtins.NewPatchTransformerPlugin()
	if err := plugin.Config(r.helpers, config); err != nil {
		return err
	}
	return plugin.Transform(m)
}

// withTargets leaves out the documents of a patch for objects that generators
// would make.
func (r *renderer) withTargets(text string, m resmap.ResMap) (string, error) {
	patches, err := r.factory.RF().SliceFromBytes([]byte(text))
	if err != nil {
		return text, nil // a JSON patch, or the transformer says what is wrong
	}
	var kept []string
	for _, p := range patches {
		id := p.OrgId()
		if _, err := m.GetById(id); err != nil && generated(id) {
			continue
		}
		doc, err := p.AsYAML()
		if err != nil {
			return "", err
		}
		kept = append(kept, string(doc))
	}
	return strings.Join(kept, "---\n"), nil
}

func generated(id resid.ResId) bool { return id.Kind == "ConfigMap" || id.Kind == "Secret" }

// inlineOrFile takes an entry of patchesStrategicMerge, which is a patch or the
// name of a file with one.
func inlineOrFile(dir, entry string) types.Patch {
	if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(entry))); err == nil && !info.IsDir() {
		return types.Patch{Path: entry}
	}
	return types.Patch{Patch: entry}
}

// labelFields is where kustomize puts labels, among the fields that are read.
func labelFields(l types.Label) []types.FieldSpec {
	field := func(kind, path string) types.FieldSpec {
		return types.FieldSpec{Gvk: resid.Gvk{Kind: kind}, Path: path, CreateIfNotPresent: true}
	}
	out := append(slices.Clone(l.FieldSpecs), field("", "metadata/labels"))
	if l.IncludeSelectors {
		out = append(out,
			types.FieldSpec{Gvk: resid.Gvk{Version: "v1", Kind: "Service"}, Path: "spec/selector", CreateIfNotPresent: true},
			types.FieldSpec{Gvk: resid.Gvk{Kind: "NetworkPolicy"}, Path: "spec/podSelector/matchLabels"})
	}
	for _, kind := range workloadKinds {
		if l.IncludeSelectors {
			out = append(out, field(kind, "spec/selector/matchLabels"))
		}
		if l.IncludeSelectors || l.IncludeTemplates {
			out = append(out, field(kind, "spec/template/metadata/labels"))
		}
	}
	return out
}

func setReplicas(n types.Replica, m resmap.ResMap) error {
	for _, res := range m.Resources() {
		if kind := res.GetKind(); res.OrgId().Name != n.Name || kind != "Deployment" && kind != "StatefulSet" {
			continue
		}
		plugin := &builtins.ReplicaCountTransformerPlugin{Replica: n,
			FieldSpecs: []types.FieldSpec{{Gvk: resid.Gvk{Kind: res.GetKind()}, Path: "spec/replicas", CreateIfNotPresent: true}}}
		if err := plugin.Transform(m); err != nil {
			return err
		}
	}
	return nil
}

// noteUnread lists the fields that change manifests and are not followed.
func (r *renderer) noteUnread(k *types.Kustomization) {
	for _, f := range []struct {
		name string
		used bool
	}{
		{"replacements", len(k.Replacements) > 0}, {"vars", len(k.Vars) > 0},
		{"transformers", len(k.Transformers) > 0}, {"generators", len(k.Generators) > 0},
		{"configurations", len(k.Configurations) > 0}, {"crds", len(k.Crds) > 0}, {"openapi", len(k.OpenAPI) > 0},
	} {
		if f.used && !slices.Contains(r.unread, f.name) {
			r.unread = append(r.unread, f.name)
		}
	}
}
