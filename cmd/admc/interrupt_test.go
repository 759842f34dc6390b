package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// afterCalls is a context that is cancelled once its error was asked for that
// many times: it interrupts a run at each of its steps in turn.
type afterCalls struct {
	context.Context
	left int
}

func (c *afterCalls) Err() error {
	if c.left == 0 {
		return context.Canceled
	}
	c.left--
	return nil
}

// TestInterrupted interrupts a compile wherever it looks whether it should end:
// the status is 1 and nothing is written. Uninterrupted, it writes.
func TestInterrupted(t *testing.T) {
	steps := 0
	for ; ; steps++ {
		dir := filepath.Join(t.TempDir(), "out")
		var out, problems bytes.Buffer
		ctx := &afterCalls{Context: context.Background(), left: steps}
		status := run(ctx, []string{"compile", "--config", "../../examples/paper-figure-1/admc.yaml", "-o", dir}, streams{nil, &out, &problems})
		_, err := os.Stat(dir)
		if status == 0 {
			if err != nil {
				t.Errorf("it ended well and wrote nothing: %v", err)
			}
			break
		}
		if status != exitInput || !os.IsNotExist(err) {
			t.Errorf("interrupted at step %d: status %d, output %v\n%s", steps, status, err, problems.String())
		}
	}
	if steps < 4 {
		t.Errorf("a compile looks %d times whether it should end; it has more phases than that", steps)
	}
}
