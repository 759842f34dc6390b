package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/reflect/protoreflect"
	"sigs.k8s.io/yaml"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

const payloadGraph = `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: shop, namespace: shop}
services:
  web: {ports: [{port: 8080, protocol: http}]}
  api: {ports: [{port: 8080, protocol: http}]}
  cache: {ports: [{port: 6379, protocol: redis}]}
calls:
  - {from: web, to: [api, cache]}
`

// An expectation stands on the line of the mistake, with the text that the
// diagnostic covers: // ERROR "message" ^"text"
var payloadError = regexp.MustCompile(`// ERROR "((?:[^"\\]|\\.)*)" \^"((?:[^"\\]|\\.)*)"`)

// TestPayloadErrors holds the diagnostics about payloads to the expectations in
// testdata/payload: all of them, at their fields or at the arguments.
func TestPayloadErrors(t *testing.T) {
	files, _ := filepath.Glob("testdata/payload/*.adm")
	if len(files) < 3 {
		t.Fatalf("only %v", files)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bag := &diag.Bag{}
			g := graph.Load(diag.NewSource("graph.yaml", []byte(payloadGraph)), bag)
			f := syntax.Parse(diag.NewSource(filepath.Base(path), text), bag)
			p := lang.Check([]*syntax.File{f}, g, bag)
			found := slices.DeleteFunc(bag.All(), func(d *diag.Diagnostic) bool { return d.Severity == diag.Warning || d.Code == lang.Conflict })
			if len(found) > 0 {
				t.Fatal(messages(found))
			}
			bag = &diag.Bag{}
			CheckPayloads(p, bag)
			found = bag.All()
			plain := func(s string) string { return strings.NewReplacer(`\"`, `"`).Replace(s) }
			for i, line := range strings.Split(string(text), "\n") {
				for _, m := range payloadError.FindAllStringSubmatch(line, -1) {
					n := slices.IndexFunc(found, func(d *diag.Diagnostic) bool {
						at, _ := d.At.Src.Position(d.At.Start)
						return at == i+1 && d.Code == CodePayload && strings.Contains(d.Message, plain(m[1])) && strings.TrimSpace(d.At.Text()) == plain(m[2])
					})
					if n < 0 {
						t.Errorf("line %d: missing %s at %s", i+1, m[1], m[2])
						continue
					}
					found = slices.Delete(found, n, n+1)
				}
			}
			if len(found) > 0 {
				var b strings.Builder
				diag.WriteText(&b, found)
				t.Errorf("not expected:\n%s", b.String())
			}
		})
	}
}

