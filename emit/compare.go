package emit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// DiffKind says how a file on disk differs from what would be written.
type DiffKind string

const (
	Missing  DiffKind = "missing"  // would be written, is not there
	Stale    DiffKind = "stale"    // is there with other contents
	Orphaned DiffKind = "orphaned" // a previous run wrote it, this one would not
)

// A Difference is one file that Write would change.
type Difference struct {
	Path string // slash-separated, relative to the directory
	Kind DiffKind
	// Diff is the unified diff of a stale text file, from the disk to what
	// would be written; a sentence where there is none to show.
	Diff string
}

// Compare tells what Write would change in dir, sorted by path. It reads only.
// A directory that isn't there has every file missing. The manifest is
// mentioned only where nothing else differs.
func Compare(dir string, f *Files) ([]Difference, error) {
	if err := checkPaths(f); err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	} else if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	listed, _, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	found := map[string]Difference{}
	for _, p := range f.Paths() {
		if d, err := compareFile(dir, p, f.data[p]); err != nil {
			return nil, err
		} else if d != nil {
			found[p] = *d
		}
	}
	for p := range listed {
		if _, wanted := f.Get(p); wanted {
			continue
		}
		if info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(p))); err == nil && info.Mode().IsRegular() {
			found[p] = Difference{Path: p, Kind: Orphaned}
		}
	}
	if len(found) == 0 {
		if d, err := compareFile(dir, ManifestName, manifest(f)); err != nil {
			return nil, err
		} else if d != nil {
			found[ManifestName] = *d
		}
	}
	var out []Difference
	for _, p := range sortedKeys(found) {
		out = append(out, found[p])
	}
	return out, nil
}

// compareFile gives nil where the file is as wanted.
func compareFile(dir, p string, want []byte) (*Difference, error) {
	name := filepath.Join(dir, filepath.FromSlash(p))
	info, err := os.Lstat(name)
	switch {
	case isAbsent(err):
		return &Difference{Path: p, Kind: Missing}, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return &Difference{Path: p, Kind: Stale, Diff: "on disk it is not a regular file\n"}, nil
	}
	have, err := os.ReadFile(name)
	switch {
	case err != nil:
		return nil, err
	case bytes.Equal(have, want):
		return nil, nil
	case !isText(have) || !isText(want):
		return &Difference{Path: p, Kind: Stale, Diff: fmt.Sprintf("binary: %d bytes on disk, %d would be written\n", len(have), len(want))}, nil
	}
	return &Difference{Path: p, Kind: Stale, Diff: UnifiedDiff(p+" (on disk)", have, p+" (compiled)", want)}, nil
}

func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// WriteDifferences renders what Compare found: first one line per file, then
// the diffs.
func WriteDifferences(w io.Writer, list []Difference) error {
	var b bytes.Buffer
	for _, d := range list {
		fmt.Fprintf(&b, "%-8s  %s\n", d.Kind, d.Path)
	}
	for _, d := range list {
		switch {
		case d.Diff == "":
		case bytes.HasPrefix([]byte(d.Diff), []byte("--- ")):
			fmt.Fprintf(&b, "\n%s", d.Diff)
		default:
			fmt.Fprintf(&b, "\n%s: %s", d.Path, d.Diff)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
