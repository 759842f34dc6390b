package kube

// kustomization is the file that kustomize reads first. A Component has the
// same fields, and is listed in the user's own kustomization.
type kustomization struct {
	APIVersion string      `yaml:"apiVersion"`
	Kind       string      `yaml:"kind"`
	Resources  []string    `yaml:"resources,omitempty"`
	Patches    []patchFile `yaml:"patches,omitempty"`
}

type patchFile struct {
	Path string `yaml:"path"`
}

func (o *overlay) kustomization() {
	k := kustomization{APIVersion: "kustomize.config.k8s.io/v1alpha1", Kind: "Component"}
	if o.listsBase() {
		k = kustomization{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization", Resources: []string{o.BaseRef}}
	}
	k.Resources = append(k.Resources, o.resources...)
	for _, p := range o.patches {
		k.Patches = append(k.Patches, patchFile{p})
	}
	o.out.Add("kustomization.yaml", render(o.l.Header, k))
}

// listsBase reports whether the overlay can name the base itself: kustomize
// takes a directory from outside only if that has a kustomization.
func (o *overlay) listsBase() bool { return o.Base != nil && o.Base.Kustomized }
