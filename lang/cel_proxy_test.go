package lang

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

// onRequests has every operator and every attribute of a request, each with
// values present and absent.
var onRequests = []struct {
	plane graph.Plane
	text  string
	means string // in CEL's own terms, where the text isn't
}{
	{graph.HTTP, `request.path == "/admin/users?q=1"`, ""},
	{graph.HTTP, `request.path.startsWith("/admin")`, ""},
	{graph.HTTP, `request.url_path == "/admin/users"`, ""},
	{graph.HTTP, `request.url_path != "/admin/users"`, ""},
	{graph.HTTP, `request.url_path.endsWith("/users")`, ""},
	{graph.HTTP, `request.url_path.contains("min/")`, ""},
	{graph.HTTP, `request.url_path.matches("^/[a-z]+/users$")`, ""},
	{graph.HTTP, `request.url_path.matches("(?i)^/ADMIN/.*")`, ""},
	{graph.HTTP, `request.url_path < "/b"`, ""},
	{graph.HTTP, `request.url_path <= "/admin/users"`, ""},
	{graph.HTTP, `request.url_path > "/b"`, ""},
	{graph.HTTP, `request.url_path >= "/admin/users"`, ""},
	{graph.HTTP, `request.query == ""`, ""},
	{graph.HTTP, `request.query.contains("q=1")`, ""},
	{graph.HTTP, `request.host == "shop.example"`, ""},
	{graph.HTTP, `request.method in ["GET", "HEAD"]`, ""},
	{graph.HTTP, `!(request.method in ["GET", "HEAD"])`, ""},
	{graph.HTTP, `request.id == ""`, ""},
	{graph.HTTP, `request.id == "id-1"`, ""},
	{graph.HTTP, `request.time > timestamp("2020-02-29T23:59:59.5+01:00")`, ""},
	{graph.HTTP, `request.time <= timestamp("2020-02-29T23:59:59Z")`, ""},
	{graph.HTTP, `request.time.getFullYear() >= 2025`, ""},
	{graph.HTTP, `request.time.getMonth() < 12 && request.time.getDate() >= 1 && request.time.getDayOfMonth() < 31`, ""},
	{graph.HTTP, `request.time.getDayOfWeek() > 6 || request.time.getDayOfYear() > 365`, ""},
	{graph.HTTP, `request.time.getHours() < 24 && request.time.getMinutes() < 60 && request.time.getSeconds() < 60`, ""},
	{graph.HTTP, `request.headers["x-user"] == "bob"`, ""},
	{graph.HTTP, `request.headers["X-User"] != "bob"`, ""},
	{graph.HTTP, `request.headers["x-user"] == ""`, ""},
	{graph.HTTP, `request.headers["x-absent"] == ""`, ""},
	{graph.HTTP, `request.headers["x-absent"] != "a"`, ""},
	{graph.HTTP, `request.headers["x-absent"].startsWith(request.query)`, ""},
	{graph.HTTP, `request.headers["x-absent"].matches("^$")`, ""},
	{graph.HTTP, `size(request.headers["x-absent"]) == 0`, ""},
	{graph.HTTP, `size(request.headers["x-name"]) == 4`, ""},
	{graph.HTTP, `request.headers["x-name"].endsWith("é")`, ""},
	{graph.HTTP, `request.headers["x-name"].matches("^[^a-z]..é$")`, ""},
	{graph.HTTP, `request.headers["x-absent"] in ["", "z"]`, ""},
	{graph.HTTP, `request.headers["x-list"] == "a,b"`, ""},
	{graph.HTTP, `request.headers["x-user"] == request.headers["x-list"]`, ""},
	{graph.HTTP, `request.url_path.startsWith(request.headers["x-prefix"])`, ""},
	{graph.HTTP, `"x-user" in request.headers`, ""},
	{graph.HTTP, `!("X-User" in request.headers)`, ""},
	{graph.HTTP, `has(request.headers.accept)`, `"accept" in request.headers`},
	{graph.HTTP, `request.headers.accept == "text/html"`, ""},
	{graph.HTTP, `(request.method == "GET" ? request.url_path : request.host) == "/"`, ""},
	{graph.HTTP, `request.method == "GET" ? request.headers["x-user"] == "bob" : request.query == ""`, ""},
	{graph.HTTP, `request.method == "GET" && request.headers["x-user"] == "bob" || request.host != "shop.example" && !request.url_path.contains("a")`, ""},
	{graph.HTTP, `size(request.url_path) > 3`, ""},
	{graph.HTTP, `size(request.url_path) >= size(request.query) && size(request.host) < 13 && size(request.host) <= 12`, ""},
	{graph.HTTP, `jwt.claims["sub"] == "bob"`, ""},
	{graph.HTTP, `jwt.claims.sub != "bob"`, ""},
	{graph.HTTP, `jwt.claims["absent"] == ""`, ""},
	{graph.HTTP, `jwt.claims["level"] == ""`, ""},
	{graph.HTTP, `jwt.claims["roles"] != "a"`, ""},
	{graph.HTTP, `"sub" in jwt.claims`, ""},
	{graph.HTTP, `"level" in jwt.claims`, ""},
	{graph.HTTP, `has(jwt.claims.sub)`, `"sub" in jwt.claims`},
	{graph.HTTP, `jwt.claims["https://shop.example/group"] == "beta"`, ""},
	{graph.HTTP, `jwt.claims["scope"].matches("(^| )write( |$)")`, ""},
	{graph.HTTP, `connection.mtls`, ""},
	{graph.HTTP, `connection.mtls == false`, ""},
	{graph.HTTP, `connection.requested_server_name == "shop.example"`, ""},
	{graph.HTTP, `connection.requested_server_name == ""`, ""},
	{graph.HTTP, `source.address.startsWith("127.0.0.1:")`, ""},
	{graph.HTTP, `source.port > 0 && source.port <= 65535`, ""},
	{graph.HTTP, `source.port in [1, 2, 3]`, ""},
	{graph.HTTP, `destination.address.contains(":") && destination.port != 80`, ""},
	{graph.HTTP, `destination.port == source.port`, ""},
	{graph.HTTP, `request.headers["x-user"] == source.service`, ""},
	{graph.GRPC, `grpc.service == "shop.Cart"`, ""},
	{graph.GRPC, `grpc.service != "shop.Cart"`, ""},
	{graph.GRPC, `"shop.Cart" == grpc.service`, ""},
	{graph.GRPC, `grpc.service in ["shop.Cart", "shop.Geo"]`, ""},
	{graph.GRPC, `grpc.service.startsWith("shop.")`, ""},
	{graph.GRPC, `grpc.service.endsWith(".Cart")`, ""},
	{graph.GRPC, `grpc.service.contains("p.C")`, ""},
	{graph.GRPC, `grpc.method == "Add"`, ""},
	{graph.GRPC, `grpc.method != "Add"`, ""},
	{graph.GRPC, `grpc.method in ["Add", "users"]`, ""},
	{graph.GRPC, `grpc.method.startsWith("A")`, ""},
	{graph.GRPC, `grpc.method.endsWith("d")`, ""},
	{graph.GRPC, `grpc.method.contains("dd")`, ""},
	{graph.GRPC, `!(grpc.method.contains("dd") && grpc.service.startsWith("shop."))`, ""},
}

