package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// geoWorld is the program that the examples of the codes are read for.
func geoWorld() *world {
	geo, rate, redis, web := serviceOn("geo", 8083, "grpc"), serviceOn("rate", 8084, "grpc"), serviceOn("redis", 6379, "redis"), serviceOn("web", 80, "http")
	rate.Versions = []string{"v1", "v2"}
	w := newWorld(geo, rate, redis, web)
	canary := routeTo("v2")
	canary.At = w.src.Span(0, 8)
	limit := action("rate_limit", nil)
	limit.Decl.State = "counter"
	geo.ServiceAccount = "default"
	limits := w.rule(ir.Ingress, geo, "limits", false, limit, web)
	limits.Seal = &layout.Seal{By: []*ir.Action{action("mtls", map[string]ir.Value{"certificates": {Kind: ir.String, Str: "/tls"}, "sds": {Kind: ir.String}})}}
	w.adm(geo, limits,
		w.rule(ir.Egress, rate, "canary", false, canary, geo),
		w.rule(ir.Egress, redis, "guard", true, action("deny", nil), geo))
	w.l.Program.Closed = []*ir.Closed{{Service: geo, Policies: []*ir.Policy{{Name: "only", Closed: w.src.Span(0, 8)}},
		Calls: []*graph.Call{{From: geo, To: rate, Port: 8084}, {From: geo, To: redis, Port: 6379}}}}
	return w
}

// geoBase is a base in order for geoWorld.
func geoBase() map[string]string {
	return map[string]string{
		"kustomization.yaml": "resources: [geo.yaml, rate.yaml, redis.yaml]\n",
		"geo.yaml":           deployment("geo", "", "containers: [{name: geo, image: geo}]"),
		"rate.yaml":          versioned("rate", "v2"),
		"redis.yaml":         "apiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec:\n  selector: {app: redis}\n  ports: [{port: 6379}]\n",
	}
}

// withExample puts an example's manifest in the place of the base's file for it,
// or beside the others.
func withExample(example string) map[string]string {
	files := geoBase()
	switch {
	case example == "":
		delete(files, "kustomization.yaml")
	case strings.HasPrefix(example, "resources:"):
		files["kustomization.yaml"] = example
	case strings.Contains(example, "kind: Deployment") && strings.Contains(example, "app: geo"):
		files["geo.yaml"] = example
	case strings.Contains(example, "kind: Deployment"):
		files["rate.yaml"] = example
	default:
		files["more.yaml"] = example
		files["kustomization.yaml"] = "resources: [geo.yaml, rate.yaml, redis.yaml, more.yaml]\n"
	}
	return files
}

// compileBase loads a base and emits geoWorld on it.
func compileBase(t *testing.T, w *world, files map[string]string) *diag.Bag {
	t.Helper()
	dir := t.TempDir()
	unpackText(t, dir, files)
	var bag diag.Bag
	base, err := LoadBase(dir, &bag)
	if err != nil {
		t.Fatal(err)
	}
	if !bag.HasErrors() {
		w.emitted(Backend{Base: base, BaseRef: "../base", Image: "registry.example/adm:1", Drain: 20 * time.Second}, &bag)
	}
	return &bag
}

func text(bag *diag.Bag) string {
	var b strings.Builder
	_ = diag.WriteText(&b, bag.All())
	return b.String()
}

func TestCodes(t *testing.T) {
	for _, c := range Codes {
		if c.Good == "" {
			continue // a test of its own below
		}
		t.Run(string(c.Code), func(t *testing.T) {
			bag := compileBase(t, geoWorld(), withExample(c.Bad))
			if all := bag.All(); len(all) != 1 || all[0].Code != c.Code {
				t.Errorf("the bad example gives\n%s", text(bag))
			} else if all[0].At.IsZero() && c.Code != codeBasePlain {
				t.Errorf("no position:\n%s", text(bag))
			}
			if bag := compileBase(t, geoWorld(), withExample(c.Good)); len(bag.All()) != 0 {
				t.Errorf("the good example gives\n%s", text(bag))
			}
		})
	}
}

func TestEveryCodeIsDocumented(t *testing.T) {
	src, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	if consts := strings.Count(string(src), "diag.Code = "); consts != len(Codes) {
		t.Errorf("%d codes, %d documented", consts, len(Codes))
	}
}

func TestVersionsUnseen(t *testing.T) {
	for _, c := range []struct {
		versions []string
		want     bool
	}{{[]string{"v1", "v2"}, true}, {[]string{"v1"}, false}, {nil, false}} {
		w := geoWorld()
		w.l.Graph.Services[0].Versions = c.versions
		var bag diag.Bag
		w.emitted(Backend{}, &bag)
		if got := strings.Contains(text(&bag), string(codeVersionsUnseen)); got != c.want {
			t.Errorf("%v: %s", c.versions, text(&bag))
		}
	}
}

