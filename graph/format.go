package graph

import "admc.dev/admc/lang/diag"

// A Format is one way to write a service graph.
type Format struct {
	Name  string
	Sniff func(*diag.Source) bool
	Load  func(*diag.Source, *diag.Bag) *Graph
}

// Load reads a graph file. It never gives nil; the graph is complete only when
// the bag has no errors.
func Load(src *diag.Source, bag *diag.Bag) *Graph {
	panic("not built")
}
