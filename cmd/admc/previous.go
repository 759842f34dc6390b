package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"admc.dev/admc/solver"
)

// placementName is the placement's file in an output directory.
const placementName = "placement.json"

// previousFlags say which placement to change least.
type previousFlags struct {
	previous string
	fresh    bool
}

func (f *previousFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.previous, "previous", "", "the placement.json to change least (default: the one in the output directory)")
	fl.BoolVar(&f.fresh, "fresh", false, "don't look at any previous placement")
}

// read gives the previous placement, nil when there is none. A file that was
// named has to be there and to be one; one that merely is in the way is as good
// as none, and `compile --check` shows how it differs.
func (f *previousFlags) read(out string) (*solver.Record, error) {
	switch {
	case f.fresh && f.previous != "":
		return nil, errors.New("--fresh and --previous exclude each other")
	case f.fresh:
		return nil, nil
	case f.previous != "":
		text, err := os.ReadFile(f.previous)
		if err != nil {
			return nil, err
		}
		record, err := solver.ReadPlacement(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shownPath(f.previous), err)
		}
		return record, nil
	}
	text, err := os.ReadFile(filepath.Join(out, placementName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record, err := solver.ReadPlacement(text)
	if err != nil {
		return nil, nil
	}
	return record, nil
}
