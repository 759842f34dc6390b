package lang

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
)

var internet = &graph.External{Name: "internet/eu"}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // verdict, or the residual's text
	}{
		// What the graph knows.
		{`source.service == "web" && request.method == "GET"`, `request.method == "GET"`},
		{`source.service == "shop/web"`, `never`},
		{`source.service != "web" && request.method == "GET"`, `never`},
		{`destination.service in ["cart", "geo"] || request.method == "GET"`, `always`},
		{`source.namespace == destination.namespace`, `always`},
		{`source.labels["tier"] == "front" && destination.labels.pci == "true"`, `always`},
		{`source.labels["absent"] == ""`, `always`},
		{`"pci" in destination.labels && !("pci" in source.labels)`, `always`},
		{`has(destination.labels.pci)`, `always`},
		{`source.service.startsWith("w") && source.service.endsWith("b") && source.service.contains("e") && source.service.matches("^[a-z]+$")`, `always`},
		{`size(source.service) == 3`, `always`},
		{`source.service < "x" && source.service >= "web"`, `always`},
		{`request.headers["x-user"] == source.service`, `request.headers["x-user"] == "web"`},
		{`(source.service == "web" ? request.host : request.method) == "a"`, `request.host == "a"`},
		{`source.service == "web" ? request.method == "GET" : request.method == "PUT"`, `request.method == "GET"`},
		{`request.method == "GET" ? source.service == "web" : request.host == "a"`, `request.method == "GET" || request.host == "a"`},
		{`request.method == "GET" ? source.service == "x" : request.host == "a"`, `request.method != "GET" && request.host == "a"`},
		{`request.method == "GET" ? request.host == "a" : source.service == "web"`, `request.method != "GET" || request.host == "a"`},
		{`request.method == "GET" ? request.host == "a" : source.service == "x"`, `request.method == "GET" && request.host == "a"`},

		// What is constant without it.
		{`true || request.method == "GET"`, `always`},
		{`request.method == "GET" || true`, `always`},
		{`request.method == "GET" && false`, `never`},
		{`request.method == "GET" && true`, `request.method == "GET"`},
		{`request.method == "GET" && request.method == "GET"`, `request.method == "GET"`},
		{`request.method == "GET" || request.method != "GET"`, `always`},
		{`connection.mtls && !connection.mtls`, `never`},
		{`request.method in []`, `never`},
		{`request.method in ["GET"]`, `request.method == "GET"`},
		{`request.method in ["GET", "PUT", "GET"]`, `request.method in ["GET", "PUT"]`},
		{`"a" in ["b", "a"]`, `always`},
		{`request.url_path == request.url_path`, `always`},
		{`source.port < source.port`, `never`},
		{`request.host.startsWith("")`, `always`},
		{`timestamp("2026-01-02T03:04:05Z").getMonth() == 0 && timestamp("2026-01-01T00:00:00Z") < timestamp("2026-01-02T00:00:00Z")`, `always`},
		{`timestamp("2026-01-01T01:00:00+01:00") == timestamp("2026-01-01T00:00:00Z")`, `always`},
		{`size("日本") == 2 && "日本" > "a"`, `always`},

		// How it is printed.
		{`!(request.method == "GET")`, `request.method != "GET"`},
		{`!!connection.mtls`, `connection.mtls`},
		{`connection.mtls == false`, `!connection.mtls`},
		{`!(source.port < 80)`, `source.port >= 80`},
		{`!(request.method in ["A", "B"])`, `!(request.method in ["A", "B"])`},
		{`!("x-a" in request.headers)`, `!("x-a" in request.headers)`},
		{`request.headers.accept == 'it\'s "é"\n'`, `request.headers["accept"] == "it's \"é\"\n"`},
		{`request.headers["X-User"] == "a"`, `request.headers["x-user"] == "a"`},
		{`request.method == "A" && (request.host == "b" || request.query == "c") || connection.mtls`,
			`request.method == "A" && (request.host == "b" || request.query == "c") || connection.mtls`},
		{`((request.method == "A" && request.host == "b")) && connection.mtls`, `request.method == "A" && request.host == "b" && connection.mtls`},
		{`(connection.mtls ? request.host : request.query).startsWith("a")`, `(connection.mtls ? request.host : request.query).startsWith("a")`},
		{`jwt.claims.sub == "bob" && size(request.url_path) > 3`, `jwt.claims["sub"] == "bob" && size(request.url_path) > 3`},
		{`request.time < timestamp("2026-01-01T00:00:00Z") || request.time.getHours() >= 22`, `request.time < timestamp("2026-01-01T00:00:00Z") || request.time.getHours() >= 22`},
		{`request.url_path.matches(r"\.php$")`, `request.url_path.matches("\\.php$")`},
	} {
		v, r := compiled(t, c.text, graph.HTTP).fold(web, cart)
		got := [...]string{"depends", "always", "never"}[v]
		if v == depends {
			got = r.Text
		} else if r != nil {
			t.Errorf("%s: %s with a residual", c.text, got)
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
		if v != depends {
			continue
		}
		again := compiled(t, r.Text, graph.HTTP)
		if _, twice := again.fold(web, cart); !sameCondition(r, twice) {
			t.Errorf("%s: printed and compiled again it is %v", r.Text, twice)
		}
	}
}

