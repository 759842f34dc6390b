package kube

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/emit"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

var update = flag.Bool("update", false, "write the golden files")

// layouts of testdata/<name>.txtar, each with what is special about it.
var layouts = map[string]func() *world{
	// One ADM at the receiver, in a Component.
	"component": func() *world {
		cart, web := serviceOn("cart", 8080, "http"), serviceOn("web", 80, "http")
		w := newWorld(cart, web)
		w.adm(cart, w.rule(ir.Ingress, cart, "no_admin", true, action("deny", nil), web))
		return w
	},
	// An ADM at the sender, on a base, with a policy that must not fail open:
	// the application loses NET_RAW, the receiver's port is closed.
	"guard": func() *world {
		cart, redis := serviceOn("cart", 8080, "http"), serviceOn("redis", 6379, "redis")
		w := newWorld(cart, redis)
		w.adm(cart, w.rule(ir.Egress, redis, "no_redis", true, action("deny", nil), cart))
		return w
	},
	// A route to a version, a choice among all pods, and an ADM at a service with
	// two workloads.
	"versions": func() *world {
		cart, web, geo := serviceOn("cart", 8080, "http"), serviceOn("web", 80, "http"), serviceOn("geo", 8083, "grpc")
		cart.Versions = []string{"v1", "v2"}
		cart.MinReplicas, cart.MaxReplicas = 2, 2
		w := newWorld(cart, web, geo)
		w.adm(cart, w.rule(ir.Ingress, cart, "log", false, action("access_log", nil), web))
		w.adm(web, w.rule(ir.Egress, cart, "canary", false, routeTo("v2"), web), w.rule(ir.Egress, geo, "spread", false, action("lb", nil), web), w.rule(ir.Egress, geo, "near", false, action("locality", nil), web))
		return w
	},
	// Nothing to do.
	"none": func() *world { return newWorld(serviceOn("cart", 8080, "http")) },
	// The rates in the graph size the ADM.
	"sized": func() *world {
		cart, web := serviceOn("cart", 8080, "http"), serviceOn("web", 80, "http")
		cart.MinReplicas, cart.MaxReplicas = 2, 6
		w := newWorld(cart, web)
		a := action("deny", nil)
		a.Decl.Cost = 50
		l := w.rule(ir.Ingress, cart, "no_admin", true, a, web)
		w.l.Graph.Calls[0].RPS = graph.Decimal{Set: true, Units: 40005, Scale: 1}
		w.adm(cart, l)
		return w
	},
}

// TestGolden compares the overlay of a layout with the archive, whose files
// beneath base/ are the base, renders it, and holds the result to the cluster's
// rules.
func TestGolden(t *testing.T) {
	for name, make := range layouts {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".txtar")
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var base []txtar.File
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "base/") {
					base = append(base, f)
				}
			}
			dir := t.TempDir()
			unpack(t, base, dir)
			var bag diag.Bag
			b := Backend{}
			if kustomizationFile(filepath.Join(dir, "base")) != "" {
				b.BaseRef = "../base"
				if b.Base, err = LoadBase(filepath.Join(dir, "base"), &bag); err != nil {
					t.Fatal(err)
				}
			}
			out := make().emitted(b, &bag)
			var said bytes.Buffer
			if err := diag.WriteText(&said, bag.All()); err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: archive.Comment, Files: base}
			if said.Len() > 0 {
				text := strings.ReplaceAll(said.String(), dir+string(filepath.Separator), "")
				got.Files = append(got.Files, txtar.File{Name: "diagnostics", Data: []byte(text)})
			}
			for _, p := range out.Paths() {
				if strings.HasSuffix(p, "/envoy.yaml") {
					continue // the stand-in
				}
				data, _ := out.Get(p)
				got.Files = append(got.Files, txtar.File{Name: "out/" + p, Data: data})
			}
			text := txtar.Format(got)
			if *update {
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want, _ := os.ReadFile(path); !bytes.Equal(text, want) {
				t.Errorf("differs (-update writes it):\n%s", emit.UnifiedDiff(path, want, "got", text))
			}
			if err := emit.Write(filepath.Join(dir, "out"), out); err != nil {
				t.Fatal(err)
			}
			renderOverlay(t, dir, b)
		})
	}
}

// renderOverlay renders dir/out, as a Component beneath a kustomization that
// lists the base where it is one.
func renderOverlay(t *testing.T, dir string, b Backend) {
	t.Helper()
	overlay := filepath.Join(dir, "out")
	if b.Base == nil {
		overlay = filepath.Join(dir, "user")
		unpack(t, []txtar.File{
			{Name: "plain/kustomization.yaml", Data: []byte("resources: [cart.yaml]\n")},
			{Name: "plain/cart.yaml", Data: []byte(plainCart)},
			{Name: "user/kustomization.yaml", Data: []byte("resources: [../plain]\ncomponents: [../out]\n")},
		}, dir)
	}
	base := filepath.Join(dir, "plain")
	if b.Base != nil {
		base = filepath.Join(dir, "base")
	}
	comparePatched(t, renderDir(t, base), renderDir(t, overlay))
}

const plainCart = `apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      initContainers:
        - {name: first, image: busybox}
      containers:
        - {name: cart, image: cart}
`

// comparePatched wants every object without an ADM to be what it was, to the
// byte, and every pod with one to be whole. It gives the number of those.
func comparePatched(t *testing.T, before, after map[string]rendered) int {
	t.Helper()
	configMaps := map[string]bool{}
	for key := range after {
		if kind, name, _ := strings.Cut(key, " "); kind == "ConfigMap" {
			configMaps[name[strings.LastIndexByte(name, '/')+1:]] = true
		}
	}
	patched := 0
	for key, was := range before {
		is, there := after[key]
		switch {
		case !there:
			t.Errorf("%s is gone", key)
		case is.pod != nil && is.pod.Labels[PodLabel] != "":
			patched++
			checkPod(t, key, is.pod, configMaps)
		case !bytes.Equal(was.text, is.text):
			t.Errorf("%s has no ADM and is changed:\n%s", key, emit.UnifiedDiff("base", was.text, "overlay", is.text))
		}
	}
	for key, is := range after {
		if _, was := before[key]; !was && !bytes.Contains(is.text, []byte("app.kubernetes.io/managed-by: admc")) {
			t.Errorf("%s is new and not labelled as admc's", key)
		}
	}
	return patched
}
