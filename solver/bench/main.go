// Command bench runs the engines and other solvers on the same generated
// problems and writes what they took into docs/performance.md. It is no part of
// admc.
//
//	bench [-limit 10s] [-only PATTERN] [-admc bin/admc] [-python .tools/solvers/bin/python]
//
// Every solve is a process of its own, so that one that doesn't end can be
// killed and none inherits another's memory. An answer that is called best and
// isn't, or that no placement could be, ends the bench with status 1.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

func main() {
	var b bench
	flag.DurationVar(&b.limit, "limit", 10*time.Second, "of each solve")
	only := flag.String("only", "", "the instances to run, a regular expression; nothing is written then")
	flag.StringVar(&b.admc, "admc", "bin/admc", "for the timing of the whole command")
	flag.StringVar(&b.python, "python", ".tools/solvers/bin/python", "with highspy, ortools and z3-solver")
	flag.StringVar(&b.page, "page", "docs/performance.md", "has the tables between its marks")
	flag.StringVar(&b.plot, "plot", "docs/performance.svg", "the growth")
	solve := flag.String("solve", "", "INSTANCE: solve it in this process and print the answer")
	engine := flag.String("engine", "native", "with -solve")
	flag.Parse()
	err := error(nil)
	if *solve != "" {
		err = solveHere(*solve, *engine, b.limit)
	} else {
		err = b.run(*only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	limit                    time.Duration
	admc, python, page, plot string
	work                     string // directory of the instances' files
	wrong                    int    // answers that contradict ours
}

func (b *bench) run(only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	var rows []*line
	beyond := map[string]bool{} // solver and family that timed out at a smaller size
	for _, in := range instances {
		if !pattern.MatchString(in.name) {
			continue
		}
		row, err := b.measure(in, beyond)
		if err != nil {
			return err
		}
		rows = append(rows, row)
		fmt.Println(row)
	}
	changes, err := b.changes(pattern)
	if err != nil {
		return err
	}
	whole, err := b.whole(pattern)
	if err != nil {
		return err
	}
	if b.wrong > 0 {
		return fmt.Errorf("%d answers contradict each other", b.wrong)
	}
	if only != "" {
		return nil
	}
	if err := os.WriteFile(b.plot, growth(rows, b.limit), 0o644); err != nil {
		return err
	}
	return b.write(rows, changes, whole)
}

// measure gives an instance to every solver.
func (b *bench) measure(in instance, beyond map[string]bool) (*line, error) {
	row := &line{instance: in, answers: map[string]*answer{}}
	path := ""
	for _, s := range solvers {
		key := s.name + "/" + in.family
		if beyond[key] {
			row.answers[s.name] = &answer{Status: notRun}
			continue
		}
		if !s.ours && path == "" {
			var err error
			if path, err = in.write(b.work); err != nil {
				return nil, err
			}
		}
		a, err := s.run(b, in, path)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", s.name, in.name, err)
		}
		row.answers[s.name] = a
		beyond[key] = a.Status == timedOut && in.grows && s.engine != "native" && s.engine != "lpsolve"
	}
	if path != "" {
		os.Remove(path)
	}
	b.wrong += row.contradictions()
	return row, nil
}

// contradictions counts answers that can't be right beside the others.
func (l *line) contradictions() int {
	wrong := 0
	for _, s := range solvers {
		a := l.answers[s.name]
		for _, t := range solvers {
			if o := l.answers[t.name]; a.Status == best && o.found() && o.Objective < a.Objective {
				fmt.Fprintf(os.Stderr, "bench: %s: %s calls %d the least, %s found %d\n", l.name, s.name, a.Objective, t.name, o.Objective)
				wrong++
			}
		}
	}
	return wrong
}

func (l *line) String() string {
	text := l.name
	for _, s := range solvers {
		text += fmt.Sprintf("  %s %s", s.name, l.answers[s.name])
	}
	return text
}

// A line is an instance with what each solver said.
type line struct {
	instance
	answers map[string]*answer // by name of the solver
}

// quickest is the least time in which a solver finished.
func (l *line) quickest() float64 {
	least := 0.0
	for _, a := range l.answers {
		if a.Status == best && (least == 0 || a.Seconds < least) {
			least = a.Seconds
		}
	}
	return cmp.Or(least, 1)
}
