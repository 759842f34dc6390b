package lang

import "admc.dev/admc/lang/diag"

// actionCodes are about declarations of actions.
var actionCodes = []diag.CodeDoc{{
	Code:    BadAction,
	Summary: "The declaration of an action contradicts itself, or says what no action can be.",
	Bad: `action tidy(name: string) {
    phase transform
    writes request.header[name]
    on http, grpc : either
}
policy a { on search -> geo  tidy("x-debug") }
`,
	Good: `action tidy(name: string) {
    phase transform
    writes request.headers[name]
    on http, grpc : either
}
policy a { on search -> geo  tidy("x-debug") }
`,
}, {
	Code:    UnusedAction,
	Summary: "An action is declared, and no policy and no rule uses it.",
	Bad: `action tidy() {
    phase transform
    on http, grpc : either
}
policy a { on search -> geo  timeout(1s) }
`,
	Good: `policy a { on search -> geo  timeout(1s) }
`,
}, {
	Code:    UnusedParameter,
	Summary: "A parameter of a declared action stands in no fact and in no filter of it: its argument would change nothing.",
	Bad: `action upload(most: size, why: string) {
    phase quota
    ends request
    on http, grpc : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
        "max_request_bytes": most,
    }
}
policy a { on search -> geo  upload(1MiB, why: "memory") }
`,
	Good: `action upload(most: size) {
    phase quota
    ends request
    on http, grpc : either
    envoy http {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
        "max_request_bytes": most,
    }
}
policy a { on search -> geo  upload(1MiB) }
`,
}, {
	Code:    UndividedBudget,
	Summary: "Several proxies would count for one budget of an action that the program declares, and only its author knows what to divide.",
	Bad:     undividedExample("service"),
	Good:    undividedExample("pod"),
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: shop, namespace: shop}
services:
  web: {ports: [{port: 8080, protocol: http}]}
  api: {replicas: 3, ports: [{port: 8080, protocol: http}]}
calls:
  - {from: web, to: api}
`,
}}

func undividedExample(scope string) string {
	return `action quota(scope: enum("service", "pod")) {
    phase quota
    ends request
    state counter(scope)
    on http, grpc : either
}
policy a { on web -> api  quota("` + scope + `") }
`
}
