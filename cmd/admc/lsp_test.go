package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// An editor drives `admc lsp` with the bytes that a real one sends.
type editor struct {
	t       *testing.T
	dir     string
	to      io.WriteCloser
	from    chan map[string]any // what the server says; read all the time, as editors do
	id      int
	pending []map[string]any // notifications that nobody waited for yet
	texts   map[string]string
	version map[string]int
	status  chan int
	errors  *bytes.Buffer
}

// newEditor writes files into a directory and starts a session there.
func newEditor(t *testing.T, files map[string]string) *editor {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e := &editor{t: t, dir: dir, texts: map[string]string{}, version: map[string]int{}, status: make(chan int, 1), errors: &bytes.Buffer{}}
	for name, text := range files {
		e.write(name, text)
	}
	in, to := io.Pipe()
	from, out := io.Pipe()
	e.to, e.from = to, make(chan map[string]any, 1<<16)
	go e.listen(bufio.NewReader(from))
	go func() {
		e.status <- run(context.Background(), []string{"lsp", "--stdio"}, streams{in, out, e.errors})
		out.Close()
	}()
	t.Cleanup(func() { to.Close(); in.Close(); from.Close() })
	e.request("initialize", map[string]any{"processId": nil, "rootUri": nil, "capabilities": map[string]any{}})
	e.notify("initialized", map[string]any{})
	return e
}

func (e *editor) write(name, text string) {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		e.t.Fatal(err)
	}
}

func (e *editor) uri(name string) string { return "file://" + filepath.Join(e.dir, name) }

func (e *editor) raw(body string) {
	if _, err := fmt.Fprintf(e.to, "Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n%s", len(body), body); err != nil {
		e.t.Fatal(err)
	}
}

func (e *editor) send(m map[string]any) {
	m["jsonrpc"] = "2.0"
	body, err := json.Marshal(m)
	if err != nil {
		e.t.Fatal(err)
	}
	e.raw(string(body))
}

// listen reads what the server says, to its end.
func (e *editor) listen(from *bufio.Reader) {
	defer close(e.from)
	for {
		header, err := textproto.NewReader(from).ReadMIMEHeader()
		if err != nil {
			return
		}
		n, err := strconv.Atoi(header.Get("Content-Length"))
		if err != nil {
			return
		}
		body := make([]byte, n)
		var m map[string]any
		if _, err := io.ReadFull(from, body); err != nil || json.Unmarshal(body, &m) != nil {
			return
		}
		e.from <- m
	}
}

func (e *editor) receive() map[string]any {
	e.t.Helper()
	m, ok := <-e.from
	if !ok {
		e.t.Fatalf("the server has gone: %s", e.errors)
	}
	if m["method"] == "window/logMessage" {
		e.t.Errorf("the server logs %v", m["params"])
	}
	return m
}

func (e *editor) notify(method string, params any) {
	e.send(map[string]any{"method": method, "params": params})
}

// call gives the answer to a request: a result or an error.
func (e *editor) call(method string, params any) map[string]any {
	e.t.Helper()
	e.id++
	e.send(map[string]any{"id": e.id, "method": method, "params": params})
	for {
		m := e.receive()
		if m["id"] == float64(e.id) {
			return m
		}
		e.pending = append(e.pending, m)
	}
}

func (e *editor) request(method string, params any) any {
	e.t.Helper()
	m := e.call(method, params)
	if m["error"] != nil {
		e.t.Fatalf("%s: %v", method, m["error"])
	}
	return m["result"]
}

func (e *editor) open(name, text string) {
	e.texts[name], e.version[name] = text, 1
	e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": e.uri(name), "languageId": "admc", "version": 1, "text": text}})
}

// edit replaces the only occurrence of old by new in an open document.
func (e *editor) edit(name, old, new string) {
	e.t.Helper()
	text := e.texts[name]
	if strings.Count(text, old) != 1 {
		e.t.Fatalf("%q is %d times in\n%s", old, strings.Count(text, old), text)
	}
	at := strings.Index(text, old)
	e.version[name]++
	e.texts[name] = text[:at] + new + text[at+len(old):]
	e.notify("textDocument/didChange", map[string]any{
		"textDocument":   map[string]any{"uri": e.uri(name), "version": e.version[name]},
		"contentChanges": []any{map[string]any{"range": map[string]any{"start": place16(text, at), "end": place16(text, at+len(old))}, "text": new}},
	})
}

