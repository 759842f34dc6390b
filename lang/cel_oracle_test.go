package lang

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// celSource puts an expression into a file as a `when` would stand in it.
func celSource(text string) syntax.CEL {
	const before = "policy p {\n    when {"
	src := diag.NewSource("p.adm", []byte(before+text+"}\n}\n"))
	return syntax.CEL{Base: syntax.Base{At: src.Span(len(before), len(before)+len(text))}, Text: text}
}

// compiled compiles what has to compile.
func compiled(t *testing.T, text string, plane graph.Plane) *condition {
	t.Helper()
	bag := &diag.Bag{}
	c := compileCondition(celSource(text), plane, bag)
	if c == nil {
		var b strings.Builder
		diag.WriteText(&b, bag.All())
		t.Fatalf("%s\n%s", text, b.String())
	}
	return c
}

// A call is one request or connection, with everything a condition can see.
type call struct {
	method, path, host  string
	headers             map[string]string
	claims              map[string]any
	source, destination netip.AddrPort
	mtls                bool
	sni                 string
	at                  time.Time
}

func (c call) String() string { return c.method + " " + c.host + c.path }

// asProxy is the call in Envoy's attributes.
func (c call) asProxy() map[string]any {
	urlPath, query, _ := strings.Cut(c.path, "?")
	headers := maps.Clone(c.headers)
	if headers == nil {
		headers = map[string]string{}
	}
	peer := func(a netip.AddrPort) map[string]any {
		return map[string]any{"address": a.String(), "port": int64(a.Port())}
	}
	request := map[string]any{
		"path": c.path, "url_path": urlPath, "query": query, "host": c.host, "method": c.method,
		"headers": headers, "time": c.at,
	}
	if c.path == "" {
		delete(request, "path")
	}
	metadata := map[string]any{}
	if c.claims != nil {
		metadata[ir.JWTMetadata] = map[string]any{ir.JWTPayload: c.claims}
	}
	return map[string]any{
		"request": request,
		"source":  peer(c.source), "destination": peer(c.destination),
		"connection": map[string]any{"mtls": c.mtls, "requested_server_name": c.sni},
		"metadata":   map[string]any{"filter_metadata": metadata},
	}
}

// asWritten is the call in the language's attributes, with what the graph says.
func (c call) asWritten(from, to graph.Node) map[string]any {
	out := map[string]any{}
	for root, fields := range c.asProxy() {
		if root != "metadata" {
			for field, v := range fields.(map[string]any) {
				out[root+"."+field] = v
			}
		}
	}
	out["request.path"] = c.path
	out["request.headers"] = absentIsEmpty(c.headers)
	out["request.id"] = c.headers["x-request-id"]
	claims := map[string]string{}
	for k, v := range c.claims {
		claims[k], _ = v.(string)
	}
	out["jwt.claims"] = absentIsEmpty(claims)
	if parts := strings.SplitN(out["request.url_path"].(string), "/", 3); len(parts) == 3 {
		out["grpc.service"] = parts[1]
	} else {
		out["grpc.service"] = ""
	}
	path := out["request.url_path"].(string)
	out["grpc.method"] = path[strings.LastIndexByte(path, '/')+1:]
	for root, n := range map[string]graph.Node{"source": from, "destination": to} {
		labels := map[string]string{}
		if s, ok := n.(*graph.Service); ok {
			labels = s.Labels
		}
		out[root+".service"] = serviceName(nil, n).str
		out[root+".namespace"] = namespace(nil, n).str
		out[root+".labels"] = absentIsEmpty(labels)
	}
	return out
}

// emptyMap is a map in which an absent key reads as "", and is absent. A key in
// another case is the same one where there is none as written: a header's.
type emptyMap struct{ traits.Mapper }

func absentIsEmpty(m map[string]string) ref.Val {
	return emptyMap{types.NewStringStringMap(types.DefaultTypeAdapter, m)}
}

func (m emptyMap) Find(key ref.Val) (ref.Val, bool) {
	for _, k := range []ref.Val{key, lowerCase(key)} {
		if v, ok := m.Mapper.Find(k); ok {
			return v, true
		}
	}
	return types.String(""), true
}

func (m emptyMap) Contains(key ref.Val) ref.Val {
	return types.Bool(m.Mapper.Contains(key) == types.True || m.Mapper.Contains(lowerCase(key)) == types.True)
}

func lowerCase(key ref.Val) ref.Val { return types.String(strings.ToLower(string(key.(types.String)))) }

func (m emptyMap) Get(key ref.Val) ref.Val {
	v, _ := m.Find(key)
	return v
}

// asEnvoyWould evaluates what is sent to the proxy: by cel-go, unchecked.
func asEnvoyWould(t *testing.T, e *exprpb.Expr, c call) bool {
	t.Helper()
	env, err := cel.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	p, err := env.Program(cel.ParsedExprToAst(&exprpb.ParsedExpr{Expr: e, SourceInfo: &exprpb.SourceInfo{}}))
	if err != nil {
		t.Fatal(err)
	}
	return evaluated(t, p, c.asProxy())
}

// asWritten evaluates the text of a condition by its documented meaning.
func asWritten(t *testing.T, text string, plane graph.Plane, c call, from, to graph.Node) bool {
	t.Helper()
	env := checkerEnv(plane, nil)
	a, issues := env.Compile(text)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", text, issues.Err())
	}
	p, err := env.Program(a)
	if err != nil {
		t.Fatal(err)
	}
	return evaluated(t, p, c.asWritten(from, to))
}

func evaluated(t *testing.T, p cel.Program, vars map[string]any) bool {
	t.Helper()
	v, _, err := p.Eval(vars)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := v.Value().(bool)
	if !ok {
		t.Fatalf("%v is no bool", v)
	}
	return b
}
