package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit/dot"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
)

func newExplain(io streams) *cobra.Command {
	flags := inputFlags{limits: limits{progress: io.err}}
	var subject explainFlags
	cmd := &cobra.Command{
		Use:   "explain [SERVICE|POLICY|OBLIGATION]",
		Short: "Show the placement as a graph, or why one service has an ADM",
		Long: `Without an argument it shows the service graph with its ADMs. With the name of
a service it says which obligations are enforced there and why each could not be
elsewhere; with the name of a policy, where each of its obligations is enforced
and why; with an obligation as placement.json names it (POLICY@RECEIVER:PORT),
only that. Policies and graph come from the flags or from admc.yaml.`,
		Example: `  admc explain --format svg -o placement.svg
  admc explain geo                 # why does geo have a proxy?
  admc explain protect_databases   # where does this policy run?`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.load(subject.policies)
			if err != nil {
				return err
			}
			bag := &diag.Bag{}
			l, err := place(cmd.Context(), in, bag)
			if err != nil {
				return err
			}
			in.silence(bag, false)
			if err := report(io, bag, in.strict); err != nil {
				return err
			}
			e, err := newExplanation(l, args)
			if err != nil {
				return err
			}
			out, err := subject.render(cmd, l, e)
			if err != nil {
				return err
			}
			if subject.out == "" {
				_, err = io.out.Write(out)
				return err
			}
			return os.WriteFile(subject.out, out, 0o666)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&subject.format, "format", "text", "text, json, dot or svg (svg runs graphviz)")
	cmd.Flags().StringVarP(&subject.out, "out", "o", "", "write to this file instead of standard output")
	cmd.Flags().StringArrayVarP(&subject.policies, "policies", "p", nil, "policy file or directory; may be repeated")
	return cmd
}

// explainFlags are the flags of explain alone.
type explainFlags struct {
	format, out string
	policies    []string
}

func (f *explainFlags) render(cmd *cobra.Command, l *layout.Layout, e *explanation) ([]byte, error) {
	switch f.format {
	case "text":
		return []byte(e.text()), nil
	case "json":
		data, err := json.MarshalIndent(e, "", "  ")
		return append(data, '\n'), err
	case "dot", "svg":
		if e.Subject != "" {
			return nil, fmt.Errorf("--format %s draws the whole graph; leave %q out", f.format, e.Subject)
		}
		if f.format == "dot" {
			return []byte(dot.Graph(l)), nil
		}
		return dot.SVG(cmd.Context(), dot.Graph(l))
	}
	return nil, fmt.Errorf("no format %q: choose text, json, dot or svg", f.format)
}
