package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

const (
	// sidecarName names the container and its volume in the pod.
	sidecarName = "admc-envoy"
	// sidecarUser runs the proxy: an id of its own, so that it can be told from
	// the application's processes. The files it reads are readable by all.
	sidecarUser = 15100
	configDir   = "/etc/admc"
	// bootstrapVariable has the text of the ADM's bootstrap.yaml: Envoy reads one
	// file, and adds to it what a flag says.
	bootstrapVariable = "ADMC_BOOTSTRAP"
	// PodLabel marks the pods that have an ADM; its value is the service. Only
	// the patched pod template sets it.
	PodLabel         = "admc.dev/adm"
	configAnnotation = "admc.dev/config-sha256"
	// maxConfigMap is what the API server takes (ConfigMap: 1 MiB of data).
	maxConfigMap = 1 << 20
)

type configMap struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Metadata   meta              `yaml:"metadata"`
	Immutable  bool              `yaml:"immutable"`
	Data       map[string]string `yaml:"data"`
}

// configMap carries the ADM's files. Its name has their hash, so that
// pods of the old and the new template each find theirs during a roll-out.
func (o *overlay) configMap(adm *layout.ADM, namespace string, files map[string]string) configMap {
	size := 0
	for _, text := range files {
		size += len(text)
	}
	if size > maxConfigMap {
		o.bag.Errorf(adm.Service.At, codeConfigTooLarge, "the ADM of %s has a configuration of %d bytes, a ConfigMap holds %d", adm.Service.Name, size, maxConfigMap).
			WithHint("policies on fewer receivers, or `adm: never` here, make it smaller")
	}
	return configMap{
		APIVersion: "v1", Kind: "ConfigMap",
		Metadata:  meta{Name: "admc-" + layout.KubeName(adm.Service) + "-" + hash(files)[:10], Namespace: namespace, Labels: o.labels(adm.Service)},
		Immutable: true,
		Data:      files,
	}
}

