package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/emit"
)

// compiled copies an example and compiles it there; it gives its output.
func compiled(t *testing.T, example string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/"+example)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if status, _, stderr := admc(context.Background(), "compile", "--config", filepath.Join(dir, configName), "-q", "--fresh"); status != 0 {
		t.Fatal(stderr)
	}
	return out
}

// A corruption writes something into an output directory; undone by restoring.
type corruption struct {
	name, path string
	data       []byte // nil: the file is removed
}

// corrupt verifies the directory with one thing wrong in it, once with the
// manifest as it was and once with one that agrees to what is wrong.
func corrupt(t *testing.T, dir string, c corruption) {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(c.path))
	before, err := os.ReadFile(name)
	fresh := os.IsNotExist(err)
	if err != nil && !fresh {
		t.Fatal(err)
	}
	if bytes.Equal(before, c.data) && c.data != nil {
		t.Fatalf("%s: %s is not a change", c.path, c.name)
	}
	manifest := filepath.Join(dir, emit.ManifestName)
	sums, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string, data []byte) {
		if data == nil {
			err = os.Remove(path)
		} else if err = os.MkdirAll(filepath.Dir(path), 0o777); err == nil {
			err = os.WriteFile(path, data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(name, c.data)
	for _, agreeing := range []bool{false, true} {
		if agreeing {
			if c.path == emit.ManifestName || stillProves.MatchString(c.name) {
				break
			}
			put(manifest, agree(sums, c.path, c.data))
		}
		v, err := verifyDir(context.Background(), dir, verifyFlags{})
		if err != nil || len(v.wrong) == 0 {
			t.Errorf("%s, %s, the manifest agreeing %t: nothing is found (%v)", c.path, c.name, agreeing, err)
		}
	}
	if fresh {
		before = nil
	}
	put(name, before)
	put(manifest, sums)
}

// stillProves: parts of a certificate are rounded up, so a larger denominator may
// prove the same bound. Then it is another right certificate, and only the
// manifest can tell that it is not the one that was written.
var stillProves = regexp.MustCompile(`"denominator": [1-9]`)

// agree makes a manifest say what is in a file.
func agree(sums []byte, path string, data []byte) []byte {
	lines := strings.SplitAfter(string(sums), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" || strings.HasSuffix(l, "  "+path+"\n") })
	if data != nil {
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), path))
		slices.SortFunc(lines[1:], func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	}
	return []byte(strings.Join(lines, ""))
}

// TestVerifyFinds corrupts every field of placement.json, every line of every
// other file and every file in turn.
func TestVerifyFinds(t *testing.T) {
	dir := compiled(t, "paper-figure-1")
	if v, err := verifyDir(context.Background(), dir, verifyFlags{}); err != nil || len(v.wrong) > 0 || len(v.good) != 3 {
		t.Fatal(err, v)
	}
	n := 0
	do := func(c corruption) {
		corrupt(t, dir, c)
		n++
	}
	stored, err := emit.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(stored.Files.Paths(), emit.ManifestName) {
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		do(corruption{"removed", path, nil})
		do(corruption{"emptied", path, []byte{}})
		do(corruption{"one byte more", path, append(slices.Clone(data), '\n')})
		if strings.HasSuffix(path, ".o") {
			continue
		}
		lines := strings.SplitAfter(string(data), "\n")
		for i, line := range lines[:len(lines)-1] {
			if testing.Short() && i%10 > 0 {
				continue
			}
			if i%4 == 0 {
				without := strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")
				do(corruption{fmt.Sprintf("line %d removed", i+1), path, []byte(without)})
			}
			changed := slices.Clone(lines)
			changed[i] = strings.TrimSuffix(line, "\n") + " x\n"
			do(corruption{fmt.Sprintf("line %d changed", i+1), path, []byte(strings.Join(changed, ""))})
		}
	}
	for _, c := range fields(t, dir) {
		do(c)
	}
	// A proxy for a service without an ADM, listed or not.
	for _, path := range []string{"adm/b/envoy.yaml", "adm/b/configmap.yaml", "adm/b/patch.yaml", "bpf/b.json"} {
		do(corruption{"smuggled in", path, []byte("x")})
	}
	if v, err := verifyDir(context.Background(), dir, verifyFlags{}); err != nil || len(v.wrong) > 0 {
		t.Fatal("it is not as it was:", err, v)
	}
	t.Logf("%d corruptions", n)
}

// TestVerifyFields corrupts every field of a larger placement, and of one that
// capacities decide.
func TestVerifyFields(t *testing.T) {
	for _, example := range []string{"hotel-reservation", "../docs/placement"} {
		t.Run(filepath.Base(example), func(t *testing.T) { verifyFields(t, example) })
	}
}

func verifyFields(t *testing.T, example string) {
	dir := compiled(t, example)
	if v, err := verifyDir(context.Background(), dir, verifyFlags{}); err != nil || len(v.wrong) > 0 {
		t.Fatal(err, v)
	}
	list := fields(t, dir)
	if testing.Short() {
		list = list[:len(list)/20]
	}
	for _, c := range list {
		corrupt(t, dir, c)
	}
	t.Logf("%d corruptions", len(list))
}

// fields gives placement.json with each value changed, and each key and element
// left out, in turn, rendered as admc renders it.
func fields(t *testing.T, dir string) []corruption {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, placementName))
	if err != nil {
		t.Fatal(err)
	}
	var out []corruption
	lines := strings.Split(string(data), "\n")
	scalar := regexp.MustCompile(`^(\s*(?:"[^"]*": )?)(".*"|-?\d+|true|false)(,?)$`)
	for i, line := range lines {
		m := scalar.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(m[2]), &value); err != nil {
			t.Fatal(err)
		}
		var others []string
		switch x := value.(type) {
		case string:
			others = []string{`""`, `"x` + m[2][1:]}
		case bool:
			others = []string{fmt.Sprint(!x)}
		case float64:
			others = []string{fmt.Sprint(int(x) + 1), fmt.Sprint(int(x) - 1), "0"}
		}
		for _, other := range others {
			if other != m[2] {
				changed := slices.Clone(lines)
				changed[i] = m[1] + other + m[3]
				out = append(out, corruption{fmt.Sprintf("line %d: %s", i+1, strings.TrimSpace(changed[i])), placementName, []byte(strings.Join(changed, "\n"))})
			}
		}
	}
	return append(out, without(t, data)...)
}

