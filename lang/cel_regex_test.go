package lang

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// TestProgramSizeIsABound: what programSize lets through loads in the proxy.
func TestProgramSizeIsABound(t *testing.T) {
	patterns := []string{
		strings.Repeat("a", 96), "^" + strings.Repeat("a", 94) + "$", "a{96}", "(?i)" + strings.Repeat("k", 24),
		strings.Repeat("[a-z]", 96), strings.Repeat(".", 12), strings.Repeat("é", 48), strings.Repeat(`\w`, 24),
		"[à-ÿ]{8}", "[^/]*/[^/]*/[^/]*$", "[\u0100-\U0001f600]", "(?s).*(?:a|b)+?c{2,5}", `\bfoo\b|^bar$|baz\z`,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for len(patterns) < 400 {
		p := randomPattern(random, 4)
		if n, err := programSize(p); err == nil && n > 80 && n <= maxProgramSize {
			patterns = append(patterns, p)
		}
	}
	for _, p := range refusedPatterns(t, patterns) {
		n, err := programSize(p)
		t.Errorf("%q: taken for %d steps (%v), and the proxy refuses it", p, n, err)
	}
}

// TestProgramSizeIsNear: the bound does not refuse what people write.
func TestProgramSizeIsNear(t *testing.T) {
	for _, p := range []string{
		`^/api/v[0-9]+/users/[^/]+/orders/[0-9]+$`, `^/(admin|internal|debug)(/.*)?$`, `(?i)^(.*\.)?shop\.example(:[0-9]+)?$`,
		`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, `\.(php|asp|cgi|jsp)$`, `^Bearer [A-Za-z0-9._-]+$`,
	} {
		if n, err := programSize(p); err != nil || n > maxProgramSize {
			t.Errorf("%q: %d steps (%v)", p, n, err)
		}
	}
	for _, p := range []string{strings.Repeat("a", 97), "a{97}", strings.Repeat(".", 13), `\pL`, "a{0,60}", "(?i)" + strings.Repeat("a", 97)} {
		if n, err := programSize(p); err != nil || n <= maxProgramSize {
			t.Errorf("%q: %d steps (%v), and the proxy refuses it", p, n, err)
		}
		if refused := refusedPatterns(t, []string{p}); len(refused) == 0 {
			t.Errorf("%q: the proxy takes it", p)
		}
	}
}

// refusedPatterns gives those that the proxy does not load in a matches.
func refusedPatterns(t *testing.T, patterns []string) []string {
	var exprs []*exprpb.Expr
	for _, p := range patterns {
		var l lowering
		exprs = append(exprs, l.ofPath(opMatches, p))
	}
	problem := validates(t, bootstrap(t, httpListener(t, "plain", nil, exprs)))
	switch {
	case problem == "":
		return nil
	case !strings.Contains(problem, "regular expression"):
		t.Fatal(problem)
	case len(patterns) == 1:
		return patterns
	}
	half := len(patterns) / 2
	return append(refusedPatterns(t, patterns[:half]), refusedPatterns(t, patterns[half:])...)
}

func randomPattern(r *rand.Rand, depth int) string {
	leaves := []string{
		"a", "b", "é", "日", "foo", "/", ".", "[a-z]", "[^/]", `\w`, `\W`, `\d`, `\S`, "[a-cx-z0-9]", "[à-ü]", "[α-ωa]",
		"(?i:k)", "(?i:straße)", "(?i:[k-s])", "^", "$", `\b`, "(?s:.)", "[^a-zé]", "[\u0800-\uffff]", "(?i:σ)", `\x{10400}`, "(?i:[а-я])",
	}
	if depth == 0 || r.IntN(5) == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	sub := func() string { return randomPattern(r, depth-1) }
	switch r.IntN(8) {
	case 0:
		return "(" + sub() + "|" + sub() + "|" + sub() + ")"
	case 1:
		return "(?:" + sub() + ")" + []string{"*", "+", "?", "*?", "+?", "??"}[r.IntN(6)]
	case 2:
		n := r.IntN(3)
		return fmt.Sprintf("(?:%s){%d,%d}", sub(), n, n+r.IntN(4))
	case 3:
		return "(?:" + sub() + "){" + strconv.Itoa(1+r.IntN(4)) + ",}"
	case 4:
		return "(" + sub() + ")"
	}
	return sub() + sub() + sub()
}
