package solver

import "admc.dev/admc/lang/diag"

// Infeasible: policies and graph lines that can't hold together.
const Infeasible diag.Code = "infeasible"

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
}}