// without leaves out each key and each element of a JSON document.
func without(t *testing.T, data []byte) []corruption {
	var out []corruption
	var root any
	decode := func() {
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
	}
	decode()
	add := func(where string) {
		text, err := json.MarshalIndent(root, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, corruption{"without " + where, placementName, append(text, '\n')})
	}
	var walk func(x any, where string, put func(any))
	walk = func(x any, where string, put func(any)) {
		switch x := x.(type) {
		case map[string]any:
			for k, value := range x {
				delete(x, k)
				add(where + "." + k)
				x[k] = value
				walk(value, where+"."+k, func(v any) { x[k] = v })
			}
		case []any:
			for i, value := range x {
				put(slices.Delete(slices.Clone(x), i, i+1))
				add(fmt.Sprintf("%s[%d]", where, i))
				put(x)
				walk(value, fmt.Sprintf("%s[%d]", where, i), func(v any) { x[i] = v })
			}
		}
	}
	walk(root, "", func(any) {})
	return out
}

// TestVerifyInputs: changed, missing and unfindable inputs, and what is then
// still said.
func TestVerifyInputs(t *testing.T) {
	dir := compiled(t, "paper-figure-1")
	project := filepath.Dir(dir)
	wrong := func(flags verifyFlags) string {
		t.Helper()
		v, err := verifyDir(context.Background(), dir, flags)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(v.wrong, "\n") + "|" + strings.Join(v.good, "\n")
	}
	policies := filepath.Join(project, "policies.adm")
	text, err := os.ReadFile(policies)
	if err != nil {
		t.Fatal(err)
	}
	write(t, policies, "// changed\n"+string(text))
	if got := wrong(verifyFlags{}); !strings.HasPrefix(got, "the input policies.adm is not the one that was compiled") {
		t.Error(got)
	}
	write(t, policies, "policy {")
	if got := wrong(verifyFlags{}); !strings.Contains(got, "the inputs have errors now") {
		t.Error(got)
	}
	if err := os.Remove(policies); err != nil {
		t.Fatal(err)
	}
	if got := wrong(verifyFlags{}); !strings.Contains(got, "the input policies.adm is not in") || !strings.Contains(got, "only consistency was checked") {
		t.Error(got)
	}
	// Away from its inputs it is checked against itself.
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	dir = away
	if got := wrong(verifyFlags{}); !strings.HasPrefix(got, "|") || !strings.Contains(got, "only consistency was checked") {
		t.Error(got)
	}
	write(t, policies, string(text))
	// From inside the project it finds them, unless they changed.
	t.Chdir(filepath.Join(project, "base"))
	if got := wrong(verifyFlags{}); strings.Contains(got, "consistency") || !strings.Contains(got, "the certificate adds up") {
		t.Error(got)
	}
	write(t, policies, "// changed\n"+string(text))
	if got := wrong(verifyFlags{}); !strings.HasPrefix(got, "|") || !strings.Contains(got, "only consistency was checked") {
		t.Error(got)
	}
	write(t, policies, string(text))
	t.Chdir(t.TempDir())
	if got := wrong(verifyFlags{root: project}); strings.Contains(got, "consistency") || !strings.Contains(got, "the certificate adds up") {
		t.Error(got)
	}
	for _, c := range fields(t, dir) {
		// The record alone can't contradict what its inputs say, or a reason.
		if strings.Contains(c.name, `"reason"`) || strings.Contains(c.name, `"path"`) || strings.Contains(c.name, `"sha256"`) ||
			strings.Contains(c.name, `"port"`) || strings.Contains(c.name, "without .inputs[") {
			continue
		}
		corrupt(t, dir, c)
	}
}

