package graph

import (
	"fmt"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// large writes a graph of n services that make three calls each.
func large(n int) []byte {
	var b strings.Builder
	b.WriteString(header + "metadata: {name: large}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  svc-%d:\n    labels: {tier: service}\n    ports: [{port: 9000, protocol: grpc}]\n", i)
	}
	b.WriteString("externals:\n  internet: {}\ncalls:\n  - {from: internet, to: svc-0}\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {from: svc-%d, to: [svc-%d, svc-%d, svc-%d]}\n", i, (i+1)%n, (i+7)%n, (i+61)%n)
	}
	return []byte(b.String())
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		text := large(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				bag := &diag.Bag{}
				if Load(diag.NewSource("large.yaml", text), bag); bag.HasErrors() {
					b.Fatal(bag.All()[0].Message)
				}
			}
		})
	}
}
