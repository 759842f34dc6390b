package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
)

func newCompile(io streams) *cobra.Command {
	flags := inputFlags{limits: limits{progress: io.err}}
	var format reportFormat
	var check, validate, quiet bool
	cmd := &cobra.Command{
		Use:   "compile [FILES|DIR]...",
		Short: "Place the policies and write manifests, proxy configurations and redirect objects",
		Long: `Reads policies and a service graph, finds the fewest ADMs that enforce every
policy, and writes them to a directory, whole or not at all. When the input has
an error nothing is written. Files in the directory that admc did not write are
never touched.

With --check nothing is written: what would be is compared with what is there,
and the differences are printed as a unified diff.

The placement in the output directory is the previous one (or that of
--previous): of the placements with the fewest ADMs, the one with the fewest
changes to it is chosen, and it stays as it is where it is still right.`,
		Example: `  admc compile -g graph.yaml --base deploy/base -o deploy/mesh policies/
  admc compile                     # as the admc.yaml here or above says
  admc compile --check             # in CI: is what is checked in up to date?
  admc compile --validate          # and let the real Envoy read every file`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.load(args)
			if err != nil {
				return format.input(io, err)
			}
			bag := &diag.Bag{}
			l, files, err := compile(cmd.Context(), in, bag)
			if err != nil {
				return err
			}
			in.silence(bag, true)
			if err := format.report(io, bag, in.strict); err != nil {
				return err
			}
			if err := reportGap(io, l.Placement, in.strict); err != nil {
				return err
			}
			io := format.aside(io)
			if validate {
				if err := validateEnvoy(cmd.Context(), io, files); err != nil {
					return err
				}
			}
			if check {
				return compare(io, in.out, files)
			}
			if err := emit.Write(in.out, files); err != nil {
				return err
			}
			if !quiet {
				writeSummary(io.out, l, shownPath(in.out), len(files.Paths()))
			}
			return nil
		},
	}
	flags.register(cmd)
	flags.registerOut(cmd)
	format.register(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; print how the output directory differs")
	cmd.Flags().BoolVar(&validate, "validate", false, "run the real Envoy over every emitted configuration (ENVOY=, PATH, .tools/)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no summary")
	return cmd
}

func compare(io streams, dir string, files *emit.Files) error {
	diffs, err := emit.Compare(dir, files)
	if err != nil {
		return err
	}
	if len(diffs) == 0 {
		return nil
	}
	if err := emit.WriteDifferences(io.out, diffs); err != nil {
		return err
	}
	fmt.Fprintf(io.err, "%s is not what the policies and the graph give: %s; run `admc compile`\n", shownPath(dir), count(len(diffs), "difference"))
	return errInput
}
