//go:build !linux

package emit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// exchange is not built for this system: Write makes two renames.
func exchange(a, b string) error { return errors.ErrUnsupported }

// lockDir does nothing here: runs of admc on one directory must not overlap.
func lockDir(f *os.File) error { return nil }

// syncTree brings every file of a tree to the disk.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// syncDir does nothing here: not every system can sync a directory.
func syncDir(dir string) error { return nil }

// writable leaves the check to the writing itself.
func writable(dir string) error { return nil }

// copyOwner leaves the owner as it is.
func copyOwner(name string, like fs.FileInfo) error { return nil }

func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
