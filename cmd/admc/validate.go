package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/envoy"
)

// findEnvoy looks for the real Envoy: the variable ENVOY, then PATH, then
// .tools/envoy/bin/envoy here or in a directory above, where `make demo` puts
// it.
func findEnvoy() (string, error) {
	if e := os.Getenv("ENVOY"); e != "" {
		return exec.LookPath(e)
	}
	if e, err := exec.LookPath("envoy"); err == nil {
		return e, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		e := filepath.Join(dir, ".tools", "envoy", "bin", "envoy")
		if _, err := os.Stat(e); err == nil {
			return e, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no Envoy to validate with: put one on PATH, name it with ENVOY=, or run `make demo`")
		}
		dir = up
	}
}

// validateEnvoy runs `envoy --mode validate` over the files of every ADM, two
// at a time, and prints what Envoy refuses.
func validateEnvoy(ctx context.Context, io streams, files *emit.Files) error {
	binary, err := findEnvoy()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "admc-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var paths []string
	for _, p := range files.Paths() {
		if path.Base(p) == envoy.FileName {
			paths = append(paths, p)
		}
	}
	refused := make([]string, len(paths))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, p := range paths {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			data, err := inPlace(filepath.Join(dir, fmt.Sprint(i)), files, p)
			if err != nil {
				refused[i] = err.Error()
				return
			}
			bootstrap, _ := files.Get(path.Join(path.Dir(p), envoy.BootstrapName))
			refused[i] = envoyRefuses(ctx, binary, filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), data, bootstrap)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	bad := 0
	for i, p := range paths {
		if refused[i] != "" {
			bad++
			fmt.Fprintf(io.err, "%s: Envoy refuses it:\n%s\n", p, refused[i])
		}
	}
	if bad > 0 {
		return errInput
	}
	fmt.Fprintf(io.out, "%s accepts %s\n", envoyVersion(ctx, binary), count(len(paths), "Envoy configuration"))
	return nil
}

// inPlace gives an ADM's file that finds those beside it, which an ADM has in
// /etc/admc, in a directory. The certificates that they name need not be there.
func inPlace(dir string, files *emit.Files, of string) ([]byte, error) {
	data, _ := files.Get(of)
	for _, p := range files.Paths() {
		beside := []byte(envoy.SecretsDirectory + "/" + path.Base(p))
		if path.Dir(p) != path.Dir(of) || !bytes.Contains(data, beside) {
			continue
		}
		text, _ := files.Get(p)
		file := filepath.Join(dir, path.Base(p))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		data = bytes.ReplaceAll(data, beside, []byte(strconv.Quote(file))) // whatever is in it
	}
	return data, nil
}

// envoyRefuses gives what Envoy says against an ADM's file, which it writes, and
// its bootstrap; "" when it accepts them.
func envoyRefuses(ctx context.Context, envoy, file string, data, bootstrap []byte) string {
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err.Error()
	}
	out, err := exec.CommandContext(ctx, envoy, "--mode", "validate", "--log-level", "error", "--config-path", file, "--config-yaml", string(bootstrap)).CombinedOutput()
	if err == nil {
		return ""
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return text
	}
	return err.Error()
}

// versionLine is "/usr/bin/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL".
var versionLine = regexp.MustCompile(`version: [^/]*/([^/]+)/`)

// envoyVersion is "Envoy 1.40.0".
func envoyVersion(ctx context.Context, envoy string) string {
	out, err := exec.CommandContext(ctx, envoy, "--version").Output()
	if err != nil {
		return "Envoy"
	}
	if m := versionLine.FindSubmatch(out); m != nil {
		return "Envoy " + string(m[1])
	}
	return "Envoy"
}
