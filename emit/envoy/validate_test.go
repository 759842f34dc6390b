package envoy

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// validate holds a file to our own checks and to the real Envoy's.
func validate(t testing.TB, data []byte) {
	t.Helper()
	for _, err := range Check("envoy.yaml", data) {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(envoyBinary(t), "--mode", "validate", "--log-level", "warning", "-c", path).CombinedOutput(); err != nil {
		t.Fatalf("envoy --mode validate: %v\n%.3000s\n%s", err, out, data)
	}
}
