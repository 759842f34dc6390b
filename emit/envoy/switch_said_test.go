//go:build linux

package envoy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

// switchIn finds the runtime keys that something emitted looks at.
var switchIn = regexp.MustCompile(`"runtime_key":"admc\.policies\.([^"]*)\.enabled"`)

// TestSaidSwitchesAreThere: what the metadata of listeners says of the policies'
// switches is what the listeners look at, in generated programs and in the examples,
// whose files are held to the compiler by tests of their own.
func TestSaidSwitchesAreThere(t *testing.T) {
	with, without := 0, 0
	hold := func(about string, file []byte) {
		for name, listener := range listenersOf(t, file) {
			looked := map[string]bool{}
			for _, m := range switchIn.FindAllStringSubmatch(listener.text, -1) {
				looked[m[1]] = true
			}
			for policy, switched := range listener.said {
				if switched != looked[policy] {
					t.Errorf("%s\nlistener %s says of %s: switch %v, and looks at it: %v", about, name, policy, switched, looked[policy])
				}
				if switched {
					with++
				} else {
					without++
				}
			}
		}
	}
	for seed := range uint64(400) {
		x := generate(seed)
		if !x.compiles(t) {
			continue
		}
		x.spread(20000, 1)
		l := together([]*trial{x})
		files := emitted(t, l)
		for _, a := range l.ADMs {
			data, _ := files.Get(a.Dir + "/" + FileName)
			hold(x.text, data)
		}
	}
	examples, err := filepath.Glob("../../examples/*/want/adm/*/" + FileName)
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		hold(path, data)
	}
	t.Logf("%d with a switch, %d without", with, without)
	if with == 0 || without == 0 {
		t.Error("which tells nothing")
	}
}

// A saidListener is an emitted listener with those behind it.
type saidListener struct {
	text string
	said map[string]bool // by policy, whether it has a switch
}

// behind are the ends of names of listeners that are behind another.
var behind = regexp.MustCompile(`(_attempt|_open)+$`)

func listenersOf(t *testing.T, file []byte) map[string]*saidListener {
	t.Helper()
	var f struct {
		StaticResources struct {
			Listeners []map[string]any `json:"listeners"`
		} `json:"static_resources"`
	}
	if err := yaml.Unmarshal(file, &f); err != nil {
		t.Fatal(err)
	}
	out := map[string]*saidListener{}
	for _, l := range f.StaticResources.Listeners {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		name := behind.ReplaceAllString(l["name"].(string), "")
		of := out[name]
		if of == nil {
			of = &saidListener{said: map[string]bool{}}
			out[name] = of
		}
		of.text += string(text)
		metadata, _ := l["metadata"].(map[string]any)
		about, _ := metadata["filter_metadata"].(map[string]any)
		said, _ := about[metadataKey].(map[string]any)
		policies, _ := said["policies"].([]any)
		for _, p := range policies {
			p := p.(map[string]any)
			of.said[p["policy"].(string)] = p["switch"] != nil
		}
	}
	return out
}
