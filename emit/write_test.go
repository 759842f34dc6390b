package emit

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// filesOf makes Files from "path", "contents" pairs.
func filesOf(pairs ...string) *Files {
	f := &Files{}
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], []byte(pairs[i+1]))
	}
	return f
}

// snapshot describes a tree: mode, and contents or target, of every entry.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		what := ""
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			what = string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			what, _ = os.Readlink(name)
		}
		out[filepath.ToSlash(rel)] = info.Mode().String() + " " + what
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func wantSame(t *testing.T, before, after map[string]string) {
	t.Helper()
	for p, v := range before {
		if after[p] != v {
			t.Errorf("%s: was %q, is %q", p, v, after[p])
		}
	}
	for p := range after {
		if _, ok := before[p]; !ok {
			t.Errorf("%s is new", p)
		}
	}
}

func mustWrite(t *testing.T, dir string, f *Files) {
	t.Helper()
	if err := Write(dir, f); err != nil {
		t.Fatal(err)
	}
	if list, err := Compare(dir, f); err != nil || len(list) > 0 {
		t.Fatalf("after Write, Compare gives %v, %v", list, err)
	}
	siblings, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*admc*"))
	if len(siblings) > 0 {
		t.Fatalf("Write left %v", siblings)
	}
}

func put(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func TestWriteNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing parent", "out dir")
	mustWrite(t, dir, filesOf("a b/c d.yaml", "1\n", "x", ""))
	got, err := os.ReadFile(filepath.Join(dir, "a b", "c d.yaml"))
	if err != nil || string(got) != "1\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm()&0o500 != 0o500 {
		t.Errorf("mode %v", info.Mode())
	}
}

// The manifest is in the form of sha256sum, so that a directory can be checked
// without admc.
func TestManifestForm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("a b/c", "1\n", "x", "2\n"))
	cmd := exec.Command("sha256sum", "-c", "--strict", ManifestName)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	put(t, filepath.Join(dir, "x"), "changed\n", 0o644)
	cmd = exec.Command("sha256sum", "-c", "--strict", ManifestName)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("a changed file passes:\n%s", out)
	}
}

func TestWriteReplaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("adm/a/f", "1", "adm/b/f", "1", "turns", "1"))
	mustWrite(t, dir, filesOf("adm/a/f", "2", "turns/into/dir", "2"))
	after := snapshot(t, dir)
	if _, there := after["adm/b"]; there {
		t.Error("the directory of a removed ADM is still there")
	}
	mustWrite(t, dir, filesOf("turns", "3"))
	if after := snapshot(t, dir); len(after) != 3 {
		t.Errorf("left: %v", after)
	}
}

// What admc did not write survives as it is: contents, mode, links, and the
// modes of the directories that hold it.
func TestForeignSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("adm/a/f", "1", "adm/b/f", "1"))
	put(t, filepath.Join(dir, "notes.txt"), "mine", 0o600)
	put(t, filepath.Join(dir, "adm/b/run.sh"), "#!", 0o755)
	put(t, filepath.Join(dir, "other/deep/x"), "x", 0o444)
	for _, l := range [][2]string{{"../nowhere", "dangling"}, {"adm/a", "link"}} {
		if err := os.Symlink(l[0], filepath.Join(dir, l[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o640); err != nil {
		t.Fatal(err)
	}
	for d, mode := range map[string]fs.FileMode{"other/deep": 0o555, "other": 0o700, ".": 0o750} {
		if err := os.Chmod(filepath.Join(dir, d), mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(filepath.Join(dir, "other/deep"), 0o755)
	before := snapshot(t, dir)
	mustWrite(t, dir, filesOf("adm/a/f", "2"))
	after := snapshot(t, dir)
	before["adm/a/f"] = strings.Replace(before["adm/a/f"], " 1", " 2", 1)
	before[ManifestName] = after[ManifestName]
	delete(before, "adm/b/f")
	wantSame(t, before, after)
}

func TestForeignInTheWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(dir string) error
		names string
	}{
		{"file", func(d string) error { return os.WriteFile(d+"/new", []byte("mine"), 0o644) }, "new"},
		{"link", func(d string) error { return os.Symlink("/etc/passwd", d+"/new") }, "new"},
		{"file for dir", func(d string) error { return os.WriteFile(d+"/sub", []byte("mine"), 0o644) }, "sub"},
		{"link for dir", func(d string) error { return os.Symlink("/tmp", d+"/sub") }, "sub"},
		{"dir for file", func(d string) error { return os.MkdirAll(d+"/new/x", 0o755) }, "new"},
		{"file in our dir", func(d string) error { return os.WriteFile(d+"/was/mine", []byte("mine"), 0o644) }, "was/mine"},
		{"ours became a link", func(d string) error {
			return joined(os.Remove(d+"/old"), os.Symlink("/etc/passwd", d+"/old"))
		}, "old"},
		{"manifest mangled", func(d string) error {
			return os.WriteFile(d+"/"+ManifestName, []byte("<<<<<<< HEAD\n"), 0o644)
		}, "MANIFEST"},
		{"manifest escapes", func(d string) error {
			return os.WriteFile(d+"/"+ManifestName, []byte(manifestHeader+"\n"+strings.Repeat("0", 64)+"  ../precious\n"), 0o644)
		}, "MANIFEST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			put(t, filepath.Join(parent, "precious"), "keep", 0o644)
			dir := filepath.Join(parent, "out")
			mustWrite(t, dir, filesOf("old", "1", "was/a/dir", "1"))
			next := filesOf("new", "2", "old", "2", "sub/f", "2", "was", "2")
			if err := c.plant(dir); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, parent)
			err := Write(dir, next)
			if err == nil || !strings.Contains(err.Error(), "in its way: ") || !strings.Contains(err.Error(), filepath.Join(dir, c.names)) {
				t.Errorf("error %v does not say that %s is in the way", err, c.names)
			}
			wantSame(t, before, snapshot(t, parent))
		})
	}
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestRefusedTargets(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(dir string) error
		says string
	}{
		{"file", func(d string) error { return os.WriteFile(d, nil, 0o644) }, "not a directory"},
		{"link", func(d string) error { return os.Symlink(".", d) }, "symbolic link"},
		{"dangling link", func(d string) error { return os.Symlink("nowhere", d) }, "symbolic link"},
		{"parent is a file", func(d string) error {
			return joined(os.Remove(filepath.Dir(d)), os.WriteFile(filepath.Dir(d), nil, 0o644))
		}, "not a directory"},
		{"staging taken", func(d string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(d), ".out.admc-staging"), nil, 0o644)
		}, ".out.admc-staging"},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "p", "out")
			if err := joined(os.Mkdir(filepath.Dir(dir), 0o755), c.make(dir)); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, top)
			if err := Write(dir, filesOf("a", "1")); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
			wantSame(t, before, snapshot(t, top))
		})
	}
}

