package kube

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
)

// The objects are structures of our own, with the fields that are set and in
// the order a reader expects: the types of k8s.io/api would add `status: {}` to
// a patch, and a map would sort `name` behind `image`. The tests read every
// object back with the types of k8s.io/api, strictly.

type meta struct {
	Name        string            `yaml:"name,omitempty"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// render writes one object under the header line.
func render(header string, object any) []byte {
	var b bytes.Buffer
	b.WriteString("# " + header + "\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(object); err != nil {
		panic(err) // our own structures
	}
	return b.Bytes()
}

// addResource adds an object of admc's own, in a file of its own.
func (o *overlay) addResource(path string, object ownObject) {
	kind, namespace := object.id()
	o.out.Add(path, render(o.l.Header, object))
	o.resources = append(o.resources, path)
	o.kinds = addOnce(o.kinds, kind)
	o.spaces = addOnce(o.spaces, namespace)
}

// ownObject is what the overlay creates, not patches.
type ownObject interface {
	id() (kind, namespace string)
}

func (c configMap) id() (kind, namespace string)      { return c.Kind, c.Metadata.Namespace }
func (s service) id() (kind, namespace string)        { return s.Kind, s.Metadata.Namespace }
func (n *networkPolicy) id() (kind, namespace string) { return n.Kind, n.Metadata.Namespace }

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// labels of every object that is admc's own; `kubectl get` and the README's
// way back select by them.
func (o *overlay) labels(s *graph.Service) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       layout.KubeName(s),
		"app.kubernetes.io/part-of":    o.partOf(),
		"app.kubernetes.io/managed-by": "admc",
	}
}

var labelValue = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

// partOf is the graph's name where it can be a label's value.
func (o *overlay) partOf() string {
	if labelValue.MatchString(o.l.Graph.Name) {
		return o.l.Graph.Name
	}
	return "admc"
}

func sortedKeys(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
}

// portName names a port that the graph gives no name: a Service needs one as
// soon as it has two.
func portName(port int) string { return fmt.Sprintf("port-%d", port) }
