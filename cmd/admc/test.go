package main

import (
	"fmt"
	stdio "io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A testReport is what `admc test` found out.
type testReport struct {
	suite   string // the graph's name
	results []*lang.TestResult
	skipped int // left out by --run
	program *ir.Program
}

// testFormats of --format.
var testFormats = map[string]func(stdio.Writer, *testReport) error{
	"text": writeTestText, "json": writeTestJSON, "junit": writeTestJUnit,
}

func newTest(io streams) *cobra.Command {
	var flags inputFlags
	var only, format string
	cmd := &cobra.Command{
		Use:   "test [FILES|DIR]...",
		Short: "Run the tests in the policies",
		Long: `Runs the program's test declarations on an interpreter: each request goes
through all policies of its call, with counters and a clock of its own for each
test. Nothing is placed, emitted or sent.

It says which expectations do not hold, with the policies that acted, and which
policies no test touches. Exit status 1: a test failed, or the input has errors.`,
		Example: `  admc test -g graph.yaml policies/
  admc test --run 'admin|quota'
  admc test --format junit > report.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			write := testFormats[format]
			if write == nil {
				return fmt.Errorf("can't write --format %q: choose text, json or junit", format)
			}
			pattern, err := regexp.Compile(only)
			if err != nil {
				return fmt.Errorf("--run: %w", err)
			}
			in, err := flags.load(args)
			if err != nil {
				return err
			}
			bag := &diag.Bag{}
			r := runTests(in, pattern, bag)
			if err := report(io, bag, in.strict); err != nil {
				return err
			}
			if only != "" && len(r.results) == 0 {
				fmt.Fprintf(io.err, "--run %q matches the title of none of %s\n", only, count(r.skipped, "test"))
				return errInput
			}
			if err := write(io.out, r); err != nil {
				return err
			}
			if r.failed() > 0 {
				return errInput
			}
			return nil
		},
	}
	flags.registerProgram(cmd)
	cmd.Flags().StringVar(&only, "run", "", "run only the tests whose title matches this regular expression (RE2)")
	cmd.Flags().StringVar(&format, "format", "text", "text, json or junit")
	return cmd
}

// runTests gives nil when the bag has errors.
func runTests(in *inputs, only *regexp.Regexp, bag *diag.Bag) *testReport {
	g, prog := in.check(bag)
	if bag.HasErrors() {
		return nil
	}
	r := &testReport{suite: g.Name, program: prog}
	all := prog.Tests
	prog.Tests = slices.DeleteFunc(slices.Clone(all), func(t *ir.Test) bool { return !only.MatchString(t.Title) })
	r.skipped = len(all) - len(prog.Tests)
	if lang.CanInterpret(prog, bag); bag.HasErrors() {
		return nil
	}
	for _, t := range prog.Tests {
		r.results = append(r.results, lang.RunTest(prog, t))
	}
	return r
}

func (r *testReport) failed() int {
	n := 0
	for _, t := range r.results {
		if len(t.Failures) > 0 {
			n++
		}
	}
	return n
}

// undecided is how many of a test's expectations nobody can decide here.
func undecided(t *lang.TestResult) int {
	n := 0
	for _, f := range t.Failures {
		if f.Undecided != "" {
			n++
		}
	}
	return n
}

// writeTestText prints a line for each test, what failed below it, and a
// summary.
func writeTestText(w stdio.Writer, r *testReport) error {
	var b strings.Builder
	for _, t := range r.results {
		word := "ok  "
		if len(t.Failures) > 0 {
			word = "FAIL"
			if undecided(t) == len(t.Failures) {
				word = "????"
			}
		}
		fmt.Fprintf(&b, "%s  %s  (%s)\n", word, t.Test.Title, count(t.Requests, "request"))
		for _, f := range t.Failures {
			b.WriteString(shifted(failureText(f), "      "))
		}
	}
	fmt.Fprintf(&b, "%s: %d passed, %d failed", count(len(r.results), "test"), len(r.results)-r.failed(), r.failed())
	if r.skipped > 0 {
		fmt.Fprintf(&b, ", %d not run", r.skipped)
	}
	b.WriteByte('\n')
	r.writeCoverage(&b)
	_, err := stdio.WriteString(w, b.String())
	return err
}

// writeCoverage is left out after --run, which leaves out tests.
func (r *testReport) writeCoverage(b *strings.Builder) {
	untouched, all := lang.Untouched(r.program, r.results), len(lang.Testable(r.program))
	if r.skipped > 0 || all == 0 {
		return
	}
	fmt.Fprintf(b, "%d of %s acted in a test", all-len(untouched), policies(all))
	if len(untouched) == 0 {
		b.WriteByte('\n')
		return
	}
	b.WriteString("; no test touches\n")
	for _, p := range untouched {
		fmt.Fprintf(b, "  %s: %s\n", p.At.Show(), p.Name)
	}
}

// failureText is an expectation that did not hold: where, what was got, and the
// way of one request.
func failureText(f lang.Failure) string {
	var b strings.Builder
	line, _ := f.Expect.At.Src.Position(f.Expect.At.Start)
	verb := "expected"
	if f.Undecided != "" {
		verb = "can't tell whether"
	}
	fmt.Fprintf(&b, "%s: %s %s\n", f.Expect.At.Show(), verb, f.Expected)
	fmt.Fprintf(&b, "%5d | %s\n", line, strings.TrimSpace(f.Expect.At.Src.Line(line)))
	if f.Undecided != "" {
		fmt.Fprintf(&b, "  %s\n", f.Undecided)
	} else {
		fmt.Fprintf(&b, "  got %s\n", f.Got)
	}
	fmt.Fprintf(&b, "  %s\n", requestText(f))
	for _, s := range traceOf(f) {
		fmt.Fprintf(&b, "    %s\n", s)
	}
	return b.String()
}

// requestText is the request that is shown.
func requestText(f lang.Failure) string {
	r := f.Request
	text := r.Call.From.NodeName() + " -> " + r.Call.To.NodeName()
	if r.Method != "" {
		text += " " + r.Method + " " + r.Path
	}
	if r.Times > 1 {
		text = fmt.Sprintf("request %d of %d, %s", f.Number, r.Times, text)
	}
	return text + ":"
}

// traceOf lists what acted on a request, in order, and how it ended.
func traceOf(f lang.Failure) []string {
	var out []string
	for _, s := range f.Result.Steps {
		try := ""
		if f.Result.Attempts > 1 && s.Attempt > 0 {
			try = fmt.Sprintf("attempt %d: ", s.Attempt)
		}
		out = append(out, fmt.Sprintf("%s%s %s (%s)", try, s.Policy, s.Text, s.Action.At.Show()))
	}
	if len(out) == 0 {
		out = append(out, "no policy acted")
	}
	if f.Note != "" {
		out = append(out, f.Note)
	}
	took := ""
	if f.Result.Took > 0 {
		took = " after " + f.Result.Took.String()
	}
	return append(out, "-> "+f.Result.Outcome(f.Request.Call.Protocol.Plane())+took)
}

func shifted(text, by string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = by + l
		}
	}
	return strings.Join(lines, "")
}
