package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
)

// runFix mends what has one obvious edit, prints what it did, and reports what
// is left. With diff it only prints how the files would change.
func runFix(ctx context.Context, io streams, in *inputs, format reportFormat, diff bool) error {
	before := slices.Concat([]*diag.Source{in.graph}, in.policies)
	log, bag, err := in.fix(ctx)
	if err != nil {
		return err
	}
	var changes []change
	for i, src := range slices.Concat([]*diag.Source{in.graph}, in.policies) {
		if !bytes.Equal(before[i].Text, src.Text) {
			changes = append(changes, change{src.Path(), before[i].Text, src.Text})
		}
	}
	out := format.aside(io).out
	if diff {
		for _, c := range changes {
			fmt.Fprint(out, emit.UnifiedDiff(c.path, c.old, c.path+" (fixed)", c.new))
		}
	} else {
		if err := writeChanges(changes); err != nil {
			return err
		}
		for _, line := range log {
			fmt.Fprintln(out, line)
		}
	}
	if err := format.report(io, bag, in.strict); err != nil {
		return err
	}
	if diff && len(changes) > 0 {
		return errInput
	}
	return nil
}

// fix mends the sources in memory, as long as there is something to mend: an
// edit may let a later phase see more. It gives a line for each edit, with the
// place it had when it was made, and what is wrong with the result.
func (in *inputs) fix(ctx context.Context) (log []string, bag *diag.Bag, err error) {
	seen := map[[sha256.Size]byte]bool{}
	for {
		bag = &diag.Bag{}
		if _, _, err := compile(ctx, in, bag); err != nil {
			return nil, nil, err
		}
		in.silence(bag, true)
		seen[in.state()] = true
		texts, applied := diag.ApplyFixes(slices.DeleteFunc(bag.All(), in.elsewhere))
		next := in.with(texts)
		if len(applied) == 0 || seen[next.state()] { // edits that undo each other stop here
			return log, bag, nil
		}
		*in = *next
		for _, d := range applied {
			for _, f := range d.Fixes {
				log = append(log, diag.Harmless(fmt.Sprintf("%s: %s: %s", f.At.Show(), d.Code, describeEdit(f))))
			}
		}
	}
}

// elsewhere reports whether a mistake would be mended in a file that is neither
// graph nor policy.
func (in *inputs) elsewhere(d *diag.Diagnostic) bool {
	return slices.ContainsFunc(d.Fixes, func(f diag.Fix) bool { return f.At.Src != in.graph && !slices.Contains(in.policies, f.At.Src) })
}

func describeEdit(f diag.Fix) string {
	switch {
	case f.At.Start == f.At.End:
		return fmt.Sprintf("inserted %s", f.Replace)
	case f.Replace == "":
		return fmt.Sprintf("removed %s", f.At.Text())
	}
	return fmt.Sprintf("%s is now %s", f.At.Text(), f.Replace)
}

// with gives the same inputs with other texts.
func (in *inputs) with(texts map[*diag.Source][]byte) *inputs {
	renew := func(src *diag.Source) *diag.Source {
		text, ok := texts[src]
		if !ok {
			return src
		}
		out := diag.NewSource(src.Name, text)
		out.Shown = src.Shown
		return out
	}
	out := *in
	out.graph = renew(in.graph)
	out.policies = make([]*diag.Source, len(in.policies))
	for i, src := range in.policies {
		out.policies[i] = renew(src)
	}
	return &out
}

// state tells two states of the inputs apart.
func (in *inputs) state() [sha256.Size]byte {
	h := sha256.New()
	for _, d := range in.digests() {
		fmt.Fprintln(h, d.SHA256)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// A change of a file.
type change struct {
	path     string
	old, new []byte
}

// writeChanges writes all files or none. What was written since a file was read
// is not lost: then nothing changes.
func writeChanges(changes []change) (err error) {
	var staged []string
	defer func() {
		for _, tmp := range staged {
			os.Remove(tmp)
		}
	}()
	for i := range changes {
		c := &changes[i]
		if c.path, err = filepath.EvalSymlinks(c.path); err != nil {
			return err
		}
		now, err := os.ReadFile(c.path)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, c.old) {
			return fmt.Errorf("%s changed meanwhile; nothing is written", shownPath(c.path))
		}
		tmp, err := stageFile(c.path, c.new)
		if err != nil {
			return err
		}
		staged = append(staged, tmp)
	}
	for i, c := range changes {
		if err := os.Rename(staged[i], c.path); err != nil {
			for _, done := range changes[:i] {
				err = errors.Join(err, replaceFile(done.path, done.old))
			}
			return err
		}
	}
	return nil
}