// TestVerifySearch: a claim is called one.
func TestVerifySearch(t *testing.T) {
	dir := compiled(t, "paper-figure-1")
	text, err := os.ReadFile(filepath.Join(dir, placementName))
	if err != nil {
		t.Fatal(err)
	}
	i, j := bytes.Index(text, []byte(`"kind": "dual"`)), bytes.Index(text, []byte("  \"inputs\""))
	text = slices.Concat(text[:i], []byte("\"kind\": \"search\",\n    \"parts\": []\n  },\n"), text[j:])
	sums, err := os.ReadFile(filepath.Join(dir, emit.ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, placementName), string(text))
	write(t, filepath.Join(dir, emit.ManifestName), string(agree(sums, placementName, text)))
	status, stdout, stderr := admc(context.Background(), "verify", dir)
	if status != 0 || !strings.Contains(stdout, "feasible; bound claimed, not checked") {
		t.Errorf("%d\n%s%s", status, stdout, stderr)
	}
	write(t, filepath.Join(dir, "README.md"), "x")
	if status, _, stderr := admc(context.Background(), "verify", dir); status != exitInput || !strings.Contains(stderr, "README.md is not what admc wrote") || !strings.Contains(stderr, "mistakes found") {
		t.Errorf("%d\n%s", status, stderr)
	}
	if status, _, stderr := admc(context.Background(), "verify", t.TempDir()); status != exitInput || !strings.Contains(stderr, "not an output directory") {
		t.Errorf("%d\n%s", status, stderr)
	}
}
