package envoy

import (
	"fmt"
	"strings"

	"admc.dev/admc/lang/diag"
)

// CodeUnsupported is given where no exact Envoy configuration is known for what
// the program asks.
const CodeUnsupported diag.Code = "no-data-plane"

// CodePayload is given where the filter that a declared action gives is no
// configuration of Envoy's.
const CodePayload diag.Code = "bad-payload"

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
}, {
	Code:    CodePayload,
	Summary: "The filter of a declared action is not what Envoy takes: an unknown type or field, a value of the wrong kind or out of its range, a name that the ADM can't resolve.",
	Bad:     strings.Replace(bufferAction, "max_request_bytes", "max_request_byte", 1),
	Good:    bufferAction,
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

const bufferAction = `action upload(most: size) {
    phase quota
    reads request.body
    ends request
    on http, grpc : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
        "max_request_bytes": most,
    }
}
policy a { on web -> api  upload(1MiB) }
`

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
