package syntax

import (
	"os"
	"testing"
)

func TestTour(t *testing.T) {
	text, err := os.ReadFile("testdata/tour.adm")
	if err != nil {
		t.Fatal(err)
	}
	f, list := parse(t, "tour.adm", string(text))
	if len(list) > 0 {
		t.Fatal(render(list))
	}
	if len(f.Decls) != 12 {
		t.Fatalf("%d declarations, want 12", len(f.Decls))
	}
}
