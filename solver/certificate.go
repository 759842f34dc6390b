package solver

// A Certificate is why Bound is a lower bound.
type Certificate struct {
	Kind string // "dual" or "search"
}
