package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// maxTimes bounds what one line of a test sends.
const maxTimes = 100_000

// tests types the tests of the program. A request with a mistake in it is left
// out, with its expectations, and the test with it.
func (c *checker) tests(nodes []*syntax.Test) []*ir.Test {
	var out []*ir.Test
	titles := map[string]*syntax.Test{}
	for _, n := range nodes {
		if first := titles[n.Title.Str]; first != nil {
			c.bag.Errorf(n.Title.At, DuplicateName, "there are two of test %s", n.Title.Raw).WithNote(first.Title.At, "the first is here")
		} else {
			titles[n.Title.Str] = n
		}
		if !slices.ContainsFunc(n.Requests, func(r *syntax.Request) bool { return len(r.Expects) > 0 }) {
			c.bag.Warnf(n.Title.At, NoExpectation, "test %s expects nothing", n.Title.Raw).
				WithHint("a request is followed by what is expected of it, such as `expect pass`")
		}
		t := &ir.Test{Title: n.Title.Str, At: n.Title.At}
		whole := true
		for _, r := range n.Requests {
			if typed := c.request(r); typed != nil {
				t.Requests = append(t.Requests, typed)
			} else {
				whole = false
			}
		}
		if whole {
			out = append(out, t)
		}
	}
	return out
}

// request types one request; nil when it is wrong, which is then reported.
func (c *checker) request(n *syntax.Request) *ir.TestRequest {
	before, _ := c.bag.Count()
	calls := c.requestCalls(n)
	if calls == nil {
		return nil
	}
	call := calls[len(calls)-1]
	r := &ir.TestRequest{Call: call, Before: calls[:len(calls)-1], Times: 1, At: n.From.At.To(n.To.At)}
	switch {
	case n.Times == nil:
	case n.Times.Bad:
		r.Times = maxTimes // so that nothing is said of what is expected of it
	default:
		if r.Times = int(min(n.Times.Int, maxTimes+1)); r.Times > maxTimes {
			c.bag.Errorf(n.Times.At, BadValue, "a test sends at most %d requests at once", maxTimes)
		}
	}
	if n.Within != nil {
		r.Within = n.Within.Dur
	}
	if call.Protocol.Plane() == graph.TCP {
		c.connection(n, call)
	} else {
		c.requestLine(n, r)
		r.Headers = c.requestHeaders(n)
	}
	for _, e := range n.Expects {
		r.Expects = append(r.Expects, c.expectation(e, r))
	}
	if after, _ := c.bag.Count(); after > before {
		return nil
	}
	return r
}

// requestCalls finds the calls of a request: its own is the last one, and the
// others those for which it is made. nil when there is something wrong.
func (c *checker) requestCalls(n *syntax.Request) []*graph.Call {
	names := append(append([]syntax.Ident{n.From}, n.Via...), n.To)
	nodes, ok := make([]int32, len(names)), true
	for i, id := range names {
		node, good := c.named(&syntax.Glob{Base: id.Base, Pattern: id.Name})
		nodes[i], ok = node, ok && good
		if good && node >= c.idx.services && i > 0 && i+1 < len(names) {
			c.bag.Errorf(id.At, BadRequest, "%s is outside the mesh, where a chain of calls ends", id.Name).
				WithHint("what it calls is another chain, which begins there")
			ok = false
		}
	}
	var protocols map[graph.Protocol]bool
	if n.Protocol != nil {
		var good bool
		protocols, good = c.protocols([]syntax.Ident{*n.Protocol})
		ok = ok && good
	}
	if !ok {
		return nil
	}
	var calls []*graph.Call
	for i := range len(names) - 1 {
		last := i+2 == len(names)
		var fit map[graph.Protocol]bool
		if last {
			fit = protocols
		}
		call := c.requestCall(names[i], names[i+1], nodes[i], nodes[i+1], n.Protocol, fit, last)
		if call == nil {
			return nil
		}
		calls = append(calls, call)
	}
	return calls
}

