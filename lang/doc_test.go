package lang

import (
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/lang/ir"
)

// TestDocExamples checks the example in the documentation of every standard
// action: it is clean, and it is of that action.
func TestDocExamples(t *testing.T) {
	g := shop(t)
	for _, name := range ActionNames() {
		text, ok := Doc(name)
		if !ok {
			t.Fatalf("no documentation of %s", name)
		}
		if !strings.Contains(text, "\n  cost ") {
			t.Errorf("%s has no cost: a capacity could not be kept with it", name)
		}
		var example []string
		doc, _, _ := strings.Cut(text, "\n  phase ")
		for _, line := range strings.Split(doc, "\n") {
			if strings.HasPrefix(line, "      ") {
				example = append(example, line)
			}
		}
		prog, bag := checkText(g, strings.Join(example, "\n"))
		if all := bag.All(); len(all) > 0 {
			t.Errorf("the example of %s:\n%s", name, textOf(all))
			continue
		}
		if len(prog.Obligations) == 0 || !slices.ContainsFunc(prog.Policies[0].Actions, func(a *ir.Action) bool { return a.Name() == name }) {
			t.Errorf("the example of %s does not use it:\n%s", name, strings.Join(example, "\n"))
		}
	}
	if _, ok := Doc("rate_limits"); ok {
		t.Error("an action that is not there has documentation")
	}
}

// TestDocSaysWhereAndWhy holds the text of one action to what a reader looks for.
func TestDocSaysWhereAndWhy(t *testing.T) {
	text, _ := Doc("rate_limit")
	for _, want := range []string{
		"rate_limit(\n    rate: rate,\n    burst: int = 0,\n    scope: enum(", "Admits at most", "phase     quota",
		"http, grpc, tcp: at the receiver, or at all its callers", "ends ", "state ", "std/traffic.adm:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	text, _ = Doc("timeout")
	if !strings.Contains(text, "http, grpc: at the callers only, where the whole request is seen") {
		t.Errorf("timeout does not say why:\n%s", text)
	}
}
