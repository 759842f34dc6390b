//go:build linux

package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
	"admc.dev/admc/solver"
)

// Placement invariance: wherever the obligations of a program may be placed, the
// same requests have the same outcomes, and those are what the interpreter says.
// Each placement of a program has a port of one receiver, so that two or three
// proxies hold hundreds of them, with files emitted from the program's text by the
// real checker.

// A trial is a program on the calls of one port, with the requests that it is
// tried with.
type trial struct {
	name     string // of a generated one
	text     string // PORT is the port, SDS the socket
	socket   string // that certificates come from
	proto    graph.Protocol
	identity string // "": only client calls; else client and other do, and the receiver tells them apart by this
	requests []attempted
	anyPod   bool // which pod is reached is chance
	cells    []*cell
	foreseen []prophecy // by request
	tally    prophecy   // of what is logged and counted
}

// A cell is one placement of a trial, on a port of its own.
type cell struct {
	port     int
	where    string // such as "p_a at ingress, p_b at egress"
	assigned []solver.Assigned
	program  *ir.Program
	graph    *graph.Graph
	app      *witness
	got      []upshot // by request
	tally    string   // what was logged and counted
}

// An upshot is what the caller got and what came to the receiver.
type upshot struct{ answer, arrivals string }

// prefixesOf the services' pods, as their receiver sees them.
var prefixesOf = map[string]string{"client": "10.77.0.0/24", "other": otherPodIP + "/32"}

// checked is the program of a trial on a port.
func (x *trial) checked(port int) (*graph.Graph, *ir.Program, *diag.Bag) {
	bag := &diag.Bag{}
	var text strings.Builder
	text.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: pair, namespace: test}\n")
	if x.identity != "" {
		fmt.Fprintf(&text, "identity: %s\n", x.identity)
	}
	fmt.Fprintf(&text, "services:\n  server: {ports: [{port: %d, protocol: %s}], versions: [v1, v2]}\n", port, x.proto)
	for _, name := range x.callers() {
		fmt.Fprintf(&text, "  %s: {addresses: [%s]}\n", name, prefixesOf[name])
	}
	text.WriteString("calls:\n")
	for _, name := range x.callers() {
		fmt.Fprintf(&text, "  - {from: %s, to: server}\n", name)
	}
	g := graph.Load(diag.NewSource("graph.yaml", []byte(text.String())), bag)
	program := strings.NewReplacer("PORT", fmt.Sprint(port), "SDS", cmp.Or(x.socket, "/run/sds.sock")).Replace(x.text)
	f := syntax.Parse(diag.NewSource("pair.adm", []byte(program)), bag)
	if bag.HasErrors() {
		return nil, nil, bag
	}
	return g, lang.Check([]*syntax.File{f}, g, bag), bag
}

func (x *trial) callers() []string {
	if x.identity == "" {
		return []string{"client"}
	}
	return []string{"client", "other"}
}

// placements gives every assignment of sides that the program's rows allow.
func placements(p *ir.Program) [][]solver.Assigned {
	var out [][]solver.Assigned
	at := map[*ir.Obligation]ir.Side{}
	var place func(i int)
	place = func(i int) {
		if i == len(p.Obligations) {
			for _, r := range p.Rows {
				if r.Kind == ir.Forbid && at[r.P]&r.PSide != 0 && at[r.Q]&r.QSide != 0 || r.Kind == ir.Same && at[r.P] != at[r.Q] {
					return
				}
			}
			var list []solver.Assigned
			for _, o := range p.Obligations {
				list = append(list, solver.Assigned{Obligation: o, Side: at[o], Reason: "free"})
			}
			out = append(out, list)
			return
		}
		o := p.Obligations[i]
		sides := []ir.Side{ir.Ingress, ir.Egress}
		if o.Both {
			sides = []ir.Side{both}
		}
		for _, s := range sides {
			if o.May&s == s {
				at[o] = s
				place(i + 1)
			}
		}
	}
	place(0)
	return out
}