// calls are requests that tell the conditions apart.
var calls = []call{
	{method: "GET", path: "/", host: "shop.example"},
	{method: "GET", path: "/admin/users?q=1", host: "shop.example", headers: map[string]string{"x-user": "bob", "x-request-id": "id-1", "accept": "text/html"}},
	{method: "POST", path: "/admin/users", host: "shop.example:80", headers: map[string]string{"x-user": "", "x-list": "a,b", "x-prefix": "/adm"}},
	{method: "HEAD", path: "/Admin/x", host: "other.example", headers: map[string]string{"x-user": "web", "x-name": "Ärmé", "x-absent-not": "1"}},
	{method: "POST", path: "/shop.Cart/Add", host: "cart", claims: map[string]any{"sub": "bob", "level": 3.0, "roles": []any{"a", "b"}, "https://shop.example/group": "beta", "scope": "read write"}},
	{method: "POST", path: "/shop.Geo/users", host: "geo", claims: map[string]any{"sub": "", "scope": "writer"}},
	{method: "POST", path: "/shop.Cart", host: "cart"},
	{method: "POST", path: "/a/shop.Cart/Add?x=/Add", host: "cart", claims: map[string]any{"level": "high", "roles": "a"}},
}

var onConnections = []string{
	`connection.mtls`,
	`!connection.mtls`,
	`connection.requested_server_name == "shop.example"`,
	`connection.requested_server_name.endsWith(".example") || connection.requested_server_name == ""`,
	`source.address.startsWith("127.0.0.1:")`,
	`source.address.matches("^127[.]0[.]0[.]1:[0-9]+$") && size(source.address) > 10`,
	`source.port < 1024`,
	`source.port >= 1024`,
	`destination.port == 1 || destination.address == "127.0.0.1:1"`,
	`destination.address.startsWith("127.")`,
	`source.port in [1, 2]`,
	`(connection.mtls ? source.port : destination.port) > 0`,
}

