package lang

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// A pathWorld is a random graph with a policy of random paths, and the paths
// once more in a form that the tests match chains against by the definition.
type pathWorld struct {
	graph, policy string
	paths         []pathOf
}

type pathOf struct {
	except bool
	steps  []map[string]bool
	many   []bool // between steps: ~>
}

// matches holds the end of a chain to the definition, from the last step back.
func (p pathOf) matches(chain []string) bool {
	if !p.except {
		return p.endsSo(chain, len(p.steps)-1)
	}
	return len(chain) > 1 && p.steps[len(p.steps)-1][chain[len(chain)-1]] && !p.endsSo(chain, len(p.steps)-1)
}

func (p pathOf) endsSo(chain []string, step int) bool {
	if len(chain) == 0 || !p.steps[step][chain[len(chain)-1]] {
		return false
	}
	if step == 0 {
		return true
	}
	for cut := len(chain) - 1; cut > 0; cut-- {
		if p.endsSo(chain[:cut], step-1) {
			return true
		}
		if !p.many[step-1] {
			break
		}
	}
	return false
}

func newPathWorld(r *rand.Rand, plain bool) *pathWorld {
	w := &pathWorld{}
	n := 3 + r.IntN(4)
	var names, services []string
	var y strings.Builder
	y.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: w, namespace: n}\n")
	known := r.IntN(3) == 0
	if known {
		y.WriteString("identity: addresses\n")
	}
	y.WriteString("services:\n")
	for i := range n {
		name := string(rune('a' + i))
		services = append(services, name)
		starts, protocol := "", "http"
		if known {
			starts = fmt.Sprintf("addresses: [10.0.%d.0/24], ", i)
		}
		switch r.IntN(6) {
		case 0:
			starts += "starts: true, "
		case 1:
			if !plain {
				protocol = "tcp"
			}
		}
		fmt.Fprintf(&y, "  %s: {%sports: [{port: 80, protocol: %s}, {port: 81, protocol: http}]}\n", name, starts, protocol)
	}
	y.WriteString("externals:\n  out: {}\n  both: {host: both.example.com, port: 443, protocol: http}\n")
	names = append(slices.Clone(services), "out", "both")
	// Where externals share a port with services no receiver can tell them apart.
	outside := 80 + r.IntN(4)
	outside = min(outside, 81)
	fmt.Fprintf(&y, "calls:\n  - {from: out, to: a, port: %d}\n", outside)
	for _, from := range names {
		for _, to := range append(slices.Clone(services), "both") {
			if (from == "out" || from == "both") && (to == "both" || r.IntN(3) > 0) || from == "out" && to == "a" || r.IntN(5) > 1 {
				continue
			}
			switch {
			case to == "both":
				fmt.Fprintf(&y, "  - {from: %s, to: both}\n", from)
			case from == "out" || from == "both":
				fmt.Fprintf(&y, "  - {from: %s, to: %s, port: %d}\n", from, to, outside)
			default:
				fmt.Fprintf(&y, "  - {from: %s, to: %s, port: 80}\n", from, to)
			}
		}
	}
	w.graph = y.String()
	var p strings.Builder
	p.WriteString("policy p {\n")
	for range 1 + r.IntN(5)/4 {
		one := pathOf{except: r.IntN(3) == 0}
		p.WriteString("    path ")
		if one.except {
			p.WriteString("except ")
		}
		for i := range 2 + r.IntN(3) {
			if i > 0 {
				one.many = append(one.many, r.IntN(2) == 0)
				p.WriteString(map[bool]string{false: " -> ", true: " ~> "}[one.many[i-1]])
			}
			set := map[string]bool{}
			switch r.IntN(6) {
			case 0:
				for _, s := range services {
					set[s] = true
				}
				p.WriteString("*")
			case 1:
				set["out"], set["both"] = true, true
				p.WriteString("external")
			default:
				var list []string
				for range 1 + r.IntN(2) {
					name := names[r.IntN(len(names))]
					set[name] = true
					list = append(list, name)
				}
				p.WriteString("{" + strings.Join(list, ", ") + "}")
			}
			one.steps = append(one.steps, set)
		}
		p.WriteString("\n")
		w.paths = append(w.paths, one)
	}
	p.WriteString("    deny()\n}\n")
	w.policy = p.String()
	return w
}

