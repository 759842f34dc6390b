//go:build linux

package envoy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/graph"
)

// keptCases are generated programs that once failed, each a file with the program and
// its requests, so that they outlive changes of the generator.
const keptCases = "testdata/kept"

// keep writes a case.
func (x *trial) keep() error {
	first, err := json.Marshal(struct {
		Protocol graph.Protocol `json:"protocol"`
		Identity string         `json:"identity,omitempty"`
	}{x.proto, x.identity})
	if err != nil {
		return err
	}
	lines := []string{string(first)}
	for _, r := range x.requests {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines = append(lines, string(line))
	}
	return os.WriteFile(filepath.Join(keptCases, x.name+".txtar"), txtar.Format(&txtar.Archive{Files: []txtar.File{
		{Name: "program.adm", Data: []byte(x.text)},
		{Name: "requests", Data: []byte(strings.Join(lines, "\n") + "\n")},
	}}), 0o644)
}

// kept reads a case.
func kept(t *testing.T, path string) *trial {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) != 2 {
		t.Fatalf("%s has %d files", path, len(archive.Files))
	}
	var head struct {
		Protocol graph.Protocol
		Identity string
	}
	d := json.NewDecoder(strings.NewReader(string(archive.Files[1].Data)))
	if err := d.Decode(&head); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	x := &trial{name: strings.TrimSuffix(filepath.Base(path), ".txtar"), text: string(archive.Files[0].Data), proto: head.Protocol, identity: head.Identity}
	for d.More() {
		var r attempted
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		x.requests = append(x.requests, r)
	}
	return x
}

// TestKeptPrograms holds those that once failed to the same, at all of their
// placements.
func TestKeptPrograms(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(keptCases, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in %s: %v", keptCases, err)
	}
	var all []*trial
	for _, path := range paths {
		x := kept(t, path)
		if !x.compiles(t) {
			t.Errorf("%s: no program:\n%s", path, x.text)
		}
		all = append(all, x)
	}
	invariant(t, all, 9)
}