// TestPayloadValues: every type of the language in a field that takes it, and
// what Envoy gets.
func TestPayloadValues(t *testing.T) {
	const program = `
let codes = ["cancelled"]
action everything(n: int, f: float, yes: bool, part: percent, wait: duration, each: rate, big: size, names: list<string>,
    tags: map<string>, word: enum("GET", "POST"), pattern: regex, text: string) {
    phase transform
    on http : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": "-- ${n} ${f} ${yes} ${wait} ${big} ${word} ${pattern} ${text} $${n}"},
        "clear_route_cache": yes,
        "filter_context": {"n": n, "wait": wait, "list": names, "map": tags, "part": part, "deep": {"nested": [1.5, true, "x"]}},
    }
}
action bucket(each: rate, part: percent, names: list<string>, nodes: list<string>, status: int) {
    phase quota
    on http : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "x",
        "token_bucket": {"max_tokens": each.events, "tokens_per_fill": each.events, "fill_interval": each.period},
        "filter_enabled": part,
        "filter_enforced": {"default_value": part, "runtime_key": "x"},
        "status": {"code": "ServiceUnavailable"},
    }
}
action upstream(names: list<string>) {
    phase transform
    on http : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
        "response_direction_config": {"common_config": {"content_type": names, "min_content_length": 100, "enabled": {"default_value": true, "runtime_key": "x"}}},
        "compressor_library": {
            "name": "gzip",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip", "memory_level": 3, "compression_level": "BEST_SPEED"},
        },
    }
}
action stream(each: rate) {
    phase quota
    on tcp : either
    envoy tcp {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "y",
        "token_bucket": each,
    }
}
policy a {
    on web -> api
    everything(3, 0.5, true, part: 12.5%, wait: 1500ms, each: 5/s, big: 2KiB, names: ["a", "b"], tags: {"k": "v"}, word: "GET", pattern: "a+", text: "say \"hi\"")
    bucket(7/m, 0.5%, [], [], 1)
    upstream(["text/html"])
}
policy b { on web -> cache  stream(9/h) }
`
	files := compileArchive(t, &txtar.Archive{Files: []txtar.File{{Name: "graph.yaml", Data: []byte(payloadGraph)}, {Name: "x.adm", Data: []byte(program)}}})
	c := configurationOf(files, "adm/web")
	validate(t, c)
	data := c.policies
	js, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"inline_string":"-- 3 0.5 true 1.5s 2048 GET a+ say \"hi\" ${n}"`,
		`"filter_context":{"deep":{"nested":[1.5,true,"x"]},"list":["a","b"],"map":{"k":"v"},"n":3,"part":0.125,"wait":"1.5s"}`,
		`"token_bucket":{"fill_interval":"60s","max_tokens":7,"tokens_per_fill":7}`, `{"denominator":"TEN_THOUSAND","numerator":50}`,
		`"compression_level":"BEST_SPEED"`, `"content_type":["text/html"]`,
		`"token_bucket":{"fill_interval":"3600s","max_tokens":9,"tokens_per_fill":9}`, `"code":"ServiceUnavailable"`,
	} {
		if !strings.Contains(string(js), want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", data)
	}
}

// TestFilterTables holds the tables of filters to what the real Envoy says it
// has.
func TestFilterTables(t *testing.T) {
	have := envoyFilters(t)
	for _, x := range []struct {
		category, pkg string
		table         map[protoreflect.FullName]string
	}{
		{"envoy.filters.http", httpFilterPackage, httpFilters},
		{"envoy.filters.network", networkFilterPackage, networkFilters},
	} {
		var known []string
		for _, url := range have[x.category] {
			short, ours := strings.CutPrefix(url, x.pkg)
			if ours && !routePart.MatchString(url) {
				known = append(known, short)
			}
		}
		slices.Sort(known)
		var listed []string
		for name := range x.table {
			listed = append(listed, string(name))
		}
		slices.Sort(listed)
		if !slices.Equal(known, listed) {
			t.Errorf("%s: Envoy has %v\nthe table has %v", x.category, known, listed)
		}
		for name, why := range x.table {
			b := &builder{bag: &diag.Bag{}}
			url := "type.googleapis.com/" + x.pkg + string(name)
			if typ, _ := b.typeOf(typeNode(url), diag.Span{}); typ == nil && why == "" {
				t.Errorf("no message %s is built in", url)
			}
		}
	}
}

func typeNode(url string) *node {
	n := &node{kind: mapNode}
	in := &node{typ: "string"}
	in.value.Str = url
	n.named = []namedNode{{key: "@type", node: in}}
	return n
}

// routePart is what a route holds for a filter, by Envoy's way of naming.
var routePart = regexp.MustCompile(`PerRoute$|PerRouteConfig$|Override$|\.CorsPolicy$`)

// envoyFilters gives the configurations of each category of extensions that the
// real Envoy lists.
func envoyFilters(t *testing.T) map[string][]string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	dir := t.TempDir()
	at := filepath.Join(dir, "address")
	conf := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(conf, []byte("admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, envoyBinary(t), "-c", conf, "--admin-address-path", at, "--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); cmd.Wait() }()
	var dump struct {
		Configs []struct {
			Bootstrap struct {
				Node struct {
					Extensions []struct {
						Category string
						TypeURLs []string `json:"type_urls"`
					}
				}
			}
		}
	}
	for {
		if address, err := os.ReadFile(at); err == nil && len(address) > 0 {
			if resp, err := http.Get(fmt.Sprintf("http://%s/config_dump", address)); err == nil {
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil && json.Unmarshal(text, &dump) == nil {
					break
				}
			}
		}
		select {
		case <-ctx.Done():
			t.Fatal("Envoy does not answer")
		case <-time.After(50 * time.Millisecond):
		}
	}
	out := map[string]map[string]bool{}
	for _, e := range dump.Configs[0].Bootstrap.Node.Extensions {
		if out[e.Category] == nil {
			out[e.Category] = map[string]bool{}
		}
		for _, url := range e.TypeURLs {
			out[e.Category][url] = true
		}
	}
	lists := map[string][]string{}
	for category, urls := range out {
		lists[category] = slices.Sorted(maps.Keys(urls))
	}
	return lists
}

// TestCounterBesideConditions: connections go by one filter chain for each
// outcome of the conditions, and a filter of a declared action can't count for
// all of them.
func TestCounterBesideConditions(t *testing.T) {
	const program = `
action few(each: rate, scope: enum("caller") = "caller") {
    phase quota
    ends request
    state counter(scope)
    on tcp : either
    envoy tcp { "@type": "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "few", "token_bucket": each }
}
policy a { on web -> cache  few(9/h) }
`
	archive := func(more string) *txtar.Archive {
		return &txtar.Archive{Files: []txtar.File{{Name: "graph.yaml", Data: []byte(payloadGraph)}, {Name: "x.adm", Data: []byte(program + more)}}}
	}
	if _, found := compile(t, archive("")); len(found) > 0 {
		t.Errorf("alone: %v", messages(found))
	}
	_, found := compile(t, archive("@ingress policy b { on web -> cache  when { connection.mtls }  deny() }\n"))
	if len(found) == 0 || found[0].Code != CodeUnsupported || !strings.Contains(found[0].Message, "few beside conditions on connections") || found[0].At.Text() != "few" {
		t.Errorf("beside a condition: %v", messages(found))
	}
}

// TestOwnActionsDecideInOrder: what a declared action writes, the conditions of
// policies behind it read as it wrote it; those before it were decided before.
func TestOwnActionsDecideInOrder(t *testing.T) {
	const program = `
action move(to: string) {
    phase transform
    writes request.path, request.headers["x-to"]
    on http : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": "function envoy_on_request(h) h:headers():replace(\":path\", \"${to}\") end"},
    }
}
policy a_move { on web -> api  when { request.url_path == "/a" }  move("/b") }
policy b_path { on web -> api  when { request.url_path == "/b" }  set_header("x-b", "1") }
policy c_other { on web -> api  when { request.method == "GET" }  set_header("x-c", "1") }
policy d_authz { on web -> api  when { request.url_path == "/b" }  deny() }
`
	files := compileArchive(t, &txtar.Archive{Files: []txtar.File{{Name: "graph.yaml", Data: []byte(payloadGraph)}, {Name: "x.adm", Data: []byte(program)}}})
	c := configurationOf(files, "adm/web")
	validate(t, c)
	data := c.policies
	last := -1
	for _, name := range []string{"d_authz/when", "a_move/when", "c_other/when", "d_authz/deny", "a_move/move", "b_path/when", "b_path/set_header", "c_other/set_header"} {
		at := filterAt(data, name)
		if at < 0 {
			t.Fatalf("no filter %s in\n%s", name, data)
		}
		if name == "c_other/when" || name == "a_move/when" || name == "d_authz/when" {
			if move := filterAt(data, "a_move/move"); at > move {
				t.Errorf("%s stands behind a_move/move", name)
			}
			continue
		}
		if at < last {
			t.Errorf("%s stands too early", name)
		}
		last = at
	}
}

// filterAt is where a filter begins in a file, on lines of its own or on one; -1: it
// isn't there.
func filterAt(file []byte, name string) int {
	at := regexp.MustCompile(`- \{?name: ` + regexp.QuoteMeta(name) + `[,\n]`).FindIndex(file)
	if at == nil {
		return -1
	}
	return at[0]
}
