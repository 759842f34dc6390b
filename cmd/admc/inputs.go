package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/solver"
)

// inputs is everything one run reads, and the options that change its result.
type inputs struct {
	graph    *diag.Source
	policies []*diag.Source
	base     string // directory; "" without one
	out      string // directory
	options  solver.Options
	strict   bool
	image    string        // of the ADMs' containers; "" is Envoy's own
	drain    time.Duration // 0: pods that end do it without
	limits
	whatIf  assumptions // what the graph is taken to say
	timings *timings    // nil: nobody asks
	// manifests are the files of the base; compile finds them.
	manifests []*diag.Source
}

// inputFlags are the flags that name inputs; several commands share them.
type inputFlags struct {
	config, graph, base, out, engine, minimise string
	strict                                     bool
	previousFlags
	limits

	flags *pflag.FlagSet // to tell a flag that was given from its default

	dir  string // where to look for admc.yaml and the default inputs; "" is here
	disk disk
}

func (f *inputFlags) register(cmd *cobra.Command) {
	f.registerProgram(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.engine, "engine", "", "the engine of the integer program: "+strings.Join(solver.Engines(), " or ")+" (default "+solver.Engines()[0]+")")
	fl.StringVar(&f.minimise, "minimise", "", "what is made fewest: adms, proxies (weighted by replicas) or cost (by the graph's cost) (default adms)")
}

// registerProgram adds the flags of commands that need no placement.
func (f *inputFlags) registerProgram(cmd *cobra.Command) {
	fl := cmd.Flags()
	f.flags = fl
	fl.StringVar(&f.config, "config", "", "the admc.yaml to use (default: the nearest one here or above)")
	fl.StringVarP(&f.graph, "graph", "g", "", "the service graph (default: graph.yaml beside the policies)")
	fl.BoolVar(&f.strict, "strict", false, "warnings are errors")
	f.previousFlags.register(cmd)
	fl.DurationVar(&f.timeout, "timeout", 0, "give up placing after this time, with exit status 1 (default: never)")
}

// registerOut adds the flags of commands that write or compare an output.
func (f *inputFlags) registerOut(cmd *cobra.Command) {
	f.registerBase(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "the directory to write (default out)")
	f.registerGap(cmd)
}

func (f *inputFlags) registerBase(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.base, "base", "", "directory of the manifests to patch; without it the overlay is a kustomize Component")
}

// load finds and reads the inputs: arguments and flags first, then admc.yaml,
// then the defaults.
func (f *inputFlags) load(args []string) (*inputs, error) {
	conf, err := findConfig(f.config, cmp.Or(f.dir, "."))
	if err != nil {
		return nil, err
	}
	in := &inputs{
		base:    cmp.Or(f.base, conf.path(conf.Base)),
		out:     cmp.Or(f.out, conf.path(cmp.Or(conf.Out, "out"))),
		strict:  conf.Strict,
		image:   conf.Image,
		drain:   conf.Drain,
		options: solver.Options{Engine: cmp.Or(f.engine, conf.Engine), Minimise: cmp.Or(f.minimise, conf.Minimise)},
		limits:  f.limits,
	}
	if f.flags.Changed("strict") {
		in.strict = f.strict
	}
	if f.flags.Changed("base") {
		in.base = f.base
	}
	if err := checkOptions(in.options); err != nil {
		return nil, err
	}
	if in.timeout < 0 {
		return nil, fmt.Errorf("--timeout: no time is %s long", in.timeout)
	}
	if in.options.Previous, err = f.previousFlags.read(in.out); err != nil {
		return nil, err
	}
	paths := args
	if len(paths) == 0 {
		for _, p := range conf.Policies {
			paths = append(paths, conf.path(p))
		}
	}
	if len(paths) == 0 {
		paths = []string{cmp.Or(conf.dir, f.dir, ".")}
	}
	files, err := f.disk.policyFiles(paths)
	if err != nil {
		return nil, err
	}
	graphPath := cmp.Or(f.graph, conf.path(conf.Graph))
	if graphPath == "" {
		graphPath = filepath.Join(dirOf(paths[0]), "graph.yaml")
		if _, err := os.Stat(graphPath); err != nil {
			return nil, fmt.Errorf("no service graph: give one with -g, name it in %s, or put it at %s", configName, shownPath(graphPath))
		}
	}
	root := commonDir(append([]string{graphPath}, files...))
	if in.graph, err = f.disk.readSource(graphPath, root); err != nil {
		return nil, err
	}
	in.policies, err = f.disk.readPolicies(files, root)
	return in, err
}

