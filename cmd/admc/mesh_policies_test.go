package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A meshPolicy is one rule of testdata/mesh-policies.json.
type meshPolicy struct {
	ID    string
	Graph string
	Says  string
	Edges [][2]string `json:"last_hop_edges"` // caller, receiver
	Side  string
	Note  string

	toldApart bool // checked with a graph that lets receivers tell their callers apart
}

func meshPolicies(t *testing.T) []meshPolicy {
	t.Helper()
	text, err := os.ReadFile("../../testdata/mesh-policies.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Policies []meshPolicy }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all.Policies
}

func (m meshPolicy) dir() string {
	return filepath.Join("../../examples/mesh-policies", strings.TrimSuffix(m.Graph, ".yaml"))
}

// file is where the example has the rule, and name its policy there.
func (m meshPolicy) file() string { return m.ID + ".adm" }
func (m meshPolicy) name() string { return strings.ReplaceAll(m.ID, "-", "_") }

// checked is the rule by itself, with one text put for another in its file. The
// rules that close services are checked together: what one leaves open, another
// might not.
func (m meshPolicy) checked(t *testing.T, old, new string) (*ir.Program, *diag.Bag) {
	t.Helper()
	in := exampleInputs(t, filepath.Join(m.dir(), "admc.yaml"), "out")
	const closes = "@closed"
	together := slices.ContainsFunc(in.policies, func(src *diag.Source) bool {
		return m.holds(src) && strings.Contains(string(src.Text), closes)
	})
	in.policies = slices.DeleteFunc(in.policies, func(src *diag.Source) bool {
		return !m.holds(src) && !(together && strings.Contains(string(src.Text), closes))
	})
	for i, src := range in.policies {
		if m.holds(src) {
			in.policies[i] = diag.NewSource(src.Name, []byte(strings.Replace(string(src.Text), old, new, 1)))
		}
	}
	if m.toldApart {
		in.graph = withAddresses(in.graph)
	}
	bag := &diag.Bag{}
	_, prog := in.check(bag)
	return prog, bag
}

// withAddresses gives each service of an example's graph addresses of its own.
func withAddresses(src *diag.Source) *diag.Source {
	n := 0
	text := regexp.MustCompile(`(?m)^    labels: .*\n`).ReplaceAllStringFunc(string(src.Text), func(labels string) string {
		n++
		return labels + fmt.Sprintf("    addresses: [10.0.%d.0/24]\n", n)
	})
	return diag.NewSource(src.Name, []byte(strings.Replace(text, "services:\n", "identity: addresses\nservices:\n", 1)))
}

func (m meshPolicy) holds(src *diag.Source) bool { return filepath.Base(src.Name) == m.file() }

// wrong says how a program is not what the rule says: in the calls that its
// policy touches, in what it does, or in the sides where it may run.
func (m meshPolicy) wrong(prog *ir.Program) error {
	want := slices.Clone(m.Edges)
	sortEdges(want)
	if got := m.touched(prog); !slices.Equal(got, want) {
		return fmt.Errorf("it touches %v, want %v", got, want)
	}
	policy := m.policy(prog)
	if policy == nil {
		return fmt.Errorf("there is no policy %s", m.name())
	}
	does := "may talk only to"
	for _, a := range policy.Actions {
		does = inWords(a)
	}
	if !strings.Contains(strings.ReplaceAll(m.Says, "version v2", "v2"), does) {
		return fmt.Errorf("it says %q, want %q", does, m.Says)
	}
	may := m.may()
	if byTheRequest(policy) && !m.toldApart {
		may = ir.Egress // a receiver would have to tell its callers apart
	}
	for _, o := range prog.Obligations {
		if o.Policy == policy && !stamps(o) && o.May != may {
			return fmt.Errorf("on the calls of %s it may be at %s, want %s", o.Receiver.NodeName(), o.May, may)
		}
	}
	return nil
}

func (m meshPolicy) policy(prog *ir.Program) *ir.Policy {
	for _, p := range prog.Policies {
		if p.Name == m.name() {
			return p
		}
	}
	return nil
}

// inWords says what an action does as the rules say it.
func inWords(a *ir.Action) string {
	switch a.Name() {
	case "set_header":
		return fmt.Sprintf("set header %s=%s", a.Args["name"].Str, a.Args["value"].Str)
	case "route":
		return "go to " + a.Args["version"].Str
	case "rate_limit":
		return fmt.Sprintf("more than %d requests in %.0f s", a.Args["rate"].Int, a.Args["rate"].Dur.Seconds())
	case "metric":
		return "count"
	}
	return a.Name()
}

// may are the sides where the rule may run: where it is about one counter for
// several callers, the receiver's alone.
func (m meshPolicy) may() ir.Side {
	switch {
	case m.Side == "egress":
		return ir.Egress
	case strings.HasPrefix(m.Note, "one shared counter") && len(m.Edges) > 1:
		return ir.Ingress
	}
	return ir.Ingress | ir.Egress
}

// touched are the calls of the policy's obligations, or those that it leaves
// open to a service that it closes.
func (m meshPolicy) touched(prog *ir.Program) [][2]string {
	var out [][2]string
	p := m.policy(prog)
	for _, o := range prog.Obligations {
		if o.Policy == p && !stamps(o) {
			for _, e := range o.Edges {
				out = append(out, [2]string{e.Sender.NodeName(), o.Receiver.NodeName()})
			}
		}
	}
	for _, c := range prog.Closed {
		if slices.Contains(c.Policies, p) {
			out = append(out, leftOpen(c)...)
		}
	}
	sortEdges(out)
	return out
}

// stamps reports whether an obligation is none of the rule's own calls: one that
// keeps count, on an earlier call, of the way that a request came.
func stamps(o *ir.Obligation) bool { return o.Part == "stamp" }

// byTheRequest reports whether a policy has a call with which some chains end
// that match its path, and others.
func byTheRequest(p *ir.Policy) bool {
	return slices.ContainsFunc(p.Paths, func(on *ir.PathCall) bool { return on.Verdict == ir.Mixed })
}

// leftOpen are a closed service's calls but for those that policy besides keeps
// open: to the registry, and to other services.
func leftOpen(c *ir.Closed) [][2]string {
	besides := slices.ContainsFunc(c.Policies, func(p *ir.Policy) bool { return p.Name == "besides" })
	var out [][2]string
	for _, call := range c.Calls {
		to, service := call.To.(*graph.Service)
		if !besides || !service || to.Labels["tier"] == "database" {
			out = append(out, [2]string{c.Service.Name, call.To.NodeName()})
		}
	}
	return out
}

func sortEdges(edges [][2]string) {
	slices.SortFunc(edges, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}

// alterations of a rule's file that make it another rule. Each is a pattern and
// what is put for it.
var alterations = []struct{ pattern, instead string }{
	{`~>`, `->`},
	{`path frontend `, `path redis-cart `},
	{`path frontend `, `path consul `},
	{`path \S+service `, `path text-service `},
	{`path nginx-thrift `, `path media-frontend `},
	{`(path .*) \S+\n`, "$1 frontend\n"},
	{`route\(.*\)`, `set_header("x", "y")`},
	{`set_header\(.*\)`, `route(version: "v2")`},
	{`scope: "service"`, `scope: "caller"`},
	{`metric\(.*\)`, `timeout(1s)`},
	{`\{(\S+), \S+\}`, `$1`},
	{`-> \S+ \}`, `-> consul }`},
	{`@closed\n`, ``},
	{`policy `, `policy not_`},
}

// TestMeshPolicies holds each of the rules to the calls that it touches, and
// sees that it would not be the rule if it were written otherwise.
func TestMeshPolicies(t *testing.T) {
	all := meshPolicies(t)
	if len(all) != 27 {
		t.Fatalf("%d rules", len(all))
	}
	for _, m := range all {
		t.Run(m.ID, func(t *testing.T) {
			prog, bag := m.checked(t, "", "")
			if bag.HasErrors() {
				diag.WriteText(os.Stderr, bag.All())
				t.Fatal("it has errors")
			}
			if err := m.wrong(prog); err != nil {
				t.Error(err)
			}
			m.altered(t)
			m.toldApart = true
			if prog, bag = m.checked(t, "", ""); bag.HasErrors() {
				diag.WriteText(os.Stderr, bag.All())
				t.Fatal("with addresses it has errors")
			}
			if err := m.wrong(prog); err != nil {
				t.Errorf("with addresses: %v", err)
			}
		})
	}
}

func (m meshPolicy) altered(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(m.dir(), "policies", m.file()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range alterations {
		pattern := regexp.MustCompile(a.pattern)
		at := pattern.FindString(string(text))
		if at == "" {
			continue
		}
		n++
		instead := pattern.ReplaceAllString(at, a.instead)
		prog, bag := m.checked(t, at, instead)
		if !bag.HasErrors() && m.wrong(prog) == nil {
			t.Errorf("it is the same rule with %q for %q", instead, at)
		}
	}
	if n < 3 {
		t.Errorf("altered in %d ways only", n)
	}
}

// TestMeshPoliciesTogether: the rules for one application are one program, and no
// rule keeps another from being enforced.
func TestMeshPoliciesTogether(t *testing.T) {
	configs, err := filepath.Glob("../../examples/mesh-policies/*/admc.yaml")
	if err != nil || len(configs) != 3 {
		t.Fatalf("%d examples: %v", len(configs), err)
	}
	for _, conf := range configs {
		compileExample(t, conf, "out")
	}
}
