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

// validate holds a configuration to our own checks and to the real Envoy's.
func validate(t testing.TB, c configuration) {
	t.Helper()
	for _, err := range c.check(string(c.policies)) {
		t.Error(err)
	}
	args := append([]string{"--mode", "validate", "--log-level", "warning"}, c.arguments(t)...)
	if out, err := exec.Command(envoyBinary(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("envoy --mode validate: %v\n%.3000s\n%s", err, out, c.policies)
	}
}
