package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit"
	"admc.dev/admc/lang/diag"
)

// TestExamples compiles every example as its admc.yaml says and compares the
// result with its checked-in `want`.
func TestExamples(t *testing.T) {
	configs, err := filepath.Glob("../../examples/*/admc.yaml")
	if err != nil || len(configs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, conf := range configs {
		dir := filepath.Dir(conf)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := filepath.Join(dir, "want")
			files := compileExample(t, conf, want)
			if *update {
				if err := emit.Write(want, files); err != nil {
					t.Fatal(err)
				}
			}
			diffs, err := emit.Compare(want, files)
			if err != nil {
				t.Fatal(err)
			}
			if len(diffs) > 0 {
				emit.WriteDifferences(os.Stderr, diffs)
				t.Errorf("%s is out of date: read the diff, then `make golden`", want)
			}
		})
	}
}

// exampleInputs are what an example's admc.yaml names.
func exampleInputs(t *testing.T, conf, out string) *inputs {
	t.Helper()
	var flags inputFlags
	cmd := &cobra.Command{}
	flags.register(cmd)
	flags.registerOut(cmd)
	flags.config, flags.out = conf, out
	in, err := flags.load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func compileExample(t *testing.T, conf, out string) *emit.Files {
	t.Helper()
	in := exampleInputs(t, conf, out)
	bag := &diag.Bag{}
	_, files, err := compile(context.Background(), in, bag)
	if err != nil {
		t.Fatal(err)
	}
	if bag.HasErrors() {
		diag.WriteText(os.Stderr, bag.All())
		t.Fatal("the example has errors")
	}
	return files
}

// TestSameBytes compiles an example with each engine and twice: the output
// depends on the input alone.
func TestSameBytes(t *testing.T) {
	conf := "../../examples/hotel-reservation/admc.yaml"
	first, second := compileExample(t, conf, "out"), compileExample(t, conf, "out")
	for _, p := range first.Paths() {
		a, _ := first.Get(p)
		b, _ := second.Get(p)
		if string(a) != string(b) {
			t.Errorf("%s differs between two runs", p)
		}
	}
}
