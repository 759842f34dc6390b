package main

import (
	"github.com/spf13/cobra"

	"admc.dev/admc/lang/diag"
)

func newCheck(io streams) *cobra.Command {
	flags := inputFlags{limits: limits{progress: io.err}}
	cmd := &cobra.Command{
		Use:   "check [FILES|DIR]...",
		Short: "Report every mistake in policies and graph; write nothing",
		Long:  `Does all that compile does, and reports all that is wrong, but writes nothing.`,
		Example: `  admc check -g graph.yaml policies/
  admc check --strict`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.load(args)
			if err != nil {
				return err
			}
			bag := &diag.Bag{}
			if _, _, err := compile(cmd.Context(), in, bag); err != nil {
				return err
			}
			return report(io, bag, in.strict)
		},
	}
	flags.register(cmd)
	flags.registerBase(cmd)
	return cmd
}
