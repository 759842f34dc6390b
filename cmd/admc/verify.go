package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newVerify(io streams) *cobra.Command {
	var flags verifyFlags
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check an output directory without a solver",
		Long: `Reads what compile wrote and checks it without solving anything:

  - every file has the digest that MANIFEST gives it;
  - the inputs that placement.json names are those that were compiled;
  - in the problem that follows from them, every policy is enforced once, at an
    end where it may be, and all order between policies is kept;
  - the bound is what the certificate adds up to. For a "search" certificate the
    bound is a claim, and is called one;
  - no service without an ADM has a proxy, a ConfigMap, a patch or a redirect
    table, and every other file is what follows from the placement; what the
    NetworkPolicies among them leave open is said.

Paths of inputs are relative to the directory of admc.yaml or to the one that
holds all inputs; it is looked for from DIR upwards, then from the current
directory upwards where all inputs are those that were compiled, or named with
--root.
The admc.yaml from DIR upwards says which image the ADMs have, and how they drain.
Where the inputs can't be found, only the directory's consistency is checked.
The exit status is 1 when something is wrong.`,
		Example: `  admc verify out
  admc verify --root . /srv/release/out`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := verifyDir(cmd.Context(), filepath.Clean(args[0]), flags)
			if err != nil {
				return err
			}
			for _, w := range v.wrong {
				fmt.Fprintf(io.err, "%s: %s\n", shownPath(v.dir), w)
			}
			if n := len(v.wrong); n > 0 {
				fmt.Fprintf(io.err, "%s found\n", count(n, "mistake"))
				return errInput
			}
			for _, line := range v.good {
				fmt.Fprintln(io.out, line)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&flags.root, "root", "", "the directory that the paths of inputs are relative to")
	cmd.Flags().StringVarP(&flags.graph, "graph", "g", "", "which input is the service graph (default: the one that isn't *.adm)")
	cmd.Flags().StringVar(&flags.base, "base", "", "the manifests that the output patches (default: what its kustomization.yaml or admc.yaml names)")
	return cmd
}

// verifyFlags are the flags of verify.
type verifyFlags struct{ root, graph, base string }
