package emit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// A stage is the directory beside the target in which the new tree is built. Its
// name is fixed and it is locked while it is used, so that the next run finds
// what an interrupted one left, and two runs at once don't mix.
//
//	.out.admc-staging/new    the tree to come; after the swap, the one that was
//	.out.admc-staging/old    the tree that was, where two renames make the swap
type stage struct {
	target string
	dir    string
	lock   *os.File
	made   []string // directories of the new tree, each after the one above it
}

func openStage(target string) (*stage, error) {
	st := &stage{target: target, dir: filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".admc-staging")}
	if err := os.Mkdir(st.dir, 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	if info, err := os.Lstat(st.dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is in the way: admc stages its output there", st.dir)
	}
	lock, err := os.Open(st.dir)
	if err != nil {
		return nil, err
	}
	if err := lockDir(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another admc is writing %s: %w", target, err)
	}
	st.lock = lock
	if err := st.settle(); err != nil {
		lock.Close()
		return nil, err
	}
	return st, nil
}

// settle ends what an interrupted run began: its unfinished tree is dropped,
// and a target that it had moved away and not yet replaced comes back.
func (st *stage) settle() error {
	if _, err := os.Lstat(st.target); os.IsNotExist(err) {
		err := os.Rename(st.path("old"), st.target)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return errors.Join(st.discard("new"), st.discard("old"))
}

func (st *stage) path(p string) string { return filepath.Join(st.dir, filepath.FromSlash(p)) }

// close leaves nothing behind; what can't be removed now, the next run settles.
func (st *stage) close() {
	_ = st.discard("new")
	_ = os.Remove(st.dir)
	st.lock.Close()
}

// build makes the whole tree: the manifest first, so that a tree that was left
// unfinished tells which files in it are ours.
func (st *stage) build(all *Files, keep []string) error {
	root := st.path("new")
	if err := os.Mkdir(root, 0o777); err != nil {
		return err
	}
	st.made = []string{"."}
	manifest, _ := all.Get(ManifestName)
	if err := os.WriteFile(filepath.Join(root, ManifestName), manifest, 0o666); err != nil {
		return err
	}
	for _, p := range all.Paths() {
		if p == ManifestName {
			continue
		}
		name := filepath.Join(root, filepath.FromSlash(p))
		if err := st.mkdirs(path.Dir(p)); err != nil {
			return err
		}
		data, _ := all.Get(p)
		if err := os.WriteFile(name, data, 0o666); err != nil {
			return err
		}
	}
	for _, p := range keep {
		if err := st.carry(p); err != nil {
			return err
		}
	}
	// Last and from below, because a directory may be read-only.
	for i := len(st.made) - 1; i >= 0; i-- {
		if err := st.like(st.made[i]); err != nil {
			return err
		}
	}
	return syncTree(root)
}

// mkdirs makes a directory of the new tree and those above it.
func (st *stage) mkdirs(p string) error {
	if p == "." {
		return nil
	}
	if err := st.mkdirs(path.Dir(p)); err != nil {
		return err
	}
	name := st.path("new/" + p)
	if err := os.Mkdir(name, 0o777); err != nil {
		if os.IsExist(err) {
			return nil
		}
		return err
	}
	st.made = append(st.made, p)
	return nil
}

// like gives a directory of the new tree the mode and owner of its counterpart
// in the target, if there is one.
func (st *stage) like(p string) error {
	name := filepath.Join(st.path("new"), filepath.FromSlash(p))
	info, err := os.Lstat(filepath.Join(st.target, filepath.FromSlash(p)))
	if isAbsent(err) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := copyOwner(name, info); err != nil {
		return err
	}
	return os.Chmod(name, info.Mode()&(fs.ModePerm|fs.ModeSetgid|fs.ModeSticky))
}

// carry takes something foreign over into the new tree.
func (st *stage) carry(p string) error {
	from := filepath.Join(st.target, filepath.FromSlash(p))
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return st.mkdirs(p)
	}
	if err := st.mkdirs(path.Dir(p)); err != nil {
		return err
	}
	if err := os.Link(from, st.path("new/"+p)); err != nil {
		return fmt.Errorf("can't carry over %s, which admc did not write: %w; give admc a directory of its own", p, err)
	}
	return nil
}

// swap puts the new tree in the target's place and removes the old one.
func (st *stage) swap() error {
	err := os.ErrNotExist
	if _, statErr := os.Lstat(st.target); statErr == nil {
		err = exchange(st.path("new"), st.target)
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrNotExist):
		if err := os.Rename(st.path("new"), st.target); err != nil {
			return err
		}
	case errors.Is(err, errors.ErrUnsupported):
		if err := os.Rename(st.target, st.path("old")); err != nil {
			return err
		}
		if err := os.Rename(st.path("new"), st.target); err != nil {
			return errors.Join(err, os.Rename(st.path("old"), st.target))
		}
	default:
		return err
	}
	if err := syncDir(filepath.Dir(st.target)); err != nil {
		return err
	}
	return errors.Join(st.discard("new"), st.discard("old"))
}

// discard removes a tree of the stage: the files its manifest lists, and those
// that the target has too. A file that is neither came into the old tree while
// it was being replaced; it moves to the target, and where it can't, it stays
// and the error says where.
func (st *stage) discard(tree string) error {
	root := st.path(tree)
	if _, err := os.Lstat(root); os.IsNotExist(err) {
		return nil
	}
	listed, _, err := readManifest(root)
	if err != nil {
		return err
	}
	var dirs []string
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, name)
			return makeWritable(name, d)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		here, err := d.Info()
		if err != nil {
			return err
		}
		p := filepath.ToSlash(rel)
		if p == ManifestName && d.Type().IsRegular() {
			return nil // last, or an interruption here would orphan the rest
		}
		counterpart := filepath.Join(st.target, rel)
		there, err := os.Lstat(counterpart)
		switch {
		case listed[p] && d.Type().IsRegular(), err == nil && os.SameFile(here, there):
			return os.Remove(name)
		case isAbsent(err):
			return os.Rename(name, counterpart)
		}
		return fmt.Errorf("%s is not admc's and has no place in %s any more: move it away", name, st.target)
	})
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(root, ManifestName)); err != nil && !isAbsent(err) {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Remove(dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// makeWritable lets a read-only directory be emptied.
func makeWritable(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil || info.Mode()&0o700 == 0o700 {
		return err
	}
	return os.Chmod(name, info.Mode()&fs.ModePerm|0o700)
}