func TestRefusedPaths(t *testing.T) {
	for _, p := range []string{"../x", "/etc/x", "a/../../x", "a//b", ".", "", "a/./b", "a\nb", `a\b`, ManifestName, ManifestName + "/x"} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "out")
		if err := Write(dir, filesOf(p, "1")); err == nil {
			t.Errorf("%q is written", p)
		}
		if _, err := Compare(dir, filesOf(p, "1")); err == nil {
			t.Errorf("%q is compared", p)
		}
		if left := snapshot(t, parent); len(left) != 1 {
			t.Errorf("%q leaves %v", p, left)
		}
	}
	if err := Write(filepath.Join(t.TempDir(), "out"), filesOf("a", "1", "a/b", "2")); err == nil {
		t.Error("a file that is a directory too is written")
	}
}

func TestWorkingDirectoryRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("sub/a", "1"))
	t.Chdir(filepath.Join(dir, "sub"))
	if err := Write("..", filesOf("sub/a", "2")); err == nil || !strings.Contains(err.Error(), "working directory") {
		t.Errorf("error %v", err)
	}
	if err := Write("..", filesOf("sub/a", "1")); err != nil {
		t.Errorf("a directory that is up to date is refused: %v", err)
	}
	t.Chdir("../..")
	mustWrite(t, "out", filesOf("sub/a", "2"))
}

// An up-to-date directory keeps its inode and its times.
func TestUnchangedIsUntouched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, filesOf("a", "1"))
	before, _ := os.Stat(dir)
	mustWrite(t, dir, filesOf("a", "1"))
	if after, _ := os.Stat(dir); !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("the directory was replaced")
	}
	mustWrite(t, dir, filesOf("a", "2"))
	if after, _ := os.Stat(dir); os.SameFile(before, after) {
		t.Error("the directory was not replaced by a run that changes it")
	}
}

// A user who may not write the directory gets an error and no change, although
// the parent is theirs. Root may write anything, so the test steps down.
func TestReadOnly(t *testing.T) {
	if dir := os.Getenv("ADMC_TEST_READONLY"); dir != "" {
		fmt.Println("wrote:", Write(dir, filesOf("a", "2")))
		return
	}
	top := t.TempDir()
	dir := filepath.Join(top, "out")
	mustWrite(t, dir, filesOf("a", "1"))
	cmd := exec.Command(os.Args[0], "-test.run=^TestReadOnly$")
	if os.Geteuid() == 0 {
		const nobody = 65534
		self, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		// t.TempDir is beneath a directory that only root enters.
		top, err = os.MkdirTemp("", "admc-read-only")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(top) })
		dir = filepath.Join(top, "out")
		mustWrite(t, dir, filesOf("a", "1"))
		binary := filepath.Join(top, "test")
		for _, err := range []error{os.WriteFile(binary, self, 0o755), os.Chmod(top, 0o755),
			os.Chown(top, nobody, nobody), os.Chown(dir, nobody, nobody), os.Chown(dir+"/a", nobody, nobody)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		cmd = exec.Command(binary, "-test.run=^TestReadOnly$")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "ADMC_TEST_READONLY="+dir)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "can't be written") {
		t.Errorf("%v\n%s", err, out)
	}
	wantSame(t, before, snapshot(t, dir))
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(cmd.Path, cmd.Args[1:]...)
	again.Dir, again.Env, again.SysProcAttr = cmd.Dir, cmd.Env, cmd.SysProcAttr
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "wrote: <nil>") {
		t.Errorf("the same user can't write a writable directory: %v\n%s", err, out)
	}
}
