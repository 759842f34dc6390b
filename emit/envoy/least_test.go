package envoy

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/lang/ir"
)

// twoScreens is how many lines a person has before them on two of them.
const twoScreens = 120

// TestTwoScreens: the file of an ADM with two policies is short, and its lines are
// those of the policies' own calls, whatever else is in the mesh.
func TestTwoScreens(t *testing.T) {
	// Held to the compiler by the tests of the examples.
	example, err := os.ReadFile("../../examples/hotel-reservation/want/adm/geo/envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(regexp.MustCompile(`[ {]policy: `).FindAll(example, -1)); n != 2 {
		t.Errorf("the example names %d policies", n)
	}
	if n := bytes.Count(example, []byte("\n")); n > twoScreens {
		t.Errorf("the file of two policies in the example has %d lines", n)
	}

	ar, err := txtar.ParseFile("testdata/two-policies.txtar")
	if err != nil {
		t.Fatal(err)
	}
	in := &txtar.Archive{Files: ar.Files[:2]}
	alone, _ := compileArchive(t, in).Get("adm/frontend/envoy.yaml")

	// More services, calls of this one that no policy speaks of, and a policy
	// between others.
	graph := strings.Replace(string(in.Files[0].Data), "calls:\n", `  cart: {ports: [{port: 8080, protocol: http}]}
  mail: {ports: [{port: 25, protocol: tcp}], versions: [v1, v2]}
calls:
  - {from: frontend, to: [cart, mail]}
  - {from: cart, to: [mail, mongodb]}
`, 1)
	policies := strings.Replace(string(in.Files[1].Data), "on * -> mongodb", "on frontend -> mongodb", 1)
	if graph == string(in.Files[0].Data) || policies == string(in.Files[1].Data) {
		t.Fatal("the archive is another one now")
	}
	more := &txtar.Archive{Files: []txtar.File{
		{Name: "graph.yaml", Data: []byte(graph)},
		{Name: "shop.adm", Data: []byte(policies + "\npolicy other {\n    on cart -> mail\n    split({\"v1\": 50%, \"v2\": 50%})\n}\n")},
	}}
	among, _ := compileArchive(t, more).Get("adm/frontend/envoy.yaml")
	if !bytes.Equal(alone, among) {
		t.Errorf("what else is in the mesh changes the file:\n%s\nwithout:\n%s", among, alone)
	}
}

// TestManyAttempts: what is on the command line has room there (128 KiB on Linux),
// however many calls have an internal listener behind them.
func TestManyAttempts(t *testing.T) {
	p := newProgram()
	for i := range 300 {
		p.call(20000+i, "http", ir.Egress, do("again", act("retry", nil)), do("slow", act("fault", args{"abort": num(503), "percent": num(100)})))
	}
	c := configurationOf(emitted(t, p.layout()), "adm/client")
	validate(t, c)
	if n := bytes.Count(c.policies, []byte("\n  - name: egress_server_")); n < 600 {
		t.Errorf("%d listeners", n)
	}
}
