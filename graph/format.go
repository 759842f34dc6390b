package graph

import "admc.dev/admc/lang/diag"

// A Format is one way to write a service graph.
type Format struct {
	Name  string
	Sniff func(*diag.Source) bool
	Load  func(*diag.Source, *diag.Bag) *Graph
}

// formats lists them; the first that knows a file by its look reads it. The
// last, admc's own, takes whatever is left, so that its errors say what a graph
// file is.
var formats = []Format{
	{Name: "admc", Sniff: func(*diag.Source) bool { return true }, Load: loadYAML},
}

// Load reads a graph file. It never gives nil; the graph is complete only when
// the bag has no errors.
func Load(src *diag.Source, bag *diag.Bag) *Graph {
	for _, f := range formats {
		if f.Sniff(src) {
			return f.Load(src, bag)
		}
	}
	panic("graph: the last format takes every file")
}