// requestCall finds one call of a request; nil when the graph has none, or
// several and nothing says which. Of those on the way any carries what the others
// do, but for byte streams.
func (c *checker) requestCall(from, to syntax.Ident, u, v int32, protocol *syntax.Ident, protocols map[graph.Protocol]bool, last bool) *graph.Call {
	var all, fit []*graph.Call
	for _, call := range c.g.CallsFrom(c.idx.nodes[u]) {
		if call.To != c.idx.nodes[v] {
			continue
		}
		all = append(all, call)
		if protocols == nil || protocols[call.Protocol] {
			fit = append(fit, call)
		}
	}
	if !last {
		slices.SortStableFunc(fit, func(a, b *graph.Call) int {
			return boolRank(a.Protocol.Plane() == graph.TCP) - boolRank(b.Protocol.Plane() == graph.TCP)
		})
	}
	at := from.At.To(to.At)
	switch {
	case len(fit) == 1 || len(fit) > 1 && !last:
		return fit[0]
	case len(all) == 0:
		d := c.bag.Errorf(at, UnknownCall, "the graph has no call %s -> %s", from.Name, to.Name)
		if len(c.g.CallsFrom(c.idx.nodes[u])) > 0 {
			d.WithHint("%s calls %s", from.Name, c.callees(u))
		} else {
			d.WithHint("%s calls nothing", from.Name)
		}
	case len(fit) == 0:
		c.bag.Errorf(protocol.At, UnknownCall, "no call %s -> %s is %s", from.Name, to.Name, protocol.Name).
			WithHint("there is %s", callTexts(all))
	default:
		c.bag.Errorf(at, AmbiguousCall, "%s calls %s on several ports", from.Name, to.Name).
			WithHint("a protocol tells them apart (%s -> %s : http) where they have different ones; there is %s", from.Name, to.Name, callTexts(fit))
	}
	return nil
}

func (c *checker) callees(from int32) string {
	var names []string
	for _, call := range c.g.CallsFrom(c.idx.nodes[from]) {
		names = append(names, call.To.NodeName())
	}
	names = slices.Compact(names)
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return strings.Join(names, ", ")
}

func callTexts(calls []*graph.Call) string {
	var out []string
	for _, call := range calls {
		out = append(out, callName(call)+" ("+string(call.Protocol)+")")
	}
	return strings.Join(out, ", ")
}

// connection reports what a connection has no place for.
func (c *checker) connection(n *syntax.Request, call *graph.Call) {
	if n.Method != nil {
		c.bag.Errorf(n.Method.At.To(n.Path.At), WrongProtocol, "%s is forwarded as bytes: no request is seen on it", call.Protocol).
			WithHint("write %s -> %s alone, which is one connection", n.From.Name, n.To.Name)
	}
}

// requestLine fills in method and path: GET "/", or POST on grpc.
func (c *checker) requestLine(n *syntax.Request, r *ir.TestRequest) {
	grpc := r.Call.Protocol.Plane() == graph.GRPC
	r.Method, r.Path = "GET", "/"
	if grpc {
		r.Method = "POST"
	}
	if n.Method == nil {
		if grpc {
			c.bag.Errorf(r.At, BadRequest, "a gRPC request names its method").WithHint(`write POST "/package.Service/Method"`)
		}
		return
	}
	r.Method, r.Path = n.Method.Name, n.Path.Str
	switch {
	case r.Method != strings.ToUpper(r.Method):
		c.bag.Errorf(n.Method.At, BadRequest, "methods are written in upper case").WithFix(n.Method.At, strings.ToUpper(r.Method))
	case grpc && r.Method != "POST":
		c.bag.Errorf(n.Method.At, BadRequest, "a gRPC request is a POST, not a %s", r.Method).WithFix(n.Method.At, "POST")
	case r.Method == "CONNECT":
		c.bag.Errorf(n.Method.At, BadRequest, "CONNECT asks for a tunnel, which is no request to a service")
	}
	switch service, method, ok := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); {
	case r.Path == "*" && r.Method == "OPTIONS":
		c.bag.Errorf(n.Path.At, BadRequest, "OPTIONS * is about a server, and reaches no policy").
			WithHint("an ADM answers it with 404 before any looks; where none stands it comes to the receiver")
	case strings.Contains(r.Path, "://") && !strings.HasPrefix(r.Path, "/"):
		c.bag.Errorf(n.Path.At, BadRequest, "%s is a whole URL, where a request has its path", n.Path.Raw).
			WithHint(`the host stands in a header: GET "/items" { "host": "shop.example" }`)
	case !strings.HasPrefix(r.Path, "/") || strings.ContainsFunc(r.Path, func(b rune) bool { return b <= ' ' || b >= 0x7f || b == '#' }):
		c.bag.Errorf(n.Path.At, BadRequest, "%s is not the path of a request", n.Path.Raw).
			WithHint(`a path begins with a slash and has no fragment; what is not ASCII is escaped: "/items?q=a%%20b"`)
	case grpc && (!ok || service == "" || method == "" || strings.ContainsAny(method, "/?")):
		c.bag.Errorf(n.Path.At, BadRequest, "%s is not the path of a gRPC request", n.Path.Raw).WithHint(`it is "/package.Service/Method"`)
	}
}

