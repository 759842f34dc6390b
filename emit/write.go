package emit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Write makes dir hold the files and a manifest of them, whole or not at all:
// everything is staged beside dir, synced, and swapped with it by one rename.
// Whoever looks, and whenever the run is interrupted, sees the old directory or
// the new one. (Where the file system can't exchange two directories there are
// two renames, and the next run mends an interruption between them.)
//
// What a previous run wrote and this one doesn't is removed. Files that no
// manifest lists are somebody else's: they are carried over untouched, as hard
// links, and one that stands where a file would be written is an error that
// names it. A dir that is up to date is not touched.
//
// Refused, with nothing changed: a dir that is a file or a symbolic link, that
// can't be written, or that is or holds the working directory (the swap would
// take it away from under the user's shell); paths that leave dir.
func Write(dir string, f *Files) error {
	if err := checkPaths(f); err != nil {
		return err
	}
	target, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := checkTarget(dir, target); err != nil {
		return err
	}
	if same, err := upToDate(target, f); same || err != nil {
		return err
	}
	if err := replaceable(dir, target); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return err
	}
	st, err := openStage(target)
	if err != nil {
		return err
	}
	defer st.close()
	all := withManifest(f)
	keep, err := foreign(target, dir, all)
	if err != nil {
		return err
	}
	if err := st.build(all, keep); err != nil {
		return fmt.Errorf("nothing is changed in %s: %w", dir, err)
	}
	return st.swap()
}

// checkTarget looks at what stands at the target before anything is made.
func checkTarget(dir, target string) error {
	info, err := os.Lstat(target)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link; name the directory itself", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	return nil
}

// replaceable looks whether the target, if it is there, may be swapped.
func replaceable(dir, target string) error {
	info, err := os.Lstat(target)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for wd, err := os.Getwd(); err == nil; wd = filepath.Dir(wd) {
		if here, err := os.Stat(wd); err == nil && os.SameFile(here, info) {
			return fmt.Errorf("%s is or holds the working directory, and is replaced whole; run admc from outside it", dir)
		}
		if wd == filepath.Dir(wd) {
			break
		}
	}
	return writable(target)
}

func upToDate(target string, f *Files) (bool, error) {
	if _, err := os.Lstat(target); err != nil {
		return false, nil
	}
	list, err := Compare(target, f)
	return err == nil && len(list) == 0, err
}

// foreign lists what is in the target and is not ours, directories before what
// they hold. It fails where such a thing stands in the way of the files.
func foreign(target, dir string, all *Files) ([]string, error) {
	ours, why, err := readManifest(target)
	if err != nil {
		return nil, err
	}
	if ours != nil {
		ours[ManifestName] = true
	}
	ourDirs := parents(sortedKeys(ours))
	wantDirs := parents(all.Paths())
	var keep, clash []string
	err = filepath.WalkDir(target, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == target {
			if os.IsNotExist(err) && name == target {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(target, name)
		if err != nil {
			return err
		}
		p := filepath.ToSlash(rel)
		switch {
		case ours[p] && d.Type().IsRegular():
		case d.IsDir() && ourDirs[p]: // kept where something foreign is in it, by that
		case d.IsDir() && wantDirs[p]:
		default:
			keep = append(keep, p)
			if _, wanted := all.Get(p); wanted || wantDirs[p] {
				clash = append(clash, p)
			} else if above := wantedAbove(p, all); above != "" {
				clash = append(clash, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(clash) > 0 {
		err := fmt.Errorf("not written by admc, and in its way: %s; nothing is changed", strings.Join(inDir(dir, clash), ", "))
		if why != nil {
			err = fmt.Errorf("%w (%s can't be used: %v)", err, filepath.Join(dir, ManifestName), why)
		}
		return nil, err
	}
	return keep, nil
}

// wantedAbove gives the file to be written that p, a foreign entry, is beneath.
func wantedAbove(p string, all *Files) string {
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if _, wanted := all.Get(d); wanted {
			return d
		}
	}
	return ""
}

func inDir(dir string, paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = filepath.Join(dir, filepath.FromSlash(p))
	}
	return out
}

// isAbsent also takes "a file stands where a directory would have to be".
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err)
}
