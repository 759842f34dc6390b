package lang

import (
	"fmt"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// wide makes a graph of n services in layers, each calling a few of the next,
// with label and name groups, and policies that touch a group, a service or a
// call each.
func wide(b *testing.B, services, policies int) (*graph.Graph, *syntax.File) {
	var y strings.Builder
	y.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: wide, namespace: n}\nservices:\n")
	for i := range services {
		fmt.Fprintf(&y, "  s%d: {labels: {team: t%d}, ports: [{port: 80, protocol: http}]}\n", i, i%500)
	}
	y.WriteString("calls:\n")
	for i := range services {
		called := map[int]bool{}
		for _, to := range []int{i*3 + 1, i*3 + 2, i*3 + 3, i + 7, i + 14, i + 21} {
			if to < services && !called[to] {
				called[to] = true
				fmt.Fprintf(&y, "  - {from: s%d, to: s%d}\n", i, to)
			}
		}
	}
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("wide.yaml", []byte(y.String())), bag)
	var p strings.Builder
	for i := range policies {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&p, "policy p%d { on * -> [team=t%d]  rate_limit(5/s) }\n", i, i%500)
		case 1:
			fmt.Fprintf(&p, "policy p%d { on * -> s%d  when { request.headers[\"x-a\"] == \"%d\" }  deny() }\n", i, i, i)
		case 2:
			fmt.Fprintf(&p, "policy p%d { on s%d -> *  set_header(\"x-p%d\", \"1\") }\n", i, i, i)
		case 3:
			fmt.Fprintf(&p, "policy p%d { on * -> {s%d, s%d}  when { source.labels[\"team\"] != \"t3\" }  access_log() }\n", i, i, i*2)
		}
	}
	f := syntax.Parse(diag.NewSource("wide.adm", []byte(p.String())), bag)
	if bag.HasErrors() {
		b.Fatal(textOf(bag.All()[:1]))
	}
	return g, f
}

func BenchmarkCheckManyPolicies(b *testing.B) {
	g, f := wide(b, 5000, 2000)
	b.ResetTimer()
	for b.Loop() {
		bag := &diag.Bag{}
		p := Check([]*syntax.File{f}, g, bag)
		if bag.HasErrors() {
			b.Fatal(textOf(bag.All()[:1]))
		}
		b.ReportMetric(float64(len(p.Obligations)), "obligations")
		b.ReportMetric(float64(len(p.Rows)), "rows")
	}
}

const everywhere = 200

func everywhereCondition(i int) string {
	return fmt.Sprintf(`request.headers["x-a"] == "%d" && source.labels["team"] != "t%d"`, i, i)
}

// BenchmarkCheckEverywhere is policies of `* -> *`, which touch every call.
func BenchmarkCheckEverywhere(b *testing.B) {
	g, _ := wide(b, 5000, 0)
	var text strings.Builder
	for i := range everywhere {
		fmt.Fprintf(&text, "policy p%d { on * -> *  when { %s }  set_header(\"x-p%d\", \"1\") }\n", i, everywhereCondition(i), i)
	}
	f := syntax.Parse(diag.NewSource("everywhere.adm", []byte(text.String())), &diag.Bag{})
	b.ResetTimer()
	for b.Loop() {
		bag := &diag.Bag{}
		p := Check([]*syntax.File{f}, g, bag)
		if bag.HasErrors() {
			b.Fatal(textOf(bag.All()[:1]))
		}
		b.ReportMetric(float64(len(p.Obligations)), "obligations")
	}
}

// crowded is as many policies as the graph has, each on a group of its own of n
// receivers, so that a receiver has policies that meet nowhere else.
func crowded(policies, services, n int, action func(i int) string) string {
	var text strings.Builder
	for i := range policies {
		var group []string
		for k := range n {
			group = append(group, fmt.Sprintf("s%d", (i*(2*k+1)+k*k*31+k*977)%services))
		}
		fmt.Fprintf(&text, "policy p%d { on * -> {%s}  %s }\n", i, strings.Join(group, ", "), action(i))
	}
	return text.String()
}

func mixed(i int) string {
	switch i % 4 {
	case 0:
		return "rate_limit(5/s)"
	case 1:
		return fmt.Sprintf(`when { request.headers["x-a"] == "%d" }  deny()`, i)
	case 2:
		return fmt.Sprintf(`set_header("x-p%d", "1")`, i)
	}
	return fmt.Sprintf(`when { source.labels["team"] != "t%d" }  access_log()`, i%500)
}

func benchCheck(b *testing.B, g *graph.Graph, text string) {
	f := syntax.Parse(diag.NewSource("bench.adm", []byte(text)), &diag.Bag{})
	b.ResetTimer()
	for b.Loop() {
		bag := &diag.Bag{}
		p := Check([]*syntax.File{f}, g, bag)
		if bag.HasErrors() {
			b.Fatal(textOf(bag.All()[:1]))
		}
		b.ReportMetric(float64(len(p.Obligations)), "obligations")
		b.ReportMetric(float64(len(p.Rows)), "rows")
	}
}

// BenchmarkCheckCrowded has 20 obligations at each receiver.
func BenchmarkCheckCrowded(b *testing.B) {
	g, _ := wide(b, 5000, 0)
	benchCheck(b, g, crowded(2000, 5000, 50, mixed))
}

// star is n services that call one hub.
func star(b *testing.B, n int) *graph.Graph {
	var y strings.Builder
	y.WriteString("apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\nmetadata: {name: star, namespace: n}\nservices:\n  hub: {ports: [{port: 80, protocol: http}]}\n")
	for i := range n {
		fmt.Fprintf(&y, "  s%d: {}\n", i)
	}
	y.WriteString("calls:\n")
	for i := range n {
		fmt.Fprintf(&y, "  - {from: s%d, to: hub}\n", i)
	}
	bag := &diag.Bag{}
	g := graph.Load(diag.NewSource("star.yaml", []byte(y.String())), bag)
	if bag.HasErrors() {
		b.Fatal(textOf(bag.All()[:1]))
	}
	return g
}

// BenchmarkCheckHub has all policies on one port.
func BenchmarkCheckHub(b *testing.B) {
	g := star(b, 50)
	for name, action := range map[string]func(int) string{
		"equal":    func(i int) string { return fmt.Sprintf(`when { request.headers["x-a"] == "%d" }  deny()`, i) },
		"distinct": func(i int) string { return fmt.Sprintf(`set_header("x-p%d", "1")`, i) },
		"logs":     func(i int) string { return "access_log()" },
		"limits":   func(i int) string { return "rate_limit(5/s)" },
	} {
		b.Run(name, func(b *testing.B) {
			var text strings.Builder
			for i := range 2000 {
				fmt.Fprintf(&text, "policy p%d { on * -> hub  %s }\n", i, action(i))
			}
			benchCheck(b, g, text.String())
		})
	}
}
