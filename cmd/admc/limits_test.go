package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/solver"
)

// hardMesh writes a project whose every call is policed, so that the reductions
// leave a kernel, and makes its directory the working one.
func hardMesh(t *testing.T, services int) {
	t.Helper()
	t.Chdir(t.TempDir())
	rnd := rand.New(rand.NewSource(1))
	var g strings.Builder
	g.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: hard}\nservices:\n")
	for i := range services {
		fmt.Fprintf(&g, "  s%d: {ports: [{port: 80, protocol: http}]}\n", i)
	}
	g.WriteString("calls:\n")
	for i := range services - 1 {
		to := map[int]bool{}
		for range 4 {
			to[i+1+rnd.Intn(services-i-1)] = true
		}
		for j := range services {
			if to[j] {
				fmt.Fprintf(&g, "  - {from: s%d, to: s%d}\n", i, j)
			}
		}
	}
	write(t, "graph.yaml", g.String())
	write(t, "p.adm", "policy mark {\n    on * -> *\n    set_header(\"x-mark\", \"1\")\n}\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func admc(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, streams{strings.NewReader(""), &out, &errs})
	return status, out.String(), errs.String()
}

// TestLimits: a limit ends a compile with what is known and nothing
// written; --allow-gap writes it, and --strict doesn't.
func TestLimits(t *testing.T) {
	hardMesh(t, 300)
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	if status, _, stderr := admc(interrupted, "compile", "--allow-gap"); status != exitInput || !strings.Contains(stderr, "nothing is written") {
		t.Errorf("interrupted before it placed: %d\n%s", status, stderr)
	}
	said := regexp.MustCompile(`^(?:placing: .*\n)*admc: stopped: a placement with (\d+) ADMs is found, and no less than (\d+) ADMs is proved; nothing is written\n$`)
	for _, engine := range solver.Engines() {
		args := []string{"compile", "--engine", engine, "--timeout", "1ns"}
		status, stdout, stderr := admc(context.Background(), args...)
		if status != exitInput || stdout != "" || !said.MatchString(stderr) {
			t.Errorf("%v: %d\n%s%s", args, status, stdout, stderr)
		}
		if _, err := os.Stat("out"); err == nil {
			t.Fatal("something is written")
		}
		status, _, stderr = admc(context.Background(), append(args, "--allow-gap", "--strict")...)
		if _, err := os.Stat("out"); status != exitInput || err == nil || !strings.Contains(stderr, "warning") {
			t.Errorf("strict: %d, %v\n%s", status, err, stderr)
		}
		status, stdout, stderr = admc(context.Background(), append(args, "--allow-gap")...)
		if status != 0 || !strings.Contains(stderr, "warning: the search was ended: adms: ") || !strings.Contains(stdout, "(not proved fewest: at least ") {
			t.Errorf("allow-gap: %d\n%s%s", status, stdout, stderr)
		}
		text, err := os.ReadFile(filepath.Join("out", placementName))
		if err != nil || !bytes.Contains(text, []byte(`"proved": false`)) || !bytes.Contains(text, []byte(`"kind": "dual"`)) {
			t.Errorf("%v\n%s", err, text)
		}
		if err := os.RemoveAll("out"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCalledWrongly: a limit or an assumption that means nothing is no limit and
// no assumption.
func TestCalledWrongly(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", "examples", "hotel-reservation"))
	for _, test := range []struct{ args, want string }{
		{"plan --timeout -1s", "no time is -1s long"},
		{"plan --what-if adm:geo=never --what-if adm:geo=always", "something else is assumed of geo already"},
	} {
		status, stdout, stderr := admc(context.Background(), strings.Fields(test.args)...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d\n%s%s", test.args, status, stdout, stderr)
		}
	}
	// The control: said twice, it is assumed once.
	if status, stdout, stderr := admc(context.Background(), "plan", "--what-if", "adm:geo=always", "--what-if", "adm:geo=always"); status != 0 || !strings.Contains(stdout, "what if adm:geo=always:") {
		t.Errorf("%d\n%s%s", status, stdout, stderr)
	}
}

// TestProgressLine: each stage of a solve in words.
func TestProgressLine(t *testing.T) {
	for _, test := range []struct {
		p    solver.Progress
		want string
	}{
		{solver.Progress{}, "placing: reducing, 2s"},
		{solver.Progress{Parts: 3, Done: 1, Largest: 40, AtLeast: 21}, "placing: part 2 of 3, the largest has 40 services; at least 21, 2s"},
		{solver.Progress{LeastChange: true, Parts: 3, Done: 2, Largest: 40, AtLeast: -1}, "placing: the fewest are known; looking for the fewest changes, part 3 of 3, the largest has 40 services, 2s"},
	} {
		if got := progressLine(test.p, 2*time.Second); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