// spread gives a trial a cell for each of its placements, most at the most, from
// the port on; the next free port is returned. An error of the checker leaves the
// trial without cells.
func (x *trial) spread(port, most int) int {
	_, p, bag := x.checked(port)
	if bag.HasErrors() {
		return port
	}
	n := len(placements(p))
	for i := range min(n, most) {
		g, p, _ := x.checked(port)
		c := &cell{port: port, graph: g, program: p, assigned: placements(p)[i*n/min(n, most)]}
		var where []string
		for _, a := range c.assigned {
			where = append(where, fmt.Sprintf("%s at %s", a.Obligation.Policy.Name, a.Side))
		}
		c.where = strings.Join(where, ", ")
		x.cells = append(x.cells, c)
		port++
	}
	return port
}

func (c *cell) layout() *layout.Layout {
	var adms []string
	for _, name := range []string{"client", "other", "server"} {
		if c.graph.Service(name) != nil {
			adms = append(adms, name)
		}
	}
	return layout.New(c.graph, c.program, &solver.Placement{ADMs: adms, Assigned: c.assigned}, "")
}

// refusals are what the backend says against a cell.
func (c *cell) refusals() []string {
	var bag diag.Bag
	for _, a := range c.layout().ADMs {
		newADM(a, &bag).policies()
	}
	var out []string
	for _, d := range bag.All() {
		out = append(out, d.Message)
	}
	return out
}

// together lays the cells of all trials out on one ADM for each service.
func together(trials []*trial) *layout.Layout {
	adms := map[string]*layout.ADM{}
	for _, x := range trials {
		for _, c := range x.cells {
			for _, a := range c.layout().ADMs {
				all := adms[a.Service.Name]
				if all == nil {
					all = &layout.ADM{Service: a.Service, Dir: a.Dir, ReadyPort: layout.ReadyPort}
					adms[a.Service.Name] = all
				}
				for _, listener := range a.Listeners {
					listener.Port = layout.FirstPort + len(all.Listeners)
					all.Listeners = append(all.Listeners, listener)
				}
			}
		}
	}
	l := &layout.Layout{Header: "Generated by admc from shop.adm; do not edit"}
	for _, name := range slices.Sorted(maps.Keys(adms)) {
		if len(adms[name].Listeners) > 0 {
			l.ADMs = append(l.ADMs, adms[name])
		}
	}
	return l
}

// A scene is the pods that trials run in, by their services' names, and what their
// ADMs wrote.
type scene struct {
	pods   map[string]*namespace
	logs   map[string]*output
	layout *layout.Layout
}

// dial connects from a service's pod.
func (s *scene) dial(from string) dialer {
	if from == "other" {
		return dialer{s.pods[from], otherPodIP}
	}
	return dialer{s.pods["client"], clientIP}
}

func setScene(t *testing.T, trials []*trial) *scene {
	client, server := newPair(t)
	s := &scene{pods: map[string]*namespace{"client": client, "server": server, "other": newNeighbour(t, server)}, logs: map[string]*output{}}
	for _, n := range s.pods {
		serveDNS(t, n)
	}
	serveGuard(t, server)
	serveLimits(t, server)
	s.layout = together(trials)
	for _, x := range trials {
		for _, c := range x.cells {
			c.app = bearWitness(t, server, c.port, x.proto)
		}
	}
	for name, p := range runLayout(t, s.pods, s.layout) {
		s.logs[name] = p.stdout
	}
	return s
}

// scenes is how many are played at a time: each has two or three proxies that are
// busy for seconds.
var scenes = make(chan bool, 2)