func (w *pathWorld) matches(chain []string) bool {
	return slices.ContainsFunc(w.paths, func(p pathOf) bool { return p.matches(chain) })
}

// enumerate calls do with every chain of the graph of up to a number of nodes.
func enumerate(g *graph.Graph, most int, do func(chain []graph.Node)) {
	reached := map[graph.Node]bool{}
	var starts []graph.Node
	var walk func(n graph.Node)
	walk = func(n graph.Node) {
		if reached[n] {
			return
		}
		reached[n] = true
		for _, c := range g.CallsFrom(n) {
			if _, service := c.To.(*graph.Service); service {
				walk(c.To)
			}
		}
	}
	for _, e := range g.Externals {
		starts = append(starts, e)
	}
	for _, s := range g.Services {
		if s.Starts {
			starts = append(starts, s)
		}
	}
	for _, n := range starts {
		walk(n)
	}
	for _, s := range g.Services {
		if !reached[s] {
			starts = append(starts, s)
		}
	}
	var extend func(chain []graph.Node)
	extend = func(chain []graph.Node) {
		last := chain[len(chain)-1]
		if len(chain) > 1 {
			do(chain)
		}
		if _, external := last.(*graph.External); external && len(chain) > 1 || len(chain) == most {
			return
		}
		for i, c := range g.CallsFrom(last) {
			if c.To != last && (i == 0 || g.CallsFrom(last)[i-1].To != c.To) {
				extend(append(chain[:len(chain):len(chain)], c.To))
			}
		}
	}
	for _, n := range starts {
		extend([]graph.Node{n})
	}
}

func nodeNames(chain []graph.Node) []string {
	var out []string
	for _, n := range chain {
		out = append(out, n.NodeName())
	}
	return out
}

// TestPathsAgainstChains holds what is decided of each call to the chains
// themselves, up to a length: no chain may come out otherwise than the verdict
// says, and the examples of a mixed verdict have to be chains that do.
func TestPathsAgainstChains(t *testing.T) {
	verdicts := map[ir.PathVerdict]int{}
	for seed := range uint64(1500) {
		w := newPathWorld(rand.New(rand.NewPCG(seed, 1)), false)
		g := loadGraph(t, "w.yaml", []byte(w.graph))
		prog, bag := checkText(g, w.policy)
		if len(prog.Policies) == 0 {
			t.Fatalf("seed %d:\n%s%s%s", seed, w.graph, w.policy, textOf(bag.All()))
		}
		said := map[string]*ir.PathCall{}
		for _, c := range prog.Policies[0].Paths {
			said[c.Call.From.NodeName()+" "+c.Call.To.NodeName()] = c
			verdicts[c.Verdict]++
		}
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d: %s\n%s%s", seed, fmt.Sprintf(format, args...), w.graph, w.policy)
		}
		real := map[string]bool{}
		enumerate(g, 7, func(nodes []graph.Node) {
			chain := nodeNames(nodes)
			real[strings.Join(chain, " -> ")] = true
			c := said[strings.Join(chain[len(chain)-2:], " ")]
			yes := w.matches(chain)
			switch {
			case c == nil && yes:
				fail("%v matches, and nothing is said of its last call", chain)
			case c != nil && (c.Verdict == ir.EveryChain && !yes || c.Verdict == ir.NoChain && yes):
				fail("of the last call of %v it is said: %s", chain, c.Verdict)
			}
		})
		for _, c := range prog.Policies[0].Paths {
			if c.Verdict != ir.Mixed || len(w.paths) > 1 && c.Matching == nil {
				continue
			}
			for _, chain := range [][]graph.Node{c.Matching, c.Other} {
				names := nodeNames(chain)
				if len(chain) < 7 && !real[strings.Join(names, " -> ")] {
					fail("%v is no chain", names)
				}
			}
			if !w.matches(nodeNames(c.Matching)) || w.matches(nodeNames(c.Other)) {
				fail("%v should match, and %v should not", nodeNames(c.Matching), nodeNames(c.Other))
			}
		}
	}
	for v, n := range verdicts {
		if n < 300 {
			t.Errorf("only %d calls of which the verdict is %s", n, v)
		}
	}
	if len(verdicts) != 3 {
		t.Errorf("the verdicts are %v", verdicts)
	}
}

