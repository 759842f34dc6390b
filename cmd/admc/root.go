package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// commands is the table of subcommands, in the order of --help.
var commands = []func(streams) *cobra.Command{
	newCompile,
	newCheck,
	newExplain,
	newFmt,
	newDoc,
	newVersion,
}

func newRoot(io streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "admc",
		Short: "Compile mesh policies to the fewest proxies that enforce them",
		Long: `admc reads typed policies (*.adm) and a service call graph, proves where each
policy must run, finds the fewest application-defined middleboxes (a proxy that
a service has only if some policy needs one), and writes what you check in:
Kubernetes manifests, an Envoy configuration for each proxy, redirect objects.

Exit status: 0 fine (warnings included); 1 errors in the input, with --strict
warnings too, or differences found by --check; 2 usage or environment.`,
		Example: `  admc compile -g graph.yaml -o out policies/
  admc compile --check              # with an admc.yaml here or above
  admc explain --format svg > placement.svg`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	for _, c := range commands {
		root.AddCommand(c(io))
	}
	return root
}
