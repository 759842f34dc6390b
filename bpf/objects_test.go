package bpf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The clang that the committed objects are built with, that of Debian 12: its
// major version decides their bytes.
const pinnedClang = "14"

func TestChecksums(t *testing.T) {
	want := []string{"accel_bpfeb.o", "accel_bpfel.o", "steer_bpfeb.o", "steer_bpfel.o"}
	if got := Names(); !slices.Equal(got, want) {
		t.Fatalf("embedded objects: %q, want %q", got, want)
	}
	sums := Checksums()
	if len(sums) != len(want) {
		t.Errorf("SHA256SUMS has %d lines, want %d", len(sums), len(want))
	}
	for _, name := range want {
		sum := sha256.Sum256(Object(name))
		if got := hex.EncodeToString(sum[:]); got != sums[name] {
			t.Errorf("%s has the checksum %s, SHA256SUMS says %q: run `make bpf`", name, got, sums[name])
		}
	}
}

// TestRebuild builds a copy of the sources in another directory, one with a
// space in its name, and wants the committed bytes.
func TestRebuild(t *testing.T) {
	clang := os.Getenv("CLANG")
	if clang == "" {
		clang = "clang-14"
		if _, err := exec.LookPath(clang); err != nil {
			clang = "clang"
		}
	}
	version, err := exec.Command(clang, "--version").Output()
	if err != nil {
		t.Fatalf("%s does not run: %v; `make test` installs it", clang, err)
	}
	major := regexp.MustCompile(`clang version (\d+)\.`).FindSubmatch(version)
	if major == nil || string(major[1]) != pinnedClang {
		t.Logf("NOT COMPARED BYTE FOR BYTE: the committed objects are of clang %s (Debian 12) and this machine has %q; "+
			"only their checksums were compared", pinnedClang, bytes.SplitN(version, []byte("\n"), 2)[0])
		TestChecksums(t)
		return
	}

	src, out := filepath.Join(t.TempDir(), "a b"), t.TempDir()
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*.c", "*.h", "build.sh"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(src, f), b, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if b, err := exec.Command(filepath.Join(src, "build.sh"), out).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, b)
	}
	for _, name := range append(Names(), "SHA256SUMS") {
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		want := SHA256SUMS
		if name != "SHA256SUMS" {
			want = Object(name)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its sources give: run `make bpf` and commit it", name)
		}
	}
}
