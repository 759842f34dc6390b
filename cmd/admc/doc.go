package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit/envoy"
	"admc.dev/admc/emit/kube"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

func newDoc(io streams) *cobra.Command {
	var matrix bool
	cmd := &cobra.Command{
		Use:   "doc [ACTION|CODE]",
		Short: "Print what an action does and where it may run, or what a diagnostic means",
		Long: `Without an argument it lists the actions. With the name of an action it prints
its signature, its documentation and the facts that its placement is derived
from. With the code of a diagnostic it prints what it means, a bad and a good
example. --matrix says of every pair of actions whether they commute, and why.`,
		Example: `  admc doc rate_limit
  admc doc unknown-argument`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return docNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if matrix {
				if len(args) > 0 {
					return fmt.Errorf("--matrix is of all actions; leave %q out", args[0])
				}
				fmt.Fprint(io.out, lang.Matrix())
				return nil
			}
			if len(args) == 0 {
				for _, name := range lang.ActionNames() {
					fmt.Fprintln(io.out, name)
				}
				return nil
			}
			if text, ok := lang.Doc(args[0]); ok {
				fmt.Fprint(io.out, text, planesText(args[0]))
				return nil
			}
			if c := findCode(args[0]); c != nil {
				writeCode(io, c)
				return nil
			}
			err := fmt.Errorf("no action and no diagnostic is called %q", args[0])
			if near := diag.Suggest(args[0], docNames()); near != "" {
				err = fmt.Errorf("%w: did you mean %q?", err, near)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&matrix, "matrix", false, "print which pairs of actions commute, as Markdown")
	return cmd
}

// planesText says which data plane can do an action, on which protocols.
func planesText(action string) string {
	var names []string
	for _, p := range envoy.Does(action) {
		names = append(names, string(p))
	}
	if len(names) == 0 {
		return "  compiled  by no data plane yet: a program that uses it can be checked, and compiling it is an error\n"
	}
	return fmt.Sprintf("  compiled  for envoy: %s\n", strings.Join(names, ", "))
}

// codes is every diagnostic code of the compiler.
func codes() []diag.CodeDoc {
	return slices.Concat(diag.Codes, syntax.Codes, graph.Codes, lang.Codes, solver.Codes, envoy.Codes, kube.Codes, cliCodes)
}

func findCode(name string) *diag.CodeDoc {
	for _, c := range codes() {
		if string(c.Code) == name {
			return &c
		}
	}
	return nil
}

func docNames() []string {
	names := lang.ActionNames()
	for _, c := range codes() {
		names = append(names, string(c.Code))
	}
	return names
}

func writeCode(io streams, c *diag.CodeDoc) {
	fmt.Fprintf(io.out, "%s: %s\n", c.Code, c.Summary)
	if c.Bad != "" {
		fmt.Fprintf(io.out, "\nGives it:\n\n%s", indent(c.Bad))
	}
	if c.Good != "" {
		fmt.Fprintf(io.out, "\nDoes not:\n\n%s", indent(c.Good))
	}
}

// indent sets a block off by four spaces.
func indent(text string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(strings.TrimSuffix(text, "\n")+"\n", "\n") {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
