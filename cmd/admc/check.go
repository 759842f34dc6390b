package main

import (
	"github.com/spf13/cobra"

	"admc.dev/admc/lang/diag"
)

func newCheck(io streams) *cobra.Command {
	flags := inputFlags{limits: limits{progress: io.err}}
	var format reportFormat
	var fix, diff bool
	cmd := &cobra.Command{
		Use:   "check [FILES|DIR]...",
		Short: "Report every mistake in policies and graph; with --fix, mend those that have one obvious edit",
		Long: `Does all that compile does, and reports all that is wrong, but writes nothing.

With --fix the mistakes that have one obvious edit are mended in the policies
and the graph, all files or none, and the rest is reported. With --diff the
edits are printed and nothing is written; then the exit status is 1 if there
are any.

A warning is silenced by a comment on its line, or alone on the line above:

  //admc:ignore CODE the reason (in YAML: #admc:ignore CODE the reason)`,
		Example: `  admc check -g graph.yaml policies/
  admc check --strict --format github   # in CI
  admc check --fix`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.load(args)
			if err != nil {
				return format.input(io, err)
			}
			if fix || diff {
				return runFix(cmd.Context(), io, in, format, diff)
			}
			bag := &diag.Bag{}
			if _, _, err := compile(cmd.Context(), in, bag); err != nil {
				return err
			}
			in.silence(bag, true)
			return format.report(io, bag, in.strict)
		},
	}
	flags.register(cmd)
	flags.registerBase(cmd)
	format.register(cmd)
	cmd.Flags().BoolVar(&fix, "fix", false, "make the edits that are obvious, and say which")
	cmd.Flags().BoolVar(&diff, "diff", false, "print the edits of --fix as a unified diff, and write nothing")
	return cmd
}
