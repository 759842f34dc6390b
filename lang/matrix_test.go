package lang

import (
	"strings"
	"testing"

	"admc.dev/admc/lang/ir"
)

// TestMatrixAgreesWithTheRows: what the matrix says of two actions is what the
// join does with them on one call.
func TestMatrixAgreesWithTheRows(t *testing.T) {
	marks := map[string]string{}
	all := samples(prelude())
	for _, a := range all {
		for _, b := range all {
			marks[a.name+"|"+b.name] = meet(a, b).mark
		}
	}
	for _, c := range []struct{ first, second, pair, want string }{
		{`deny()`, `rate_limit(5/s)`, "deny|rate_limit", "q"},
		{`deny()`, `access_log()`, "deny|access_log", "r"},
		{`deny()`, `set_header("x", "1")`, "deny|set_header", "·"},
		{`deny(code: "ABORTED")`, `deny()`, "deny|deny", "q"},
		{`set_header("x", "1")`, `append_header("x", "2")`, "set_header|append_header", "!"},
		{`set_header("x", "1", of: response)`, `access_log()`, "set_header (response)|access_log", "r"},
		{`timeout(1s)`, `deny()`, "timeout|deny", "w"},
		{`timeout(1s)`, `timeout(2s)`, "timeout|timeout", "!"},
		{`mtls()`, `deny()`, "mtls|deny", "="},
		{`trace("otel:4317")`, `metric("n")`, "trace|metric", "·"},
		{`tag("a", "1")  trace("otel:4317")`, `tag("a", "2")`, "tag|tag", "!"},
	} {
		if got := marks[c.pair]; got != c.want {
			t.Errorf("%s is marked %s, want %s", c.pair, got, c.want)
		}
		p, bag := checkText(shop(t), "policy a { on search -> geo "+c.first+" }\npolicy b { on search -> geo "+c.second+" }\n")
		rows := 0
		for _, r := range p.Rows {
			if r.Kind == ir.Forbid {
				rows++
			}
		}
		conflict := bag.HasErrors() && strings.Contains(textOf(bag.All()), "[conflict]")
		if (c.want == "!") != conflict || !conflict && (rows > 0) != (c.want == "q" || c.want == "r" || c.want == "b") {
			t.Errorf("%s is marked %s, and makes %d rows, conflict %v:\n%s", c.pair, c.want, rows, conflict, textOf(bag.All()))
		}
	}
}