// place16 is a position as the protocol counts.
func place16(text string, off int) map[string]any {
	start := strings.LastIndexByte(text[:off], '\n') + 1
	return map[string]any{"line": strings.Count(text[:off], "\n"), "character": len(utf16.Encode([]rune(text[start:off])))}
}

// diagnostics waits for what is said about a document as it is now, or about a
// file that is not open, as "line:col-line:col code" with positions from 0.
func (e *editor) diagnostics(name string) []string {
	e.t.Helper()
	for {
		var m map[string]any
		if len(e.pending) > 0 {
			m, e.pending = e.pending[0], e.pending[1:]
		} else {
			m = e.receive()
		}
		p, _ := m["params"].(map[string]any)
		if m["method"] != "textDocument/publishDiagnostics" || p["uri"] != e.uri(name) {
			continue
		}
		if v := e.version[name]; v != 0 && p["version"] != float64(v) {
			continue
		}
		out := []string{}
		for _, d := range p["diagnostics"].([]any) {
			d := d.(map[string]any)
			out = append(out, strings.TrimSpace(rangeText(d["range"])+" "+fmt.Sprint(d["code"])))
		}
		return out
	}
}

func rangeText(r any) string {
	m := r.(map[string]any)
	pos := func(k string) string {
		p := m[k].(map[string]any)
		return fmt.Sprintf("%v:%v", p["line"], p["character"])
	}
	return pos("start") + "-" + pos("end")
}

// at asks about the place where "|" would stand in before|after, both of which
// together are once in the document.
func (e *editor) at(method, name, where string) any {
	e.t.Helper()
	before, after, ok := strings.Cut(where, "|")
	text := e.texts[name]
	if !ok || strings.Count(text, before+after) != 1 {
		e.t.Fatalf("%q is %d times in\n%s", where, strings.Count(text, before+after), text)
	}
	off := strings.Index(text, before+after) + len(before)
	return e.request(method, map[string]any{"textDocument": map[string]any{"uri": e.uri(name)}, "position": place16(text, off)})
}

func (e *editor) hover(name, where string) string {
	e.t.Helper()
	m, ok := e.at("textDocument/hover", name, where).(map[string]any)
	if !ok {
		return ""
	}
	return m["contents"].(map[string]any)["value"].(string)
}

// definition gives the text that the answer points at, with the file's name.
func (e *editor) definition(name, where string) string {
	e.t.Helper()
	list, _ := e.at("textDocument/definition", name, where).([]any)
	var out []string
	for _, l := range list {
		l := l.(map[string]any)
		path := strings.TrimPrefix(l["uri"].(string), "file://")
		text := e.texts[strings.TrimPrefix(path, e.dir+"/")]
		if text == "" {
			data, err := os.ReadFile(path)
			if err != nil {
				e.t.Fatal(err)
			}
			text = string(data)
		}
		var line, start, end int
		if _, err := fmt.Sscanf(rangeText(l["range"]), "%d:%d-%d:%d", &line, &start, &line, &end); err != nil {
			e.t.Fatal(err)
		}
		out = append(out, filepath.Base(path)+" "+string(utf16.Decode(utf16.Encode([]rune(strings.Split(text, "\n")[line]))[start:end])))
	}
	return strings.Join(out, ", ")
}

func (e *editor) want(got []string, want ...string) {
	e.t.Helper()
	if !slices.Equal(got, want) {
		e.t.Errorf("got  %q\nwant %q", got, want)
	}
}

// end leaves in order.
func (e *editor) end() {
	e.t.Helper()
	e.request("shutdown", nil)
	e.notify("exit", nil)
	if status := <-e.status; status != 0 {
		e.t.Errorf("status %d: %s", status, e.errors)
	}
}

const pairGraph = `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: pair}
services:
  web:   {labels: {tier: edge}}
  api:   {labels: {tier: core}, ports: [{port: 8080, protocol: http}]}
  db:    {labels: {tier: data}, ports: [{port: 6379, protocol: redis}]}
calls:
  - {from: web, to: api}
  - {from: api, to: db}
`

