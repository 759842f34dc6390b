// Package bpf holds the redirect programs: their sources, the objects built
// from them for both byte orders, and the checksums of those.
//
// Out: the bytes of each object. They are embedded on every platform, so that
// the compiler emits them on a machine that could not run them; loading them is
// bpfgen's. `make bpf` rebuilds them.
package bpf

import (
	"embed"
	"fmt"
	"strings"
)

//go:generate ./build.sh

//go:embed *.o
var objects embed.FS

// SHA256SUMS is the checksum file as sha256sum(1) writes and checks it: a line
// for each object, sorted by name.
//
//go:embed SHA256SUMS
var SHA256SUMS []byte

// Names gives the objects' file names, sorted: {accel,steer}_{bpfeb,bpfel}.o.
func Names() []string {
	entries, err := objects.ReadDir(".")
	if err != nil {
		panic(fmt.Sprintf("bpf: the embedded objects: %v", err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// Object gives the bytes of an object. A name that Names does not give panics.
func Object(name string) []byte {
	b, err := objects.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("bpf: no object %q: %v", name, err))
	}
	return b
}

// Checksums gives each object's SHA-256 in hexadecimal, as SHA256SUMS has it.
func Checksums() map[string]string {
	sums := map[string]string{}
	for line := range strings.Lines(string(SHA256SUMS)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			panic(fmt.Sprintf("bpf: SHA256SUMS has the line %q", line))
		}
		sums[name] = sum
	}
	return sums
}
