package lang

import (
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

const benchText = `request.headers["x-a"] == "1" && source.service != "s1" || request.url_path.startsWith("/a")`

func BenchmarkCompileCondition(b *testing.B) {
	src := celSource(benchText)
	for b.Loop() {
		compileCondition(src, graph.HTTP, &diag.Bag{})
	}
}

// BenchmarkCELAlone is the share of cel-go in BenchmarkCompileCondition.
func BenchmarkCELAlone(b *testing.B) {
	for b.Loop() {
		parsed, _ := parserEnv().Parse(benchText)
		checkerEnv(graph.HTTP, nil).Check(parsed)
	}
}

func BenchmarkFold(b *testing.B) {
	c := compileCondition(celSource(benchText), graph.HTTP, &diag.Bag{})
	for b.Loop() {
		c.fold(web, cart)
	}
}
