package syntax

import (
	"time"

	"admc.dev/admc/lang/diag"
)

// Every node knows the span of its source. Nodes are plain data: the parser
// makes them, the printer and the checker read them, nobody writes to them.
type Node interface {
	Span() diag.Span
}

// Base carries the span of a node.
type Base struct{ At diag.Span }

func (b Base) Span() diag.Span { return b.At }

// An Ident is a name that is written once in the language's own name space
// (policies, lets, arguments, annotations), or a word such as a protocol.
type Ident struct {
	Base
	Name string
}

// A Comment is one `// …`, without its line end.
type Comment struct {
	Base
	Text    string // with the slashes, without trailing white space
	OwnLine bool   // nothing but white space stands before it on its line
}

// Comments that belong to a node: the block that ends on the line above it, and
// the one that follows it on its last line. A comment that a blank line parts
// from the next node belongs to none; File.Comments has them all.
type Comments struct {
	Above []Comment
	After *Comment
}

// File = { Decl } .
type File struct {
	Base
	Src   *diag.Source
	Decls []Decl
	// Tail holds the comments after the last declaration.
	Tail []Comment
	// Comments holds every comment of the file outside CEL, in order, those
	// that a node carries included.
	Comments []Comment
	// Partial are the policies of which a clause could not be read, with the others.
	// They are not in Decls.
	Partial []*Policy
	// Broken: errors were reported. What could not be read is left out of the
	// tree, whole clauses and declarations at a time, so that what is there is
	// complete: no field is nil unless its comment says so.
	Broken bool
	// Lost: something was left out. A broken file that lost nothing says what is
	// meant but for the values of its bad literals.
	Lost bool
}

// Decl = Let | Policy | Require | Test | Action .
type Decl interface {
	Node
	decl()
	// DeclName is the declared name, or the string of a test.
	DeclName() string
}

// Let = "let" ident "=" ( Endpoints | Value ) .
type Let struct {
	Base
	Comments
	Name      Ident
	Endpoints *Endpoints // nil when the right side is a value
	Value     Value      // nil when the right side is endpoints
}

// A Policy's span, like an Action's, starts at its first annotation.
//
// Policy = { Annotation } "policy" ident "{" { Clause } "}" .
type Policy struct {
	Base
	Comments
	Annotations []*Annotation
	Name        Ident
	Clauses     []Clause
	Tail        []Comment // before the closing brace
}

// Annotation = "@" ident [ "(" [ Arg { "," Arg } ] ")" ] .
type Annotation struct {
	Base
	Comments
	Name Ident
	Args []*Arg
}

// Clause = On | Path | When | Sample | Call .
type Clause interface {
	Node
	clause()
}

// On = "on" Edges { "," Edges } .
type On struct {
	Base
	Comments
	Edges []*Edges
}

// Edges = Endpoints "->" Endpoints [ ":" Protocol { "|" Protocol } ] .
type Edges struct {
	Base
	From, To  *Endpoints
	Protocols []Ident // empty: every protocol
}

// Path = "path" [ "except" ] Endpoints Arrow Endpoints { Arrow Endpoints } .
// Arrow = "->" | "~>" .
type Path struct {
	Base
	Comments
	Except bool
	Steps  []*Endpoints
	Arrows []Arrow // one fewer than Steps
}

// An Arrow is "->" (one call) or "~>" (one or more).
type Arrow struct {
	Base
	Many bool
}

// When = "when" "{" CEL "}" .
type When struct {
	Base
	Comments
	Expr CEL
}

// CEL is an expression of the Common Expression Language, kept as written. At
// covers the text between the braces, so that an offset inside Text is
// At.Start plus that offset.
type CEL struct {
	Base
	Text string
}

// Sample = "sample" percent .
type Sample struct {
	Base
	Comments
	Share *Literal // Kind Percent, or bad
}

// Call = ident "(" [ Arg { "," Arg } ] ")" .
type Call struct {
	Base
	Comments
	Name Ident
	Args []*Arg
}

// Arg = [ ident ":" ] Value .
type Arg struct {
	Base
	Comments
	Name  *Ident // nil: positional
	Value Value
}

// Value = string | int | float | bool | duration | rate | percent | size
// | ident | "$" ident | List | MapLit | "cel" "{" CEL "}" .
type Value interface {
	Node
	value()
}

// Kind of a literal.
type Kind uint8

const (
	String Kind = iota
	Int
	Float
	Bool
	Duration // 250ms 2s 1m 1h
	Rate     // 500/s 10/m 1k/h
	Percent  // 10%
	Size     // 64KiB 1MiB
	Word     // a name where a value stands: an enum's value written without quotes; may have "-", ".", "/", "*"
)

func (k Kind) String() string {
	return [...]string{"string", "int", "float", "bool", "duration", "rate", "percent", "size", "word"}[k]
}

// A Literal is one constant. Only the fields of its Kind are set, and those of a
// bad one mean nothing.
type Literal struct {
	Base
	Kind  Kind
	Bad   bool   // reported: it has no value, and may be of any kind
	Raw   string // as written, but line ends are line feeds
	Str   string // String (unquoted), Word
	Int   int64  // Int; Size in bytes; Rate: events
	Float float64
	Bool  bool
	Dur   time.Duration // Duration; Rate: the period
}

// For Percent, Float is the share from 0 to 1: 10% is 0.1.

// Ref = "$" ident .
type Ref struct {
	Base
	Name Ident
}

// List = "[" [ Value { "," Value } ] "]" .
type List struct {
	Base
	Elems []Value
	Tail  []Comment
}

