package lang

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// operandsOf are texts of each type of CEL, some that are known when a condition
// is compiled and some that are not.
func operandsOf(t *cel.Type) []string {
	switch t.Kind() {
	case cel.StringKind:
		return []string{`"a"`, `"2026-01-01T00:00:00Z"`, `request.method`, `request.headers["x-a"]`}
	case cel.IntKind:
		return []string{"1", "source.port"}
	case cel.BoolKind:
		return []string{"true", "connection.mtls"}
	case cel.TimestampKind:
		return []string{"request.time", `timestamp("2026-01-01T00:00:00Z")`}
	case cel.MapKind:
		return []string{"request.headers", "jwt.claims", "source.labels"}
	case cel.ListKind:
		return []string{`["a", "b"]`, `[1, 2]`, `[true]`}
	case cel.TypeParamKind, cel.DynKind:
		return []string{`"a"`, "1", "true", "request.method", "source.port", "connection.mtls", "request.time"}
	case cel.DoubleKind:
		return []string{"1.5"}
	case cel.UintKind:
		return []string{"1u"}
	case cel.BytesKind:
		return []string{`b"a"`}
	case cel.DurationKind:
		return []string{`duration("1s")`, `(request.time - timestamp("2026-01-01T00:00:00Z"))`}
	}
	return nil
}

// application writes a function's use on operands as CEL would have it.
func application(fn string, o *decls.OverloadDecl, args []string) string {
	switch sign, infix := signs[fn]; {
	case infix && len(args) == 2:
		return fmt.Sprintf("(%s %s %s)", args[0], sign, args[1])
	case infix:
		return sign + "(" + args[0] + ")"
	case fn == string(opIn):
		return fmt.Sprintf("(%s in %s)", args[0], args[1])
	case fn == string(opCond):
		return fmt.Sprintf("(%s ? %s : %s)", args[0], args[1], args[2])
	case fn == "_[_]":
		return fmt.Sprintf("%s[%s]", args[0], args[1])
	case o.IsMemberFunction():
		return fmt.Sprintf("%s.%s(%s)", args[0], fn, strings.Join(args[1:], ", "))
	}
	return fmt.Sprintf("%s(%s)", fn, strings.Join(args, ", "))
}

// TestOperatorsAreAllThereAre tries every function that CEL's checker knows on
// operands of every type that it takes: what is accepted is what Operators lists,
// which the tests on real proxies go by.
func TestOperatorsAreAllThereAre(t *testing.T) {
	accepts := map[string]bool{string(opHas): compiles(`has(request.headers.a)`)}
	tried := 0
	for fn, f := range checkerEnv(graph.HTTP, nil).Functions() {
		for _, o := range f.OverloadDecls() {
			lists := [][]string{nil}
			for _, argument := range o.ArgTypes() {
				var longer [][]string
				for _, l := range lists {
					for _, text := range operandsOf(argument) {
						longer = append(longer, append(slices.Clone(l), text))
					}
				}
				lists = longer
			}
			for _, args := range lists {
				e := application(fn, o, args)
				for _, whole := range []string{e, e + ` == "a"`, e + " == 1", e + " == request.time", e + ` == duration("1s")`, e + ` == 1.5`} {
					tried++
					accepts[fn] = accepts[fn] || compiles(whole)
				}
			}
		}
	}
	var got []string
	for fn, yes := range accepts {
		if yes {
			got = append(got, fn)
		}
	}
	slices.Sort(got)
	if want := Operators(); !slices.Equal(got, want) {
		t.Errorf("of %d expressions the checker accepts\n%q, listed are\n%q", tried, got, want)
	}
}

func compiles(text string) bool {
	bag := &diag.Bag{}
	return compileCondition(celSource(text), graph.HTTP, bag) != nil && !bag.HasErrors()
}
