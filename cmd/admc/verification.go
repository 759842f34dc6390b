package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/bpfgen"
	"admc.dev/admc/emit"
	"admc.dev/admc/emit/envoy"
	"admc.dev/admc/emit/kube"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// A verification of an output directory: what is wrong with it, in sentences,
// and what was found to be right, in lines.
type verification struct {
	dir    string
	stored *emit.Stored
	record *solver.Record
	wrong  []string
	good   []string
}

func (v *verification) add(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// verifyDir checks what can be checked. The error is the world's; a directory
// that admc didn't write is one.
func verifyDir(ctx context.Context, dir string, flags verifyFlags) (*verification, error) {
	stored, err := emit.Read(dir)
	if err != nil {
		if errors.Is(err, emit.ErrNoManifest) {
			return &verification{dir: dir, wrong: []string{"this is not an output directory: " + err.Error()}}, nil
		}
		return nil, err
	}
	v := &verification{dir: dir, stored: stored, wrong: stored.Wrong}
	text, ok := stored.Files.Get(placementName)
	if !ok {
		v.add("the %s lists no %s", emit.ManifestName, placementName)
		return v, nil
	}
	if v.record, err = solver.ReadPlacement(text); err != nil {
		v.add("%s: %v", placementName, err)
		return v, nil
	}
	v.onlyADMs()
	v.good = append(v.good, fmt.Sprintf("%s: %s, as the %s says", shownPath(dir), count(len(stored.Files.Paths()), "file"), emit.ManifestName))
	if n := len(stored.Foreign); n > 0 {
		v.good = append(v.good, count(n, "file")+" in it that admc did not write: not looked at")
	}
	in, err := v.inputs(flags)
	switch {
	case err != nil:
		return nil, err
	case in == nil:
		if err := v.record.Consistent(); err != nil {
			v.add("%s: %v", placementName, err)
		}
		v.good = append(v.good, "the inputs are not here (--root says where they are): only consistency was checked")
	default:
		v.against(ctx, in)
	}
	return v, nil
}

// onlyADMs holds the files of services, admc's and others', to the ADMs.
func (v *verification) onlyADMs() {
	has := map[string]bool{}
	for _, s := range v.record.ADMs() {
		has[layout.FileName(s)] = true
		for _, p := range []string{"adm/" + layout.FileName(s) + "/" + envoy.FileName, bpfgen.ConfigPath(&graph.Service{Name: s})} {
			if _, ok := v.stored.Files.Get(p); !ok {
				v.add("%s has an ADM, and there is no %s", s, p)
			}
		}
	}
	for _, p := range append(v.stored.Files.Paths(), v.stored.Foreign...) {
		service := ""
		if rest, ok := strings.CutPrefix(p, "adm/"); ok {
			service, _, _ = strings.Cut(rest, "/")
		} else if rest, ok := strings.CutPrefix(p, "bpf/"); ok {
			service, _ = strings.CutSuffix(rest, ".json")
			if service == rest {
				continue
			}
		}
		if service != "" && !has[service] {
			v.add("%s is for %s, which has no ADM", p, service)
		}
	}
}

// against holds the directory to its inputs.
func (v *verification) against(ctx context.Context, in *inputs) {
	bag := &diag.Bag{}
	g, prog := in.check(bag)
	if bag.HasErrors() {
		v.add("the inputs have errors now: %s", firstError(bag))
		return
	}
	pl, err := v.record.Check(prog, g)
	if err != nil {
		v.add("%s: %v", placementName, err)
		return
	}
	v.good = append(v.good, fmt.Sprintf("%s: every policy is enforced once, where it may be; %s", g.Name, v.record.Claim()))
	files, err := in.emit(ctx, layout.New(g, prog, pl, in.header()), bag)
	if err != nil {
		v.add("the files can't be made again: %v", err)
		return
	}
	if bag.HasErrors() {
		v.add("the files can't be made again: %s", firstError(bag))
		return
	}
	diffs, err := emit.Compare(v.dir, files)
	if err != nil {
		v.add("%v", err)
	}
	for _, d := range diffs {
		v.add("%s is %s: it does not follow from the placement, or this admc emits it otherwise", d.Path, d.Kind)
	}
	v.good = append(v.good, "every file follows from the placement")
	v.closed(prog, bag)
}

// closed says which services call nothing else, and what the network leaves
// open of that and of policies enforced at callers.
func (v *verification) closed(prog *ir.Program, bag *diag.Bag) {
	for _, cl := range prog.Closed {
		path := "network/" + layout.FileName(cl.Service.Name) + ".yaml"
		if text, ok := v.stored.Files.Get(path); ok && strings.Contains(string(text), "- Egress\n") {
			v.good = append(v.good, fmt.Sprintf("%s calls nothing but what @closed allows: %s", cl.Service.Name, path))
		}
	}
	for _, d := range bag.All() {
		if slices.Contains(kube.OpenCodes, d.Code) {
			v.good = append(v.good, "open: "+d.Message)
		}
	}
}

func firstError(bag *diag.Bag) string {
	for _, d := range bag.All() {
		if d.Severity == diag.Error {
			return d.At.String() + ": " + d.Message
		}
	}
	return "an error"
}

// inputs reads the files that the record names, and complains of those that are
// not what was compiled. nil: they can't be found.
func (v *verification) inputs(flags verifyFlags) (*inputs, error) {
	root := v.findRoot(flags.root)
	if root == "" {
		return nil, nil
	}
	base, err := v.base(flags.base)
	if err != nil {
		return nil, err
	}
	conf, err := findConfig("", v.dir)
	if err != nil {
		return nil, err
	}
	in := &inputs{out: v.dir, base: base, image: conf.Image, drain: conf.Drain}
	graphPath, err := v.graphPath(root, flags.graph)
	if err != nil {
		return nil, err
	}
	missing := false
	for _, input := range v.record.Inputs() {
		path := filepath.Join(root, filepath.FromSlash(input.Path))
		src, err := disk{}.readSource(path, root)
		if errors.Is(err, os.ErrNotExist) {
			v.add("the input %s is not in %s", input.Path, shownPath(root))
			missing = true
			continue
		}
		if err != nil {
			v.add("the input %q can't be read: %v", input.Path, err)
			missing = true
			continue
		}
		if input.Path == graphPath {
			in.graph = src
		} else {
			in.policies = append(in.policies, src)
		}
	}
	if missing || in.graph == nil {
		return nil, nil
	}
	now := map[string]string{}
	for _, d := range in.digests() {
		now[d.Path] = d.SHA256
	}
	for _, input := range v.record.Inputs() {
		if now[input.Path] != input.SHA256 {
			v.add("the input %s is not the one that was compiled: its SHA-256 differs", input.Path)
		}
	}
	return in, nil
}

// findRoot is the directory, from the output directory upwards, that holds all
// inputs; else from here upwards one that holds them just as they were compiled;
// else the first of the former that holds any; "" when there is none.
func (v *verification) findRoot(named string) string {
	if named != "" {
		return named
	}
	some := ""
	for dir := range upwards(v.dir) {
		switch there := v.held(dir, false); {
		case there > 0 && there == len(v.record.Inputs()):
			return dir
		case there > 0 && some == "":
			some = dir
		}
	}
	for dir := range upwards(".") {
		if there := v.held(dir, true); there > 0 && there == len(v.record.Inputs()) {
			return dir
		}
	}
	return some
}

// upwards gives a directory and all above it.
func upwards(dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return
		}
		for yield(dir) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
		}
	}
}

