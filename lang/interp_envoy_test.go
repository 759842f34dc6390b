package lang

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"testing"
)

// The interpreter draws and spells paths by itself. These tests hold it to the
// real proxy.

// managed is a listener that runs filters and answers 200, with the path that it
// saw in the header x-path.
func managed(name string, options object, filters ...object) object {
	fields := object{
		"stat_prefix": "http", "generate_request_id": false, "preserve_external_request_id": true,
		"http_filters": append(filters, typed("router", "filters.http.router.v3.Router", nil)),
		"route_config": object{
			"response_headers_to_add": []object{{"header": object{"key": "x-path", "value": "%REQ(:PATH)%"}}},
			"virtual_hosts": []object{{"name": "v", "domains": []string{"*"}, "routes": []object{
				{"match": object{"prefix": "/"}, "direct_response": object{"status": 200}},
			}}},
		},
	}
	for k, v := range options {
		fields[k] = v
	}
	return listener(name, object{"filters": []object{
		typed("hcm", "filters.network.http_connection_manager.v3.HttpConnectionManager", fields)}})
}

// refusesUndrawn answers 403 to requests that are not drawn.
func refusesUndrawn(seed string, numerator int, denominator string) object {
	h := fnv.New64a()
	h.Write([]byte(seed))
	drawn := object{"single_predicate": object{
		"input": object{"name": "id", "typed_config": object{
			"@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "header_name": "x-request-id"}},
		"custom_match": typed("draw", "matching.input_matchers.runtime_fraction.v3.RuntimeFraction", object{
			"runtime_fraction": object{"default_value": object{"numerator": numerator, "denominator": denominator}},
			"seed":             fmt.Sprint(h.Sum64()),
		}),
	}}
	everyone := object{"permissions": []object{{"any": true}}, "principals": []object{{"any": true}}}
	return typed("sample", "common.matching.v3.ExtensionWithMatcher", object{
		"xds_matcher": object{"matcher_list": object{"matchers": []object{{
			"predicate": drawn,
			"on_match":  object{"action": typed("skip", "filters.common.matcher.action.v3.SkipFilter", nil)},
		}}}},
		"extension_config": typed("rbac", "filters.http.rbac.v3.RBAC", object{
			"rules": object{"action": "DENY", "policies": object{"p": everyone}},
		}),
	})
}

// ask sends one request as it stands.
func ask(t *testing.T, address, path, header string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nhost: shop\r\n%s\r\n", path, header)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	res.Body.Close()
	return res
}

func TestDrawsAsEnvoy(t *testing.T) {
	shares := []struct {
		seed  string
		share float64
		n     int
		of    string
	}{
		{"canary", 0.5, 50, "HUNDRED"}, {"a", 0.1, 10, "HUNDRED"}, {"p", 0.1234, 1234, "TEN_THOUSAND"}, {"canary", 0.333333, 333333, "MILLION"},
	}
	var listeners []object
	for i, s := range shares {
		listeners = append(listeners, managed(fmt.Sprint(i), nil, refusesUndrawn(s.seed, s.n, s.of)))
	}
	addresses := startEnvoy(t, listeners...)
	for i, s := range shares {
		yes := 0
		for n := range 60 {
			id := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)[:36-n%36]
			want := drawn(s.seed, s.share, id)
			if want {
				yes++
			}
			if got := ask(t, addresses[fmt.Sprint(i)], "/", "x-request-id: "+id+"\r\n").StatusCode == 200; got != want {
				t.Errorf("%s %v of %s: Envoy says %v", s.seed, s.share, id, got)
			}
		}
		if yes == 0 || yes == 60 {
			t.Errorf("%s %v: %d of 60 are drawn, which tells nothing", s.seed, s.share, yes)
		}
	}
}

func TestPathsAsEnvoy(t *testing.T) {
	address := startEnvoy(t, managed("paths", object{
		"normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": "REJECT_REQUEST",
	}))["paths"]
	changed := 0
	paths := []string{
		"/", "/a", "/a/", "//", "//a", "/a//b///c", "/./a", "/a/.", "/a/./b", "/a/..", "/a/../b", "/a/b/../..", "/..", "/../..", "/../a", "/...", "/a/.../b",
		"/%2e/a", "/%2E%2e/a", "/a/%2e%2e/b", "/a/.%2e", "/a%2fb", "/a%2Fb", "/a%5cb", `/a\b`, `/a/..\b`, "/a//../b", "/a/b//..", "/a//..//b", "//..//a", "/a?x=//../%2f", "/?x", "/a/..?b",
		"/%61", "/A%20b", "/a;b/..", "/%7euser", "/a/%2e", "/a/%2e%2e", "/%zz", "/%", "/%6", "/%c3%a9", "/%00", "/a;%2e%2e/b", "/a/..%2e", "/%252e", "///", "/a//", "/../",
	}
	for c := '!'; c < 0x7f; c++ {
		if c != '#' {
			paths = append(paths, "/"+string(c), fmt.Sprintf("/a%%%02x", c))
		}
	}
	for _, path := range paths {
		res := ask(t, address, path, "")
		got, ok := res.Header.Get("x-path"), res.StatusCode == 200
		want, refused := normalPath(path)
		if refused != "" {
			want = ""
		}
		if want != path {
			changed++
		}
		if ok != (refused == "") || got != want {
			t.Errorf("%s: Envoy has %d %q, the interpreter %q %s", path, res.StatusCode, got, want, refused)
		}
	}
	if changed < 100 {
		t.Errorf("only %d paths have another spelling", changed)
	}
}

// TestBucketAsEnvoy sends more than a bucket holds at once: both admit as much.
func TestBucketAsEnvoy(t *testing.T) {
	limit := func(most, fill int, interval string) object {
		return typed("limit", "filters.http.local_ratelimit.v3.LocalRateLimit", object{
			"stat_prefix": "l", "token_bucket": object{"max_tokens": most, "tokens_per_fill": fill, "fill_interval": interval},
			"filter_enabled":  object{"default_value": object{"numerator": 100}},
			"filter_enforced": object{"default_value": object{"numerator": 100}},
		})
	}
	programs := []struct {
		limit string
		envoy object
	}{
		{"rate_limit(6/h)", limit(1, 6, "3600s")},
		{"rate_limit(rate: 6/h, burst: 7)", limit(7, 6, "3600s")},
		{"rate_limit(rate: 1/m, burst: 1)", limit(1, 1, "60s")},
	}
	for i, p := range programs {
		address := startEnvoy(t, managed("limit", nil, p.envoy))["limit"]
		prog, bag := checkText(shop(t), fmt.Sprintf(`policy p { on internet -> frontend  %s }
test "t" { internet -> frontend GET "/" x 12  expect pass }`, p.limit))
		if bag.HasErrors() {
			t.Fatal(textOf(bag.All()))
		}
		for n, res := range NewInterp(prog).send(prog.Tests[0].Requests[0]) {
			if got := ask(t, address, "/", "").StatusCode; got != res.Status {
				t.Errorf("%d, request %d: Envoy says %d, the interpreter %d", i, n, got, res.Status)
			}
		}
	}
}
