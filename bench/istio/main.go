// Command istio compares the lines of the policies in examples/mesh-policies
// with those of the same rules as Istio resources, which stand in resources and
// which Istio's own validation must accept. It prints a table and compares it
// with the one in docs/lines.md.
//
// It is a module of its own, so that admc depends on nothing of Istio's.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Paths from this folder.
const (
	cases     = "../../testdata/mesh-policies.json"
	policies  = "../../examples/mesh-policies"
	resources = "resources"
	document  = "../../docs/lines.md"
)

// The table stands between these lines of the document.
const (
	begin = "<!-- printed by make bench-lines: from here -->\n"
	end   = "<!-- to here -->\n"
)

func main() {
	update := flag.Bool("update", false, "write the table into "+document)
	flag.Parse()
	if err := run(*update); err != nil {
		fmt.Fprintln(os.Stderr, "bench-lines:", err)
		os.Exit(1)
	}
}

func run(update bool) error {
	rows, err := compare()
	if err != nil {
		return err
	}
	table := print(rows)
	fmt.Print(table)
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, opened := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !opened || !closed {
		return fmt.Errorf("%s has no place for the table", document)
	}
	now := []byte(string(before) + begin + "\n" + table + "\n" + end + string(after))
	if bytes.Equal(now, text) {
		return nil
	}
	if !update {
		return fmt.Errorf("the table in %s is another one: `make bench-lines UPDATE=-update` writes it", document)
	}
	return os.WriteFile(document, now, 0o644)
}

// compare reads and counts both sides of every case.
func compare() ([]row, error) {
	text, err := os.ReadFile(cases)
	if err != nil {
		return nil, err
	}
	var all struct {
		Policies []struct {
			ID, Graph string
			Edges     [][2]string `json:"last_hop_edges"`
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", cases, err)
	}
	var rows []row
	for _, c := range all.Policies {
		r := row{id: c.ID}
		dir := filepath.Join(policies, strings.TrimSuffix(c.Graph, ".yaml"), "policies")
		if err := r.readPolicy(dir, c.Edges[0][0]); err != nil {
			return nil, err
		}
		path := filepath.Join(resources, c.ID+".yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if r.kinds, err = kinds(text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r.istio = lines(text, "#")
		rows = append(rows, r)
	}
	return rows, nil
}