func TestConfigTooLarge(t *testing.T) {
	for size, want := range map[int]bool{maxConfigMap: false, maxConfigMap + 1: true} {
		w := geoWorld()
		var bag diag.Bag
		o := &overlay{l: w.l, bag: &bag}
		o.configMap(w.l.ADMs[0], "shop", map[string]string{"envoy.yaml": strings.Repeat("x", size)})
		if got := strings.Contains(text(&bag), string(codeConfigTooLarge)); got != want {
			t.Errorf("%d bytes: %s", size, text(&bag))
		}
	}
}

// Diagnostics point into the base's files, at the field, whatever form the file
// has; all of a base's errors come at once.
func TestPositions(t *testing.T) {
	files := geoBase()
	files["geo.yaml"] = `apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: geo}
    spec:
      selector: {matchLabels: {app: geo}}
      template:
        metadata: {labels: {app: geo}}
        spec:
          hostNetwork: true
          runtimeClassName: kata-qemu
          initContainers:
            - {name: admc-envoy, image: x}
          containers:
            - name: other
              image: x
              securityContext: {capabilities: {add: [NET_BIND_SERVICE, "NET_ADMIN"]}}
            - name: geo
              image: x
              ports:
                - containerPort: 80
                - containerPort: 15101
`
	want := []string{
		"geo.yaml:12:24: error[unreachable-pod]",
		"geo.yaml:13:29: error[unreachable-pod]",
		"geo.yaml:15:22: error[name-taken]",
		"geo.yaml:19:72: error[privileged-sender]",
		"geo.yaml:24:34: error[port-taken]",
	}
	got := text(compileBase(t, geoWorld(), files))
	for _, line := range want {
		if !strings.Contains(got, "/"+line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
	if n := strings.Count(got, ": error["); n != len(want) {
		t.Errorf("%d errors:\n%s", n, got)
	}
}

func TestSuggestions(t *testing.T) {
	for _, c := range []struct{ name, file, text, says string }{
		{"workload's name", "geo.yaml", deployment("goe", "", "containers: [{name: geo, image: geo}]"), `did you mean "goe"?`},
		{"workload's kind", "geo.yaml", strings.Replace(deployment("geo", "", "containers: [{name: geo, image: geo}]"), "kind: Deployment", "kind: StatefulSet", 1), "workload: StatefulSet/geo"},
		{"version", "rate.yaml", versioned("rate", "v3"), `did you mean "v3"?`},
	} {
		files := geoBase()
		files[c.file] = c.text
		if got := text(compileBase(t, geoWorld(), files)); !strings.Contains(got, c.says) {
			t.Errorf("%s: no %q in\n%s", c.name, c.says, got)
		}
	}
}

// A base of plain manifests is checked like any other; its overlay is a
// Component.
func TestPlainBase(t *testing.T) {
	files := geoBase()
	delete(files, "kustomization.yaml")
	files["README.md"] = "not a manifest"
	files["geo.yaml"] = deployment("geo", "", "hostNetwork: true\n      containers: [{name: geo, image: geo}]")
	got := text(compileBase(t, geoWorld(), files))
	if !strings.Contains(got, string(codeUnreachablePod)) || !strings.Contains(got, "geo.yaml rate.yaml redis.yaml") {
		t.Errorf("%s", got)
	}
	files = geoBase()
	delete(files, "kustomization.yaml")
	dir := t.TempDir()
	unpackText(t, dir, files)
	var bag diag.Bag
	base, err := LoadBase(dir, &bag)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := geoWorld().emitted(Backend{Base: base, BaseRef: "../base"}, &bag).Get("kustomization.yaml")
	if !strings.Contains(string(k), "kind: Component") || strings.Contains(string(k), "../base") {
		t.Errorf("%s", k)
	}
}

func TestBaseErrors(t *testing.T) {
	if _, err := LoadBase(filepath.Join(t.TempDir(), "none"), &diag.Bag{}); err == nil {
		t.Error("a missing directory is loaded")
	}
	for _, c := range []struct{ name, file, text, at string }{
		{"not YAML", "geo.yaml", "a: b\n  c: d\n", "geo.yaml:2:1"},
		{"wrong type", "geo.yaml", deployment("geo", "", "hostNetwork: 17\n      containers: []"), "geo.yaml:"},
		{"not a kustomization", "kustomization.yaml", "resources: [geo.yaml]\nnonsense: 1\n", "kustomization.yaml:1:1"},
		{"clone", "kustomization.yaml", "resources:\n  - geo.yaml\n  - github.com/org/repo//base?ref=v1\n", "kustomization.yaml:3:5"},
		{"helm", "kustomization.yaml", "helmCharts:\n  - name: x\n", "kustomization.yaml:2:5"},
	} {
		files := geoBase()
		files[c.file] = c.text
		bag := compileBase(t, geoWorld(), files)
		if got := text(bag); !bag.HasErrors() || !strings.Contains(got, "/"+c.at) {
			t.Errorf("%s: no error at %s:\n%s", c.name, c.at, got)
		}
	}
}
