package dot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// SVG renders DOT source with graphviz's `dot`, which must be on PATH; where it
// is not, the error says how to get it.
func SVG(ctx context.Context, source string) ([]byte, error) {
	dot, err := exec.LookPath("dot")
	if err != nil {
		return nil, errors.New("no `dot` on PATH to render SVG with: install graphviz (apt-get install graphviz, brew install graphviz), or take the DOT source")
	}
	cmd := exec.CommandContext(ctx, dot, "-Tsvg")
	cmd.Stdin = strings.NewReader(source)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("dot: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}