func TestEditorDiagnostics(t *testing.T) {
	e := newEditor(t, map[string]string{
		"admc.yaml": "graph: mesh/graph.yaml\npolicies: [policies]\n", "mesh/graph.yaml": pairGraph,
		"policies/a.adm": "let core = [tier=core]\n", "policies/b.adm": "policy p {\n    on web -> api\n    timeout(1s)\n}\n",
	})
	// The whole program is checked, and a file that is not open is told about.
	e.open("policies/b.adm", "// 𝄞\npolicy p { /* */\n    on web -> api\n    timeout(1s)\n}\n")
	e.want(e.diagnostics("policies/b.adm"), "1:11-1:13 bad-comment")
	e.edit("policies/b.adm", " /* */", "")
	e.want(e.diagnostics("policies/a.adm"), "0:4-0:8 unused-let")
	e.want(e.diagnostics("policies/b.adm"))
	// An unsaved buffer counts, and what it mends elsewhere is taken back.
	e.edit("policies/b.adm", "-> api", "-> $core")
	e.want(e.diagnostics("policies/a.adm"))
	e.want(e.diagnostics("policies/b.adm"))
	// Positions are UTF-16: one character outside the basic plane is two.
	e.edit("policies/b.adm", "timeout(1s)", `set_header("𝄞𝄞é", "x", nam: 1)`)
	e.want(e.diagnostics("policies/b.adm"), "3:15-3:22 bad-value", "3:29-3:32 unknown-argument")
	// Mistakes of the graph are shown in it, also in its unsaved text.
	e.edit("policies/b.adm", `set_header("𝄞𝄞é", "x", nam: 1)`, "deny()")
	e.open("mesh/graph.yaml", strings.Replace(pairGraph, "to: db}", "to: dbb}", 1))
	e.want(e.diagnostics("mesh/graph.yaml"), "9:20-9:23 undeclared-service")
	// What is on disk changes unseen; saving looks again.
	e.edit("mesh/graph.yaml", "dbb", "db")
	e.want(e.diagnostics("mesh/graph.yaml"))
	e.write("policies/a.adm", "let core = [tier=cor]\n")
	e.notify("textDocument/didSave", map[string]any{"textDocument": map[string]any{"uri": e.uri("policies/b.adm")}})
	e.want(e.diagnostics("policies/a.adm"), "0:17-0:20 unknown-label")
	// A whole text in one change; a closed buffer no longer counts.
	e.version["policies/b.adm"]++
	e.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": e.uri("policies/b.adm"), "version": e.version["policies/b.adm"]},
		"contentChanges": []any{map[string]any{"text": "policy {"}}})
	e.want(e.diagnostics("policies/b.adm"), "0:7-0:8 unexpected-token")
	e.version["policies/b.adm"] = 0
	e.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": e.uri("policies/b.adm")}})
	e.want(e.diagnostics("policies/b.adm"))
	e.end()
}

func TestEditorWithoutProgram(t *testing.T) {
	e := newEditor(t, nil)
	// Without a graph a file is still read, and why that is all is said.
	e.open("lone.adm", "policy p {\n    on a => b\n    deny()\n}\n")
	e.want(e.diagnostics("lone.adm"), "0:0-0:0 <nil>", "1:9-1:11 unexpected-token")
	// A document that is no file, too; and a new file beside a graph.
	e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": "untitled:x", "version": 1, "text": "polcy"}})
	e.write("graph.yaml", pairGraph)
	e.edit("lone.adm", "=>", "->")
	e.open("new.adm", "policy q {\n    on web -> apy\n    deny()\n}\n")
	e.want(e.diagnostics("new.adm"), "1:14-1:17 unknown-service")
	e.end()
}

const tour = `// Databases.
let databases = [tier=data]
let long = 10s

// Nobody waits.
@egress
policy patience {
    on web -> api : http
    when { request.method == "GET" }
    timeout(after: $long)
}

policy limits {
    on * -> $databases, api -> db
    rate_limit(rate: 5/s, scope: "caller")
}
`

