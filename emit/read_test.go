package emit

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRead: what Write wrote is read back, and every way in which a directory
// can differ from its manifest is told.
func TestRead(t *testing.T) {
	files := &Files{}
	files.Add("a/one", []byte("1"))
	files.Add("two", []byte("2"))
	put := func(dir, p, text string) {
		if err := os.WriteFile(filepath.Join(dir, p), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	manifestText := string(manifest(files))
	for _, test := range []struct {
		name, wrong, foreign string
		do                   func(dir string)
	}{
		{"as written", "", "", func(string) {}},
		{"changed", "two is not what admc wrote", "", func(dir string) { put(dir, "two", "3") }},
		{"removed", "a/one is in the MANIFEST, but", "", func(dir string) { os.Remove(filepath.Join(dir, "a/one")) }},
		{"a link", "two is not a regular file", "", func(dir string) {
			os.Remove(filepath.Join(dir, "two"))
			if err := os.Symlink("a/one", filepath.Join(dir, "two")); err != nil {
				t.Fatal(err)
			}
		}},
		{"another's", "", "a/mine", func(dir string) { put(dir, "a/mine", "x") }},
		{"listed twice", "MANIFEST is not written", "", func(dir string) {
			put(dir, ManifestName, manifestText+manifestText[strings.LastIndex(strings.TrimSpace(manifestText), "\n")+1:])
		}},
	} {
		dir := t.TempDir()
		if err := Write(filepath.Join(dir, "out"), files); err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(dir, "out")
		test.do(dir)
		s, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.Wrong, "; "); !strings.HasPrefix(got, test.wrong) || (got == "") != (test.wrong == "") {
			t.Errorf("%s: %q", test.name, got)
		}
		if got := strings.Join(s.Foreign, " "); got != test.foreign {
			t.Errorf("%s: foreign %q", test.name, got)
		}
		if test.name == "as written" && !slices.Equal(s.Files.Paths(), files.Paths()) {
			t.Errorf("read %v", s.Files.Paths())
		}
	}
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, ErrNoManifest) {
		t.Errorf("an empty directory: %v", err)
	}
	put(dir, ManifestName, "mine\n")
	if _, err := Read(dir); !errors.Is(err, ErrNoManifest) {
		t.Errorf("another's manifest: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
