package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kustomize/api/resmap"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// A Base is the manifests of the services as they are without admc, as
// kustomize renders them.
type Base struct {
	Dir string
	// Kustomized: Dir has a kustomization file, so that another one can list it.
	Kustomized bool

	objects []*object
	files   sources
}

// object is what the checks read of a manifest, whatever its kind.
type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`

	workload *workloadSpec // apps/v1 Deployment, StatefulSet, DaemonSet
	service  *serviceSpec  // v1 Service
	network  *networkSpec  // NetworkPolicy
}

type metadata struct {
	Name      string            `yaml:"name"`
	Namespace string            `yaml:"namespace"`
	Labels    map[string]string `yaml:"labels"`
}

type workloadSpec struct {
	Replicas *int `yaml:"replicas"`
	Template struct {
		Metadata metadata `yaml:"metadata"`
		Spec     podSpec  `yaml:"spec"`
	} `yaml:"template"`
}

type podSpec struct {
	ServiceAccountName string            `yaml:"serviceAccountName"`
	HostNetwork        bool              `yaml:"hostNetwork"`
	RuntimeClassName   string            `yaml:"runtimeClassName"`
	GracePeriod        *int              `yaml:"terminationGracePeriodSeconds"`
	NodeSelector       map[string]string `yaml:"nodeSelector"`
	OS                 struct {
		Name string `yaml:"name"`
	} `yaml:"os"`
	DNSPolicy string `yaml:"dnsPolicy"` // "": ClusterFirst
	DNSConfig struct {
		Nameservers []string `yaml:"nameservers"`
	} `yaml:"dnsConfig"`
	InitContainers []containerSpec `yaml:"initContainers"`
	Containers     []containerSpec `yaml:"containers"`
	Volumes        []metadata      `yaml:"volumes"`
}

type containerSpec struct {
	Name  string `yaml:"name"`
	Ports []struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
		Protocol      string `yaml:"protocol"`
	} `yaml:"ports"`
	SecurityContext struct {
		Privileged   bool `yaml:"privileged"`
		Capabilities struct {
			Add  []string `yaml:"add"`
			Drop []string `yaml:"drop"`
		} `yaml:"capabilities"`
	} `yaml:"securityContext"`
	StartupProbe   *probeSpec `yaml:"startupProbe"`
	ReadinessProbe *probeSpec `yaml:"readinessProbe"`
	LivenessProbe  *probeSpec `yaml:"livenessProbe"`
}

// probeSpec: each handler has a port, which is a number or a port's name.
type probeSpec struct {
	HTTPGet   *handler `yaml:"httpGet"`
	TCPSocket *handler `yaml:"tcpSocket"`
	GRPC      *handler `yaml:"grpc"`
}

type handler struct {
	Port string `yaml:"port"`
}

type serviceSpec struct {
	ClusterIP string            `yaml:"clusterIP"`
	Type      string            `yaml:"type"`
	Selector  map[string]string `yaml:"selector"`
	Ports     []struct {
		Name       string `yaml:"name"`
		Port       int    `yaml:"port"`
		TargetPort string `yaml:"targetPort"` // a number, a container port's name, or "" for the same
		Protocol   string `yaml:"protocol"`
	} `yaml:"ports"`
}

type networkSpec struct {
	PodSelector selector   `yaml:"podSelector"`
	PolicyTypes []string   `yaml:"policyTypes"`
	Egress      []outgoing `yaml:"egress"`
}

type selector struct {
	MatchLabels      map[string]string `yaml:"matchLabels"`
	MatchExpressions []struct {
		Key      string   `yaml:"key"`
		Operator string   `yaml:"operator"`
		Values   []string `yaml:"values"`
	} `yaml:"matchExpressions"`
}

var workloadKinds = []string{"Deployment", "StatefulSet", "DaemonSet"}

// LoadBase reads the manifests of dir: rendered by kustomize where there is a
// kustomization, else its YAML files. Nothing is fetched: a base that refers to
// something that isn't on disk is refused. The error says that dir can't be
// read; what is wrong inside it is in the bag.
func LoadBase(dir string, bag *diag.Bag) (*Base, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("base: %s is not a directory", dir)
	}
	b := &Base{Dir: dir}
	file := kustomizationFile(dir)
	b.Kustomized = file != ""
	if !b.Kustomized {
		return b, b.loadPlain(bag)
	}
	if err := b.files.collect(dir, bag, map[string]bool{}); err != nil || bag.HasErrors() {
		return b, err
	}
	rendered, r := resmap.New(), newRenderer()
	if err := r.render(dir, rendered); err != nil {
		bag.Errorf(b.files.start(file), codeBaseUnreadable, "kustomize can't render the base: %s", oneLine(err))
		return b, nil
	}
	if len(r.unread) > 0 {
		bag.Warnf(b.files.start(file), codeBasePartly, "the base uses %s, which kustomize follows and admc does not: it checks the manifests as they are before", strings.Join(r.unread, ", ")).
			WithHint("render the output with `kubectl kustomize` and look at the services with an ADM")
	}
	for _, r := range rendered.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
		var node yaml.Node
		if err := yaml.Unmarshal(text, &node); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
		b.add(&node, bag)
	}
	return b, nil
}

// loadPlain reads what `kubectl apply -f DIR` would.
func (b *Base) loadPlain(bag *diag.Bag) error {
	names, err := manifestFiles(b.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := b.files.read(name, bag); err != nil {
			return err
		}
	}
	for _, doc := range b.files.docs {
		b.add(doc.node, bag)
	}
	b.suggestKustomization(names, bag)
	return nil
}

func (b *Base) suggestKustomization(names []string, bag *diag.Bag) {
	w := bag.Warnf(diag.Span{}, codeBasePlain, "%s has no kustomization.yaml, so the output can't list it and is a Component", b.Dir)
	var list strings.Builder
	for _, n := range names {
		fmt.Fprintf(&list, " %s", filepath.Base(n))
	}
	w.WithHint("write %s with `resources:` and these files:%s", filepath.Join(b.Dir, "kustomization.yaml"), list.String())
}

// manifestFiles gives the YAML and JSON files of a directory, sorted.
func manifestFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	var names []string
	for _, e := range entries {
		if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) && !e.IsDir() {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

// add takes one document; a List is taken apart.
func (b *Base) add(node *yaml.Node, bag *diag.Bag) {
	o := &object{}
	if err := node.Decode(o); err != nil || o.Kind == "" {
		return // not an object; kustomize and the API server judge those
	}
	if strings.HasSuffix(o.Kind, "List") {
		if items := lookup(node, "items"); items != nil {
			for _, item := range items.Content {
				b.add(item, bag)
			}
		}
		return
	}
	var spec struct{ Spec yaml.Node }
	if err := node.Decode(&spec); err != nil {
		return
	}
	into := func(v any) any {
		if err := spec.Spec.Decode(v); err != nil {
			bag.Errorf(b.files.at(o, "spec"), codeBaseUnreadable, "%s %s: %s", o.Kind, o.Metadata.Name, oneLine(err))
		}
		return v
	}
	group, _, _ := strings.Cut(o.APIVersion, "/")
	switch {
	case group == "apps" && slices.Contains(workloadKinds, o.Kind):
		o.workload = into(&workloadSpec{}).(*workloadSpec)
	case o.APIVersion == "v1" && o.Kind == "Service":
		o.service = into(&serviceSpec{}).(*serviceSpec)
	case group == "networking.k8s.io" && o.Kind == "NetworkPolicy":
		o.network = into(&networkSpec{}).(*networkSpec)
	default:
		return
	}
	b.objects = append(b.objects, o)
}

func oneLine(err error) string {
	var typed *yaml.TypeError
	if errors.As(err, &typed) && len(typed.Errors) > 0 {
		return typed.Errors[0]
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// serviceOf finds the Kubernetes Service of a service of the graph: the one of
// its name.
func (b *Base) serviceOf(s *graph.Service) *object {
	for _, o := range b.objects {
		if o.service != nil && o.Metadata.Name == layout.KubeName(s) && inNamespace(o, s) {
			return o
		}
	}
	return nil
}

// inNamespace takes a manifest without a namespace for one of any: it is given
// when the manifest is applied.
func inNamespace(o *object, s *graph.Service) bool {
	return o.Metadata.Namespace == "" || o.Metadata.Namespace == s.Namespace
}

// selects reports whether a Service's selector takes the pods of a workload. An
// empty one takes none: such a Service has its endpoints from elsewhere.
func selects(labels, pod map[string]string) bool {
	if len(labels) == 0 {
		return false
	}
	for k, v := range labels {
		if got, ok := pod[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// behind gives the workloads whose pods have the labels.
func (b *Base) behind(labels map[string]string, namespace string) []*object {
	var out []*object
	for _, o := range b.objects {
		if o.workload != nil && o.Metadata.Namespace == namespace && selects(labels, o.workload.Template.Metadata.Labels) {
			out = append(out, o)
		}
	}
	return out
}

func documents(text []byte) ([]*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var out []*yaml.Node
	for {
		node := &yaml.Node{}
		err := dec.Decode(node)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, node)
	}
}
