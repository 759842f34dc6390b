// Package syntax reads and prints the admc policy language.
//
// In: the bytes of one .adm file. Out: its tree, with a span on every node and
// every comment kept. What is not a sentence of the grammar is reported in the
// bag, all of a file at once, and the tree holds what could be read. Names are
// not looked up and nothing is typed here.
package syntax

import "admc.dev/admc/lang/diag"

// Parse reads one file. It never gives nil; after a mistake it goes on at the
// next clause or declaration.
func Parse(src *diag.Source, bag *diag.Bag) *File {
	panic("not built")
}
