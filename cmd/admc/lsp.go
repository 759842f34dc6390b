package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"admc.dev/admc/cmd/admc/lsp"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// solveWithin bounds the search for a placement while somebody types.
const solveWithin = 5 * time.Second

func newLSP(io streams) *cobra.Command {
	var flags inputFlags
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "Serve editors: diagnostics, hover, definitions, completion, fixes, formatting",
		Long: `Speaks the Language Server Protocol on standard input and output. The program of
a file is found as the other commands find it when they are called in the file's
directory: by the admc.yaml there or above, else all policies of the directory
and the graph.yaml beside them. Unsaved buffers stand in place of their files.`,
		Example: "  admc lsp                         # editors start it",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lsp.Serve(cmd.Context(), io.in, io.out, lsp.Options{Version: buildVersion(), Load: flags.program, Embedded: embeddedFile})
		},
	}
	flags.register(cmd)
	flags.registerBase(cmd)
	cmd.Flags().Bool("stdio", true, "standard input and output, which is the only way; some editors say it")
	return cmd
}

// program loads and checks what the file at path belongs to.
func (f inputFlags) program(ctx context.Context, path string, open map[string][]byte) (*lsp.Program, error) {
	f.dir, f.disk = filepath.Dir(path), disk{open}
	if strings.HasPrefix(path, embeddedDir()+string(filepath.Separator)) {
		return &lsp.Program{}, nil // of the standard library, and in order
	}
	in, err := f.load(nil)
	if strings.HasSuffix(path, ".adm") && (err != nil || !in.has(path)) {
		in, err = f.load([]string{path}) // in no program that admc.yaml names
	}
	if err != nil {
		return nil, err
	}
	return in.forEditor(ctx)
}

func (in *inputs) has(path string) bool {
	for _, src := range append([]*diag.Source{in.graph}, in.policies...) {
		if abs, err := filepath.Abs(src.Path()); err == nil && abs == path {
			return true
		}
	}
	return false
}

// forEditor is the command check for an editor: it also gives what is known of a
// program that has errors.
func (in *inputs) forEditor(ctx context.Context) (*lsp.Program, error) {
	p := &lsp.Program{Sources: append([]*diag.Source{in.graph}, in.policies...)}
	var scratch diag.Bag // compile says it again
	for _, src := range in.policies {
		p.Files = append(p.Files, syntax.Parse(src, &scratch))
	}
	ctx, stop := context.WithTimeout(ctx, solveWithin)
	defer stop()
	bag := &diag.Bag{}
	l, _, err := compile(ctx, in, bag)
	switch {
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return nil, err
	case l != nil:
		p.Graph = l.Graph
		p.Explain = func(name string) string {
			e, err := newExplanation(l, []string{name})
			if err != nil {
				return ""
			}
			return e.text()
		}
	default:
		var alone diag.Bag
		if g := graph.Load(in.graph, &alone); !alone.HasErrors() {
			p.Graph = g
		}
	}
	p.Sources = append(p.Sources, in.manifests...)
	in.silence(bag, true)
	p.Diagnostics = bag.All()
	return p, nil
}

// embeddedDir is where the standard library's files are put for editors.
func embeddedDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "admc")
}

// embeddedFile gives a read-only file with the text of a source that is inside
// admc. Its directory is named after the text, so that two versions of admc
// don't share one.
func embeddedFile(src *diag.Source) (string, error) {
	sum := sha256.Sum256(src.Text)
	path := filepath.Join(embeddedDir(), hex.EncodeToString(sum[:6]), filepath.FromSlash(src.Name))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".admc-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(src.Text)
	if err = errors.Join(err, tmp.Chmod(0o444), tmp.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(tmp.Name(), path)
}
