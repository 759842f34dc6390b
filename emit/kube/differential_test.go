package kube

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// What LoadBase reads of a base is what kustomize's own library renders.
func TestReadsWhatKustomizeRenders(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/kustomizations.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, archive.Files, dir)
	cases, err := filepath.Glob(filepath.Join(dir, "*", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*/base/kustomization.yaml")
	if err != nil || len(examples) < 3 {
		t.Fatalf("examples: %v, %v", examples, err)
	}
	for _, c := range append(cases, examples...) {
		t.Run(filepath.Base(filepath.Dir(c)), func(t *testing.T) {
			var bag diag.Bag
			base, err := LoadBase(filepath.Dir(c), &bag)
			if err != nil || len(bag.All()) > 0 {
				t.Fatalf("%v\n%s", err, text(&bag))
			}
			program, err := krusty()
			if err != nil {
				t.Fatal(err)
			}
			want := &Base{}
			docs, err := documents(render1(t, program, filepath.Dir(c)))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				want.add(d, &bag)
			}
			if len(want.objects) == 0 {
				t.Fatal("nothing to compare")
			}
			if got, want := describe(t, base), describe(t, want); got != want {
				t.Errorf("read\n%s\nrendered\n%s", got, want)
			}
		})
	}
}

// describe prints all that was read of a base, sorted.
func describe(t *testing.T, b *Base) string {
	t.Helper()
	var out []string
	for _, o := range b.objects {
		parts := []any{o}
		switch {
		case o.workload != nil:
			parts = append(parts, o.workload)
		case o.service != nil:
			parts = append(parts, o.service)
		case o.network != nil:
			parts = append(parts, o.network)
		}
		var s strings.Builder
		for _, p := range parts {
			text, err := yaml.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			s.Write(text)
		}
		out = append(out, s.String())
	}
	slices.Sort(out)
	return strings.Join(out, "---\n")
}

// The libraries that would change how the program is linked stay out of it.
func TestNoPluginPackage(t *testing.T) {
	deps := render1(t, "go", "list", "-deps", ".")
	if slices.Contains(strings.Fields(string(deps)), "plugin") {
		t.Error("package plugin is linked in")
	}
	if !slices.Contains(strings.Fields(string(deps)), "sigs.k8s.io/kustomize/api/builtins") {
		t.Error("go list does not say what this package needs")
	}
	if _, err := os.Stat("krusty/main.go"); err != nil {
		t.Error(err)
	}
}
