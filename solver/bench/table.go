package main

import (
	"fmt"
	"os"
	"strings"
)

const (
	begins = "<!-- bench: what follows is written by make bench-solver -->\n"
	ends   = "<!-- bench: to here -->\n"
)

// write puts the tables between the page's marks.
func (b *bench) write(rows, changes []*line, whole *command) error {
	page, err := os.ReadFile(b.page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), begins)
	_, after, also := strings.Cut(rest, ends)
	if !ok || !also {
		return fmt.Errorf("%s has no marks to write the tables between", b.page)
	}
	var w strings.Builder
	w.WriteString(before + begins + "\n")
	b.table(&w, rows)
	w.WriteString("\nWith a previous placement that differs in one policy of thirty:\n\n")
	w.WriteString("| problem | ADMs | changed | seconds | without a previous one | MB |\n| --- | --: | --: | --: | --: | --: |\n")
	for _, c := range changes {
		a, proof := c.answers["native"], ""
		if a.ChangesProved {
			proof = ", proved fewest"
		}
		alone := "–"
		for _, r := range rows {
			if r.name == strings.TrimSuffix(c.name, ", changed") {
				alone = r.cell("native")
			}
		}
		fmt.Fprintf(&w, "| %s | %d | %d%s | %s | %s | %d |\n", c.name, a.Objective, a.Changes, proof, c.cell("native"), alone, a.Megabytes)
	}
	fmt.Fprintf(&w, "\n`admc plan` on a file of %d services, %d calls and %d policies (%.1f MB): **%.1f s**, %d MB, of which\n\n```text\n%s\n```\n\n",
		whole.services, whole.calls, whole.policies, float64(whole.bytes)/1e6, whole.seconds, whole.megabytes, whole.phases)
	w.WriteString(ends + after)
	return os.WriteFile(b.page, []byte(w.String()), 0o644)
}

func (b *bench) table(w *strings.Builder, rows []*line) {
	w.WriteString("| problem | ADMs | certificate |")
	rule := "| --- | --: | --- |"
	for _, s := range solvers {
		fmt.Fprintf(w, " %s |", s.name)
		rule += " --: |"
	}
	w.WriteString(" best other ÷ native |\n" + rule + " --: |\n")
	duals, proved, lost := 0, 0, 0
	for _, r := range rows {
		ours := r.answers["native"]
		size, kind := fmt.Sprint(ours.Objective), ours.Certificate
		if ours.Status == best {
			proved++
			if kind == "dual" {
				duals++
			}
		} else {
			size, kind = fmt.Sprintf("%d to %d", ours.Bound, ours.Objective), "none"
		}
		fmt.Fprintf(w, "| %s | %s | %s |", r.name, size, kind)
		for _, s := range solvers {
			fmt.Fprintf(w, " %s |", r.cell(s.name))
		}
		ratio := r.ratio()
		if strings.HasPrefix(ratio, "0") {
			lost++
		}
		fmt.Fprintf(w, " %s |\n", ratio)
	}
	fmt.Fprintf(w, "\nNative proves %d of %d, %d of them with a `dual` certificate; on %d another solver is quicker.\n", proved, len(rows), duals, lost)
}

// cell is a solver's time; of one that did not finish, the limit and its gap.
func (l *line) cell(solver string) string {
	a := l.answers[solver]
	switch {
	case a.Status == best:
		text := seconds(a.Seconds)
		if a.Seconds == l.quickest() {
			text = "**" + text + "**"
		}
		return text
	case a.Status == notRun:
		return "–"
	case a.found() && a.Bound > 0:
		return fmt.Sprintf("stopped (%d to %d)", a.Bound, a.Objective)
	}
	return "stopped"
}

// ratio is the best time of the other solvers by native's; lpsolve, which is given
// what the same reductions leave, is none of them.
func (l *line) ratio() string {
	least := 0.0
	for _, s := range solvers {
		if a := l.answers[s.name]; s.name != "native" && s.name != "lpsolve" && a.Status == best && (least == 0 || a.Seconds < least) {
			least = a.Seconds
		}
	}
	ours := l.answers["native"]
	switch {
	case ours.Status == best && least == 0:
		return "alone"
	case ours.Status == best:
		return fmt.Sprintf("%.2g", least/ours.Seconds)
	case least > 0:
		return "0 (native stopped)"
	}
	return "–"
}

func seconds(s float64) string {
	switch {
	case s < 0.001:
		return fmt.Sprintf("%.2f ms", s*1000)
	case s < 1:
		return fmt.Sprintf("%.3g ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}
