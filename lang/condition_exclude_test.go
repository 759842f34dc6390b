package lang

import (
	"testing"

	"admc.dev/admc/graph"
)

func TestExcludes(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`request.method == "GET"`, `request.method == "PUT"`, true},
		{`request.method == "GET"`, `request.method != "GET"`, true},
		{`request.method == "GET"`, `request.method != "PUT"`, false},
		{`request.method == "GET"`, `request.host == "GET"`, false},
		{`request.method in ["GET", "HEAD"]`, `request.method in ["PUT", "POST"]`, true},
		{`request.method in ["GET", "HEAD"]`, `request.method in ["HEAD", "POST"]`, false},
		{`request.method in ["GET", "HEAD"]`, `!(request.method in ["HEAD", "GET", "PUT"])`, true},
		{`request.url_path.startsWith("/a")`, `request.url_path.startsWith("/b")`, true},
		{`request.url_path.startsWith("/a")`, `request.url_path.startsWith("/a/b")`, false},
		{`request.url_path.startsWith("/a")`, `!request.url_path.startsWith("/a")`, true},
		{`request.url_path.startsWith("/a/b")`, `!request.url_path.startsWith("/a")`, true},
		{`request.url_path.startsWith("/a")`, `!request.url_path.startsWith("/a/b")`, false},
		{`request.url_path.endsWith(".php")`, `request.url_path.endsWith(".html")`, true},
		{`request.url_path.endsWith(".tar.gz")`, `!request.url_path.endsWith(".gz")`, true},
		{`request.url_path.contains("/admin/")`, `!request.url_path.contains("admin")`, true},
		{`request.url_path.startsWith("/admin")`, `!request.url_path.contains("admin")`, true},
		{`request.url_path.contains("admin")`, `!request.url_path.startsWith("admin")`, false},
		{`request.url_path.startsWith("/a")`, `!request.url_path.endsWith("/a")`, false},
		{`request.url_path.startsWith("/a")`, `request.url_path == "/b"`, true},
		{`request.url_path.matches("^/a")`, `request.url_path in ["/b", "/c"]`, true},
		{`request.url_path.contains("a")`, `request.url_path.contains("b")`, false},
		{`request.headers["x-a"] == "1"`, `request.headers["X-A"] == "2"`, true},
		{`request.headers["x-a"] == "1"`, `!("x-a" in request.headers)`, true},
		{`request.headers["x-a"] == ""`, `"x-a" in request.headers`, false},
		{`request.headers["x-a"] == ""`, `!("x-a" in request.headers)`, false},
		{`request.headers["x-a"] != ""`, `!("x-a" in request.headers)`, true},
		{`request.method in ["GET", "PUT"] && request.method != "GET"`, `request.method != "PUT"`, true},
		{`request.method in ["GET", "PUT"] && request.method != "GET"`, `request.method != "HEAD"`, false},
		{`connection.mtls`, `!connection.mtls`, true},
		{`source.port < 1024`, `source.port >= 1024`, true},
		{`source.port < 1024`, `source.port > 1022`, false},
		{`source.port < 1024`, `1023 < source.port`, true},
		{`source.port < 1024`, `source.port == 8080`, true},
		{`size(request.url_path) < 4`, `size(request.url_path) > 4`, true},
		{`source.service == "a"`, `source.service == "b"`, true},
		{`request.method == "GET" && request.host == "a"`, `request.host == "b" || request.method == "PUT"`, true},
		{`request.method == "GET" && request.host == "a"`, `request.host == "b" || request.method == "GET"`, false},
		{`connection.mtls ? request.method == "GET" : request.method == "PUT"`, `request.method == "POST"`, true},
		{`connection.mtls ? request.method == "GET" : request.method == "PUT"`, `!connection.mtls && request.method == "GET"`, true},
		{`false`, `request.method == "GET"`, true},
		{`true`, `request.method == "GET"`, false},
	} {
		a, b := compiled(t, c.a, graph.HTTP), compiled(t, c.b, graph.HTTP)
		if excludes(a.root, b.root) != c.want || excludes(b.root, a.root) != c.want {
			t.Errorf("%s | %s: %v", c.a, c.b, !c.want)
		}
	}
	grpc := func(text string) *term { return compiled(t, text, graph.GRPC).root }
	if !excludes(grpc(`grpc.service == "a.B"`), grpc(`grpc.service in ["a.C"]`)) {
		t.Error("two gRPC services are taken for one")
	}
	if excludes(nil, grpc(`grpc.method == "Get"`)) {
		t.Error("a condition excludes what has none")
	}
}
