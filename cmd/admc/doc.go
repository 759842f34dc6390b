package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit/envoy"
	"admc.dev/admc/emit/kube"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

func newDoc(io streams) *cobra.Command {
	var matrix bool
	cmd := &cobra.Command{
		Use:   "doc [ACTION|CODE] [FILES|DIR]...",
		Short: "Print what an action does and where it may run, or what a diagnostic means",
		Long: `Without an argument it lists the actions. With the name of an action it prints
its signature, its documentation and the facts that its placement is derived
from. With the code of a diagnostic it prints what it means, a bad and a good
example. --matrix says of every pair of actions whether they commute, and why.

Actions that a program declares are found in the policies of admc.yaml, here or
above, else in the *.adm files here, or in the files that follow the name ("" for
the list and the matrix).`,
		Example: `  admc doc rate_limit
  admc doc unknown-argument
  admc doc stamp policies/          # an action that these files declare
  admc doc --matrix "" policies/`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return []string{"adm"}, cobra.ShellCompDirectiveFilterFileExt
			}
			actions, _ := documented(nil)
			return docNames(actions), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name, files := "", []string(nil)
			if len(args) > 0 {
				name, files = args[0], args[1:]
			}
			actions, err := documented(files)
			if err != nil {
				return err
			}
			return doc(io, actions, name, matrix)
		},
	}
	cmd.Flags().BoolVar(&matrix, "matrix", false, "print which pairs of actions commute, as Markdown")
	return cmd
}

func doc(io streams, actions lang.Actions, name string, matrix bool) error {
	switch {
	case matrix && name != "":
		return fmt.Errorf("--matrix is of all actions; leave %q out", name)
	case matrix:
		fmt.Fprint(io.out, actions.Matrix())
		return nil
	case name == "":
		for _, name := range actions.Names() {
			fmt.Fprintln(io.out, name)
		}
		return nil
	}
	if text, ok := actions.Doc(name); ok {
		fmt.Fprint(io.out, text, planesText(actions.Decl(name)))
		return nil
	}
	if c := findCode(name); c != nil {
		writeCode(io, c)
		return nil
	}
	err := fmt.Errorf("no action and no diagnostic is called %q", name)
	if near := diag.Suggest(name, docNames(actions)); near != "" {
		err = fmt.Errorf("%w: did you mean %q?", err, near)
	}
	return err
}

// documented are the standard actions and those of files; without any, of the
// program here, if there is one.
func documented(paths []string) (lang.Actions, error) {
	given := len(paths) > 0
	if !given {
		conf, err := findConfig("", ".")
		if err != nil {
			return lang.Actions{}, err
		}
		for _, p := range conf.Policies {
			paths = append(paths, conf.path(p))
		}
		if len(paths) == 0 {
			if paths, err = filepath.Glob("*.adm"); err != nil || len(paths) == 0 {
				return lang.StandardActions(), err
			}
		}
	}
	files, err := policyFiles(paths)
	if err != nil {
		return lang.Actions{}, err
	}
	sources, err := disk{}.readPolicies(files, commonDir(files))
	if err != nil {
		return lang.Actions{}, err
	}
	bag := &diag.Bag{}
	var parsed []*syntax.File
	for _, src := range sources {
		parsed = append(parsed, syntax.Parse(src, bag))
	}
	return lang.ActionsOf(parsed), nil
}

// planesText says which data plane can do an action, on which protocols.
func planesText(d *ir.ActionDecl) string {
	does := envoy.Does(d.Name)
	if d.User {
		does = envoy.DoesOwn(d)
	}
	var names []string
	for _, p := range does {
		if _, declared := d.Sides[p]; declared {
			names = append(names, string(p))
		}
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

func docNames(actions lang.Actions) []string {
	names := actions.Names()
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
