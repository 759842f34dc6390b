package ir

import (
	"time"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// A Test is a `test` of the program. No data plane is made of it.
type Test struct {
	Title    string
	At       diag.Span // of the title
	Requests []*TestRequest
}

// A TestRequest is one request (tcp: one connection), or Times of them spread
// evenly over Within, with what is expected of them.
type TestRequest struct {
	Call         *graph.Call
	Before       []*graph.Call // for which the call is made, the first one first
	Method, Path string        // "" on tcp
	Headers      []Header      // in the order written, names in lower case
	Times        int           // at least 1
	Within       time.Duration
	Expects      []*Expect
	At           diag.Span // FROM -> TO
}

// A Header is one line of a message's head.
type Header struct{ Name, Value string }

// An Expect is what a test says of a request.
type Expect struct {
	Kind string // pass, deny, status, route, header
	// Status of deny and status: of HTTP, and on grpc the number of the code;
	// -1: any.
	Status int
	Of     string // header: whose, "request" or "response"
	Name   string // header: in lower case
	Value  string // header: "" for one that isn't there; route: the version
	Times  int    // of how many of the requests it holds; 0: of all
	By     string // the policy that did it; "": any, or none
	At     diag.Span
}
