package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLinesTable counts again what the table in docs/lines.md says. That Istio
// takes the resources is for `make bench-lines` to see.
func TestLinesTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/lines.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]string{}
	for line := range strings.Lines(string(doc)) {
		if cells := strings.Split(line, " | "); len(cells) > 4 {
			table[strings.TrimPrefix(cells[0], "| ")] = cells
		}
	}
	for _, m := range meshPolicies(t) {
		cells := table[m.ID]
		if cells == nil {
			t.Errorf("the table has no row %s", m.ID)
			continue
		}
		istio := countLines(t, "../../bench/istio/resources/"+m.ID+".yaml", "#")
		admc := countLines(t, filepath.Join(m.dir(), "policies", m.file()), "//")
		if cells[2] != strconv.Itoa(istio) {
			t.Errorf("%s has %d lines for Istio, and the table says %s", m.ID, istio, cells[2])
		}
		if besides := filepath.Join(m.dir(), "policies", "besides.adm"); cells[3] != strconv.Itoa(admc) &&
			cells[3] != strconv.Itoa(admc+countLines(t, besides, "//")) {
			t.Errorf("%s has %d lines, and the table says %s: `make bench-lines UPDATE=-update`", m.ID, admc, cells[3])
		}
	}
}

// countLines counts what is neither blank nor a comment, nor the line between
// two YAML documents.
func countLines(t *testing.T, path, comment string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, comment) {
			n++
		}
	}
	return n
}