// requestHeaders types the map of headers; names are in lower case then.
func (c *checker) requestHeaders(n *syntax.Request) []ir.Header {
	if n.Headers == nil {
		return nil
	}
	var out []ir.Header
	for _, e := range n.Headers.Entries {
		value, ok := e.Value.(*syntax.Literal)
		if !ok {
			continue // the parser said so
		}
		h := ir.Header{Name: strings.ToLower(e.Key.Str), Value: value.Str}
		switch {
		case !isToken(h.Name):
			c.bag.Errorf(e.Key.At, BadRequest, "%s is not the name of a header", e.Key.Raw)
		case slices.ContainsFunc(out, func(o ir.Header) bool { return o.Name == h.Name }):
			c.bag.Errorf(e.Key.At, BadRequest, "the header %s is there twice", e.Key.Raw).WithHint("values of one header are joined with commas")
		case strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			c.bag.Errorf(value.At, BadRequest, "a header's value can't hold a control character")
		}
		out = append(out, h)
	}
	return out
}

// expectation types what is expected. What is wrong is reported.
func (c *checker) expectation(n *syntax.Expect, r *ir.TestRequest) *ir.Expect {
	e := &ir.Expect{Kind: n.Kind.Name, Status: -1, At: n.At}
	plane := r.Call.Protocol.Plane()
	switch e.Kind {
	case "deny", "status":
		if len(n.Args) > 0 && !n.Args[0].Bad {
			e.Status = int(n.Args[0].Int)
			c.expectedStatus(n.Args[0], plane)
		}
	case "route":
		e.Value = n.Args[0].Str
		c.expectedVersion(n.Args[0], r.Call)
	case "header":
		e.Of, e.Name, e.Value = "request", strings.ToLower(n.Args[0].Str), n.Args[1].Str
		if n.Of != nil {
			e.Of = n.Of.Name
		}
		if plane == graph.TCP {
			c.bag.Errorf(n.At, WrongProtocol, "%s is forwarded as bytes: it has no headers that anybody sees", r.Call.Protocol)
		} else if !isToken(e.Name) {
			c.bag.Errorf(n.Args[0].At, BadRequest, "%s is not the name of a header", n.Args[0].Raw)
		}
	}
	if n.Times != nil && !n.Times.Bad {
		if e.Times = int(min(n.Times.Int, maxTimes+1)); e.Times > r.Times {
			c.bag.Errorf(n.Times.At, BadValue, "%s expected of %s", n.Times.Raw, count(r.Times, "request"))
		}
	}
	if n.By != nil {
		e.By = n.By.Name
		c.expectedPolicy(n.By)
	}
	return e
}

func (c *checker) expectedStatus(n *syntax.Literal, plane graph.Plane) {
	switch {
	case plane == graph.TCP:
		c.bag.Errorf(n.At, WrongProtocol, "a connection ends without a status").WithHint("`expect deny` says that it is closed before any is made to the receiver")
	case plane == graph.HTTP && (n.Int < 200 || n.Int > 599):
		c.bag.Errorf(n.At, BadValue, "%s is not the status of an answer; it can be 200 to 599", n.Raw)
	case plane == graph.GRPC && (n.Int < 0 || n.Int >= int64(len(grpcCodes))):
		c.bag.Errorf(n.At, BadValue, "%s is not the number of a gRPC code; it can be 0 to %d", n.Raw, len(grpcCodes)-1).
			WithHint("0 is OK, 7 is PERMISSION_DENIED, 8 is RESOURCE_EXHAUSTED, 14 is UNAVAILABLE")
	}
}

func (c *checker) expectedVersion(n *syntax.Literal, call *graph.Call) {
	s, ok := call.To.(*graph.Service)
	switch {
	case !ok:
		c.bag.Errorf(n.At, UnknownVersion, "%s is outside the mesh: nothing chooses a version of it", call.To.NodeName())
	case len(s.Versions) > 0 && !slices.Contains(s.Versions, n.Str):
		c.bag.Errorf(n.At, UnknownVersion, "%s has no version %s", s.Name, n.Raw).WithHint("its versions are %s", quoted(s.Versions))
	}
}

func (c *checker) expectedPolicy(n *syntax.Ident) {
	names := make([]string, len(c.policies))
	for i, p := range c.policies {
		names[i] = p.ir.Name
	}
	if slices.Contains(names, n.Name) {
		return
	}
	d := c.bag.Errorf(n.At, UnknownPolicy, "there is no policy %q", n.Name)
	if near := diag.Suggest(n.Name, names); near != "" {
		d.WithHint("did you mean %q?", near).WithFix(n.At, near)
	}
}
