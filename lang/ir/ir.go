// Package ir is the checked program: plain data that every phase after the
// checker sees. Nothing here refers to the syntax tree, and nothing is computed
// here; the checker fills it, the solver and the backends read it.
//
// In it are policies with their typed actions, the obligations they form on the
// receivers' ports, the sides each obligation may have with the reasons, the
// order rows between obligations, and the conditions that are left for the
// proxy after folding.
package ir

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// A Program is the checked whole of one run.
type Program struct {
	Policies    []*Policy     // sorted by Name
	Obligations []*Obligation // sorted by policy, receiver, port
	Rows        []*Row
	Closed      []*Closed     // sorted by the service's name
	Actions     []*ActionDecl // the prelude's and the user's, sorted by Name
	Tests       []*Test       // as written, file by file
}

// A Policy as written, after its calls are typed.
type Policy struct {
	Name    string
	At      diag.Span // of the name
	Actions []*Action // by phase, then as written
	// Sample is the share of requests it acts on, from 0 to 1; 1 without a
	// `sample` clause.
	Sample     float64
	FailClosed bool   // what holds when an action can't decide or its proxy is dead
	Condition  string // the `when` as written, "" without one
	// Paths are the calls that a policy with `path` clauses can be about, in the
	// order of receiver, port and sender, with what the chains that end with them
	// have in common.
	Paths  []*PathCall
	Doc    string    // the comment above it
	Closed diag.Span // of its @closed; zero without one
}

// A Closed service calls nothing but what policies with @closed name: the
// network refuses whatever else its pods try. No ADM has a part in it.
type Closed struct {
	Service  *graph.Service
	Policies []*Policy     // that close it, sorted by name; at least one
	Calls    []*graph.Call // all that it makes, but for those to itself; sorted as in the graph
}

// A PathCall is a call with which chains end that match a policy's paths, or
// could.
type PathCall struct {
	Call    *graph.Call
	Verdict PathVerdict
	// Matching and Other are a shortest chain each that matches the paths and
	// that doesn't, the receiver included; nil where there is none. They are
	// given where Verdict is Mixed, for the first calls of many.
	Matching, Other []graph.Node
	// Member is the key of the member of the PathHeader that says whether a
	// request's chain matches; "" where nothing asks.
	Member string
}

// A PathVerdict says which of the chains that end with a call match a policy's
// paths.
type PathVerdict string

const (
	EveryChain PathVerdict = "every"
	NoChain    PathVerdict = "none"
	Mixed      PathVerdict = "mixed" // decided when the request comes
)

// ChainText writes a chain of calls: `internet -> frontend -> cart`.
func ChainText(nodes []graph.Node) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.NodeName()
	}
	return strings.Join(names, " -> ")
}

// An Action is one typed call in a policy.
type Action struct {
	Decl *ActionDecl
	Args map[string]Value // every parameter; defaults are filled in
	At   diag.Span
	// Writes are the parts that it changes, with the arguments in them, in every
	// spelling that a condition can read them by: request.path is also
	// request.url_path.
	Writes []string
	// Rank is the action's place in the program-wide total order in which
	// actions act on one request: lower ranks first.
	Rank int
}

// Name of the action's declaration.
func (a *Action) Name() string { return a.Decl.Name }

// A Phase orders actions on one request.
type Phase uint8

const (
	Transport Phase = iota
	Authn
	Authz
	Quota
	Transform
	Route
	Observe
	Wrapper // outside the order
)

func (p Phase) String() string {
	return [...]string{"transport", "authn", "authz", "quota", "transform", "route", "observe", "wrapper"}[p]
}

