package main

import (
	"bytes"
	"errors"
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
	var report reportFormat
	cmd := &cobra.Command{
		Use:   "fmt [FILES|DIR|-]...",
		Short: "Lay out policy files in the one canonical way",
		Long: `Rewrites the files in place and names those it changed; with "-" it reads
standard input and writes standard output. Comments stay where they are. A file
with a syntax error is reported and left alone.`,
		Example: `  admc fmt policies/
  admc fmt --check                 # in CI: prints a diff and exits with 1
  admc fmt --check --format github
  admc fmt - < shop.adm`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if report.String() != "text" && !check {
				return errors.New("--format is for --check, whose findings are diagnostics then")
			}
			if len(args) == 1 && args[0] == "-" {
				return formatStream(io, check, report)
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			files, err := policyFiles(args)
			if err != nil {
				return err
			}
			return formatFiles(io, files, check, report)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; print what would change")
	report.register(cmd)
	return cmd
}

func formatStream(io streams, check bool, to reportFormat) error {
	data, err := stdio.ReadAll(io.in)
	if err != nil {
		return err
	}
	bag := &diag.Bag{}
	src := diag.NewSource("<stdin>", data)
	out, err := format(src, bag)
	if err != nil {
		return err
	}
	differs := check && !bag.HasErrors() && to.layout(io, src, out, bag)
	if err := to.report(io, bag, false); err != nil {
		return err
	}
	if check {
		return errIf(differs)
	}
	_, err = io.out.Write(out)
	return err
}

func formatFiles(io streams, files []string, check bool, to reportFormat) error {
	bag := &diag.Bag{}
	differs := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		mine := &diag.Bag{}
		src := diag.NewSource(shownPath(file), data)
		out, err := format(src, mine)
		switch {
		case err != nil:
			return err
		case mine.HasErrors():
		case check:
			differs = to.layout(io, src, out, mine) || differs
		case !bytes.Equal(data, out):
			if err := replaceFile(file, out); err != nil {
				return err
			}
			fmt.Fprintln(io.out, shownPath(file))
		}
		bag.Merge(mine)
	}
	if err := to.report(io, bag, false); err != nil {
		return err
	}
	return errIf(differs)
}

// errIf is errInput where something differs that is printed already.
func errIf(differs bool) error {
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

// Unformatted: a file is not laid out as `admc fmt` does it.
const Unformatted diag.Code = "unformatted"

// cliCodes documents what the commands themselves report.
var cliCodes = []diag.CodeDoc{{
	Code:    Unformatted,
	Summary: "A file is not laid out in the canonical way; `admc fmt` does it.",
	Bad:     "policy a{on * -> geo\n  rate_limit(5/s)}\n",
	Good:    "policy a {\n    on * -> geo\n    rate_limit(5/s)\n}\n",
}}

// layout tells whether a file would be laid out differently, and how: people
// get a diff, programs a diagnostic with the edit.
func (f reportFormat) layout(io streams, src *diag.Source, out []byte, bag *diag.Bag) (differs bool) {
	if bytes.Equal(src.Text, out) {
		return false
	}
	if f.String() == "text" {
		fmt.Fprint(io.out, emit.UnifiedDiff(src.Path(), src.Text, src.Path()+" (formatted)", out))
		return true
	}
	edit := diag.Difference(src, out)
	bag.Errorf(edit.At, Unformatted, "%s is not formatted", src.Path()).WithHint("run `admc fmt`").WithFix(edit.At, edit.Replace)
	return true
}

// replaceFile puts new contents in a file by a rename, keeping its mode.
func replaceFile(path string, data []byte) error {
	tmp, err := stageFile(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	return os.Rename(tmp, path)
}

// stageFile writes what a file is to be replaced by into a file beside it, with
// its mode, and gives the name of that.
func stageFile(path string, data []byte) (name string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".admc-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, tmp.Close())
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return "", err
	}
	return tmp.Name(), tmp.Chmod(info.Mode().Perm())
}
