package main

import (
	"os"
	"path/filepath"
)

// A disk is what files are read from: the file system, and over it the texts
// that an editor has not saved, by absolute path.
type disk struct{ unsaved map[string][]byte }

func (d disk) read(path string) ([]byte, error) {
	if len(d.unsaved) > 0 {
		if abs, err := filepath.Abs(path); err == nil {
			if text, ok := d.unsaved[abs]; ok {
				return text, nil
			}
		}
	}
	return os.ReadFile(path)
}

// in gives the unsaved files that stand in a directory and that it has not yet.
func (d disk) in(dir string) []string {
	var out []string
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	for path := range d.unsaved {
		if filepath.Dir(path) == abs {
			out = append(out, filepath.Join(dir, filepath.Base(path)))
		}
	}
	return out
}
