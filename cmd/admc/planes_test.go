package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/emit/envoy"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
)

// TestNothingIsSilentlyIgnored compiles the example of every standard action: it
// is lowered, or refused at the call because no data plane can do it. Nothing is
// in between. Today the backend knows every one.
func TestNothingIsSilentlyIgnored(t *testing.T) {
	text, err := os.ReadFile("../../lang/testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lang.ActionNames() {
		in := &inputs{graph: diag.NewSource("shop.yaml", text), out: t.TempDir()}
		in.policies = []*diag.Source{diag.NewSource("example.adm", []byte(exampleOf(t, name)))}
		bag := &diag.Bag{}
		_, _, err := compile(t.Context(), in, bag)
		if err != nil {
			t.Fatal(err)
		}
		var missing []*diag.Diagnostic
		for _, d := range bag.All() {
			if d.Code == envoy.CodeUnsupported {
				missing = append(missing, d)
			} else if d.Severity == diag.Error {
				t.Errorf("%s: %s", name, d.Message)
			}
		}
		at := func(d *diag.Diagnostic) bool {
			return d.At.Text() == name && strings.HasPrefix(d.Message, "no data plane can do "+name)
		}
		switch can := len(envoy.Does(name)) > 0; {
		case can && len(missing) > 0:
			t.Errorf("%s is refused: %s", name, missing[0].Message)
		case !can && !slices.ContainsFunc(missing, at):
			t.Errorf("%s compiles to nothing and nobody says so", name)
		}
	}
}

// exampleOf gives the program in the documentation of an action.
func exampleOf(t *testing.T, action string) string {
	text, ok := lang.Doc(action)
	if !ok {
		t.Fatalf("no documentation of %s", action)
	}
	var example []string
	doc, _, _ := strings.Cut(text, "\n  phase ")
	for _, line := range strings.Split(doc, "\n") {
		if strings.HasPrefix(line, "      ") {
			example = append(example, line)
		}
	}
	return strings.Join(example, "\n")
}

// TestMatrixIsCurrent holds docs/matrix.md to what the prelude says.
func TestMatrixIsCurrent(t *testing.T) {
	const path = "../../docs/matrix.md"
	if *update {
		if err := os.WriteFile(path, []byte(lang.Matrix()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != lang.Matrix() {
		t.Errorf("%s is not what `admc doc --matrix` prints: run go test ./cmd/admc -run MatrixIsCurrent -update", path)
	}
}
