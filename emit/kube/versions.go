package kube

import (
	"cmp"
	"maps"
	"slices"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// versionLabel is the pods' label that the graph's `versions` are values of.
const versionLabel = "version"

type service struct {
	APIVersion string      `yaml:"apiVersion"`
	Kind       string      `yaml:"kind"`
	Metadata   meta        `yaml:"metadata"`
	Spec       serviceBody `yaml:"spec"`
}

type serviceBody struct {
	ClusterIP           string            `yaml:"clusterIP,omitempty"`
	TrafficDistribution string            `yaml:"trafficDistribution,omitempty"`
	Selector            map[string]string `yaml:"selector"`
	Ports               []servicePortOut  `yaml:"ports"`
}

type servicePortOut struct {
	Name       string `yaml:"name"`
	Port       int    `yaml:"port"`
	TargetPort int    `yaml:"targetPort"`
}

// near stands where a version's name does, and is none: those are label values.
const near = "(near)"

// version is one version of a service that some policy chooses, or all pods of
// the service for policies that choose among them, with the place that chose
// first.
type version struct {
	service *graph.Service
	name    string         // "": all pods; near: those of the caller's zone
	ports   map[int]string // to their names in the graph
	at      diag.Span
}

// versions emits a headless Service for each version that a `route`, `split` or
// `mirror` on some ADM chooses: its name resolves to that version's pods and no
// others; and for each service among whose pods an `lb` or `outlier_detection`
// chooses. A `locality` gets a Service whose address Kubernetes (1.31 and later)
// leads to the pods of the caller's zone, while there are any.
func (o *overlay) versions() {
	for _, v := range o.chosenVersions() {
		labels, namespace := map[string]string{"app": layout.KubeName(v.service)}, v.service.Namespace
		if o.Base != nil {
			if pods, in := o.Base.podLabels(v.service); len(pods) > 0 {
				labels, namespace = maps.Clone(pods), in
			}
			if v.name != "" && v.name != near && !o.Base.checkVersion(v, labels, namespace, o.bag) {
				continue
			}
		}
		name, path, what := layout.PodsService(v.service), "pods/service-"+layout.FileName(v.service.Name)+".yaml", "all pods"
		body := serviceBody{ClusterIP: "None", Selector: labels}
		switch v.name {
		case "":
		case near:
			name, path, what = layout.NearService(v.service), "near/service-"+layout.FileName(v.service.Name)+".yaml", "the nearest pods"
			body = serviceBody{TrafficDistribution: "PreferClose", Selector: labels}
		default:
			labels[versionLabel] = v.name
			name, path, what = layout.VersionService(v.service, v.name), "versions/service-"+layout.FileName(v.service.Name)+"-"+v.name+".yaml", "version "+v.name
		}
		if other := o.called(name, namespace); other != nil {
			o.bag.Errorf(v.at, codeNameTaken, "the Service for %s of %s is named %s, as another service is", what, v.service.Name, name).
				WithHint("rename that service").WithNote(other.At, "%s is declared here", other.Name)
			continue
		}
		s := service{APIVersion: "v1", Kind: "Service", Metadata: meta{Name: name, Namespace: namespace, Labels: o.labels(v.service)},
			Spec: body}
		for _, port := range slices.Sorted(maps.Keys(v.ports)) {
			s.Spec.Ports = append(s.Spec.Ports, servicePortOut{cmp.Or(v.ports[port], portName(port)), port, port})
		}
		o.addResource(path, s)
	}
}

// called finds the service whose Kubernetes Service has that name; nil for none.
func (o *overlay) called(name, namespace string) *graph.Service {
	for _, s := range o.l.Graph.Services {
		if s.Namespace == namespace && layout.KubeName(s) == name {
			return s
		}
	}
	return nil
}

// chosenVersions looks at the rules of every ADM, sorted by service and name.
func (o *overlay) chosenVersions() []*version {
	var all []*version
	for _, adm := range o.l.ADMs {
		for _, l := range adm.Listeners {
			receiver, ok := l.Receiver.(*graph.Service)
			if !ok {
				continue
			}
			for _, r := range l.Rules {
				for _, a := range r.Obligation.Actions {
					for _, name := range versionsOf(a) {
						all = addVersion(all, receiver, name, l, a.At)
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(x, y *version) int {
		return cmp.Or(cmp.Compare(x.service.Name, y.service.Name), cmp.Compare(x.name, y.name))
	})
	return all
}

func addVersion(all []*version, s *graph.Service, name string, l *layout.Listener, at diag.Span) []*version {
	for _, v := range all {
		if v.service == s && v.name == name {
			v.ports[l.ReceiverPort] = l.PortName
			return all
		}
	}
	return append(all, &version{s, name, map[int]string{l.ReceiverPort: l.PortName}, at})
}

// versionsOf gives the versions that an action may send a request to, "" for
// any and near for those of the caller's zone.
func versionsOf(a *ir.Action) []string {
	switch a.Name() {
	case "lb", "outlier_detection":
		return []string{""}
	case "locality":
		return []string{near}
	case "route", "mirror":
		return []string{a.Args["version"].Str}
	case "split":
		var names []string
		for _, v := range a.Args {
			for _, e := range v.Map {
				names = append(names, e.Key)
			}
		}
		slices.Sort(names)
		return names
	}
	return nil
}