func TestEditorHoverAndDefinition(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph})
	e.open("p.adm", tour)
	e.want(e.diagnostics("p.adm"))
	for where, want := range map[string]string{
		"time|out(after": "How long a request may take",
		"timeout|(after": "How long a request may take",
		"(aft|er:":       "after: duration",
		"@e|gress":       "enforced at the callers",
		"po|licy limits": "what happens on which calls",
		"pat|ience {":    "the policy says @egress",
		"lim|its {":      "enforced  at",
		"on w|eb":        "calls api",
		"-> d|b":         "port 6379 redis",
		"|* -> $":        "3 services: api, db, web",
		"$data|bases":    "let databases = [tier=data]",
		"|$long":         "let long = 10s",
		"o|n web":        "the calls that the policy is about",
		"5|/s":           "",
		"// Nob|ody":     "",
	} {
		if got := e.hover("p.adm", where); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", where, got, want)
		}
	}
	if got := e.hover("p.adm", "pat|ience {"); !strings.HasPrefix(got, "Nobody waits.\n") {
		t.Errorf("the comment above the policy is not in %q", got)
	}
	for where, want := range map[string]string{
		"$lo|ng)":       "p.adm long",
		"time|out(":     "traffic.adm timeout",
		"(aft|er:":      "traffic.adm timeout",
		"w|eb ->":       "graph.yaml web",
		"-> d|b":        "graph.yaml db",
		"pat|ience":     "p.adm patience",
		"po|licy limi":  "",
		"\"cal|ler\"":   "",
		"request.|meth": "",
	} {
		if got := e.definition("p.adm", where); got != want {
			t.Errorf("%s: got %q, want %q", where, got, want)
		}
	}
	// While the program has errors, a policy still has its comment.
	e.edit("p.adm", "on web -> api", "on web -> ")
	if got := e.hover("p.adm", "pol|icy limits"); got == "" {
		t.Error("no word is known in a broken program")
	}
	if got := e.hover("p.adm", "lim|its {"); !strings.Contains(got, "when the program has no errors") {
		t.Errorf("got %q", got)
	}
	if got := e.definition("p.adm", "$lo|ng)"); got != "p.adm long" {
		t.Errorf("got %q", got)
	}
	e.end()
}

const ownAction = `// Tidies up.
action tidy(name: string, of: enum("request", "response") = "request") {
    phase transform
    writes of.headers[name]
    on http : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": "-- ${name} ${of}"},
        "stat_prefix": name,
    }
}
`

// TestEditorKnowsOwnActions: what declared actions are, where they are declared,
// and what is wrong with their filters.
func TestEditorKnowsOwnActions(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph, "own.adm": ownAction})
	e.open("p.adm", "policy a {\n    on web -> api\n    tidy(name: \"x-a\")\n}\n")
	if got := e.hover("p.adm", "ti|dy(name"); !strings.Contains(got, "Tidies up.") || !strings.Contains(got, "filter    http, grpc: envoy.extensions.filters.http.lua.v3.Lua") {
		t.Errorf("got %q", got)
	}
	if got := e.hover("p.adm", "na|me:"); !strings.Contains(got, "name: string") {
		t.Errorf("got %q", got)
	}
	for _, where := range []string{"ti|dy(name", "na|me:"} {
		if got := e.definition("p.adm", where); got != "own.adm tidy" {
			t.Errorf("%s: got %q", where, got)
		}
	}
	e.open("own.adm", ownAction)
	for where, want := range map[string]string{"action ti|dy": "Tidies up.", "ph|ase": "when it acts", ": na|me,": "name: string", "en|voy http": "the filter that does it"} {
		if got := e.hover("own.adm", where); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", where, got, want)
		}
	}
	e.edit("own.adm", "stat_prefix", "stat_prefx")
	if got := fmt.Sprint(e.diagnostics("own.adm")); got != "[8:8-8:20 bad-payload]" {
		t.Errorf("got %s", got)
	}
	e.edit("own.adm", "stat_prefx", "stat_prefix")
	if got := fmt.Sprint(e.diagnostics("own.adm")); got != "[]" {
		t.Errorf("got %s", got)
	}
	e.end()
}