// held counts the inputs that a directory holds, or those that it holds
// unchanged.
func (v *verification) held(dir string, unchanged bool) int {
	n := 0
	for _, input := range v.record.Inputs() {
		path := filepath.Join(dir, filepath.FromSlash(input.Path))
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if unchanged {
			text, err := os.ReadFile(path)
			if err != nil || fmt.Sprintf("%x", sha256.Sum256(text)) != input.SHA256 {
				continue
			}
		}
		n++
	}
	return n
}

// graphPath is which of the inputs is the graph, as the record writes it.
func (v *verification) graphPath(root, named string) (string, error) {
	if named != "" {
		return relativeTo(root, named), nil
	}
	var others []string
	for _, input := range v.record.Inputs() {
		if !strings.HasSuffix(input.Path, ".adm") {
			others = append(others, input.Path)
		}
	}
	if len(others) != 1 {
		v.add("%d of the inputs can be the service graph: name it with -g", len(others))
		return "", nil
	}
	return others[0], nil
}

// base is the directory that the overlay patches: as named, or the resource of
// its kustomization that is no file of it, or, because a Component names none,
// what the admc.yaml says that has this directory as its output.
func (v *verification) base(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if listed := v.listedBase(); listed != "" {
		return listed, nil
	}
	c, err := findConfig("", v.dir)
	if err != nil || c.Base == "" {
		return "", err
	}
	abs, err := filepath.Abs(v.dir)
	if err != nil || c.path(c.Out) != abs {
		return "", err
	}
	return c.path(c.Base), nil
}

func (v *verification) listedBase() string {
	text, _ := v.stored.Files.Get("kustomization.yaml")
	var k struct {
		Resources []string `yaml:"resources"`
	}
	if yaml.Unmarshal(text, &k) != nil {
		return ""
	}
	i := slices.IndexFunc(k.Resources, func(p string) bool {
		_, ours := v.stored.Files.Get(p)
		return !ours
	})
	if i < 0 {
		return ""
	}
	return filepath.Join(v.dir, filepath.FromSlash(k.Resources[i]))
}
