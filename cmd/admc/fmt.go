package main

import (
	"bytes"
	"fmt"
	stdio "io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

func newFmt(io streams) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [FILES|DIR|-]...",
		Short: "Lay out policy files in the one canonical way",
		Long: `Rewrites the files in place and names those it changed; with "-" it reads
standard input and writes standard output. Comments stay where they are. A file
with a syntax error is reported and left alone.`,
		Example: `  admc fmt policies/
  admc fmt --check                 # in CI: prints a diff and exits with 1
  admc fmt - < shop.adm`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return formatStream(io, check)
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			files, err := policyFiles(args)
			if err != nil {
				return err
			}
			return formatFiles(io, files, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; print what would change")
	return cmd
}

func formatStream(io streams, check bool) error {
	data, err := stdio.ReadAll(io.in)
	if err != nil {
		return err
	}
	bag := &diag.Bag{}
	out, err := format(diag.NewSource("<stdin>", data), bag)
	if err != nil {
		return err
	}
	if err := report(io, bag, false); err != nil {
		return err
	}
	if check {
		return showFormat(io, "<stdin>", data, out)
	}
	_, err = io.out.Write(out)
	return err
}

func formatFiles(io streams, files []string, check bool) error {
	bag := &diag.Bag{}
	differs := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		mine := &diag.Bag{}
		out, err := format(diag.NewSource(shownPath(file), data), mine)
		if err != nil {
			return err
		}
		bag.Merge(mine)
		if mine.HasErrors() || bytes.Equal(data, out) {
			continue
		}
		if check {
			differs = true
			if err := showFormat(io, shownPath(file), data, out); err != nil && err != errInput {
				return err
			}
			continue
		}
		if err := replaceFile(file, out); err != nil {
			return err
		}
		fmt.Fprintln(io.out, shownPath(file))
	}
	if err := report(io, bag, false); err != nil {
		return err
	}
	if differs {
		return errInput
	}
	return nil
}

// format gives the canonical layout; after a syntax error the result is not
// to be used.
func format(src *diag.Source, bag *diag.Bag) ([]byte, error) {
	file := syntax.Parse(src, bag)
	if bag.HasErrors() {
		return nil, nil
	}
	var out bytes.Buffer
	err := syntax.Print(&out, file)
	return out.Bytes(), err
}

// showFormat prints how a file would change; errInput when it would.
func showFormat(io streams, name string, old, new []byte) error {
	if bytes.Equal(old, new) {
		return nil
	}
	if _, err := fmt.Fprint(io.out, emit.UnifiedDiff(name, old, name+" (formatted)", new)); err != nil {
		return err
	}
	return errInput
}

// replaceFile puts new contents in a file by a rename, keeping its mode.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".admc-fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