// An ActionDecl is the declaration of an action: what it takes, and every fact
// that placing it needs.
type ActionDecl struct {
	Name     string
	Doc      string // the comment above the declaration
	Params   []Param
	Phase    Phase
	Reads    []string // parts of the message: `request.path`, `request.headers["x"]`, …
	Writes   []string
	Provides []string
	Needs    []string
	Ends     bool // may answer the request itself
	Wraps    bool
	Single   bool
	Security bool
	State    string // "counter", or ""
	Scope    string // the parameter that names the counter's scope
	// Cost is microseconds of CPU that a proxy takes for the action on one
	// request (of a byte stream: connection), beside HopMicros for passing it on.
	Cost  float64
	Costs map[graph.Plane]float64  // on planes where it is another than Cost
	Sides map[graph.Plane]DeclSide // planes it can act on
	At    diag.Span
	User  bool // declared by the program, and not by the standard library
	// Payloads are the Envoy filters that a declared action stands for, at most
	// one for http and grpc and one for tcp.
	Payloads []*Payload
}

// Payload gives the filter for a plane; nil when there is none.
func (d *ActionDecl) Payload(p graph.Plane) *Payload {
	for _, x := range d.Payloads {
		if x.TCP == (p == graph.TCP) {
			return x
		}
	}
	return nil
}

// CostOn gives the cost for a request on a plane.
func (d *ActionDecl) CostOn(p graph.Plane) float64 {
	if c, ok := d.Costs[p]; ok {
		return c
	}
	return d.Cost
}

// HopMicros is the CPU time, in microseconds, that a proxy takes to pass one
// request on, before any policy: measured, as the actions' costs are
// (docs/performance.md, What an ADM costs).
const HopMicros = 250

// StampMicros is the cost of a stamp (see StampAction), measured likewise.
const StampMicros = 20

// A Param of an action.
type Param struct {
	Name    string
	Type    string // in the grammar's form: `rate`, `list<string>`, `enum("a", "b")`
	Default string // in the grammar's form; "" when the argument is required
	Value   *Value // of the default; nil when the argument is required
}

// DeclSide is where an action may run on a plane, as declared.
type DeclSide string

const (
	Either      DeclSide = "either"
	IngressOnly DeclSide = "ingress"
	EgressOnly  DeclSide = "egress"
	BothEnds    DeclSide = "both"
)

// Kind of a Value.
type Kind string

const (
	String   Kind = "string" // enum and regex too
	Int      Kind = "int"    // size too, in bytes
	Float    Kind = "float"  // percent too: 10% is 0.1
	Bool     Kind = "bool"
	Duration Kind = "duration"
	Rate     Kind = "rate"
	List     Kind = "list"
	Map      Kind = "map"
	Expr     Kind = "cel"
)

// A Value is a typed constant. Only the fields of its Kind are set.
type Value struct {
	Kind  Kind
	Str   string
	Int   int64 // Int; Rate: events
	Float float64
	Bool  bool
	Dur   time.Duration // Duration; Rate: the period
	List  []Value
	Map   []Entry // in the order written
	Expr  *Condition
	At    diag.Span // zero for a default
}

// An Entry of a map value.
type Entry struct {
	Key   string
	Value Value
}

// A Condition is what the proxy has to evaluate. Expr is a parsed (not
// checked) CEL expression in Envoy's attribute names; it can't fail at run
// time: an absent header reads as "".
type Condition struct {
	Expr  *exprpb.Expr
	Text  string   // the residual, printed
	Reads []string // attributes: `request.path`, `request.headers["x"]`, …
	At    diag.Span
}

// StampAction is the name of the action of obligations that the checker makes for
// paths. It keeps one member of the PathHeader (W3C Baggage) of a request:
// "member" is its key, "to" a map from values to values, where "" is the absent
// member and values that are no keys are as "".
const (
	StampAction = "stamp"
	PathHeader  = "baggage"
)

// Where a Condition looks for the claims of a token: under this key of the
// dynamic metadata of Envoy's jwt_authn filter. Every provider of that filter
// has to name the key as its payload_in_metadata.
const (
	JWTMetadata = "envoy.filters.http.jwt_authn"
	JWTPayload  = "claims"
)

// Side of an edge. As a set (Obligation.May) the bits are joined; as a place it
// is one of Ingress, Egress, or both for an obligation that needs both ends.
type Side uint8

