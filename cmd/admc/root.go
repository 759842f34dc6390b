package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// commands is the table of subcommands, in the order of --help.
var commands = []func(streams) *cobra.Command{
	newCompile,
	newPlan,
	newVerify,
	newCheck,
	newTest,
	newExplain,
	newFmt,
	newDoc,
	newLSP,
	newADM,
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
warnings too, differences found by --check, a test that fails; 2 usage or environment.`,
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
	tightenDefaults(root)
	return root
}

// tightenDefaults makes cobra's own commands refuse what they don't know, and
// gives them an example like the others.
func tightenDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Example = "  source <(admc completion bash)"
			c.RunE = func(*cobra.Command, []string) error {
				return errors.New("for which shell? `admc completion` takes bash, zsh, fish or powershell")
			}
			c.Args = cobra.ArbitraryArgs
		case "help":
			c.Example = "  admc help compile"
			c.Run = nil
			c.RunE = func(_ *cobra.Command, args []string) error {
				about, _, err := root.Find(args)
				if err != nil {
					return err
				}
				return about.Help()
			}
		}
	}
}
