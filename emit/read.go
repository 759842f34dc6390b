package emit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Stored directory is one that Write made, as it is found later.
type Stored struct {
	Files   *Files   // those of the manifest that are there, whatever is in them
	Wrong   []string // what is not as the manifest says, one sentence each, by path
	Foreign []string // files that the manifest doesn't list, sorted: somebody else's
}

// ErrNoManifest: the directory has no manifest that can be believed, so it is
// not known what in it was written by Write.
var ErrNoManifest = errors.New("it has no " + ManifestName + " of admc")

// Read reads a directory back and holds its files to the digests of its
// manifest.
func Read(dir string) (*Stored, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", dir, ErrNoManifest)
	} else if err != nil {
		return nil, err
	}
	listed, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %v", dir, ErrNoManifest, err)
	}
	s := &Stored{Files: &Files{}}
	sums := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:] {
		sum, p, _ := strings.Cut(line, "  ")
		sums[p] = sum
	}
	for _, p := range sortedKeys(listed) {
		if err := s.read(dir, p, sums[p]); err != nil {
			return nil, err
		}
	}
	if string(text) != string(manifest(s.Files)) && len(s.Wrong) == 0 {
		s.Wrong = append(s.Wrong, ManifestName+" is not written as admc writes it")
	}
	s.Foreign, err = foreignFiles(dir, listed)
	return s, err
}

func (s *Stored) read(dir, p, sum string) error {
	name := filepath.Join(dir, filepath.FromSlash(p))
	info, err := os.Lstat(name)
	switch {
	case isAbsent(err):
		s.Wrong = append(s.Wrong, p+" is in the "+ManifestName+", but not in the directory")
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		s.Wrong = append(s.Wrong, p+" is not a regular file")
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
		s.Wrong = append(s.Wrong, p+" is not what admc wrote: its SHA-256 differs from the "+ManifestName)
	}
	s.Files.Add(p, data)
	return nil
}

func foreignFiles(dir string, listed map[string]bool) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if p := filepath.ToSlash(rel); err == nil && p != ManifestName && !listed[p] {
			out = append(out, p)
		}
		return err
	})
	slices.Sort(out)
	return out, err
}
