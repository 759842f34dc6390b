package lang

import (
	"testing"

	"github.com/google/cel-go/cel"

	"admc.dev/admc/graph"
)

// BenchmarkCELAloneEverywhere is what cel-go takes for the conditions of
// BenchmarkCheckEverywhere and nothing else: each is compiled once and evaluated
// once for each call that its policy touches, in an environment of the two maps
// that they read. There are no obligations, no sides and no residuals in it.
func BenchmarkCELAloneEverywhere(b *testing.B) {
	g, _ := wide(b, 5000, 0)
	env, err := cel.NewEnv(
		cel.Variable("request.headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("source.labels", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		b.Fatal(err)
	}
	evaluations := 0
	for b.Loop() {
		evaluations = 0
		for i := range everywhere {
			ast, issues := env.Compile(everywhereCondition(i))
			if issues.Err() != nil {
				b.Fatal(issues.Err())
			}
			program, err := env.Program(ast)
			if err != nil {
				b.Fatal(err)
			}
			read := map[string]any{"request.headers": map[string]string{"x-a": "1"}}
			for _, call := range g.Calls {
				read["source.labels"] = call.From.(*graph.Service).Labels
				if _, _, err := program.Eval(read); err != nil {
					b.Fatal(err)
				}
				evaluations++
			}
		}
	}
	b.ReportMetric(float64(evaluations), "evaluations")
}