// denseWorld is a graph in whose cycles every service can be before every other,
// and policies with paths through them.
func denseWorld(t testing.TB, services, policies int) (*graph.Graph, *syntax.File) {
	var y strings.Builder
	y.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: dense, namespace: n}\nservices:\n")
	for i := range services {
		fmt.Fprintf(&y, "  s%d: {labels: {team: t%d}, ports: [{port: 80, protocol: http}]}\n", i, i%50)
	}
	y.WriteString("externals: {internet: {}}\ncalls:\n  - {from: internet, to: [s0, s1]}\n")
	for i := range services {
		for k := 1; k <= 40; k++ {
			if to := (i*k + 7*k*k + 1) % services; to != i && k*k%services != 0 {
				called := false
				for j := 1; j < k; j++ {
					called = called || (i*j+7*j*j+1)%services == to
				}
				if !called {
					fmt.Fprintf(&y, "  - {from: s%d, to: s%d}\n", i, to)
				}
			}
		}
	}
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("dense.yaml", []byte(y.String())), bag)
	var p strings.Builder
	for i := range policies {
		a, b, d := (i*37+1)%services, (i*91+2)%services, (i*53+3)%services
		switch i % 4 {
		case 0:
			fmt.Fprintf(&p, "policy p%d { path internet ~> s%d ~> s%d  deny() }\n", i, a, b)
		case 1:
			fmt.Fprintf(&p, "policy p%d { path [team=t%d] -> * ~> s%d -> *  access_log() }\n", i, i%50, b)
		case 2:
			fmt.Fprintf(&p, "policy p%d { path except s%d ~> s%d ~> s%d  deny() }\n", i, a, b, d)
		case 3:
			fmt.Fprintf(&p, "policy p%d { path internet ~> * -> * -> s%d  deny() }\n", i, d)
		}
	}
	f := syntax.Parse(diag.NewSource("dense.adm", []byte(p.String())), bag)
	if bag.HasErrors() {
		t.Fatal(textOf(bag.All()[:1]))
	}
	return g, f
}

func BenchmarkCheckPaths(b *testing.B) {
	g, f := denseWorld(b, 5000, 200)
	b.ReportMetric(float64(len(g.Calls)), "calls")
	for b.Loop() {
		Check([]*syntax.File{f}, g, &diag.Bag{})
	}
}

