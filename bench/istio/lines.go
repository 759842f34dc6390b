package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A row is one rule, written twice.
type row struct {
	id string
	// Lines of the policy as it is written, and as it would be with every clause
	// on a line of its own.
	admc, spread int
	istio        int
	kinds        []string // of the Istio resources
}

// lines counts what is neither blank nor only a comment, nor the line between
// two YAML documents.
func lines(text []byte, comment string) int {
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, comment) {
			n++
		}
	}
	return n
}

// oneLine finds policies whose only clause stands on the line of the name.
var oneLine = regexp.MustCompile(`(?m)^policy \w+ \{ .* \}$`)

// names of services, and other words.
var names = regexp.MustCompile(`[a-z0-9-]+`)

// readPolicy counts the policy's own file, and all of besides.adm where that
// names the service that the rule closes: without it the rule contradicts the
// graph. The Istio resources of such a rule name those receivers, too.
func (r *row) readPolicy(dir, caller string) error {
	text, err := os.ReadFile(filepath.Join(dir, r.id+".adm"))
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "@closed") {
		besides, err := os.ReadFile(filepath.Join(dir, "besides.adm"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if slices.Contains(names.FindAllString(string(besides), -1), caller) {
			text = append(text, besides...)
		}
	}
	r.admc = lines(text, "//")
	r.spread = r.admc + 2*len(oneLine.FindAll(text, -1))
	return nil
}

// print gives the table and what it comes to, in Markdown.
func print(rows []row) string {
	var b strings.Builder
	b.WriteString("| rule | Istio resources | Istio | admc | times fewer | admc, a line for each clause | times fewer |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	var written, spread []float64
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %.2f | %d | %.2f |\n",
			r.id, strings.Join(r.kinds, ", "), r.istio, r.admc, times(r.istio, r.admc), r.spread, times(r.istio, r.spread))
		written = append(written, times(r.istio, r.admc))
		spread = append(spread, times(r.istio, r.spread))
	}
	fmt.Fprintf(&b, "\nTimes fewer lines than Istio, over %d rules: median %.2f, from %.2f to %.2f.\n", len(rows), median(written), slices.Min(written), slices.Max(written))
	fmt.Fprintf(&b, "With a line for each clause: median %.2f, from %.2f to %.2f.\n", median(spread), slices.Min(spread), slices.Max(spread))
	return b.String()
}

func times(istio, admc int) float64 { return float64(istio) / float64(admc) }

// median of at least one value.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