// invariant runs trials, each at so many placements at the most, and holds them to
// each other and to the interpreter.
func invariant(t *testing.T, trials []*trial, most int) {
	t.Helper()
	scenes <- true
	defer func() { <-scenes }()
	agent := &sdsAgent{t: t}
	socket := filepath.Join(t.TempDir(), "sds.sock")
	agent.listen(socket)
	port := 20000
	for _, x := range trials {
		x.socket = socket
		port = x.spread(port, most)
		x.foresee()
	}
	s := setScene(t, trials)
	var all []*cell
	var wait sync.WaitGroup
	room := make(chan bool, 16)
	begin, sent := time.Now(), 0
	for _, x := range trials {
		for _, c := range x.cells {
			all = append(all, c)
			sent += len(x.requests)
			room <- true
			wait.Go(func() {
				c.ask(s, x)
				<-room
			})
		}
	}
	wait.Wait()
	t.Logf("%d requests to %d placements of %d programs in %s", sent, len(all), len(trials), time.Since(begin).Round(time.Millisecond))
	time.Sleep(500 * time.Millisecond) // logs are flushed, copies have arrived
	counted := s.counters()
	whys := map[string]int{}
	for _, x := range trials {
		for _, c := range x.cells {
			for i, r := range x.requests {
				c.got[i].arrivals = c.app.told(r.ID, x.anyPod)
			}
			c.tally = s.watched(c.port, counted)
			if n := c.app.greeted.Load(); n > 0 {
				c.tally += fmt.Sprintf("; %d connections", n)
			}
		}
		if !x.judge(t) && *keep && x.name != "" {
			if err := x.keep(); err != nil {
				t.Error(err)
			}
		}
		for _, p := range x.foreseen {
			if p.why != "" {
				whys[p.why]++
			}
		}
	}
	for _, why := range slices.Sorted(maps.Keys(whys)) {
		t.Logf("of %d requests the interpreter does not tell all: %s", whys[why], why)
	}
}

// judge compares the placements of a trial with each other and with what was
// foreseen; false where one differs.
func (x *trial) judge(t *testing.T) bool {
	for _, c := range x.cells {
		first := x.cells[0]
		for i, r := range x.requests {
			got, want := c.got[i], x.foreseen[i]
			if got != first.got[i] {
				t.Errorf("%s\n%s:\n  %s\n  %+v\n  %s\n  %+v", x.text, r, first.where, first.got[i], c.where, got)
				return false
			}
			if !want.fits(upshot{foreseeable(got.answer), got.arrivals}) {
				t.Errorf("%s\n%s\n  %s\n  %+v\n  the interpreter says\n  %+v", x.text, r, c.where, got, want.upshot)
				return false
			}
		}
		if c.tally != first.tally {
			t.Errorf("%s\nwhat was logged and counted:\n  %s\n  %s\n  %s\n  %s", x.text, first.where, first.tally, c.where, c.tally)
			return false
		}
		if got := tally(c.tally); !x.tally.fits(upshot{answer: got}) {
			t.Errorf("%s\nwhat was logged and counted:\n  %s\n  %s\n  the interpreter says\n  %s", x.text, c.where, got, x.tally.answer)
			return false
		}
	}
	return true
}

// watched is what was logged and counted of a port by all ADMs: log lines without
// times, and the counters.
func (s *scene) watched(port int, counted map[string]int) string {
	var out []string
	for _, o := range s.logs {
		out = append(out, o.lines(port)...)
	}
	for name, n := range counted {
		if strings.Contains(name, fmt.Sprintf("_%d{", port)) {
			out = append(out, strings.ReplaceAll(fmt.Sprintf("%s %d", name, n), fmt.Sprint(port), "PORT"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// counters are the metrics of all ADMs, with their labels.
func (s *scene) counters() map[string]int {
	out := map[string]int{}
	for _, a := range s.layout.ADMs {
		_, body := get(s.pods[a.Service.Name], fmt.Sprintf("127.0.0.1:%d", a.ReadyPort), layout.MetricsPath)
		for _, line := range strings.Split(body, "\n") {
			if i := strings.LastIndexByte(line, ' '); i > 0 && strings.HasPrefix(line, "envoy_admc_") {
				n, _ := strconv.Atoi(line[i+1:])
				out[line[:i]] += n
			}
		}
	}
	return out
}