var (
	web  = &graph.Service{Name: "shop/web", Namespace: "shop", Labels: map[string]string{"tier": "front"}}
	cart = &graph.Service{Name: "cart", Namespace: "shop", Labels: map[string]string{"tier": "back", "pci": "true"}}
)

// residualOf folds on the edge web -> cart; a condition that folds away is
// no use here.
func residualOf(t *testing.T, text string, plane graph.Plane) *exprpb.Expr {
	t.Helper()
	v, r := compiled(t, text, plane).fold(web, cart)
	if v != depends {
		t.Fatalf("%s folds away", text)
	}
	return r.Expr
}

func TestProxyAgreesOnRequests(t *testing.T) {
	var exprs []*exprpb.Expr
	for _, c := range onRequests {
		e := residualOf(t, c.text, c.plane)
		exprs = append(exprs, e, negated(e))
	}
	peers := newPeers(t)
	addresses := startEnvoy(t,
		httpListener(t, "plain", nil, exprs),
		httpListener(t, "tls", peers.server, exprs))
	told := make([]map[bool]bool, len(onRequests))
	for _, link := range peers.links {
		for _, c := range calls {
			conn := link.dial(t, addresses)
			conn.fill(&c)
			for i, written := range onRequests {
				want := asWritten(t, cmp.Or(written.means, written.text), written.plane, c, web, cart)
				if got := asEnvoyWould(t, exprs[2*i], c); got != want {
					t.Errorf("%s for %s: lowered to %v, means %v", written.text, c, got, want)
				}
				if got := conn.refused(t, c, 2*i); got != want {
					t.Errorf("%s for %s over %s: the proxy says %v, it means %v", written.text, c, link.name, got, want)
				}
				// An error counts as no match, so that only the negation tells.
				if got := conn.refused(t, c, 2*i+1); got == want {
					t.Errorf("!(%s) for %s over %s: the proxy says %v", written.text, c, link.name, got)
				}
				if told[i] == nil {
					told[i] = map[bool]bool{}
				}
				told[i][want] = true
			}
		}
	}
	if both := len(slices.DeleteFunc(told, func(m map[bool]bool) bool { return len(m) < 2 })); both < len(onRequests)*2/3 {
		t.Errorf("only %d of %d conditions are true for one call and false for another", both, len(onRequests))
	}
}

func TestProxyAgreesOnConnections(t *testing.T) {
	peers := newPeers(t)
	var listeners []object
	var exprs []*exprpb.Expr
	for i, text := range onConnections {
		e := residualOf(t, text, graph.TCP)
		exprs = append(exprs, e)
		for _, sign := range []struct {
			mark string
			e    *exprpb.Expr
		}{{"", e}, {"!", negated(e)}} {
			listeners = append(listeners,
				tcpListener(t, fmt.Sprintf("plain%s%d", sign.mark, i), nil, sign.e),
				tcpListener(t, fmt.Sprintf("tls%s%d", sign.mark, i), peers.server, sign.e))
		}
	}
	addresses := startEnvoy(t, listeners...)
	for _, link := range peers.links {
		for i, text := range onConnections {
			for _, mark := range []string{"", "!"} {
				var c call
				conn := link.dialListener(t, addresses[fmt.Sprintf("%s%s%d", link.listener, mark, i)])
				conn.fill(&c)
				want := asWritten(t, text, graph.TCP, c, web, cart)
				if got := asEnvoyWould(t, exprs[i], c); got != want {
					t.Errorf("%s over %s: lowered to %v, means %v", text, link.name, got, want)
				}
				if got := conn.silent(t); got != (want == (mark == "")) {
					t.Errorf("%s(%s) over %s: the proxy says %v", mark, text, link.name, got)
				}
			}
		}
	}
}