func TestEditorCompletion(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph, "other.adm": "let elsewhere = db\npolicy there { on web -> api  deny() }\n"})
	for _, c := range []struct {
		text string // with one | where the cursor is
		want []string
		not  []string
	}{
		{"|", []string{"policy", "let", "@egress"}, []string{"timeout", "web"}},
		{"pol|", []string{"policy"}, []string{"timeout"}},
		{"policy a {\n    |\n}\n", []string{"on", "when", "timeout", "rate_limit"}, []string{"policy", "web"}},
		{"policy a {\n    on web -> api\n    ti|\n}\n", []string{"timeout"}, []string{"web"}},
		{"policy a { on web -> api  ti|", []string{"timeout"}, []string{"web"}},
		{"policy a {\n    on |", []string{"web", "api", "external", "$elsewhere"}, []string{"timeout"}},
		{"policy a {\n    on web -> a|\n    deny()\n}\n", []string{"api", "$elsewhere"}, []string{"timeout"}},
		{"policy a {\n    on web, |", []string{"api"}, nil},
		{"policy a {\n    on {web, |} -> api\n}\n", []string{"api", "except"}, []string{"timeout"}},
		{"policy a {\n    on web -> $|\n}\n", []string{"elsewhere"}, []string{"web"}},
		{"policy a {\n    on web -> api : |\n}\n", []string{"http", "grpc", "redis"}, []string{"web"}},
		{"policy a {\n    on web -> api : http | g|\n}\n", nil, nil},
		{"policy a {\n    on * -> [|\n}\n", []string{"tier"}, []string{"web"}},
		{"policy a {\n    on * -> [tier=|]\n}\n", []string{"core", "data", "edge"}, []string{"tier"}},
		{"policy a {\n    on web -> api\n    rate_limit(|)\n}\n", []string{"rate", "burst", "scope", "$elsewhere"}, []string{"timeout"}},
		{"policy a {\n    on web -> api\n    rate_limit(rate: 5/s, |", []string{"burst", "scope"}, []string{"rate", "timeout"}},
		{"policy a {\n    on web -> api\n    rate_limit(5/s, |", []string{"burst", "scope"}, []string{"rate"}},
		{"policy a {\n    on web -> api\n    rate_limit(rate: 5/s, scope: |)\n}\n", []string{`"caller"`, `"service"`, `"pod"`}, []string{"burst", "rate"}},
		{"policy a {\n    on web -> api\n    retry(on: [|])\n}\n", []string{`"reset"`}, []string{"attempts"}},
		{"policy a {\n    on web -> api\n    when { request.m| }\n}\n", []string{"request.method"}, []string{"web", "timeout"}},
		{"policy a {\n    on web -> api\n    when { |\n", []string{"request.method"}, []string{"web"}},
		{"@|\npolicy a { }\n", []string{"egress", "strict"}, []string{"policy"}},
		{"@fail(|)\npolicy a { }\n", []string{"open", "closed"}, []string{"policy"}},
		{"@before(|)\npolicy a { }\n", []string{"there", "a"}, []string{"web"}},
		{"let x = |\n", []string{"web", "$elsewhere"}, []string{"timeout"}},
		{"let x = {\n\npolicy a {\n    on web -> api\n    de|\n}\n", []string{"deny"}, []string{"web"}},
		{"require r {\n    on * -> *\n    has |\n}\n", []string{"mtls", "deny"}, []string{"web"}},
		{"test \"t\" {\n    web -> |\n}\n", []string{"api"}, []string{"deny"}},
		{"test \"t\" {\n    web -> api\n        expect |\n}\n", []string{"pass", "deny"}, []string{"web"}},
		{"test \"t\" {\n    web -> api\n        expect deny by |\n}\n", []string{"there"}, []string{"web"}},
		{"test \"t\" { web -> api expect deny by | }\n", []string{"there"}, []string{"web", "expect"}},
		{"test \"t\" { web -> api GET \"/\" expect |\n}\n", []string{"pass", "deny"}, []string{"web", "there"}},
		{"test \"t\" { web -> | }\n", []string{"api"}, []string{"expect", "there", "except", "external", "$elsewhere"}},
		{"// on |\n", nil, []string{"web", "policy"}},
		{"policy a {\n    on web -> api\n    deny(body: \"x|\")\n}\n", nil, []string{"web", "deny"}},
		{"policy |", nil, []string{"policy", "web"}},

		// actions of the program's own, and their declarations
		{ownAction + "policy a {\n    on web -> api\n    |\n}\n", []string{"tidy", "timeout"}, nil},
		{ownAction + "policy a {\n    on web -> api\n    tidy(|)\n}\n", []string{"name", "of", "$elsewhere"}, []string{"web", "tidy"}},
		{ownAction + "policy a {\n    on web -> api\n    tidy(\"x\", of: |)\n}\n", []string{`"request"`, `"response"`}, []string{"web"}},
		{ownAction + "require r {\n    on * -> *\n    has |\n}\n", []string{"tidy", "deny"}, nil},
		{"action broken(x: strin) {\n}\npolicy a {\n    on web -> api\n    |\n}\n", []string{"broken"}, nil},
		{"action tidy(name: string) {\n    |\n}\n", []string{"phase", "envoy", "writes"}, []string{"policy", "web", "timeout"}},
		{"action tidy(name: string) {\n    phase quota\n    on http : either\n    envoy http { \"x\": | }\n}\n", []string{"name", "$elsewhere"}, []string{"web", "timeout", "phase"}},
		{"action tidy(name: string) {\n    phase quota\n    on http : either\n    envoy http { \"x\": {\"y\": [1, |]} }\n}\n", []string{"name"}, []string{"web"}},
		{"action tidy(name: string) {\n    phase quota\n    on http : either\n    envoy http {\n        |\n    }\n}\n", nil, []string{"web", "phase", "name"}},
	} {
		before, after, _ := strings.Cut(c.text, "|")
		if strings.Count(c.text, "|") == 2 { // a protocol list
			i := strings.LastIndex(c.text, "|")
			before, after = c.text[:i], c.text[i+1:]
		}
		e.open("p.adm", before+after)
		var got []string
		answer := e.request("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm")}, "position": place16(before+after, len(before))})
		for _, item := range answer.([]any) {
			got = append(got, item.(map[string]any)["label"].(string))
		}
		for _, w := range c.want {
			if w == "mtls" && !slices.Contains(got, w) {
				continue // of a later library
			}
			if !slices.Contains(got, w) {
				t.Errorf("%q: no %s in %q", c.text, w, got)
			}
		}
		for _, w := range c.not {
			if slices.Contains(got, w) {
				t.Errorf("%q: %s is offered", c.text, w)
			}
		}
	}
	// What is chosen replaces what is typed of it, a dollar in front left alone.
	e.open("p.adm", "policy a {\n    on web -> el\n    when { request.me }\n    ra\n}\n")
	for where, want := range map[string]string{"    ra|": "3:4-3:6 rate_limit", "request.me|": "2:11-2:21 request.method", "-> el|": "1:14-1:16 $elsewhere"} {
		_, label, _ := strings.Cut(want, " ")
		for _, item := range e.at("textDocument/completion", "p.adm", where).([]any) {
			if item := item.(map[string]any); item["label"] == label {
				edit := item["textEdit"].(map[string]any)
				if got := rangeText(edit["range"]) + " " + edit["newText"].(string); got != want {
					t.Errorf("%s: got %s, want %s", where, got, want)
				}
				want = ""
			}
		}
		if want != "" {
			t.Errorf("%s: nothing gives %s", where, want)
		}
	}
	e.end()
}

