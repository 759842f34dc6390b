package lang

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// An exprWriter writes random conditions of the accepted subset.
type exprWriter struct {
	*rand.Rand
	plane graph.Plane
}

func (w exprWriter) one(of ...string) string { return of[w.IntN(len(of))] }

func (w exprWriter) bool(depth int) string {
	if depth == 0 {
		return w.one("true", "false", "connection.mtls", `("x-a" in request.headers)`, `("pci" in destination.labels)`, `("sub" in jwt.claims)`)
	}
	sub := func() string { return w.bool(depth - 1) }
	switch w.IntN(12) {
	case 0, 1:
		return fmt.Sprintf("(%s && %s)", sub(), sub())
	case 2, 3:
		return fmt.Sprintf("(%s || %s)", sub(), sub())
	case 4:
		return "!(" + sub() + ")"
	case 5:
		return fmt.Sprintf("(%s ? %s : %s)", sub(), sub(), sub())
	case 6:
		return fmt.Sprintf("(%s %s %s)", sub(), w.one("==", "!="), sub())
	case 7:
		return fmt.Sprintf("(%s %s %s)", w.int(depth-1), w.one("==", "!=", "<", "<=", ">", ">="), w.int(depth-1))
	case 8:
		return fmt.Sprintf(`(%s in ["a", %q, "web"])`, w.string(depth-1), w.word())
	case 9:
		return fmt.Sprintf("%s.%s(%s)", w.string(depth-1), w.one("startsWith", "endsWith", "contains"), w.string(depth-1))
	case 10:
		if w.plane == graph.GRPC {
			return "(" + w.one(`grpc.service == "a"`, `grpc.method != "b"`, `grpc.service.startsWith("w")`, `grpc.method in ["a", "b"]`, `grpc.method.contains("b")`) + ")"
		}
		return fmt.Sprintf("%s.matches(%q)", w.string(depth-1), w.one("^/[ab]", "b$", "^$", "[^a]+"))
	}
	return fmt.Sprintf("(%s %s %s)", w.string(depth-1), w.one("==", "!=", "<", "<=", ">", ">="), w.string(depth-1))
}

func (w exprWriter) string(depth int) string {
	switch n := w.IntN(10); {
	case n < 4:
		return fmt.Sprintf("%q", w.word())
	case n == 4 && depth > 0:
		return fmt.Sprintf("(%s ? %s : %s)", w.bool(depth-1), w.string(depth-1), w.string(depth-1))
	}
	return w.one("request.url_path", "request.path", "request.method", "request.host", `request.headers["x-a"]`, "request.headers.b",
		"source.service", "destination.service", "source.namespace", "source.labels.tier", `destination.labels["pci"]`, "jwt.claims.sub")
}

func (w exprWriter) int(depth int) string {
	if w.IntN(2) == 0 {
		return w.one("0", "1", "3", "-1", "8080")
	}
	if w.IntN(2) == 0 {
		return w.one("source.port", "destination.port")
	}
	return "size(" + w.string(depth) + ")"
}

func (w exprWriter) word() string {
	return w.one("", "a", "b", "web", "cart", "/a", "/a/b", "GET", "é")
}

func (w exprWriter) call() call {
	c := call{
		method: w.one("GET", "a"), path: w.one("/", "/a", "/a/b", "/web/a?b", "/a/b/a"), host: w.one("a", "web"),
		headers: map[string]string{}, mtls: w.IntN(2) == 0, at: time.Unix(1700000000, 0),
		source: netip.MustParseAddrPort("10.0.0.1:3"), destination: netip.MustParseAddrPort("10.0.0.2:8080"),
	}
	for _, h := range []string{"x-a", "b"} {
		if w.IntN(2) == 0 {
			c.headers[h] = w.word()
		}
	}
	if w.IntN(2) == 0 {
		c.claims = map[string]any{"sub": w.word()}
	}
	return c
}

// TestFoldingKeepsTheMeaning: for every edge and call, what folding says is what
// the condition means as it is written.
func TestFoldingKeepsTheMeaning(t *testing.T) {
	edges := [][2]graph.Node{{web, cart}, {cart, web}, {internet, cart}, {web, web}}
	seen := map[verdict]int{}
	for seed := range uint64(2500) {
		w := exprWriter{rand.New(rand.NewPCG(seed, 3)), []graph.Plane{graph.HTTP, graph.GRPC}[seed%2]}
		text := w.bool(3)
		c := compiled(t, text, w.plane)
		for _, e := range edges {
			v, r := c.fold(e[0], e[1])
			seen[v]++
			request := w.call()
			want := asWritten(t, text, w.plane, request, e[0], e[1])
			got := v == always
			if v == depends {
				got = asEnvoyWould(t, r.Expr, request)
			}
			if got != want {
				t.Fatalf("%s\non %s -> %s for %s %v %v\nfolds to %v %v: %v, means %v", text, e[0].NodeName(), e[1].NodeName(), request, request.headers, request.claims, v, r, got, want)
			}
			if v == depends {
				again, _ := compiled(t, r.Text, w.plane).fold(e[0], e[1])
				if again != depends {
					t.Fatalf("%s\nprinted as %s, which folds to %v", text, r.Text, again)
				}
			}
		}
	}
	for _, v := range []verdict{depends, always, never} {
		if seen[v] < 100 {
			t.Errorf("verdict %v came out %d times only", v, seen[v])
		}
	}
}

// TestExclusionIsNeverWrong: no call satisfies both of two conditions that are
// said to exclude each other.
func TestExclusionIsNeverWrong(t *testing.T) {
	found := 0
	for seed := range uint64(4000) {
		w := exprWriter{rand.New(rand.NewPCG(seed, 4)), graph.HTTP}
		a, b := w.bool(2), w.bool(2)
		if !excludes(compiled(t, a, graph.HTTP).root, compiled(t, b, graph.HTTP).root) {
			continue
		}
		found++
		for range 20 {
			request := w.call()
			if asWritten(t, a, graph.HTTP, request, web, cart) && asWritten(t, b, graph.HTTP, request, web, cart) {
				t.Fatalf("%s\n%s\nboth hold for %s %v", a, b, request, request.headers)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d pairs exclude each other", found)
	}
}

// FuzzCompileCondition: a condition or an error, and nothing else.
func FuzzCompileCondition(f *testing.F) {
	for _, c := range onRequests {
		f.Add(c.text)
	}
	for _, c := range notRun {
		f.Add(c.text)
	}
	for _, m := range mistakes {
		f.Add(strings.NewReplacer("«", "", "»", "").Replace(m.text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, plane := range []graph.Plane{graph.HTTP, graph.GRPC, graph.TCP} {
			bag := &diag.Bag{}
			c := compileCondition(celSource(text), plane, bag)
			if (c == nil) != bag.HasErrors() {
				t.Fatalf("%q on %s: compiled is %v, errors are %v", text, plane, c != nil, bag.HasErrors())
			}
			if c != nil {
				c.fold(web, cart)
			}
		}
	})
}
