package adm

import (
	"fmt"
	"strings"
)

// The tables stand between these lines of the page.
const (
	begins = "<!-- bench: what follows is written by make bench-adm -->\n"
	ends   = "<!-- bench: to here, by make bench-adm -->\n"
)

const (
	hopHead = "| an empty ADM | at | no proxy | p99 | with it | p99 | ÷ no proxy | CPU | quartiles | idle | memory |\n" +
		"| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n"
	rowHead = "| action | on | at | latency | p99 | ÷ no proxy | ÷ empty | CPU on top | quartiles | `cost` |\n" +
		"| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: |\n"
)

// tables writes both. cost is what an action declares for a plane.
func tables(hops []Hop, rows []Measured, cost func(action, plane string) float64) string {
	var w strings.Builder
	w.WriteString(hopHead)
	for _, h := range hops {
		fmt.Fprintf(&w, "| %s | %s | %.0f µs | %.0f | %.0f µs | %.0f | %.1f | %.1f µs | %.1f to %.1f | %.1fm | %.0f MiB |\n",
			h.Plane, h.At, h.Direct.Median, h.Direct.P99, h.Empty.Median, h.Empty.P99, h.Ratio,
			h.CPU.Median, h.CPU.Low, h.CPU.High, h.Idle/1000, h.Resident)
	}
	w.WriteString("\n" + rowHead)
	for _, r := range rows {
		declared := "–"
		if r.Action != "" && r.Variant == "" {
			declared = fmt.Sprintf("%g", cost(r.Action, r.Plane))
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %.0f µs | %.0f | %.1f | %.2f | %.1f µs | %.1f to %.1f | %s |\n",
			r.name(), r.Plane, r.At, r.Latency.Median, r.Latency.P99, r.ToDirect, r.ToEmpty, r.Extra.Median, r.Extra.Low, r.Extra.High, declared)
	}
	return w.String()
}

func (m Measured) name() string {
	switch {
	case m.Action == "":
		return "(" + m.Variant + ")"
	case m.Variant == "":
		return m.Action
	}
	return m.Action + ", " + m.Variant
}

// split finds the place of the tables in the page.
func split(page string) (before, tables, after string, err error) {
	before, rest, begun := strings.Cut(page, begins)
	tables, after, ended := strings.Cut(rest, ends)
	if !begun || !ended {
		return "", "", "", fmt.Errorf("the page has no marks to write the tables between")
	}
	return before, strings.TrimSpace(tables), after, nil
}

// A Line is what is read back from the second table.
type Line struct {
	Measured
	Cost string // as the page says it; "–" for none
}

// parse reads what tables wrote, as far as costs hang on it.
func parse(text string) (hops []Hop, rows []Line, err error) {
	first, second, _ := strings.Cut(text, "\n\n")
	for _, cells := range body(first, hopHead) {
		h := Hop{Plane: cells[0], At: cells[1]}
		if _, err := fmt.Sscanf(cells[7]+" "+cells[8], "%g µs %g to %g", &h.CPU.Median, &h.CPU.Low, &h.CPU.High); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", cells, err)
		}
		hops = append(hops, h)
	}
	for _, cells := range body(second, rowHead) {
		l := Line{Measured{Plane: cells[1], At: cells[2]}, cells[9]}
		if inner, ok := strings.CutPrefix(cells[0], "("); ok {
			l.Variant = strings.TrimSuffix(inner, ")")
		} else {
			l.Action, l.Variant, _ = strings.Cut(cells[0], ", ")
		}
		if _, err := fmt.Sscanf(cells[7]+" "+cells[8], "%g µs %g to %g", &l.Extra.Median, &l.Extra.Low, &l.Extra.High); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", cells, err)
		}
		rows = append(rows, l)
	}
	if len(hops) == 0 || len(rows) == 0 {
		return nil, nil, fmt.Errorf("no tables")
	}
	return hops, rows, nil
}

// body is the cells of a table with that head; none where the head is another.
func body(table, head string) (out [][]string) {
	text, ok := strings.CutPrefix(strings.TrimSpace(table)+"\n", head)
	if !ok {
		return nil
	}
	width := strings.Count(head[:strings.IndexByte(head, '\n')], "|") - 1
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != width {
			return nil
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		out = append(out, cells)
	}
	return out
}
