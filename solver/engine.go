package solver

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// An engine solves what the reductions leave.
type engine interface {
	Name() string
	// solve gives a least cover of a connected part that no rule shrinks
	// further. As soon as the context ends it gives the context's error and
	// the best cover it has.
	solve(ctx context.Context, k *part) ([]bool, error)
}

// engines of this build; the first is the default.
var engines = append(builtWithC, native{})

// Engines names those in this build, the default first.
func Engines() []string {
	var names []string
	for _, e := range engines {
		names = append(names, e.Name())
	}
	return names
}

func engineNamed(name string) (engine, error) {
	if name == "" {
		return engines[0], nil
	}
	i := slices.IndexFunc(engines, func(e engine) bool { return e.Name() == name })
	if i < 0 {
		return nil, fmt.Errorf("this build has no engine %q: it has %s", name, strings.Join(Engines(), " and "))
	}
	return engines[i], nil
}
