package adm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A process of a pod is this binary again.
func init() {
	testbed.Main(
		testbed.Role{Name: "serve", Play: serveLoad},
		testbed.Role{Name: "load", Play: runLoad},
		testbed.Role{Name: "outside", Play: serveOutside},
	)
}

// A contest is pairs of a client and a server that are measured in turns: without
// a proxy, with an empty ADM, and with the ADMs of some rows.
type contest struct {
	bed     *testbed.Bed
	pairs   []*pair
	outside *testbed.Played
}

// A pair is the pods c0 and s0, c1 and s1, and so on.
type pair struct {
	row
	kind   kind
	empty  *pair // the one that it is compared with; of an empty one, that without a proxy
	beside *pair // the one whose policy it has too, or nil
	client *testbed.Played
	adms   []*testbed.ADM
	rounds []Round
	idle   time.Duration // CPU of its ADMs in idleFor
}

type kind uint8

const (
	direct kind = iota // no proxy
	empty
	acting
)

// port is where the servers of a plane listen, and protocol what a graph calls it.
var (
	port     = map[graph.Plane]int{graph.HTTP: 8080, graph.GRPC: 9090, graph.TCP: 6379}
	protocol = map[graph.Plane]string{graph.HTTP: "http", graph.GRPC: "grpc", graph.TCP: "redis"}
)

// newContest adds to the rows what they are compared with.
func newContest(rows []row) *contest {
	c := &contest{}
	type place struct {
		plane graph.Plane
		sides ir.Side
	}
	empties := map[place]*pair{}
	for _, r := range rows {
		at := place{r.plane, r.sides}
		if empties[at] == nil {
			nobody := row{plane: r.plane, sides: r.sides}
			without := &pair{row: nobody, kind: direct}
			nobody.clauses = "nothing()"
			empties[at] = &pair{row: nobody, kind: empty, empty: without}
			c.pairs = append(c.pairs, without, empties[at])
		}
		p := &pair{row: r, kind: acting, empty: empties[at]}
		if r.beside != "" {
			i := slices.IndexFunc(c.pairs, func(q *pair) bool {
				return q.plane == r.plane && q.sides == r.sides && q.action == r.beside && q.variant == ""
			})
			p.beside = c.pairs[i]
		}
		c.pairs = append(c.pairs, p)
	}
	return c
}

// graph and program of all pairs.
func (c *contest) graph() string {
	var services, calls strings.Builder
	for n, p := range c.pairs {
		ports := fmt.Sprintf("ports: [{port: %d, protocol: %s}]", port[p.plane], protocol[p.plane])
		if p.clauses == stamped {
			fmt.Fprintf(&services, "  o%d: {adm: never, %s}\n  t%d: {adm: never, %s}\n", n, ports, n, ports)
			fmt.Fprintf(&calls, "  - {from: o%d, to: [s%d], rps: 10}\n  - {from: s%d, to: [t%d], rps: 10}\n", n, n, n, n)
		}
		fmt.Fprintf(&services, "  c%d: {%s}\n  s%d: {%s, versions: [v1, v2]}\n", n, ports, n, ports)
		fmt.Fprintf(&calls, "  - {from: c%d, to: [s%d], rps: 10}\n", n, n)
	}
	return "apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: bench, namespace: default}\n" +
		"services:\n" + services.String() + "calls:\n" + calls.String()
}

func (c *contest) program() string {
	var w strings.Builder
	w.WriteString(nothing)
	for n, p := range c.pairs {
		switch {
		case p.kind == direct:
		case p.sides == ir.Ingress|ir.Egress && p.kind == empty:
			for _, side := range []ir.Side{ir.Ingress, ir.Egress} {
				half := p.row
				half.sides = side
				w.WriteString(strings.Replace(half.policy(n), "policy ", "policy "+side.String()+"_", 1))
			}
		default:
			w.WriteString(p.policy(n))
		}
		if p.beside != nil {
			w.WriteString(p.beside.policy(n))
		}
	}
	return w.String()
}

// start compiles the program and starts all pods, their ADMs and the load.
func (c *contest) start(t *testing.T, admc string, keys keyRing) {
	t.Helper()
	out := compile(t, admc, c.graph(), c.program())
	c.bed = testbed.New(t)
	c.bed.Workers = 1 // as the emitted patches say: see compile
	ready := func(p *testbed.Played) {
		if line := p.Line(); line != "ready" {
			t.Fatalf("a server says %q", line)
		}
	}
	host, number, _ := strings.Cut(outside, ":")
	c.outside = c.bed.External("outside", host).Play("outside", number)
	ready(c.outside)
	ca := testbed.NewAuthority(t)
	for n, p := range c.pairs {
		client, server := fmt.Sprintf("c%d", n), fmt.Sprintf("s%d", n)
		from, to := c.bed.Pod(client, "default"), c.bed.Pod(server, "default")
		for _, chosen := range []string{"v1-admc", "v2-admc", "admc-pods", "admc-near"} {
			c.bed.Name(fmt.Sprintf("%s-%s.default.svc.cluster.local", server, chosen), to)
		}
		if p.clauses == stamped {
			c.bed.Pod(fmt.Sprintf("t%d", n), "default")
		}
		if p.action == "mtls" {
			ca.Certify(from, client)
			ca.Certify(to, server)
		}
		ready(to.Play("serve", string(p.plane), fmt.Sprint(port[p.plane])))
		if p.kind != direct && p.sides&ir.Ingress != 0 {
			p.adms = append(p.adms, to.ADM(out))
		}
		if p.kind != direct && p.sides&ir.Egress != 0 {
			p.adms = append(p.adms, from.ADM(out))
		}
		p.client = from.Play("load", string(p.plane), fmt.Sprintf("%s:%d", to.Address, port[p.plane]), keys.token)
	}
}

