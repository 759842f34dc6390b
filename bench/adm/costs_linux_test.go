package adm

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"admc.dev/admc/lang/ir"
)

var (
	full   = flag.Bool("full", false, "measure every row, some minutes long; without it a few rows get a few requests")
	update = flag.Bool("update", false, "with -full: write the tables into "+page)
	only   = flag.String("only", "", "with -full: the one action to measure; nothing is written then")
)

// In a full run each contest has that many rounds of that many requests, and not
// more than so many rows: little time passes between two turns of a pair, in which
// the machine could become another.
const (
	fullRounds   = 64
	fullRequests = 120
	atOnce       = 8
)

// TestCosts measures. Of what it measured it demands only that every request was
// answered and everybody concerned was asked: the machine may be busy.
func TestCosts(t *testing.T) {
	keys := newKeyRing(t)
	list := rows(programs(keys.jwks))
	contests, rounds, requests := [][]row{sample(list)}, 2, 6
	if *full {
		if *only != "" {
			list = slices.DeleteFunc(list, func(r row) bool { return r.action != *only })
		}
		contests, rounds, requests = chunks(list), fullRounds, fullRequests
	}
	admc := build(t)
	var hops []Hop
	var measured []Measured
	for i, rows := range contests {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) { // a bed goes with its test
			c := newContest(rows)
			c.start(t, admc, keys)
			c.run(t, rounds, requests)
			c.verify(t)
			for _, p := range c.pairs {
				switch p.kind {
				case empty:
					hops = append(hops, p.hop())
				case acting:
					measured = append(measured, p.measured())
				}
			}
		})
	}
	if t.Failed() || len(measured) == 0 { // it failed, or was skipped
		return
	}
	hops = joined(hops)
	text := tables(hops, measured, declared)
	t.Log("\n" + text)
	if h, l, err := parse(text); err != nil || len(h) != len(hops) || len(l) != len(measured) {
		t.Errorf("the tables can't be read back: %d of %d and %d of %d lines, %v", len(h), len(hops), len(l), len(measured), err)
	}
	if !*full {
		return
	}
	for _, d := range differences(hops, measured) {
		t.Log(d)
	}
	if *update && *only == "" {
		write(t, text)
	}
}

// sample is a row of each kind of work: on each plane, at each side, and with each
// of the parties outside.
func sample(list []row) []row {
	var out []row
	for _, r := range list {
		switch r.name() + " " + string(r.plane) {
		case "set_header http", "ext_authz http", "rate_limit, global grpc", "trace grpc", "tag grpc", "access_log tcp", "mtls tcp":
			out = append(out, r)
		}
	}
	return out
}

// chunks divides the rows into contests: of one plane and side each, but for the
// few that need both.
func chunks(list []row) (out [][]row) {
	var ends []row
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].plane == list[0].plane && list[n].sides == list[0].sides {
			n++
		}
		if list[0].sides == ir.Ingress|ir.Egress {
			ends = append(ends, list[:n]...)
		} else {
			contests := (n + atOnce - 1) / atOnce
			out = slices.AppendSeq(out, slices.Chunk(list[:n], (n+contests-1)/contests))
		}
		list = list[n:]
	}
	if len(ends) > 0 {
		out = append(out, ends)
	}
	return out
}

// build gives admc as it is in this checkout.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admc")
	if out, err := exec.Command("go", "build", "-o", path, "admc.dev/admc/cmd/admc").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// verify looks whether the contest was what it is called: proxies worked, those
// without one have none, and the parties outside were asked.
func (c *contest) verify(t *testing.T) {
	t.Helper()
	asked := map[string]bool{}
	for _, p := range c.pairs {
		work := time.Duration(0)
		for _, r := range p.rounds {
			work += r.CPU
		}
		if (work > 0) != (p.kind != direct) {
			t.Errorf("%s on %s: its ADMs took %v of CPU", p.name(), p.plane, work)
		}
		switch p.name() {
		case "ext_authz":
			asked[authorization] = true
		case "rate_limit, global":
			asked[rateLimits] = true
		case "trace":
			asked[collector] = true
		}
	}
	for method := range asked {
		var n int
		for start := time.Now(); n == 0 && time.Since(start) < 20*time.Second; time.Sleep(50 * time.Millisecond) { // spans come later
			if _, err := fmt.Sscan(c.outside.Ask(method), &n); err != nil {
				t.Fatal(err)
			}
		}
		if n == 0 {
			t.Errorf("nobody asked for %s", method)
		}
	}
}

// write puts the tables into the page.
func write(t *testing.T, text string) {
	t.Helper()
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, _, after, err := split(string(old))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte(before+begins+"\n"+text+"\n"+ends+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