// TestConnectHasNoPath: the one request without a path reads as an empty one.
func TestConnectHasNoPath(t *testing.T) {
	texts := []string{`request.path.startsWith("/")`, `request.path.matches("^$")`, `request.url_path == ""`, `request.query == ""`}
	var exprs []*exprpb.Expr
	for _, text := range texts {
		e := residualOf(t, text, graph.HTTP)
		exprs = append(exprs, e, negated(e))
	}
	addresses := startEnvoy(t, httpListener(t, "plain", nil, exprs))
	for i, text := range texts {
		c := call{method: http.MethodConnect, host: "shop.example:443"}
		dial := func() *conn { // each tunnel takes its connection
			conn := link{listener: "plain"}.dial(t, addresses)
			conn.fill(&c)
			return conn
		}
		want := dial().refused(t, c, 2*i)
		if meant := asWritten(t, text, graph.HTTP, c, web, cart); meant != want || asEnvoyWould(t, exprs[2*i], c) != want {
			t.Errorf("%s: the proxy says %v, it means %v", text, want, meant)
		}
		if dial().refused(t, c, 2*i+1) == want {
			t.Errorf("!(%s): the proxy says %v", text, want)
		}
	}
}

// notRun are constructs that the real proxy refuses to load, or answers neither
// yes nor no: that is how an error shows.
var notRun = []struct {
	text  string
	loads bool
}{
	{`request.headers.exists(k, k == "a")`, false},
	{`request.headers.all(k, k != "a")`, false},
	{`["a"].exists_one(k, k == request.path)`, false},
	{`["a"].map(k, k + "x") == ["ax"]`, false},
	{`["a"].filter(k, k == "a") == ["a"]`, false},
	{`string(source.port) == "80"`, false},
	{`request.path.lowerAscii() == "/"`, false},
	{`request.path.split("/")[0] == ""`, false},
	{`request.path.substring(1) == ""`, false},
	{`request.path.matches("(")`, false},
	{`request.path.matches("a{98}")`, false},
	{`request.path.matches("\\pL")`, false},
	{`request.path + "x" == "/x"`, true},
	{`1 / size(request.headers["x-none"]) == 1`, true},
	{`1 % size(request.headers["x-none"]) == 1`, true},
	{`source.port * 9223372036854775807 > 0`, true},
	{`source.port + 9223372036854775807 > 0`, true},
	{`-9223372036854775807 - source.port > 0`, true},
	{`int(request.url_path) == 1`, true},
	{`double(request.url_path) == 1.0`, true},
	{`timestamp(request.url_path) < request.time`, true},
	{`duration(request.url_path) == duration("1s")`, true},
	{`request.url_path.matches(request.headers["x-bad"])`, true},
	{`["a"][size(request.url_path)] == "a"`, true},
	{`{"a": "b"}[request.url_path] == "b"`, true},
	{`request.time.getHours(request.url_path) == 1`, true},
	{`response.code == 200`, true},
}

func TestWhatTheProxyDoesNotRunIsRefused(t *testing.T) {
	raw := func(text string) *exprpb.Expr {
		parsed, issues := parserEnv().Parse(text)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", text, issues.Err())
		}
		p, err := cel.AstToParsedExpr(parsed)
		if err != nil {
			t.Fatal(err)
		}
		return p.GetExpr()
	}
	var run []*exprpb.Expr
	var texts []string
	for _, c := range notRun {
		e := raw(c.text)
		problem := validates(t, bootstrap(t, httpListener(t, "plain", nil, []*exprpb.Expr{e})))
		if loads := problem == ""; loads != c.loads {
			t.Errorf("%s: loads is %v: %s", c.text, loads, problem)
		} else if loads {
			run, texts = append(run, e, negated(e)), append(texts, c.text)
		}
		bag := &diag.Bag{}
		// What reads the answer is accepted for actions that don't decide here.
		accepted := compileCondition(celSource(c.text), graph.HTTP, bag) != nil || !bag.HasErrors()
		if accepted != strings.HasPrefix(c.text, "response.") {
			t.Errorf("%s: accepted is %v", c.text, accepted)
		}
	}
	addresses := startEnvoy(t, httpListener(t, "plain", nil, run))
	c := call{method: "GET", path: "/", host: "a", headers: map[string]string{"x-none": "", "x-bad": "("}}
	conn := link{listener: "plain"}.dial(t, addresses)
	for i, text := range texts {
		if conn.refused(t, c, 2*i) || conn.refused(t, c, 2*i+1) {
			t.Errorf("%s: the proxy has an answer", text)
		}
	}
	control := startEnvoy(t, httpListener(t, "plain", nil, []*exprpb.Expr{raw(`request.path == "/"`)}))
	if !(link{listener: "plain"}).dial(t, control).refused(t, c, 0) {
		t.Error("a plain condition does not refuse: the test proves nothing")
	}
}

// negated is !(e).
func negated(e *exprpb.Expr) *exprpb.Expr {
	l := lowering{last: 1 << 20}
	return l.call(opNot, e)
}
