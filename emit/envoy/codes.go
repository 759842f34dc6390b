package envoy

import (
	"fmt"
	"strings"

	"admc.dev/admc/lang/diag"
)

// CodeUnsupported is given where no exact Envoy configuration is known for what
// the program asks.
const CodeUnsupported diag.Code = "no-data-plane"

// Codes documents what Emit reports. The examples are compiled against BadGraph.
var Codes = []diag.CodeDoc{{
	Code:    CodeUnsupported,
	Summary: "Nothing that admc emits can do this exactly, and it does not emit what nearly does.",
	Bad:     combinations(4),
	Good:    combinations(3),
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: shop, namespace: shop}
services:
  web: {ports: [{port: 8080, protocol: http}]}
  api: {ports: [{port: 8080, protocol: http}]}
calls:
  - {from: web, to: api}
`,
}}

// combinations is a program that bounds and repeats calls by three headers, each
// with n values that matter: (n+1)³ routes.
func combinations(n int) string {
	var b strings.Builder
	for _, k := range []struct{ name, action string }{
		{"wait", "timeout(1s)"}, {"again", "retry()"}, {"idle", "idle_timeout(1m)"},
	} {
		for i := range n {
			fmt.Fprintf(&b, "policy %s_%d {\n    on web -> api\n    when { request.headers[\"x-%s\"] == \"%d\" }\n    %s\n}\n", k.name, i, k.name, i, k.action)
		}
	}
	return b.String()
}
