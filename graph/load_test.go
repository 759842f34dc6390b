package graph

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

func load(t *testing.T, name, text string) (*Graph, *diag.Bag) {
	t.Helper()
	bag := &diag.Bag{}
	return Load(diag.NewSource(name, []byte(text)), bag), bag
}

func shown(bag *diag.Bag) string {
	var b bytes.Buffer
	diag.WriteText(&b, bag.All())
	return b.String()
}

// TestRealGraphs loads the call graphs of the published applications.
func TestRealGraphs(t *testing.T) {
	for _, want := range []struct {
		file                       string
		services, externals, calls int
	}{
		{"bookinfo", 4, 1, 4},
		{"hotel-reservation", 18, 1, 25},
		{"online-boutique", 11, 1, 16},
		{"social-network", 26, 1, 36},
	} {
		data, err := os.ReadFile("../testdata/graphs/" + want.file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		g, bag := load(t, want.file, string(data))
		if bag.HasErrors() {
			t.Fatalf("%s:\n%s", want.file, shown(bag))
		}
		if got := [3]int{len(g.Services), len(g.Externals), len(g.Calls)}; got != [3]int{want.services, want.externals, want.calls} {
			t.Errorf("%s: services, externals, calls = %v", want.file, got)
		}
	}
}

// TestEveryKey loads a file that uses every key once.
func TestEveryKey(t *testing.T) {
	data, err := os.ReadFile("testdata/every-key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, bag := load(t, "every-key.yaml", string(data))
	if bag.HasErrors() {
		t.Fatal(shown(bag))
	}
	f := g.Service("frontend")
	if f.MaxReplicas != 2 || f.Namespace != "hotel" || f.Workload != (Workload{"Deployment", "frontend"}) ||
		f.Capacity.String() != "0.05" || f.Cost.String() != "1" || !f.Starts || len(f.Versions) != 2 || f.Labels["tier"] != "web" {
		t.Errorf("frontend = %+v", f)
	}
	if stripe := g.Lookup("stripe").(*External); len(stripe.Addresses) != 2 || stripe.Port != 443 {
		t.Errorf("stripe = %+v", stripe)
	}
	var got []string
	for _, c := range g.Calls {
		got = append(got, c.From.NodeName()+" "+c.To.NodeName()+":"+strconv.Itoa(c.Port)+" "+string(c.Protocol)+" "+c.PortName+" "+c.RPS.String())
	}
	want := []string{
		"checkout kafka:9092 kafka  ", "email kafka:9092 kafka  ",
		"frontend profile:8081 grpc  120", "frontend search:8082 grpc  120",
		"geo mongodb-geo:27017 mongodb  ", "internet frontend:5000 http http ",
		"ops geo:9000 http admin ", "search geo:8083 grpc rpc ", "shipping kafka:9092 kafka  ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("calls:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestCodes holds every documented example to its code.
func TestCodes(t *testing.T) {
	for _, c := range Codes {
		_, bag := load(t, "bad", c.Bad)
		if len(bag.All()) == 0 {
			t.Errorf("%s: the bad example gives nothing", c.Code)
		}
		for _, d := range bag.All() {
			if d.Code != c.Code {
				t.Errorf("%s: the bad example gives %s: %s", c.Code, d.Code, d.Message)
			}
		}
		if _, bag := load(t, "good", c.Good); len(bag.All()) > 0 {
			t.Errorf("%s: the good example gives\n%s", c.Code, shown(bag))
		}
	}
}

var expectation = regexp.MustCompile(`# (ERROR|ERROR-ABOVE|ERROR-BELOW) ([a-z-]+) \^"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"`)

// TestErrors loads files with one mistake each. The expectation stands beside
// the mistake: `# ERROR code ^"text under the caret" "part of the message"`.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, bag := load(t, filepath.Base(file), string(data))
		unmet := bag.All()
		for i, line := range strings.Split(string(data), "\n") {
			for _, m := range expectation.FindAllStringSubmatch(line, -1) {
				at := map[string]int{"ERROR": i + 1, "ERROR-ABOVE": i, "ERROR-BELOW": i + 2}[m[1]]
				m[3], m[4] = strings.ReplaceAll(m[3], `\"`, `"`), strings.ReplaceAll(m[4], `\"`, `"`)
				j := match(unmet, at, m[2], m[3], m[4])
				if j < 0 {
					t.Errorf("%s:%d: no %s at %q that says %q; it says\n%s", file, at, m[2], m[3], m[4], shown(bag))
					continue
				}
				unmet = append(unmet[:j:j], unmet[j+1:]...)
			}
		}
		for _, d := range unmet {
			t.Errorf("%s: unexpected: %s %s: %s", file, d.At, d.Code, d.Message)
		}
	}
}

func match(list []*diag.Diagnostic, line int, code, caret, part string) int {
	for i, d := range list {
		at, _ := d.At.Src.Position(d.At.Start)
		if at == line && string(d.Code) == code && d.At.Text() == caret && strings.Contains(d.Message, part) {
			return i
		}
	}
	return -1
}

// FuzzLoad: no input makes the loader panic, and every span is in range.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.yaml")
	for _, file := range append(files, "testdata/every-key.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, c := range Codes {
		f.Add(c.Bad)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bag := &diag.Bag{}
		g := Load(diag.NewSource("fuzz", []byte(text)), bag)
		for _, d := range bag.All() {
			if d.At.End < d.At.Start || int(d.At.End) > len(text) {
				t.Errorf("span %d-%d of %d bytes", d.At.Start, d.At.End, len(text))
			}
		}
		if bag.HasErrors() {
			return
		}
		for _, c := range g.Calls {
			if c.Port < 1 || c.Port > 65535 || c.Protocol.Plane() == "" {
				t.Errorf("call %+v", c)
			}
		}
	})
}
