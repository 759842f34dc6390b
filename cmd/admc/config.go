package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/yaml.v3"
)

// configName is the file that names a project's inputs and options, so that
// `admc compile` alone does it in CI.
const configName = "admc.yaml"

// A config is the contents of admc.yaml. Paths in it are relative to it. Flags
// and arguments on the command line come first, one by one.
type config struct {
	Graph    string   `yaml:"graph"`    // the service graph
	Policies []string `yaml:"policies"` // *.adm files, or directories of them
	Base     string   `yaml:"base"`     // directory of the manifests that the overlay patches
	Out      string   `yaml:"out"`      // the directory to write
	Engine   string   `yaml:"engine"`   // lpsolve or native
	Minimise string   `yaml:"minimise"` // adms, proxies or cost
	Strict   bool     `yaml:"strict"`   // warnings are errors
	Image    string   `yaml:"image"`    // the ADMs' container image
	// Drain is how long the ADM of a pod that ends waits for its callers (`admc adm
	// drain`, which has to be in the image).
	Drain time.Duration `yaml:"drain"`

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

func readConfig(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &config{dir: filepath.Dir(abs)}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true) // its errors carry the line
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", shownPath(path), err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a second YAML document begins here; the file is one", shownPath(path))
	}
	return c, nil
}

// path resolves a path of the config file; "" stays "".
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) || c.dir == "" {
		return p
	}
	return filepath.Join(c.dir, p)
}
