package emit

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// UnifiedDiff gives the unified diff between two texts, "" when they are equal.
// There is no "diff a b" line: it would name a command that nobody can run.
func UnifiedDiff(oldName string, old []byte, newName string, new []byte) string {
	text := diff.Diff(oldName, old, newName, new)
	if i := bytes.Index(text, []byte("\n--- ")); i >= 0 {
		text = text[i+1:]
	}
	return string(text)
}
