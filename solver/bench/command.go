package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// changes times least change beside the same problem without a previous
// placement, which the table has already.
func (b *bench) changes(pattern *regexp.Regexp) ([]*line, error) {
	var rows []*line
	for _, in := range changed() {
		if !pattern.MatchString(in.name) {
			continue
		}
		a, err := solvers[0].run(b, in, "")
		if err != nil {
			return nil, err
		}
		fmt.Println(in.name, a, a.Changes, a.ChangesProved)
		rows = append(rows, &line{in, map[string]*answer{solvers[0].name: a}})
	}
	return rows, nil
}

// A run of the whole command on a file.
type command struct {
	services, calls, policies int
	bytes                     int
	seconds                   float64
	megabytes                 int64
	phases                    string // what --timings prints
}

// whole times `admc plan` on a graph file of a hundred thousand services.
func (b *bench) whole(pattern *regexp.Regexp) (*command, error) {
	if !pattern.MatchString("plan") {
		return nil, nil
	}
	c := &command{services: 100_000, policies: 40}
	dir := filepath.Join(b.work, "plan")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	text, calls := graphFile(c.services)
	c.calls, c.bytes = calls, len(text)
	for name, text := range map[string]string{"graph.yaml": text, "policies.adm": policyFile(c.policies)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	admc, err := filepath.Abs(b.admc)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(admc, "plan", "--timings", "--graph", "graph.yaml", "policies.adm")
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("admc plan: %w: %s", err, errs.String())
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c.seconds = min(time.Since(begin), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()
	c.megabytes = use.Maxrss / 1024
	for _, l := range strings.Split(errs.String(), "\n") {
		if strings.Contains(l, " s  ") { // else it is a line of progress
			c.phases += strings.TrimSpace(l) + "\n"
		}
	}
	c.phases = strings.TrimSpace(c.phases)
	fmt.Printf("admc plan: %.2fs, %d MB\n%s\n", c.seconds, c.megabytes, c.phases)
	return c, nil
}

// graphFile writes a graph in layers with popular receivers: a fifth of the
// services are databases that are only called, and hubs among them.
func graphFile(services int) (text string, calls int) {
	rnd := rand.New(rand.NewSource(1))
	var w strings.Builder
	w.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: large}\nservices:\n")
	data := services * 4 / 5
	for i := range services {
		tier, port := "service", "{port: 8080, protocol: http}"
		if i >= data {
			tier, port = "database", "{port: 5432, protocol: tcp}"
		}
		fmt.Fprintf(&w, "  svc-%06d: {labels: {tier: %s, team: team-%d}, ports: [%s]}\n", i, tier, i%200, port)
	}
	w.WriteString("calls:\n")
	for i := range data {
		seen := map[int]bool{}
		var to []string
		for range 4 {
			u := rnd.Float64()
			j := i + 1 + int(u*u*float64(services-i-1))
			if rnd.Intn(8) == 0 {
				j = services - 1 - rnd.Intn(services/100)
			}
			if !seen[j] {
				seen[j] = true
				to = append(to, fmt.Sprintf("svc-%06d", j))
				calls++
			}
		}
		fmt.Fprintf(&w, "  - {from: svc-%06d, to: [%s]}\n", i, strings.Join(to, ", "))
	}
	return w.String(), calls
}

// policyFile has policies of teams: limits at their databases, logs between
// their services and another team's, resilience for what they call.
func policyFile(policies int) string {
	var w strings.Builder
	for i := range policies {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&w, "policy limit_%d {\n    on * -> [tier=database, team=team-%d]\n    rate_limit(rate: 500/s, burst: 50)\n}\n", i, i)
		case 1:
			fmt.Fprintf(&w, "policy log_%d {\n    on [team=team-%d] -> [tier=service]\n    access_log()\n}\n", i, i)
		case 2:
			fmt.Fprintf(&w, "policy patient_%d {\n    on [team=team-%d] -> *\n    connect_timeout(250ms)\n}\n", i, i)
		case 3:
			fmt.Fprintf(&w, "policy guard_%d {\n    on * -> [tier=service, team=team-%d]\n    when { request.url_path.startsWith(\"/admin\") }\n    deny(status: 404)\n}\n", i, i)
		}
	}
	return w.String()
}