const (
	Ingress Side = 1 << iota // on the receiver's ADM
	Egress                   // on the ADM of every sender
)

func (s Side) String() string {
	switch s {
	case 0:
		return "none"
	case Ingress:
		return "ingress"
	case Egress:
		return "egress"
	}
	return "both"
}

// Other gives the opposite side of Ingress or Egress.
func (s Side) Other() Side { return s ^ (Ingress | Egress) }

// An Obligation is one policy on one port of one receiver: the set of the
// policy's edges into that port. It is enforced exactly once: at the receiver,
// or at all its senders (or at both ends where Both is set).
type Obligation struct {
	Policy   *Policy
	Actions  []*Action // those of the policy that this obligation carries
	Receiver graph.Node
	Port     int
	PortName string
	Protocol graph.Protocol
	Edges    []*Edge // sorted by the sender's name; at least one
	May      Side    // the sides it may have; never 0 when the bag has no errors
	Both     bool    // enforced at both ends
	// Part is "", or names the actions whose edges or conditions are not those
	// of the policy's other actions on this port: an action that gives way to
	// another policy's, or allow.
	Part    string
	Reasons []Reason
	// Apart are the groups of edges that the receiver's ADM tells apart, each
	// enforced by itself; nil: all that comes in on the port is treated alike.
	Apart []*Group
	// LeftOut are the calls into the port that are not of the obligation; set
	// where Both is.
	LeftOut []*graph.Call
	// Front are the policies with a wrapper that makes or bounds attempts before which this
	// one stands by hand, where both can act on one request: it acts once for the
	// request and not for each attempt, on the wrapper's own proxy, before all that
	// the wrapper holds.
	Front []*Policy
}

// CostOf is what one of its actions costs for a request here.
func (o *Obligation) CostOf(a *Action) float64 {
	if len(a.Decl.Costs) == 0 {
		return a.Decl.Cost
	}
	return a.Decl.CostOn(o.Protocol.Plane())
}

// A Group is edges of an obligation that get the same at the receiver: what
// comes from nobody in Not.
type Group struct {
	Edges []*Edge
	Not   []Proof // the port's other callers
}

// A Proof is how a receiver's ADM knows a caller: by its addresses, or by the
// identity in its certificate. One of the two is set.
type Proof struct {
	Caller    *graph.Service
	Addresses []netip.Prefix
	SPIFFE    string
}

// ID names the obligation in outputs: policy@receiver:port, with "#both" where
// the policy's two-ended actions form an obligation of their own, and with the
// action's name where one has edges or conditions of its own.
func (o *Obligation) ID() string {
	id := fmt.Sprintf("%s@%s:%d", o.Policy.Name, o.Receiver.NodeName(), o.Port)
	switch {
	case o.Both:
		id += "#both"
	case o.Part != "":
		id += "#" + o.Part
	}
	return id
}

// An Edge of an obligation.
type Edge struct {
	Sender graph.Node
	Call   *graph.Call
	// Cond says when the actions act: what is left of the policy's condition on
	// this edge after folding, and what a higher priority took. nil: always. For
	// allow, which refuses where the policy's condition does not hold, it is the
	// negation.
	Cond *Condition
}

// A Reason says why an obligation can't be at a side.
type Reason struct {
	Excludes Side
	Rule     string // a stable word: "action", "annotation", "external", "state", "identity", "attribute", "strict"
	Text     string // a sentence without a period: `timeout acts only where the connection is made`
	At       diag.Span
}

// RowKind of a Row.
type RowKind uint8

const (
	// Forbid: not both P at PSide and Q at QSide.
	Forbid RowKind = iota
	// Same: P and Q are at the same side.
	Same
)

// A Row joins two obligations of one receiver and port.
type Row struct {
	Kind         RowKind
	P, Q         *Obligation
	PSide, QSide Side   // Forbid only
	Text         string // why
	PAt, QAt     diag.Span
}