// readPolicies reads each file once, sorted by its name below root: how a path
// was typed, and from where, doesn't matter.
func (d disk) readPolicies(files []string, root string) ([]*diag.Source, error) {
	var out []*diag.Source
	for _, file := range files {
		src, err := d.readSource(file, root)
		if err != nil {
			return nil, err
		}
		out = append(out, src)
	}
	slices.SortStableFunc(out, func(a, b *diag.Source) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b *diag.Source) bool { return a.Name == b.Name }), nil
}

// minimised is what a placement can have fewest of.
var minimised = []string{"adms", "proxies", "cost"}

func checkOptions(o solver.Options) error {
	if o.Engine != "" && !slices.Contains(solver.Engines(), o.Engine) {
		return fmt.Errorf("this build has no engine %q, it has %s", o.Engine, strings.Join(solver.Engines(), " and "))
	}
	if o.Minimise != "" && !slices.Contains(minimised, o.Minimise) {
		return fmt.Errorf("can't minimise %q: choose adms, proxies or cost", o.Minimise)
	}
	return nil
}

// policyFiles expands directories to their *.adm files, and has each path once.
func policyFiles(paths []string) ([]string, error) { return disk{}.policyFiles(paths) }

func (d disk) policyFiles(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		if abs, err := filepath.Abs(p); err == nil && d.unsaved[abs] != nil {
			files = append(files, filepath.Clean(p))
			continue
		}
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, filepath.Clean(p))
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && strings.HasSuffix(e.Name(), ".adm") {
				files = append(files, filepath.Join(p, e.Name()))
			}
		}
		for _, f := range d.in(p) {
			if strings.HasSuffix(f, ".adm") {
				files = append(files, f)
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no *.adm file in %s", strings.Join(shownPaths(paths), ", "))
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// readSource reads a file. Its name in outputs is relative to root, so that the
// working directory and the place of the checkout don't show in them.
func (d disk) readSource(path, root string) (*diag.Source, error) {
	data, err := d.read(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			pe.Path = shownPath(path)
		}
		return nil, err
	}
	src := diag.NewSource(relativeTo(root, path), data)
	src.Shown = shownPath(path)
	return src, nil
}

// relativeTo gives path as seen from root, with slashes.
func relativeTo(root, path string) string {
	absRoot, err1 := filepath.Abs(root)
	abs, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return filepath.ToSlash(path)
	}
	rel, err := filepath.Rel(absRoot, abs)
	if err != nil {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(rel)
}

// shownPath is how a path is told to the user: relative to the working
// directory when it is below it.
func shownPath(path string) string {
	rel := relativeTo(".", path)
	if strings.HasPrefix(rel, "../") {
		return path
	}
	return rel
}

func shownPaths(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = shownPath(p)
	}
	return out
}

func dirOf(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	return filepath.Dir(path)
}

// commonDir is the deepest directory that holds all the files.
func commonDir(files []string) string {
	var common []string
	for i, f := range files {
		abs, err := filepath.Abs(f)
		if err != nil {
			return "."
		}
		parts := strings.Split(filepath.Dir(abs), string(filepath.Separator))
		if i == 0 {
			common = parts
			continue
		}
		n := 0
		for n < min(len(common), len(parts)) && common[n] == parts[n] {
			n++
		}
		common = common[:n]
	}
	return strings.Join(common, string(filepath.Separator)) + string(filepath.Separator)
}
