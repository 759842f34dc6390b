package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"admc.dev/admc/emit/kube"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/solver"
)

// configName is the file that names a project's inputs and options, so that
// `admc compile` alone does it in CI.
const configName = "admc.yaml"

// A config is the contents of admc.yaml. Paths in it are relative to it. Flags
// and arguments on the command line come first, one by one.
type config struct {
	Graph    string   // the service graph
	Policies []string // *.adm files, or directories of them
	Base     string   // directory of the manifests that the overlay patches
	Out      string   // the directory to write
	Engine   string   // lpsolve or native
	Minimise string   // adms, proxies or cost
	Strict   bool     // warnings are errors
	Image    string   // the ADMs' container image
	// Drain is how long the ADM of a pod that ends waits for its callers (`admc adm
	// drain`, which has to be in the image).
	Drain time.Duration

	dir string // where it stands; "" when there is none
}

// findConfig reads admc.yaml in dir or the nearest directory above it that has
// one, or the named file. No file is an empty config, unless it was named.
func findConfig(named, dir string) (*config, error) {
	if named != "" {
		return readConfig(named)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		c, err := readConfig(filepath.Join(abs, configName))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		up := filepath.Dir(abs)
		if up == abs {
			return &config{}, nil
		}
		abs = up
	}
}

// configKeys are those that admc.yaml takes.
var configKeys = []string{"graph", "policies", "base", "out", "engine", "minimise", "strict", "image", "drain"}

// readConfig reads one file. What is wrong in it is a badInput.
func readConfig(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	src, bag := diag.NewSource(filepath.Base(path), data), &diag.Bag{}
	src.Shown = shownPath(path)
	o := graph.ReadObject(src, configName, configKeys, bag)
	c := &config{
		Graph: o.Text("graph"), Policies: o.Texts("policies"), Base: o.Text("base"), Out: o.Text("out"),
		Engine: o.Choice("engine", solver.Engines()), Minimise: o.Choice("minimise", minimised),
		Strict: o.Bool("strict"), Image: o.Text("image"), Drain: readDrain(o, bag),
		dir: filepath.Dir(abs),
	}
	if bag.HasErrors() {
		return nil, badInput{bag}
	}
	return c, nil
}

// readDrain reads the time of a drain, and whether there is something that does it.
func readDrain(o *graph.Object, bag *diag.Bag) time.Duration {
	if !o.Has("drain") {
		return 0
	}
	drain, err := time.ParseDuration(o.Raw("drain"))
	switch {
	case err != nil || o.Raw("drain") == "0":
		d := bag.Errorf(o.At("drain"), graph.WrongType, "drain is a time such as 20s, found %s", o.Found("drain"))
		if n, err := strconv.Atoi(o.Raw("drain")); err == nil {
			d.WithHint("a time has a unit: %ds", n)
		}
	case drain < 0:
		bag.Errorf(o.At("drain"), graph.OutOfRange, "drain: no time is %s long", drain)
	case drain > 0 && !o.Has("image"):
		bag.Errorf(o.At("drain"), graph.MissingKey, "drain is done by admc in the ADM's container, and %s has only Envoy", kube.DefaultImage).
			WithHint("name an image that has both: `image: IMAGE`")
	}
	return drain
}

// badInput is the error of an input that is read before there is anything to
// compile.
type badInput struct{ bag *diag.Bag }

func (e badInput) Error() string {
	var b strings.Builder
	diag.WriteText(&b, e.bag.All())
	return strings.TrimSpace(b.String())
}

// path resolves a path of the config file; "" stays "".
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) || c.dir == "" {
		return p
	}
	return filepath.Join(c.dir, p)
}
