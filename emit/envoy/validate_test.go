package envoy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// envoyBinary finds Envoy as the other tests of the repository do.
func envoyBinary(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("ENVOY"); p != "" {
		return p
	}
	if p, err := exec.LookPath("envoy"); err == nil {
		return p
	}
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err == nil {
		p := filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), ".tools", "envoy", "bin", "envoy")
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Fatal("no Envoy: set ENVOY, put envoy on PATH, or run `make demo`")
	return ""
}

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
