package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriteChanges: all files or none, and never over what someone else wrote.
func TestWriteChanges(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, text string) {
		t.Helper()
		if got, err := os.ReadFile(path(name)); err != nil || string(got) != text {
			t.Errorf("%s is %q, %v; want %q", name, got, err, text)
		}
	}
	put("a", "a1")
	put("b", "b1")
	if err := os.Symlink("b", path("link")); err != nil {
		t.Fatal(err)
	}
	if err := writeChanges([]change{{path("a"), []byte("a1"), []byte("a2")}, {path("link"), []byte("b1"), []byte("b2")}}); err != nil {
		t.Fatal(err)
	}
	want("a", "a2")
	want("b", "b2")
	if info, err := os.Lstat(path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err := os.Stat(path("a")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	err := writeChanges([]change{{path("a"), []byte("a2"), []byte("a3")}, {path("b"), []byte("not what is there"), []byte("b3")}})
	if err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("got %v", err)
	}
	want("a", "a2")
	want("b", "b2")
	if names, err := os.ReadDir(dir); err != nil || len(names) != 3 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}
