package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"admc.dev/admc/lang/diag"
)

// reportFormats are the ways in which diagnostics are printed.
var reportFormats = []string{"text", "json", "sarif", "github"}

// A reportFormat is the flag --format of commands that give diagnostics. As
// text they go to standard error. The other formats are for programs: they go
// to standard output, alone, and what else the command has to say to standard
// error.
type reportFormat string

func (f *reportFormat) register(cmd *cobra.Command) {
	cmd.Flags().Var(f, "format", "diagnostics as text, json, sarif (2.1.0) or github (workflow commands); all but text on standard output")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(reportFormats, cobra.ShellCompDirectiveNoFileComp))
}

func (f *reportFormat) String() string {
	if *f == "" {
		return "text"
	}
	return string(*f)
}

func (f *reportFormat) Type() string { return "format" }

func (f *reportFormat) Set(s string) error {
	if !slices.Contains(reportFormats, s) {
		return fmt.Errorf("choose %s", strings.Join(reportFormats, ", "))
	}
	*f = reportFormat(s)
	return nil
}

// aside gives the streams for what is no diagnostic.
func (f reportFormat) aside(io streams) streams {
	if f.String() != "text" {
		io.out = io.err
	}
	return io
}

// report prints the diagnostics and gives errInput when they forbid to go on.
func (f reportFormat) report(io streams, bag *diag.Bag, strict bool) error {
	if err := f.write(io, bag.All()); err != nil {
		return err
	}
	errors, warnings := bag.Count()
	if errors+warnings > 0 {
		fmt.Fprintln(io.err, count(errors, "error")+", "+count(warnings, "warning"))
	}
	if errors > 0 || strict && warnings > 0 {
		return errInput
	}
	return nil
}

// input prints what a badInput found; it gives other errors back.
func (f reportFormat) input(io streams, err error) error {
	if bad := (badInput{}); errors.As(err, &bad) {
		return f.report(io, bad.bag, false)
	}
	return err
}

func (f reportFormat) write(io streams, list []*diag.Diagnostic) error {
	tool := diag.Tool{Version: buildVersion(), Codes: codes(), Path: repositoryPath}
	switch f.String() {
	case "json":
		return diag.WriteJSON(io.out, list)
	case "sarif":
		return diag.WriteSARIF(io.out, list, tool)
	case "github":
		return diag.WriteGitHub(io.out, list, tool)
	}
	return diag.WriteText(io.err, list)
}

// repositoryPath is how a service that annotates a repository knows a source:
// relative to the checkout, where a runner says where that is, so that a step
// may run in any directory of it.
func repositoryPath(src *diag.Source) string {
	root := os.Getenv("GITHUB_WORKSPACE")
	if root == "" {
		return src.Path()
	}
	if path := relativeTo(root, src.Path()); !filepath.IsAbs(path) && !strings.HasPrefix(path, "../") {
		return path
	}
	return src.Path()
}

// report prints the diagnostics as text.
func report(io streams, bag *diag.Bag, strict bool) error {
	return reportFormat("text").report(io, bag, strict)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
