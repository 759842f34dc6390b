//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
)

// restartGraph: a caller of a service with two pods.
const restartGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: restart, namespace: default}
services:
  app: {}
  geo: {replicas: 2, ports: [{port: 8080, protocol: http}]}
calls:
  - {from: app, to: geo}
`

// restartPolicies: the caller chooses a pod for each request; the receivers tell
// which configuration they have.
const restartPolicies = `
	@egress  policy spread { on app -> geo  lb(policy: round_robin) }
	@ingress @fail(closed) policy config { on * -> geo  set_header("x-config", "%s", of: "response") }`

const restartRetry = `
	@egress policy again { on app -> geo  retry(attempts: 8, on: ["connect-failure", "reset", "unavailable"]) }`

// TestRestartUnderLoad: the ADMs of a service's pods are restarted in turn, with
// another configuration, while requests come. What is lost is what the policies
// and the drain leave open.
func TestRestartUnderLoad(t *testing.T) {
	roll := func(drain bool) func(*rolling, int) {
		return func(r *rolling, i int) {
			r.geo[i].Withdraw()
			if drain {
				if said, err := admcIn(r.T, r.adms[i], "adm", "drain", "--timeout", "60s", "--quiet", "1s"); err != nil {
					r.Errorf("drain: %v: %s", err, said)
				}
			}
			r.adms[i].Terminate()
			r.awaitRequests(100)
			r.start(i)
			r.geo[i].Admit()
			r.awaitConfig(i)
		}
	}
	kill := func(r *rolling, i int) {
		r.adms[i].Kill()
		r.awaitRequests(100)
		r.start(i)
		r.awaitConfig(i)
	}
	for _, tc := range []struct {
		name     string
		policies string
		restart  func(*rolling, int)
		rounds   int // restarts of each pod's ADM
		loses    bool
	}{
		{"killed with retry", restartPolicies + restartRetry, kill, 4, false},
		{"control killed", restartPolicies, kill, 4, true},
		{"rolled with a drain", restartPolicies, roll(true), 1, false},
		{"control rolled without a drain", restartPolicies, roll(false), 2, true},
		{"rolled without a drain with retry", restartPolicies + restartRetry, roll(false), 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRolling(t, tc.policies)
			for range tc.rounds {
				for i := range r.geo {
					tc.restart(r, i)
				}
			}
			for r.requests() < 3000 {
				r.awaitRequests(100)
			}
			total, lost := r.end()
			t.Logf("%d restarts, %d requests, %d lost: %v", tc.rounds*len(r.geo), total, sum(lost), lost)
			if got := sum(lost); got > 0 != tc.loses {
				t.Errorf("%d of %d requests are lost: %v", got, total, lost)
			}
		})
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// rolling is the pods, and the load on them.
type rolling struct {
	*testing.T
	geo     []*testbed.Pod
	adms    []*testbed.ADM
	outputs []string // of the two configurations
	now     []int    // which of them each ADM has
	cancel  func()
	workers sync.WaitGroup

	mu       sync.Mutex
	total    int            // requests
	lost     map[string]int // by what came instead of an answer
	configOf map[string]string
}

var restartConfigs = []string{"one", "two"}

const restartWorkers = 4

func newRolling(t *testing.T, policies string) *rolling {
	bed := testbed.New(t)
	r := &rolling{T: t, lost: map[string]int{}, configOf: map[string]string{}, now: make([]int, 2)}
	app := bed.Pod("app", "default")
	for range 2 {
		p := bed.Pod("geo", "default")
		p.Named("geo-admc-pods.default.svc.cluster.local")
		p.HTTP(8080)
		r.geo = append(r.geo, p)
	}
	for _, config := range restartConfigs {
		r.outputs = append(r.outputs, compileForTest(t, restartGraph, fmt.Sprintf(policies, config)))
	}
	for _, p := range r.geo {
		r.adms = append(r.adms, p.ADM(r.outputs[0]))
	}
	app.ADM(r.outputs[0])
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	transport := &http.Transport{DialContext: app.DialContext, MaxIdleConnsPerHost: restartWorkers}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for range restartWorkers {
		r.workers.Go(func() {
			for ctx.Err() == nil {
				r.ask(client)
				time.Sleep(8 * time.Millisecond)
			}
		})
	}
	t.Cleanup(func() { cancel(); r.workers.Wait() })
	r.awaitRequests(100)
	return r
}

// ask sends one request, of a method that nobody repeats unasked.
func (r *rolling) ask(client *http.Client) {
	pod, config, err := askOnce(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if err != nil {
		r.lost[err.Error()]++
		return
	}
	r.configOf[pod] = config
}

// askOnce gives which pod answered, and the configuration of its ADM.
func askOnce(client *http.Client) (pod, config string, err error) {
	resp, err := client.Post("http://geo:8080/", "text/plain", strings.NewReader("body"))
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(resp.Body)
		return "", "", fmt.Errorf("%s: %s", resp.Status, said)
	}
	var e testbed.Echo
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		return "", "", err
	}
	io.Copy(io.Discard, resp.Body)
	pod, _, err = net.SplitHostPort(e.From) // its ADM, which has its address
	return pod, resp.Header.Get("x-config"), err
}

// start starts the ADM of a pod with the other configuration.
func (r *rolling) start(i int) {
	r.Helper()
	r.now[i] = 1 - r.now[i]
	r.adms[i].Replace(r.outputs[r.now[i]])
	r.adms[i].Start()
}

// awaitRequests waits for n more to be answered or lost.
func (r *rolling) awaitRequests(n int) {
	r.Helper()
	total := r.requests()
	await(r.T, "more requests", func() bool { return r.requests() >= total+n })
}

// awaitConfig waits until a pod answers by the configuration that its ADM was
// started with.
func (r *rolling) awaitConfig(i int) {
	r.Helper()
	await(r.T, "answers by the new configuration", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.configOf[r.geo[i].Address.String()] == restartConfigs[r.now[i]]
	})
}

func (r *rolling) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// end stops the load; it gives how many requests there were, and why some have no
// answer.
func (r *rolling) end() (total int, lost map[string]int) {
	r.cancel()
	r.workers.Wait()
	return r.total, r.lost
}
