package diag

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

var sarifCodes = []CodeDoc{{Code: "end", Summary: "The end."}, {Code: "no-place", Summary: "None."},
	{Code: "unknown-argument", Summary: "No such argument.", Bad: "bad()\n", Good: "good()\n"}, {Code: "unused", Summary: "Not used."}}

// TestWriteSARIF reads what is written as a consumer would, from the standard's
// names, and holds each part to the diagnostic it came from.
func TestWriteSARIF(t *testing.T) {
	var b strings.Builder
	tool := Tool{Version: "v1", Codes: sarifCodes, Path: func(s *Source) string { return "a b/" + s.Name }}
	if err := WriteSARIF(&b, sample(), tool); err != nil {
		t.Fatal(err)
	}
	var log any
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	at := func(path string) string {
		v := log
		for _, step := range strings.Split(path, ".") {
			switch x := v.(type) {
			case map[string]any:
				v = x[step]
			case []any:
				var i int
				fmt.Sscan(step, &i)
				v = x[i]
			}
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	for path, want := range map[string]string{
		"version":                                  `"2.1.0"`,
		"runs.0.columnKind":                        `"unicodeCodePoints"`,
		"runs.0.tool.driver.name":                  `"admc"`,
		"runs.0.tool.driver.rules.2.id":            `"unknown-argument"`,
		"runs.0.tool.driver.rules.2.help.text":     `"No such argument.\n\nGives it:\n\nbad()\n\nDoes not:\n\ngood()"`,
		"runs.0.results.0.locations":               `null`,
		"runs.0.results.0.ruleIndex":               `1`,
		"runs.0.results.2.ruleId":                  `"unknown-argument"`,
		"runs.0.results.2.ruleIndex":               `2`,
		"runs.0.results.2.level":                   `"error"`,
		"runs.0.results.2.message.text":            `"rate has no argument \"brust\"\nhint: did you mean \"burst\"?\nnote: and nowhere else"`,
		"runs.0.results.2.locations.0":             `{"physicalLocation":{"artifactLocation":{"uri":"a%20b/shop.adm"},"region":{"byteLength":5,"byteOffset":24,"endColumn":18,"endLine":2,"startColumn":13,"startLine":2}}}`,
		"runs.0.results.2.relatedLocations.0":      `{"message":{"text":"it is declared here"},"physicalLocation":{"artifactLocation":{"uri":"a%20b/std/traffic.adm"},"region":{"byteLength":6,"byteOffset":0,"endColumn":7,"endLine":1,"startColumn":1,"startLine":1}}}`,
		"runs.0.results.2.fixes.0.description":     `{"text":"did you mean \"burst\"?"}`,
		"runs.0.results.2.fixes.0.artifactChanges": `[{"artifactLocation":{"uri":"a%20b/shop.adm"},"replacements":[{"deletedRegion":{"byteLength":5,"byteOffset":24,"endColumn":18,"endLine":2,"startColumn":13,"startLine":2},"insertedContent":{"text":"burst"}}]}]`,
	} {
		if got := at(path); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", path, got, want)
		}
	}
	b.Reset()
	if err := WriteSARIF(&b, nil, Tool{}); err != nil || !strings.Contains(b.String(), `"results": []`) {
		t.Errorf("nothing is %s, %v", b.String(), err)
	}
}

func TestSARIFNames(t *testing.T) {
	for path, want := range map[string]string{"a b.adm": "a%20b.adm", "c:d.adm": "./c:d.adm", "/x/é.adm": "file:///x/%C3%A9.adm", "../x#y": "../x%23y"} {
		if got := (Tool{}).artifact(NewSource(path, nil)).URI; got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	std := NewSource("std/traffic.adm", nil)
	std.Embedded = true
	if got := (Tool{}).artifact(std).URI; got != "admc:/std/traffic.adm" {
		t.Errorf("what is inside is %s", got)
	}
}
