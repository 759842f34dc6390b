package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"admc.dev/admc/emit/envoy"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// A block is one fenced code block of a document.
type block struct {
	info       string // what stands after the fence: "adm", "console dir=examples/x"
	text       string
	start, end int // of text in the document
	line       int
}

func blocks(doc string) []block {
	var out []block
	for pos, open := 0, -1; pos < len(doc); {
		end := strings.IndexByte(doc[pos:], '\n')
		if end < 0 {
			break
		}
		line := doc[pos : pos+end]
		if info, ok := strings.CutPrefix(line, "```"); ok {
			if open < 0 {
				open = pos + end + 1
				out = append(out, block{info: info, start: open, line: strings.Count(doc[:pos], "\n") + 1})
			} else {
				b := &out[len(out)-1]
				b.text, b.end, open = doc[open:pos], pos, -1
			}
		}
		pos += end + 1
	}
	return out
}

func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	return append(docs, "../../README.md")
}

// TestDocsPrograms checks every ```adm block against the graph of the docs, runs
// the tests in it, and checks
// every ```yaml block that is a service graph.
func TestDocsPrograms(t *testing.T) {
	shop, err := os.ReadFile("../../docs/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range documents(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks(string(data)) {
			name := filepath.Base(path)
			bag := &diag.Bag{}
			switch {
			case b.info == "adm":
				g := graph.Load(diag.NewSource("shop.yaml", shop), bag)
				p := lang.Check([]*syntax.File{syntax.Parse(diag.NewSource(name, []byte(b.text)), bag)}, g, bag)
				envoy.CheckPayloads(p, bag)
				for _, x := range p.Tests {
					for _, f := range lang.RunTest(p, x).Failures {
						t.Errorf("%s, the block at line %d:\n%s", path, b.line, failureText(f))
					}
				}
			case strings.HasPrefix(b.info, "yaml") && strings.Contains(b.text, "kind: ServiceGraph"):
				graph.Load(diag.NewSource(name, []byte(b.text)), bag)
			default:
				continue
			}
			n++
			if bag.HasErrors() {
				var msg bytes.Buffer
				diag.WriteText(&msg, bag.All())
				t.Errorf("%s, the block at line %d:\n%s", path, b.line, msg.String())
			}
		}
	}
	if n == 0 {
		t.Error("no block was checked")
	}
}

// TestDocsCommands runs the `$ admc …` lines of every ```console block in the
// directory that its info string names and compares what is printed. With
// -update it writes what was printed into the document.
func TestDocsCommands(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(here)
	t.Setenv("GITHUB_WORKSPACE", "") // or the names of files depend on it
	n := 0
	for _, path := range documents(t) {
		data, err := os.ReadFile(filepath.Join(here, path))
		if err != nil {
			t.Fatal(err)
		}
		doc := string(data)
		all := blocks(doc)
		for i := len(all) - 1; i >= 0; i-- { // from the end: -update moves what follows
			b := all[i]
			dir, ok := strings.CutPrefix(b.info, "console dir=")
			if !ok {
				continue
			}
			n++
			if err := os.Chdir(filepath.Join(here, "../..", dir)); err != nil {
				t.Fatal(err)
			}
			got := runConsole(t, b.text)
			if got == b.text {
				continue
			}
			if !*update {
				t.Errorf("%s, the block at line %d: it says\n%s\nand admc says\n%s", path, b.line, b.text, got)
			}
			doc = doc[:b.start] + got + doc[b.end:]
		}
		if *update {
			if err := os.WriteFile(filepath.Join(here, path), []byte(doc), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n == 0 {
		t.Error("no block was run")
	}
}

// runConsole runs the commands of a block and gives the block as it should be.
func runConsole(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for _, line := range strings.Split(text, "\n") {
		cmd, ok := strings.CutPrefix(line, "$ admc ")
		if !ok {
			continue
		}
		out.WriteString(line + "\n")
		var printed bytes.Buffer
		run(context.Background(), strings.Fields(cmd), streams{nil, &printed, &printed})
		out.Write(printed.Bytes())
	}
	return out.String()
}