func TestFoldOfAnExternal(t *testing.T) {
	for text, want := range map[string]verdict{
		`source.service == "internet/eu"`: always,
		`source.namespace == ""`:          always,
		`source.labels["tier"] == ""`:     always,
		`"tier" in source.labels`:         never,
		`destination.service == "cart"`:   always,
	} {
		if got, _ := compiled(t, text, graph.TCP).fold(internet, cart); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestFoldOnGRPC(t *testing.T) {
	for text, want := range map[string]verdict{
		`grpc.service in []`: never, `grpc.method in [] || true`: always, `grpc.service in ["a.B"]`: depends,
	} {
		if got, _ := compiled(t, text, graph.GRPC).fold(web, cart); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestReads(t *testing.T) {
	c := compiled(t, `source.labels.tier == "front" && (request.headers["X-B"] == "1" || "x-a" in request.headers || jwt.claims.sub == "b") && request.url_path != "/"`, graph.HTTP)
	want := []string{"jwt.claims", `request.headers["x-a"]`, `request.headers["x-b"]`, "request.url_path", `source.labels["tier"]`}
	if !slices.Equal(c.reads, want) {
		t.Errorf("reads %q", c.reads)
	}
	for attr, text := range map[string]string{
		"jwt.claims": "jwt.claims.sub", `request.headers["x-a"]`: `"x-a" in request.headers`,
		`request.headers["x-b"]`: `request.headers["X-B"]`, "request.url_path": "request.url_path",
		`source.labels["tier"]`: "source.labels.tier", "request.host": c.at.Text(),
	} {
		if got := c.readAt(attr).Text(); got != text {
			t.Errorf("readAt(%s) is %q, want %q", attr, got, text)
		}
	}
	if _, r := c.fold(web, cart); !slices.Equal(r.Reads, want[:4]) {
		t.Errorf("the residual reads %q", r.Reads)
	}
}

func TestSameCondition(t *testing.T) {
	c := compiled(t, `source.labels["tier"] == "front" ? request.method == "GET" : request.host == "a"`, graph.HTTP)
	_, front := c.fold(web, cart)
	_, back := c.fold(cart, web)
	_, other := c.fold(cart, cart)
	if sameCondition(front, back) || !sameCondition(back, other) || sameCondition(front, nil) || !sameCondition(nil, nil) {
		t.Error("residuals are mixed up")
	}
	if back != other {
		t.Error("edges with the same facts do not share a residual")
	}
}

// Each mistake is marked «so»; its diagnostic starts and ends there. Several
// are in the order of their places.
var mistakes = []struct {
	plane graph.Plane
	text  string
	want  string // code "substring of the message", separated by ;
	hint  string
}{
	{graph.HTTP, `request.method =«=»`, `cel-syntax "breaks off"`, ""},
	{graph.HTTP, `request.method == «"a»`, `cel-syntax "unexpected"`, "the string has no end"},
	{graph.HTTP, `request.method «b»`, `cel-syntax "unexpected b"`, ""},
	{graph.HTTP, `« »`, `cel-syntax "empty"`, ""},
	{graph.HTTP, "«request.pth» == \"a\"", `unknown-attribute "request.pth"`, "did you mean request.path?"},
	{graph.HTTP, "true &&\n  \"é\" == \"é\" && «request . pth» == \"a\"", `unknown-attribute "request.pth"`, "request.path"},
	{graph.HTTP, `«request.user_agent» == "a"`, `unknown-attribute "request.user_agent"`, `request.headers["user-agent"]`},
	{graph.HTTP, `«foo» == "a" && «request» == "b" && «req.path» == "c"`, `unknown-attribute "foo"; unknown-attribute "request"; unknown-attribute "req.path"`, ""},
	{graph.HTTP, `«request.headers.a.b» == ""`, `unknown-attribute "request.headers.a.b"`, ""},
	{graph.TCP, `«request.path» == "/"`, `attribute-protocol "no request.path on tcp"`, "connection.requested_server_name"},
	{graph.TCP, `«request.headers»["a"] == "" || «jwt.claims».sub == "" || source.port == 1`, `attribute-protocol "request.headers"; attribute-protocol "jwt.claims"`, ""},
	{graph.HTTP, `«grpc.service» == "a.B"`, `attribute-protocol "grpc.service on http"`, ": grpc"},
	{graph.HTTP, `«request.size» > 3`, `attribute-too-late "request.size"`, "content-length"},
	{graph.HTTP, `«response.size» > 3`, `attribute-too-late "response.size"`, "content-length"},
	{graph.GRPC, `«response.code» == 200`, `attribute-protocol "response.code on grpc"`, ": http"},
	{graph.HTTP, `request.path «==» 3`, `cel-type "== does not take (string, int)"`, ""},
	{graph.HTTP, `source.port == «80u» || source.port < «1.5» || source.port «==» "1"`, `cel-unsupported "uint"; cel-unsupported "double"; cel-type "(int, string)"`, "whole numbers"},
	{graph.HTTP, `request.url_path.«startsWith»(3)`, `cel-type "startsWith does not take string.(int)"`, ""},
	{graph.HTTP, `request.url_path.«startswith»("/")`, `cel-type "no function startswith"`, "startsWith"},
	{graph.HTTP, `«request.method»`, `cel-type "a condition is true or false, and this is a string"`, ""},
	{graph.HTTP, `connection.mtls «?» request.path : source.port`, `cel-type "? :"`, ""},
	{graph.HTTP, `request.method «in» "GET"`, `cel-type "in looks for"`, "contains"},
	{graph.HTTP, `request.method in ["GET", «3»]`, `cel-type "a string is never in a list with a int"`, ""},
	{graph.HTTP, `request.url_path.matches(«"("»)`, `cel-type "missing closing )"`, ""},
	{graph.HTTP, `request.time < timestamp(«"monday"»)`, `cel-type "not a time"`, "2026"},
	{graph.HTTP, `«request.headers["x user"]» == ""`, `cel-type "not the name of a header"`, ""},
	{graph.HTTP, `request.url_path.matches(«"` + strings.Repeat("a", 97) + `"»)`, `cel-unsupported "larger than Envoy accepts"`, ""},
	{graph.HTTP, `request.url_path.«matches»(request.host)`, `cel-unsupported "matches takes a constant"`, ""},
	{graph.HTTP, `request.headers[«request.host»] == ""`, `cel-unsupported "named by a string constant"`, ""},
	{graph.HTTP, `«request.host» in request.headers`, `cel-unsupported "named by a string constant"`, ""},
	{graph.HTTP, `size(«request.headers») > 3`, `cel-unsupported "only by a key"`, `"name" in request.headers`},
	{graph.HTTP, `size(«request.headers») == "3" || «jwt.claims».contains("a")`, `cel-unsupported "only by a key"; cel-unsupported "claims can be read"`, ""},
	{graph.HTTP, `size(size(«request.headers»), 1) > 1 ? «request.headers» == "a" : «request.headers» in ["a"]`,
		`cel-unsupported "only by a key"; cel-unsupported "only by a key"; cel-unsupported "only by a key"`, ""},
	{graph.HTTP, `("a" in request.headers) «==» 3 && request.headers["a"] «==» 3 && request.headers.a «==» 3`, `cel-type "(bool, int)"; cel-type "(string, int)"; cel-type "(string, int)"`, ""},
	{graph.HTTP, `«request.headers["host"]» == "a"`, `cel-unsupported "host is not a header"`, "request.host"},
	{graph.HTTP, `«request.headers[":path"]» == "a"`, `cel-unsupported ":path"`, "request.path"},
	{graph.HTTP, `request.headers.«exists»(k, k == "a") && request.path «==» 3`, `cel-unsupported "exists(…) is a loop"; cel-type "(string, int)"`, ""},
	{graph.HTTP, `["a"].«all»(k, k == foo)`, `cel-unsupported "all(…) is a loop"`, ""},
	{graph.HTTP, `request.host «+» "a" == "b" && source.port «/» 2 == 1 && source.port «%» 2 == 1 && source.port «*» 2 == 1`,
		`cel-unsupported "+ joins"; cel-unsupported "/ may divide"; cel-unsupported "% may divide"; cel-unsupported "* may overflow"`, ""},
	{graph.HTTP, `«string»(source.port) == "1" && «int»(request.host) == 1 && «duration»("1s") == «duration»("1s")`,
		`cel-unsupported "string() converts"; cel-unsupported "int() converts"; cel-unsupported "duration()"; cel-unsupported "duration()"`, ""},
	{graph.HTTP, `«timestamp»(request.host) < request.time`, `cel-unsupported "timestamp() takes a constant"`, ""},
	{graph.HTTP, `request.time.«getHours»("Europe/Berlin") == 3`, `cel-unsupported "time zone"`, "UTC"},
	{graph.HTTP, `request.host.«lowerAscii»() == "a"`, `cel-unsupported "extension"`, "strings have"},
	{graph.HTTP, `«1.5» < «2.5» && «b"a"» == «b"b"» && «null» == «null»`,
		`cel-unsupported "double"; cel-unsupported "double"; cel-unsupported "bytes"; cel-unsupported "bytes"; cel-unsupported "null"; cel-unsupported "null"`, ""},
	{graph.HTTP, `«[»1] == «[»2]`, `cel-unsupported "list"; cel-unsupported "list"`, ""},
	{graph.HTTP, `request.method in [«request.host»]`, `cel-unsupported "constants only"`, ""},
	{graph.HTTP, `«{»"a": "b"}["a"] == "b"`, `cel-unsupported "maps and messages"`, ""},
	{graph.HTTP, `connection.mtls «<» true`, `cel-unsupported "< of bool and bool"`, ""},
	{graph.HTTP, `has(«request.pth») || has(«foo.bar»)`, `unknown-attribute "request.pth"; unknown-attribute "foo.bar"`, "request.path"},
	{graph.TCP, `has(«request.headers».accept)`, `attribute-protocol "request.headers"`, ""},
	{graph.HTTP, `has(«request . path»)`, `cel-unsupported "always there"`, ""},
	{graph.GRPC, `size(grpc.service) > 3`, `cel-unsupported "grpc.service is part of the path"`, ""},
	{graph.GRPC, `grpc.service «==» request.host`, `cel-unsupported "grpc.service is part of the path"`, ""},
	{graph.GRPC, `grpc.service «==» "/a.B"`, `cel-unsupported "no slash"`, "request.url_path"},
	{graph.GRPC, `grpc.method «==» ""`, `cel-unsupported "never empty"`, ""},
	{graph.GRPC, `grpc.service.«contains»("` + strings.Repeat("a", 90) + `")`, `cel-unsupported "too long"`, ""},
	{graph.HTTP, `«` + strings.Repeat("!(", 25) + `connection.mtls` + strings.Repeat(")", 25) + `»`, `condition-too-large "nested"`, ""},
}

func TestMistakes(t *testing.T) {
	for _, m := range mistakes {
		text, marks := unmark(m.text)
		src := celSource(text)
		bag := &diag.Bag{}
		if compileCondition(src, m.plane, bag) != nil {
			t.Errorf("%s is accepted", text)
		}
		var got, want []string
		for _, d := range bag.All() {
			got = append(got, fmt.Sprintf("%s at %d-%d", d.Code, d.At.Start-src.At.Start, d.At.End-src.At.Start))
		}
		list := strings.Split(m.want, "; ")
		for i, w := range list {
			code, message, _ := strings.Cut(w, " ")
			if i >= len(marks) {
				// Not marked: the span is not the point of this one.
				marks = append(marks, [2]int{int(bag.All()[i].At.Start - src.At.Start), int(bag.All()[i].At.End - src.At.Start)})
			}
			want = append(want, fmt.Sprintf("%s at %d-%d", code, marks[i][0], marks[i][1]))
			if all := bag.All(); i < len(all) && !strings.Contains(all[i].Message, strings.Trim(message, `"`)) {
				t.Errorf("%s: %q is not in %q", text, message, all[i].Message)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
		if m.hint != "" && !strings.Contains(strings.Join(bag.All()[0].Hints, "\n"), m.hint) {
			t.Errorf("%s: the hints are %q", text, bag.All()[0].Hints)
		}
	}
}

// unmark gives the text without its marks, and the byte ranges they enclose.
func unmark(marked string) (text string, marks [][2]int) {
	var b strings.Builder
	for _, r := range marked {
		switch r {
		case '«':
			marks = append(marks, [2]int{b.Len(), 0})
		case '»':
			marks[len(marks)-1][1] = b.Len()
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), marks
}

func TestPathWithQuery(t *testing.T) {
	for text, warned := range map[string]bool{
		`request.path == "/admin"`:                  true,
		`"/admin" != request.path`:                  true,
		`request.path in ["/a", "/b"]`:              true,
		`request.path.endsWith(".php")`:             true,
		`request.path == "/admin?q=1"`:              false,
		`request.path.startsWith("/admin")`:         false,
		`request.url_path == "/admin"`:              false,
		`request.path == request.headers["x-path"]`: false,
	} {
		bag := &diag.Bag{}
		if compileCondition(celSource(text), graph.HTTP, bag) == nil {
			t.Errorf("%s does not compile", text)
		}
		all := bag.All()
		if (len(all) == 1) != warned {
			t.Errorf("%s: %d diagnostics", text, len(all))
			continue
		}
		if warned {
			d := all[0]
			if d.Severity != diag.Warning || d.Code != PathCarriesQuery || d.At.Text() != "request.path" ||
				len(d.Fixes) != 1 || d.Fixes[0].At != d.At || d.Fixes[0].Replace != "request.url_path" {
				t.Errorf("%s: %+v", text, d)
			}
		}
	}
}