var concurrency = regexp.MustCompile(`- --concurrency\n\s+- "?1"?\n`)

// compile runs admc and gives the directory that it wrote.
func compile(t *testing.T, admc, graph, program string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"graph.yaml": graph, "bench.adm": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	cmd := exec.Command(admc, "compile", "-q", "-g", "graph.yaml", "-o", out, "bench.adm")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("admc: %v\n%s\n%s", err, said, program)
	}
	patches, err := filepath.Glob(filepath.Join(out, "adm", "*", "patch.yaml"))
	if err != nil || len(patches) == 0 {
		t.Fatalf("no patches of ADMs: %v", err)
	}
	for _, path := range patches {
		if text, err := os.ReadFile(path); err != nil || !concurrency.Match(text) {
			t.Fatalf("%s does not run Envoy with one worker (%v)", path, err)
		}
	}
	return out
}

// turn sends requests from one pair's client.
func (p *pair) turn(t *testing.T, requests int) Round {
	t.Helper()
	before := p.cpu()
	var said load
	if err := json.Unmarshal([]byte(p.client.Ask(fmt.Sprint(requests))), &said); err != nil {
		t.Fatal(err)
	}
	r := Round{Took: said.Took, CPU: p.cpu() - before}
	if said.Err != "" || len(said.Took) != requests {
		t.Fatalf("%s on %s: request %d of %d: %s", p.name(), p.plane, len(said.Took)+1, requests, said.Err)
	}
	return r
}

func (p *pair) cpu() (sum time.Duration) {
	for _, a := range p.adms {
		sum += a.CPU()
	}
	return sum
}

// through is how many connections its ADMs were brought.
func (p *pair) through(t *testing.T) (n uint64) {
	t.Helper()
	for _, a := range p.adms {
		c, err := a.Counters()
		if err != nil {
			t.Fatal(err)
		}
		n += c.Accepted + c.Inbound
	}
	return n
}

// idleFor is how long the ADMs are watched that have nothing to do.
const idleFor = time.Second

// run lets all pairs take turns: forwards and backwards, so that nobody always
// comes after the same one. On byte streams, where each request is a connection,
// a round has half as many.
func (c *contest) run(t *testing.T, rounds, requests int) {
	t.Helper()
	of := func(p *pair) int {
		if p.plane == graph.TCP {
			return (requests + 1) / 2
		}
		return requests
	}
	for _, p := range c.pairs {
		p.turn(t, of(p))
		if got, want := p.through(t), uint64(len(p.adms)); got < want {
			t.Fatalf("%s on %s: %d connections came to its %d ADMs", p.name(), p.plane, got, want)
		}
		p.idle = -p.cpu()
	}
	time.Sleep(idleFor)
	for _, p := range c.pairs {
		p.idle += p.cpu()
	}
	order := slices.Clone(c.pairs)
	for range rounds {
		for _, p := range order {
			p.rounds = append(p.rounds, p.turn(t, of(p)))
		}
		slices.Reverse(order)
	}
}

// measured is what the rounds of a row say.
func (p *pair) measured() Measured {
	than := p.empty
	if p.beside != nil {
		than = p.beside
	}
	extra := make([]float64, len(p.rounds))
	for i, r := range p.rounds {
		extra[i] = r.perRequest(len(p.adms)) - than.rounds[i].perRequest(len(than.adms))
	}
	return Measured{
		Action: p.action, Variant: p.variant, Plane: string(p.plane), At: at(p.sides), Latency: latency(p.rounds),
		ToDirect: ratio(p.rounds, p.empty.empty.rounds), ToEmpty: ratio(p.rounds, p.empty.rounds), Extra: spread(extra),
	}
}

// hop is what the rounds of an empty ADM say.
func (p *pair) hop() Hop {
	cpu, resident := make([]float64, len(p.rounds)), int64(0)
	for i, r := range p.rounds {
		cpu[i] = r.perRequest(len(p.adms))
	}
	for _, a := range p.adms {
		resident = max(resident, a.Resident())
	}
	return Hop{
		Plane: string(p.plane), At: at(p.sides), Direct: latency(p.empty.rounds), Empty: latency(p.rounds), Ratio: ratio(p.rounds, p.empty.rounds),
		CPU: spread(cpu), Resident: float64(resident) / (1 << 20), Idle: float64(p.idle.Microseconds()) / idleFor.Seconds() / float64(len(p.adms)),
	}
}

// joined are the hops of one plane and side as one, those of the contest in the
// middle: each contest has an empty ADM of its own.
func joined(hops []Hop) (out []Hop) {
	type place struct{ plane, at string }
	of := map[place][]Hop{}
	var places []place
	for _, h := range hops {
		at := place{h.Plane, h.At}
		if of[at] == nil {
			places = append(places, at)
		}
		of[at] = append(of[at], h)
	}
	for _, at := range places {
		list := of[at]
		slices.SortFunc(list, func(a, b Hop) int { return cmp.Compare(a.CPU.Median, b.CPU.Median) })
		out = append(out, list[len(list)/2])
	}
	return out
}
