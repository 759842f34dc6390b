package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "admc.dev/admc/"

// rooms lists the packages from left to right: each may import those before it
// that its row names, and no other of ours.
var rooms = []struct {
	pkg string
	may []string
}{
	{"lang/diag", nil},
	{"lang/syntax", []string{"lang/diag"}},
	{"graph", []string{"lang/diag"}},
	{"lang/ir", []string{"lang/diag", "graph"}},
	{"lang", []string{"lang/diag", "lang/syntax", "lang/ir", "graph"}},
	{"solver", []string{"lang/diag", "lang/ir", "graph"}},
	{"solver/bench/shapes", []string{"lang/ir", "graph"}},
	{"solver/bench", []string{"lang/diag", "graph", "lang/ir", "solver", "solver/bench/shapes"}}, // measures; no part of admc
	{"bench/adm", nil},                                                                           // measures, in its tests; no part of admc
	{"emit/layout", []string{"lang/diag", "lang/ir", "graph", "solver"}},
	{"emit", []string{"lang/diag", "lang/ir", "graph", "solver", "emit/layout"}},
	{"emit/envoy", []string{"lang/diag", "lang/ir", "graph", "solver", "emit/layout", "emit"}},
	{"emit/kube", []string{"lang/diag", "lang/ir", "graph", "solver", "emit/layout", "emit"}},
	{"emit/kube/krusty", nil}, // renders for the tests of emit/kube
	{"emit/dot", []string{"lang/diag", "lang/ir", "graph", "solver", "emit/layout", "emit"}},
	{"bpf", nil},
	{"bpfgen", []string{"bpf", "lang/diag", "lang/ir", "graph", "solver", "emit/layout", "emit"}},
}

// walls names, for each third-party module, the packages that may import it.
var walls = map[string][]string{
	"github.com/google/cel-go":               {"lang"},
	"github.com/draffensperger/golp":         {"solver"},
	"github.com/awalterschulze/gographviz":   {"emit/dot"},
	"github.com/envoyproxy/go-control-plane": {"emit/envoy"},
	"github.com/cilium/ebpf":                 {"bpfgen"},
	"github.com/spf13/cobra":                 {"cmd/admc"},
	"sigs.k8s.io/yaml":                       {"emit/envoy", "emit/kube"},
	"sigs.k8s.io/kustomize":                  {"emit/kube", "emit/kube/krusty"},
	"gopkg.in/yaml.v3":                       {"graph", "emit/kube", "cmd/admc"},
	"go.yaml.in/yaml/v3":                     {"emit/envoy"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

func TestImportsGoOneWay(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "cmd/admc" || strings.HasPrefix(name, "cmd/admc/") {
			continue // sees everything
		}
		i := slices.IndexFunc(rooms, func(r struct {
			pkg string
			may []string
		}) bool {
			return r.pkg == name
		})
		if i < 0 {
			t.Errorf("package %s has no row in the table of rooms", name)
			continue
		}
		seen++
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !slices.Contains(rooms[i].may, ours) {
				t.Errorf("%s imports %s, which its row doesn't allow", name, ours)
			}
		}
	}
	if seen != len(rooms) {
		t.Errorf("%d rows of the table are packages, of %d", seen, len(rooms))
	}
}

func TestOneWallPerLibrary(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			for lib, may := range walls {
				if imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				used[lib] = true
				if !slices.Contains(may, name) {
					t.Errorf("%s imports %s, which only %s may", name, imp, strings.Join(may, ", "))
				}
			}
		}
	}
	for lib := range walls {
		if !used[lib] {
			t.Errorf("nobody imports %s: its wall is out of date", lib)
		}
	}
}
