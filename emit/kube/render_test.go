package kube

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// rendered is one object that came out of kustomize.
type rendered struct {
	key  string // kind, namespace and name
	text []byte
	pod  *corev1.PodTemplateSpec // of a workload
}

// krusty builds the program that renders with kustomize's library.
var krusty = sync.OnceValues(func() (string, error) {
	program := krustyPath()
	cmd := exec.Command("go", "build", "-o", program, "./krusty")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return program, err
})

func krustyPath() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("admc-krusty-%d", os.Getpid()))
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.Remove(krustyPath())
	os.Exit(code)
}

// renderDir renders a kustomization with the library and with kubectl, wants
// the same bytes from both, and reads every object strictly.
func renderDir(t *testing.T, dir string) map[string]rendered {
	t.Helper()
	program, err := krusty()
	if err != nil {
		t.Fatal(err)
	}
	all := render1(t, program, dir)
	if kubectl, err := exec.LookPath("kubectl"); err != nil {
		t.Log("kubectl is not on PATH: rendered with the library only")
	} else if out := render1(t, kubectl, "kustomize", dir); !bytes.Equal(out, all) {
		t.Fatalf("kubectl kustomize gives\n%s\nthe library\n%s", out, all)
	}
	found := map[string]rendered{}
	for _, text := range bytes.Split(all, []byte("\n---\n")) {
		var o object
		if err := yaml.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		r := rendered{key: o.Kind + " " + o.Metadata.Namespace + "/" + o.Metadata.Name, text: bytes.TrimSpace(text)}
		r.pod = readStrictly(t, o.APIVersion, o.Kind, text)
		if _, dup := found[r.key]; dup {
			t.Errorf("%s comes twice", r.key)
		}
		found[r.key] = r
	}
	return found
}

func render1(t *testing.T, command ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, &stderr)
	}
	return out
}

// readStrictly wants an object of a kind that the tests know, with no field
// that Kubernetes doesn't.
func readStrictly(t *testing.T, apiVersion, kind string, text []byte) *corev1.PodTemplateSpec {
	t.Helper()
	read := func(into any) {
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
	}
	switch apiVersion + " " + kind {
	case "apps/v1 Deployment":
		var d appsv1.Deployment
		read(&d)
		return &d.Spec.Template
	case "apps/v1 StatefulSet":
		var d appsv1.StatefulSet
		read(&d)
		return &d.Spec.Template
	case "apps/v1 DaemonSet":
		var d appsv1.DaemonSet
		read(&d)
		return &d.Spec.Template
	case "v1 Service":
		var s corev1.Service
		read(&s)
		checkPortRange(t, s.Name, servicePorts(s)...)
	case "v1 ConfigMap":
		read(&corev1.ConfigMap{})
	case "v1 Namespace":
		read(&corev1.Namespace{})
	case "networking.k8s.io/v1 NetworkPolicy":
		read(&networkingv1.NetworkPolicy{})
	default:
		t.Errorf("no type for %s %s", apiVersion, kind)
	}
	return nil
}

func servicePorts(s corev1.Service) []int32 {
	var out []int32
	for _, p := range s.Spec.Ports {
		out = append(out, p.Port)
	}
	return out
}

func checkPortRange(t *testing.T, what string, ports ...int32) {
	t.Helper()
	for _, p := range ports {
		if p < 1 || p > 65535 {
			t.Errorf("%s: port %d", what, p)
		}
	}
}

// checkPod holds a patched pod to what the API server and the kubelet check and
// offline tools miss.
func checkPod(t *testing.T, name string, pod *corev1.PodTemplateSpec, configMaps map[string]bool) {
	t.Helper()
	if pod.Labels[PodLabel] == "" || pod.Annotations[configAnnotation] == "" {
		t.Errorf("%s: labels %v, annotations %v", name, pod.Labels, pod.Annotations)
	}
	if len(pod.Spec.InitContainers) == 0 || pod.Spec.InitContainers[0].Name != sidecarName {
		t.Fatalf("%s: the sidecar is not the first init container", name)
	}
	side := pod.Spec.InitContainers[0]
	if side.RestartPolicy == nil || *side.RestartPolicy != corev1.ContainerRestartPolicyAlways || side.StartupProbe == nil {
		t.Errorf("%s: not a native sidecar with a startup probe", name)
	}
	sc := side.SecurityContext
	if sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || *sc.RunAsUser == 0 || !*sc.ReadOnlyRootFilesystem || *sc.AllowPrivilegeEscalation ||
		len(sc.Capabilities.Drop) != 1 || sc.Capabilities.Drop[0] != "ALL" || len(sc.Capabilities.Add) != 0 || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: security context %+v", name, sc)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		if volumes[v.Name] {
			t.Errorf("%s: two volumes %s", name, v.Name)
		}
		volumes[v.Name] = true
		if v.ConfigMap != nil && v.Name == sidecarName && !configMaps[v.ConfigMap.Name] {
			t.Errorf("%s: no ConfigMap %s", name, v.ConfigMap.Name)
		}
	}
	names, ports := map[string]bool{}, map[int32]bool{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Image == "" || names[c.Name] {
			t.Errorf("%s: container %s has no image, or comes twice", name, c.Name)
		}
		names[c.Name] = true
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: container %s mounts %s, which is no volume", name, c.Name, m.Name)
			}
		}
		for _, p := range c.Ports {
			checkPortRange(t, name, p.ContainerPort)
			if ports[p.ContainerPort] {
				t.Errorf("%s: port %d twice", name, p.ContainerPort)
			}
			ports[p.ContainerPort] = true
		}
	}
	for what, q := range map[string]corev1.ResourceList{"requests": side.Resources.Requests, "limits": side.Resources.Limits} {
		for r, v := range q {
			if v.Sign() <= 0 {
				t.Errorf("%s: %s of %s: %s", name, what, r, v.String())
			}
		}
	}
	if port := side.StartupProbe.HTTPGet.Port.IntVal; !ports[port] {
		t.Errorf("%s: the startup probe asks port %d, which is not the sidecar's", name, port)
	}
}
