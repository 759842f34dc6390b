package emit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("gone", "1\n", "edited", "1\n2\n3\n", "same", "1\n", "bin", "\x00\x01", "orphan", "1\n", "typed", "1\n"))
	if err := joined(os.Remove(dir+"/gone"), os.Remove(dir+"/typed"), os.Mkdir(dir+"/typed", 0o755)); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/edited", "1\ntwo\n3\n", 0o644)
	put(t, dir+"/foreign", "mine", 0o644)
	before := snapshot(t, dir)
	list, err := Compare(dir, filesOf("gone", "1\n", "edited", "1\n2\n3\n", "same", "1\n", "bin", "\x00\x02", "typed", "1\n", "new/f", "1\n"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteDifferences(&b, list); err != nil {
		t.Fatal(err)
	}
	want := `stale     bin
stale     edited
missing   gone
missing   new/f
orphaned  orphan
stale     typed

bin: binary: 2 bytes on disk, 2 would be written

--- edited (on disk)
+++ edited (compiled)
@@ -1,3 +1,3 @@
 1
-two
+2
 3

typed: on disk it is not a regular file
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	wantSame(t, before, snapshot(t, dir))
}

func TestCompareAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	list, err := Compare(dir, filesOf("a/b", "1"))
	if err != nil || len(list) != 1 || list[0].Kind != Missing {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("Compare made the directory")
	}
	put(t, dir, "a file", 0o644)
	if _, err := Compare(dir, filesOf("a/b", "1")); err == nil {
		t.Error("a file is compared as a directory")
	}
}

// The manifest is news only when it is the only news.
func TestCompareManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	f := filesOf("a", "1\n")
	mustWrite(t, dir, f)
	if err := os.Remove(filepath.Join(dir, ManifestName)); err != nil {
		t.Fatal(err)
	}
	list, err := Compare(dir, f)
	if err != nil || len(list) != 1 || list[0].Path != ManifestName || list[0].Kind != Missing {
		t.Errorf("%v, %v", list, err)
	}
}
