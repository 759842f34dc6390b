package solver

import "admc.dev/admc/lang/diag"

// Infeasible: policies and graph lines that can't hold together.
const Infeasible diag.Code = "infeasible"

// UnknownLoad: a call without a rate where a capacity has to be kept.
const UnknownLoad diag.Code = "unknown-load"

// Codes documents what this package reports.
var Codes = []diag.CodeDoc{{
	Code:    Infeasible,
	Summary: "Policies, rows between them and lines of the graph contradict each other, so that some policy has no place where it could be enforced.",
	Bad: `// db has adm: never
@ingress
policy limit_db {
    on web -> db
    rate_limit(rate: 5/s)
}
`,
	Good: `// db has adm: never; the limit can be kept by the caller
policy limit_db {
    on web -> db
    rate_limit(rate: 5/s)
}
`,
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: two}
services:
  web: {ports: [{port: 80, protocol: http}]}
  db:
    ports: [{port: 6379, protocol: redis}]
    adm: never
calls:
  - {from: web, to: db}
`,
}, {
	Code:    UnknownLoad,
	Summary: "A service has a `capacity`, and its ADM may have to handle a policed call of which the graph gives no `rps`: nobody can tell whether it fits.",
	Bad: `// the call web -> db has no rps
policy limit_db {
    on web -> db
    rate_limit(rate: 5/s)
}
`,
	Good: `// nothing acts on the call whose rate is not known
policy limit_cache {
    on web -> cache
    rate_limit(rate: 5/s)
}
`,
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: three}
services:
  web: {ports: [{port: 80, protocol: http}], capacity: 50m}
  db: {ports: [{port: 6379, protocol: redis}]}
  cache: {ports: [{port: 11211, protocol: memcached}]}
calls:
  - {from: web, to: db}
  - {from: web, to: cache, rps: 100}
`,
}}