func TestEditorFormatsAndFixes(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph})
	e.open("p.adm", "// 𝄞\npolicy p {\n    on web  -> api\n    tiemout(1s)\n}\n")
	document := map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm")}, "options": map[string]any{}}
	edits := fmt.Sprint(e.request("textDocument/formatting", document))
	if want := "[map[newText:    on web -> api\n range:map[end:map[character:0 line:3] start:map[character:0 line:2]]]]"; edits != want {
		t.Errorf("got %s\nwant %s", edits, want)
	}
	actions, _ := json.Marshal(e.request("textDocument/codeAction", map[string]any{"textDocument": document["textDocument"], "context": map[string]any{"diagnostics": []any{}},
		"range": map[string]any{"start": map[string]any{"line": 3, "character": 6}, "end": map[string]any{"line": 3, "character": 6}}}))
	want := `[{"edit":{"changes":{"` + e.uri("p.adm") + `":[{"newText":"timeout","range":{"end":{"character":11,"line":3},"start":{"character":4,"line":3}}}]}},"kind":"quickfix","title":"Replace by timeout"}]`
	if string(actions) != want {
		t.Errorf("got  %s\nwant %s", actions, want)
	}
	e.edit("p.adm", "tiemout", "timeout(")
	if got := e.request("textDocument/formatting", document); got != nil {
		t.Errorf("a broken file is formatted: %v", got)
	}
	e.open("p.adm", "policy p {\n    on web -> api\n    timeout(1s)\n}\n")
	if got := e.request("textDocument/formatting", document).([]any); len(got) != 0 {
		t.Errorf("a formatted file is edited: %v", got)
	}
	e.end()
}

