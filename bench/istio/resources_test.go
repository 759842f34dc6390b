package main

import (
	"os"
	"strings"
	"testing"
)

// TestBrokenResources: what an Istio user may get wrong is refused, and the same
// file without the mistake is not.
func TestBrokenResources(t *testing.T) {
	for _, c := range []struct{ file, good, bad, says string }{
		{"write_geo", "  hosts:\n  - geo\n", "  host: geo\n", `unknown field "host"`},
		{"write_geo", "  hosts:\n  - geo\n", "  hosts:\n  - \"*\"\n", "wildcard host"},
		{"write_geo", `critical: "true"`, `"": "true"`, "header name cannot be empty"},
		{"route_geo", "    - destination:\n        host: geo\n        subset: v2\n", "", "route"},
		{"route_geo", "  host: geo\n  subsets", "  hots: geo\n  subsets", `unknown field "hots"`},
		{"accessor_geo", "./mongodb-geo.", "mongodb-geo.", "namespace/dnsName"},
		{"accessor_geo", "REGISTRY_ONLY", "REGISTRY", "REGISTRY"},
		{"rate_limit", "max_tokens", "max_token", "max_token"},
		{"rate_limit", "operation: INSERT_BEFORE", "operation: INSERT", "INSERT"},
		{"count_failed", "request_headers_to_add", "request_header_to_add", "request_header_to_add"},
		{"count_failed", "metric: REQUEST_COUNT", "metric: REQUESTS", "REQUESTS"},
		{"count_failed", "kind: Telemetry", "kind: Metrics", "no resource of Istio's"},
		{"count_failed", "metadata:\n  name: count-failed\n", "metadata:\n  nam: count-failed\n", `unknown field "nam"`},
	} {
		text, err := os.ReadFile("resources/" + c.file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kinds(text); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		if !strings.Contains(string(text), c.good) {
			t.Errorf("%s has no %q", c.file, c.good)
		}
		_, err = kinds([]byte(strings.Replace(string(text), c.good, c.bad, 1)))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %q: got %v, want %q", c.file, c.bad, err, c.says)
		}
	}
}

func TestLines(t *testing.T) {
	text := "# a\n\na: # b\n  - c\n---\n\n  # d\ne: f"
	if got := lines([]byte(text), "#"); got != 3 {
		t.Errorf("got %d lines, want 3", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.of, got, c.want)
		}
	}
}
