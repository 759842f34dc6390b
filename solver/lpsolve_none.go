//go:build !cgo

package solver

// builtWithC is empty without cgo: lp_solve is a C library.
var builtWithC []engine