// TestEditorProtocol: what is no request in order gets the protocol's answer,
// and the session goes on.
func TestEditorProtocol(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph})
	code := func(m map[string]any) any {
		if m["error"] == nil {
			return nil
		}
		return m["error"].(map[string]any)["code"]
	}
	if got := code(e.call("textDocument/rename", map[string]any{})); got != float64(-32601) {
		t.Errorf("an unknown method gives %v", got)
	}
	if got := code(e.call("textDocument/hover", []int{1})); got != float64(-32602) {
		t.Errorf("parameters of another kind give %v", got)
	}
	e.raw("{no json")
	if got := e.receive(); code(got) != float64(-32700) || got["id"] != nil {
		t.Errorf("what is no JSON gives %v", got)
	}
	e.notify("$/setTrace", map[string]any{"value": "off"})
	e.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": "file:///never/opened", "version": 1}, "contentChanges": []any{}})
	if got := e.request("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": "file:///never/opened"}, "position": map[string]any{"line": 9, "character": 9}}); got != nil {
		t.Errorf("a document that is not open gives %v", got)
	}
	// Places outside the text, and edits that are upside down, do no harm.
	e.open("p.adm", "policy p")
	for _, p := range []map[string]any{{"line": 99, "character": 99}, {"line": 0, "character": 99}, {"line": -1, "character": -1}} {
		e.request("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm")}, "position": p})
		e.request("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm")}, "position": p})
		e.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm"), "version": 2},
			"contentChanges": []any{map[string]any{"range": map[string]any{"start": p, "end": map[string]any{"line": 0, "character": 0}}, "text": "x"}}})
	}
	if got := code(e.call("initialize", map[string]any{})); got != nil {
		t.Errorf("initialize again gives %v", got)
	}
	e.request("shutdown", nil)
	if got := code(e.call("textDocument/hover", map[string]any{})); got != float64(-32600) {
		t.Errorf("a request after shutdown gives %v", got)
	}
	e.notify("exit", nil)
	if status := <-e.status; status != 0 {
		t.Errorf("status %d", status)
	}
	for name, input := range map[string]string{
		"exit without shutdown": "Content-Length: 33\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}",
		"the end":               "",
		"no length":             "X: 1\r\n\r\n{}",
		"half a message":        "Content-Length: 9\r\n\r\n{}",
		"too long":              "Content-Length: 99999999999\r\n\r\n{}",
	} {
		var out, errs bytes.Buffer
		if status := run(context.Background(), []string{"lsp"}, streams{strings.NewReader(input), &out, &errs}); status != exitUsage {
			t.Errorf("%s: status %d, %s", name, status, errs.String())
		}
	}
	var out, errs bytes.Buffer
	early := `{"jsonrpc":"2.0","id":"a","method":"textDocument/hover"}`
	run(context.Background(), []string{"lsp"}, streams{strings.NewReader(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(early), early)), &out, &errs})
	if !strings.Contains(out.String(), `"id":"a","error":{"code":-32002`) {
		t.Errorf("a request before initialize gives %s", out.String())
	}
}

// TestEditorAnywhere asks at the end of every beginning of a file, and in the
// rest of it, as somebody does who types it. receive fails the test when the
// server reports a mistake of its own.
func TestEditorAnywhere(t *testing.T) {
	e := newEditor(t, map[string]string{"graph.yaml": pairGraph})
	text, err := os.ReadFile("../../lang/syntax/testdata/tour.adm")
	if err != nil {
		t.Fatal(err)
	}
	whole := tour + string(text)
	for cut := 0; cut < len(whole); cut += 7 {
		for _, part := range []string{whole[:cut], whole[cut:]} {
			e.open("p.adm", part)
			for _, method := range []string{"completion", "hover", "definition", "formatting"} {
				for _, at := range []int{0, len(part) / 2, len(part)} {
					e.request("textDocument/"+method, map[string]any{"textDocument": map[string]any{"uri": e.uri("p.adm")}, "position": place16(part, at)})
				}
			}
			e.pending = nil
		}
	}
	e.end()
}