// TestPathsAtRunTime sends a request over every chain of random graphs, up to a
// length, through the interpreter: the policy acts on exactly those whose chain
// matches, by what the stamps make of the header on the way, whatever an external
// client writes into it.
func TestPathsAtRunTime(t *testing.T) {
	done, mixed, stamps, refused := 0, 0, 0, map[diag.Code]int{}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newPathWorld(r, seed%4 > 0)
		g := loadGraph(t, "w.yaml", []byte(w.graph))
		prog, bag := checkText(g, w.policy)
		if bag.HasErrors() {
			for _, d := range bag.All() {
				if d.Severity == diag.Error {
					refused[d.Code]++
				}
			}
			continue
		}
		done++
		for _, o := range prog.Obligations {
			if o.Actions[0].Name() == ir.StampAction {
				stamps++
			}
			for _, e := range o.Edges {
				if e.Cond != nil {
					mixed++
				}
			}
		}
		// Wherever stamps may stand, the outcome is one: those that may be at the
		// receiver act there on whoever calls.
		in, received := NewInterp(prog), NewInterp(atReceivers(g, prog))
		enumerate(g, 6, func(nodes []graph.Node) {
			chain := nodeNames(nodes)
			var calls []*graph.Call
			for i := range len(nodes) - 1 {
				for _, c := range g.CallsFrom(nodes[i]) {
					if c.To == nodes[i+1] {
						calls = append(calls, c)
					}
				}
			}
			headers := Headers{}
			if _, external := nodes[0].(*graph.External); external {
				headers[ir.PathHeader] = []string{fmt.Sprintf("k=v,admc-path.p=%d", r.IntN(3))}
			}
			for _, in := range []*Interp{in, received} {
				res := in.Run(&Request{Call: calls[len(calls)-1], Before: calls[:len(calls)-1], Method: "GET", Path: "/", Headers: headers})[0]
				if got, want := res.By == "p", w.matches(chain); got != want {
					t.Fatalf("seed %d: %v: denied is %v, matches is %v (at receivers: %v)\n%s%s%s", seed, chain, got, want, in == received, w.graph, w.policy, listing(prog, bag))
				}
			}
		})
	}
	t.Logf("%d programs, %d decisions at run time, %d stamps; refused: %v", done, mixed, stamps, refused)
	if done < 1500 || mixed < 500 || stamps < 500 {
		t.Errorf("only %d programs, %d decisions at run time, %d stamps", done, mixed, stamps)
	}
}

// atReceivers gives the stamps that may be at the receiver every call into their
// port, but for its own to itself, which never comes in, and those of callers that
// the receiver knows.
func atReceivers(g *graph.Graph, prog *ir.Program) *ir.Program {
	out := *prog
	out.Obligations = nil
	for _, o := range prog.Obligations {
		if o.Actions[0].Name() == ir.StampAction && o.May&ir.Ingress != 0 {
			all := *o
			all.Edges = nil
			for _, c := range g.CallsTo(o.Receiver) {
				apart := len(o.Apart) > 0 && slices.ContainsFunc(o.Apart[0].Not, func(p ir.Proof) bool { return p.Caller == c.From })
				if c.Port == o.Port && c.From != c.To && !apart {
					all.Edges = append(all.Edges, &ir.Edge{Sender: c.From, Call: c})
				}
			}
			o = &all
		}
		out.Obligations = append(out.Obligations, o)
	}
	return &out
}

// TestExternalsAtOnePort: what keeps a stamp from its port is said as it is: another
// external that comes in there, or a service.
func TestExternalsAtOnePort(t *testing.T) {
	of := func(second string) string {
		g := loadGraph(t, "g.yaml", []byte(`apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: g, namespace: n}
services:
  a: {ports: [{port: 80, protocol: http}]}
  b: {ports: [{port: 80, protocol: http}]}
  c: {}
externals: {internet: {}, partner: {}}
calls:
  - {from: internet, to: a}
  - {from: `+second+`, to: a}
  - {from: a, to: b}
`))
		_, bag := checkText(g, "policy p { path "+second+" ~> b  deny() }")
		return textOf(bag.All())
	}
	outside, inside := of("partner"), of("c")
	if want := "the path tells partner from internet, and both come in at one port"; !strings.Contains(outside, want) || strings.Contains(inside, want) {
		t.Errorf("want %q of externals only:\n%s\n%s", want, outside, inside)
	}
	if want := "services that share its port carry it"; strings.Contains(outside, want) || !strings.Contains(inside, want) {
		t.Errorf("want %q of a service only:\n%s\n%s", want, outside, inside)
	}
}