// hash of an ADM's files: of the one, or of all with their names.
func hash(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(files) > 1 {
			fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		}
		io.WriteString(h, files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// workloadPatch is a strategic-merge patch: only what is added.
type workloadPatch struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   meta   `yaml:"metadata"`
	Spec       struct {
		Template struct {
			Metadata meta     `yaml:"metadata"`
			Spec     podPatch `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type podPatch struct {
	InitContainers []container `yaml:"initContainers"`
	Containers     []container `yaml:"containers,omitempty"`
	Volumes        []volume    `yaml:"volumes"`
}

type container struct {
	Name            string           `yaml:"name"`
	Image           string           `yaml:"image,omitempty"`
	RestartPolicy   string           `yaml:"restartPolicy,omitempty"`
	Command         []string         `yaml:"command,omitempty"`
	Args            []string         `yaml:"args,omitempty"`
	Env             []variable       `yaml:"env,omitempty"`
	Ports           []containerPort  `yaml:"ports,omitempty"`
	StartupProbe    *probe           `yaml:"startupProbe,omitempty"`
	Lifecycle       *lifecycle       `yaml:"lifecycle,omitempty"`
	Resources       *resources       `yaml:"resources,omitempty"`
	VolumeMounts    []mount          `yaml:"volumeMounts,omitempty"`
	SecurityContext *securityContext `yaml:"securityContext,omitempty"`
	TerminationLog  string           `yaml:"terminationMessagePolicy,omitempty"`
}

type variable struct {
	Name      string    `yaml:"name"`
	ValueFrom valueFrom `yaml:"valueFrom"`
}

type valueFrom struct {
	ConfigMapKeyRef keyRef `yaml:"configMapKeyRef"`
}

type keyRef struct {
	Name string `yaml:"name"`
	Key  string `yaml:"key"`
}

type containerPort struct {
	Name          string `yaml:"name"`
	ContainerPort int    `yaml:"containerPort"`
}

type probe struct {
	HTTPGet          httpGet `yaml:"httpGet"`
	PeriodSeconds    int     `yaml:"periodSeconds"`
	FailureThreshold int     `yaml:"failureThreshold"`
}

type httpGet struct {
	Path string `yaml:"path"`
	Port int    `yaml:"port"`
}

type resources struct {
	Requests map[string]string `yaml:"requests"`
	Limits   map[string]string `yaml:"limits"`
}

type mount struct {
	Name      string `yaml:"name"`
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly"`
}

type securityContext struct {
	RunAsNonRoot             *bool         `yaml:"runAsNonRoot,omitempty"`
	RunAsUser                int           `yaml:"runAsUser,omitempty"`
	RunAsGroup               int           `yaml:"runAsGroup,omitempty"`
	ReadOnlyRootFilesystem   *bool         `yaml:"readOnlyRootFilesystem,omitempty"`
	AllowPrivilegeEscalation *bool         `yaml:"allowPrivilegeEscalation,omitempty"`
	Capabilities             *capabilities `yaml:"capabilities,omitempty"`
	SeccompProfile           *seccomp      `yaml:"seccompProfile,omitempty"`
}

type capabilities struct {
	Drop []string `yaml:"drop"`
}

type seccomp struct {
	Type string `yaml:"type"`
}

type volume struct {
	Name      string        `yaml:"name"`
	EmptyDir  *emptyDir     `yaml:"emptyDir,omitempty"`
	ConfigMap *namedObject  `yaml:"configMap,omitempty"`
	Secret    *secretVolume `yaml:"secret,omitempty"`
	CSI       *csiVolume    `yaml:"csi,omitempty"`
}

type emptyDir struct{}

type namedObject struct {
	Name     string `yaml:"name"`
	Optional *bool  `yaml:"optional,omitempty"`
}

type secretVolume struct {
	SecretName string `yaml:"secretName"`
}

type csiVolume struct {
	Driver   string `yaml:"driver"`
	ReadOnly bool   `yaml:"readOnly"`
}

// patch gives a workload's pods the ADM. kustomize puts new list items before
// the old ones, so the sidecar is the first init container: those of the
// application run when it is up already.
func (o *overlay) patch(adm *layout.ADM, w target, configMap string, files map[string]string) workloadPatch {
	p := workloadPatch{APIVersion: "apps/v1", Kind: w.kind, Metadata: meta{Name: w.name, Namespace: w.namespace}}
	p.Spec.Template.Metadata = meta{
		Labels:      map[string]string{PodLabel: layout.KubeName(adm.Service)},
		Annotations: map[string]string{configAnnotation: hash(files)},
	}
	p.Spec.Template.Spec = podPatch{
		InitContainers: []container{o.sidecar(adm, configMap)},
		Containers:     withoutRawSockets(adm, w.pod),
		Volumes:        slices.Concat([]volume{{Name: sidecarName, ConfigMap: &namedObject{Name: configMap}}}, switchVolumes(), certificateVolumes(adm)),
	}
	return p
}

// sidecar is a native sidecar (Kubernetes 1.29 and later): an init container
// that keeps running. The startup probe holds the application back until the
// listeners are up; nothing is open before.
func (o *overlay) sidecar(adm *layout.ADM, configMap string) container {
	yes, no := true, false
	image := o.Image
	if image == "" {
		image = DefaultImage
	}
	need := demandOf(adm)
	return container{
		Name: sidecarName, Image: image, RestartPolicy: "Always",
		Command: []string{"/usr/local/bin/envoy"},
		Args: []string{
			"--config-path", configDir + "/envoy.yaml",
			// What Envoy adds to that; the kubelet puts the file's text here.
			"--config-yaml", "$(" + bootstrapVariable + ")\n" + switchesLayer,
			// One worker per core of the request: by default it is one per core
			// of the node.
			"--concurrency", strconv.Itoa(need.workers()),
			// Its shared memory and socket would clash with another Envoy of the pod.
			"--disable-hot-restart",
			"--log-level", "warning",
		},
		Env:          []variable{{Name: bootstrapVariable, ValueFrom: valueFrom{ConfigMapKeyRef: keyRef{Name: configMap, Key: "bootstrap.yaml"}}}},
		Ports:        []containerPort{{Name: "admc-ready", ContainerPort: adm.ReadyPort}},
		StartupProbe: &probe{HTTPGet: httpGet{Path: layout.ReadyPath, Port: adm.ReadyPort}, PeriodSeconds: 1, FailureThreshold: 60},
		Lifecycle:    o.drainFirst(adm),
		Resources:    need.resources(),
		VolumeMounts: slices.Concat([]mount{{Name: sidecarName, MountPath: configDir, ReadOnly: true}}, switchMounts(), certificateMounts(adm)),
		SecurityContext: &securityContext{
			RunAsNonRoot: &yes, RunAsUser: sidecarUser, RunAsGroup: sidecarUser,
			ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
			Capabilities: &capabilities{Drop: []string{"ALL"}}, SeccompProfile: &seccomp{Type: "RuntimeDefault"},
		},
		TerminationLog: "FallbackToLogsOnError",
	}
}

// withoutRawSockets takes NET_RAW from the application's containers where a
// security policy stands at this sender: a raw socket can complete a handshake
// past the redirect. A strategic merge replaces the list of dropped
// capabilities, so what was dropped is repeated.
func withoutRawSockets(adm *layout.ADM, pod *podSpec) []container {
	if pod == nil || !guards(adm) {
		return nil
	}
	var out []container
	for _, c := range pod.Containers {
		drop := c.SecurityContext.Capabilities.Drop
		if slices.Contains(drop, "ALL") || slices.Contains(drop, "NET_RAW") {
			continue
		}
		drop = append(slices.Clone(drop), "NET_RAW")
		slices.Sort(drop)
		out = append(out, container{Name: c.Name, SecurityContext: &securityContext{Capabilities: &capabilities{Drop: drop}}})
	}
	return out
}

// guards reports whether the pods of this ADM hold a policy against themselves
// that must not fail open: one that is enforced at the sender.
func guards(adm *layout.ADM) bool {
	return slices.ContainsFunc(adm.Listeners, func(l *layout.Listener) bool { return l.Side == ir.Egress && l.FailClosed })
}
