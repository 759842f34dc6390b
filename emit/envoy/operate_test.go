//go:build linux

package envoy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

// TestOperate runs the commands of docs/operate.md against a real ADM, with a
// kubectl that enters its container instead of asking a cluster.
func TestOperate(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(adm\\(\\) \\{.*?\n\\}\n)(.*?)```").FindStringSubmatch(string(doc))
	if script == nil {
		t.Fatal("docs/operate.md has no command for the admin socket")
	}
	const port = 27017
	client, server := newPair(t)
	prog := newProgram()
	prog.call(port, "mongodb", ir.Egress, do("protect_databases", act("rate_limit", args{"rate": rate(1, time.Hour), "burst": num(1)})))
	a := serve(t, server, port, "tcp")
	l := prog.layout()
	adm := runADM(t, client, l.ADMs[0], configurationOf(emitted(t, l), l.ADMs[0].Dir))
	p := probe{n: client, address: fmt.Sprintf("%s:%d", serverIP, port), app: a}

	bin := t.TempDir()
	pid := strings.Split(adm.admin, "/")[2] // /proc/PID/root/…
	enter := fmt.Sprintf("#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec nsenter -t %s -m -- \"$@\"\n", pid)
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(enter), 0o755); err != nil {
		t.Fatal(err)
	}
	say := func(line string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", script[1]+line)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 200") {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}

	if got := times(3, greeting)(t, p); got != hello+" | closed | closed" {
		t.Fatalf("before: %s", got)
	}
	lines := strings.Split(strings.TrimSpace(script[2]), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d commands", len(lines))
	}
	// a policy with a part of the name has no counter here
	if other := strings.Replace(lines[0], "protect_databases", "databases", 1); other == lines[0] || strings.Contains(say(other), "databases") {
		t.Errorf("%s gives\n%s", other, say(other))
	}
	for i, want := range []string{
		"local_rate_limit.protect_databases.rate_limited: 2",
		`"source": "shop.adm:1"`,
		"OK",
		`"final_value": "0"`,
		"OK",
	} {
		if got := say(lines[i]); !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", lines[i], want, got)
		}
		switch i {
		case 2:
			eventually(t, "off", hello+" | "+hello, func() string { return times(2, greeting)(t, p) })
		case 4:
			eventually(t, "on", "closed | closed", func() string { return times(2, greeting)(t, p) })
		}
	}
}
