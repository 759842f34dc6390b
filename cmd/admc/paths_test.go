//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/cmd/admc/testbed"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// Two ways to payment that end with the same call: from the internet, and from a
// partner through a batch job.
const chainsGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: chains, namespace: default}
services:
  frontend: {ports: [{port: 8080, protocol: http}]}
  cart:     {ports: [{port: 8080, protocol: http}]}
  batch:    {ports: [{port: 8080, protocol: http}]}
  checkout: {CHECKOUT ports: [{port: 8080, protocol: http}]}
  payment:  {ports: [{port: 8080, protocol: http}]}
externals:
  internet: {}
  partner:  {}
calls:
  - {from: internet, to: frontend}
  - {from: partner, to: batch}
  - {from: frontend, to: [cart, checkout]}
  - {from: cart, to: checkout}
  - {from: batch, to: checkout}
  - {from: checkout, to: payment}
`

const chainsProgram = `
policy only_the_web_pays {
    path except internet ~> checkout -> payment
    deny(status: 402)
}
policy through_cart {
    path cart ~> payment
    set_header("x-cart", "1")
}
`

// The member that each of the two is decided by.
const webMember, cartMember = "admc-path.only_the_web_pays", "admc-path.through_cart"

// TestPathsEndToEnd sends requests down both ways through real proxies, and
// applications that pass their baggage on: what becomes of each is what the
// interpreter says, wherever the decision is placed and whatever a client writes
// into the header. Without the policies every one of them gets through.
func TestPathsEndToEnd(t *testing.T) {
	for _, placed := range []struct{ name, checkout, program string }{
		{"decided at the caller", "adm: always,", chainsProgram},
		{"decided at the receiver", "adm: never,", chainsProgram},
		{"control", "", "policy none { on checkout -> payment  set_header(\"x-none\", \"1\") }"},
	} {
		t.Run(placed.name, func(t *testing.T) {
			text := strings.Replace(chainsGraph, "CHECKOUT", placed.checkout, 1)
			bed := testbed.New(t)
			clients := map[string]*testbed.Client{}
			pods := map[string]*testbed.Pod{"internet": bed.External("internet", ""), "partner": bed.External("partner", "")}
			for _, name := range []string{"frontend", "cart", "batch", "checkout", "payment"} {
				pods[name] = bed.Pod(name, "default")
				pods[name].HTTP(8080)
			}
			out := compileForTest(t, text, placed.program)
			for name, pod := range pods {
				if len(glob(t, out, "adm", name, "envoy.yaml")) > 0 {
					pod.ADM(out)
				}
			}
			for _, name := range []string{"internet", "partner"} {
				clients[name] = pods[name].Client()
			}
			in := newChainOracle(t, text, placed.program)
			seen := map[string]int{}
			for _, chain := range []string{"internet frontend checkout payment", "internet frontend cart checkout payment", "partner batch checkout payment", "partner batch checkout", "internet frontend cart"} {
				for _, baggage := range forgeries() {
					names := strings.Fields(chain)
					got, want := sendDown(clients[names[0]], names, baggage), in.outcome(names, baggage)
					if got != want {
						t.Errorf("%s, baggage %q\n got  %s\n want %s", chain, baggage, got, want)
					}
					seen[got[:3]]++
				}
			}
			if placed.name == "control" {
				if len(seen) != 1 || seen["200"] == 0 {
					t.Errorf("without the policies: %v", seen)
				}
			} else if seen["200"] == 0 || seen["402"] != len(forgeries()) {
				t.Errorf("statuses %v; every request of the partner is refused, and no other", seen)
			}
		})
	}
}

// forgeries are baggage headers that clients send, line by line: some with the
// members in them, in every spelling that a library might take for them, and
// random ones of such pieces.
func forgeries() [][]string {
	out := [][]string{
		nil, {"k=v"}, {webMember + "=1"}, {"k=v;p=q, " + webMember + "=1", cartMember + "=1"},
		{"admc%2Dpath.only_the_web_pays=1"}, {"k=v", " " + webMember + " = 1 ;p"}, {";;garbage=,,", webMember},
	}
	pieces := []string{
		"k=v", "", ";", "=", "a=b;p=q", "\tx=y ", "admc-path=1", webMember + "=1", webMember + " =\t1", cartMember + "=1;x", webMember, "x" + webMember + "=1",
		strings.ReplaceAll(webMember, "-", "%2d") + "=1", strings.ReplaceAll(cartMember, ".", "%2E") + "=1", "%zz=1", "%=1",
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		var lines []string
		for range 1 + r.IntN(3) {
			var members []string
			for range 1 + r.IntN(4) {
				members = append(members, pieces[r.IntN(len(pieces))])
			}
			lines = append(lines, strings.TrimSpace(strings.Join(members, ",")))
		}
		out = append(out, lines)
	}
	return out
}

// sendDown sends a request from the first of some names through all the others.
func sendDown(c *testbed.Client, names []string, baggage []string) string {
	var via []string
	for _, n := range names[2:] {
		via = append(via, n+":8080")
	}
	at := fmt.Sprintf("http://%s:8080/charge", names[1])
	if len(via) > 0 {
		at += "?via=" + strings.Join(via, ",")
	}
	r := c.Do(testbed.Request{URL: at, Header: http.Header{"Baggage": baggage}})
	if r.Err != "" {
		return r.Err
	}
	if r.Status != 200 {
		return fmt.Sprint(r.Status)
	}
	e := c.Echo(r)
	return fmt.Sprintf("200 at %s, baggage %q, x-cart %q", e.Pod, trimmed(e.Header["Baggage"]), e.Header.Get("X-Cart"))
}

func trimmed(lines []string) []string {
	out := []string{}
	for _, l := range lines {
		out = append(out, strings.Trim(l, " \t"))
	}
	return out
}

// A chainOracle is the interpreter of a program.
type chainOracle struct {
	g  *graph.Graph
	in *lang.Interp
}

func newChainOracle(t *testing.T, text, program string) *chainOracle {
	t.Helper()
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("graph.yaml", []byte(text)), bag)
	p := lang.Check([]*syntax.File{syntax.Parse(diag.NewSource("p.adm", []byte(program)), bag)}, g, bag)
	if bag.HasErrors() {
		t.Fatal(bag.All()[0].Message)
	}
	return &chainOracle{g, lang.NewInterp(p)}
}

func (o *chainOracle) outcome(names, baggage []string) string {
	var calls []*graph.Call
	for i := range len(names) - 1 {
		all := o.g.CallsFrom(o.g.Lookup(names[i]))
		calls = append(calls, all[slices.IndexFunc(all, func(c *graph.Call) bool { return c.To.NodeName() == names[i+1] })])
	}
	last := len(calls) - 1
	headers := lang.Headers{}
	if len(baggage) > 0 {
		headers["baggage"] = baggage
	}
	r := o.in.Run(&lang.Request{Call: calls[last], Before: calls[:last], Method: "GET", Path: "/charge", Headers: headers})[0]
	if !r.Passed() {
		return fmt.Sprint(r.Status)
	}
	return fmt.Sprintf("200 at %s, baggage %q, x-cart %q", names[len(names)-1], trimmed(r.Arrival.Headers["baggage"]), r.Arrival.Headers.Get("x-cart"))
}