// MapLit = "{" [ string ":" Value { "," string ":" Value } ] "}" .
type MapLit struct {
	Base
	Entries []*MapEntry
	Tail    []Comment
}

// MapEntry is one `"key": value`.
type MapEntry struct {
	Base
	Comments
	Key   *Literal
	Value Value
}

// CELValue = "cel" "{" CEL "}" .
type CELValue struct {
	Base
	Expr CEL
}

// Endpoints = Term [ "except" Term ] .
type Endpoints struct {
	Base
	Term   Term
	Except Term // nil: none
}

// Term = Glob | "external" | "$" ident | "[" Label { "," Label } "]"
// | "{" Endpoints { "," Endpoints } "}" .
type Term interface {
	Node
	term()
}

// Glob is a service name in which * stands for any run of characters except
// "/"; "ns/name" names the namespace. "*" alone is every service of the mesh.
type Glob struct {
	Base
	Pattern string
}

// External selects every external node.
type External struct{ Base }

// RefTerm = "$" ident .
type RefTerm struct {
	Base
	Name Ident
}

// Labels selects the services that satisfy every label.
type Labels struct {
	Base
	Labels []*Label
}

// Label = name ( "=" | "!=" ) name | name .
type Label struct {
	Base
	Key   Ident
	Op    string // "=", "!=", or "" (the label is there)
	Value Ident  // zero when Op is ""
}

// Set is the union of its members.
type Set struct {
	Base
	Members []*Endpoints
}

// Require = "require" ident "{" On "has" Has "}" .
// Has = ident { ( "and" | "or" ) ident } .   `and` binds tighter than `or`.
type Require struct {
	Base
	Comments
	Name Ident
	On   *On
	Any  [][]Ident // or of ands
	Tail []Comment
}

// Test = "test" string "{" { Request { Expect } } "}" .
type Test struct {
	Base
	Comments
	Title    *Literal
	Requests []*Request
	Tail     []Comment
}

// Request = name "->" name { "->" name } [ ":" Protocol ] [ ident string [ Map ] ]
// [ "x" int [ "within" duration ] ] .
//
// A Request's span covers its expectations.
type Request struct {
	Base
	Comments
	From     Ident
	Via      []Ident // between From and To: the calls for which the last one is made
	To       Ident
	Protocol *Ident // of the last call
	Method   *Ident
	Path     *Literal
	Headers  *MapLit
	Times    *Literal // nil: once
	Within   *Literal
	Expects  []*Expect
}

// Expect = "expect" ( "pass" | "deny" [ int ] | "status" int | "route" string
// | "header" string string [ "of" ( "request" | "response" ) ] ) [ "x" int ] [ "by" ident ] .
type Expect struct {
	Base
	Comments
	Kind  Ident      // pass, deny, status, route, header
	Args  []*Literal // as Kind takes them
	Of    *Ident     // header: nil means the request's
	Times *Literal
	By    *Ident
}

// Action = { Annotation } "action" ident "(" [ Param { "," Param } ] ")" "{" { Fact } "}" .
type Action struct {
	Base
	Comments
	Annotations []*Annotation
	Name        Ident
	Parens      diag.Span // "( … )" with the parameters
	Params      []*Param
	Facts       []*Fact
	Tail        []Comment
}

// Param = ident ":" Type [ "=" Value ] .
type Param struct {
	Base
	Comments
	Name    Ident
	Type    *Type
	Default Value // nil: required
}

// Type = "string" | … | "list" "<" Type ">" | "map" "<" Type ">"
// | "enum" "(" string { "," string } ")" .
type Type struct {
	Base
	Name  string   // "string", "list", "enum", …
	Elem  *Type    // list, map
	Words []string // enum
}

// Part = name [ "[" ( string | ident ) "]" ] , such as request.headers["x"], or
// request.headers[name] where name is a parameter.
//
// Fact = "phase" ident | ( "reads" | "writes" | "provides" | "needs" ) Part { "," Part }
// | "ends" "request" | "wraps" "request" | "single" | "security"
// | "state" ident "(" ident ")" | "cost" [ Plane ] number | "on" Protocol { "," Protocol } ":" Side
// | "envoy" ( "http" | "tcp" ) MapLit .
//
// Plane = "http" | "grpc" | "tcp" .
// Side = "either" | "ingress" | "egress" | "both" .
type Fact struct {
	Base
	Comments
	Keyword Ident
	Words   []Ident  // phase's word, parts as written without spaces, "request", state's kind and argument, protocols, the plane of envoy or cost
	Side    *Ident   // on
	Number  *Literal // cost
	Payload *MapLit  // envoy: the filter's configuration; a word in it is a parameter
}

func (*Let) decl()     {}
func (*Policy) decl()  {}
func (*Require) decl() {}
func (*Test) decl()    {}
func (*Action) decl()  {}

func (d *Let) DeclName() string     { return d.Name.Name }
func (d *Policy) DeclName() string  { return d.Name.Name }
func (d *Require) DeclName() string { return d.Name.Name }
func (d *Test) DeclName() string    { return d.Title.Str }
func (d *Action) DeclName() string  { return d.Name.Name }

func (*On) clause()     {}
func (*Path) clause()   {}
func (*When) clause()   {}
func (*Sample) clause() {}
func (*Call) clause()   {}

func (*Literal) value()  {}
func (*Ref) value()      {}
func (*List) value()     {}
func (*MapLit) value()   {}
func (*CELValue) value() {}

func (*Glob) term()     {}
func (*External) term() {}
func (*RefTerm) term()  {}
func (*Labels) term()   {}
func (*Set) term()      {}
