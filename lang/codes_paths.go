package lang

import "admc.dev/admc/lang/diag"

var pathCodes = []diag.CodeDoc{{
	Code:    PathTooLarge,
	Summary: "The steps of a path overlap in so many ways that a chain can't be followed through them.",
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: ring, namespace: n}
services:
  a: {ports: [{port: 80, protocol: http}]}
  b: {ports: [{port: 80, protocol: http}]}
  c: {ports: [{port: 80, protocol: http}]}
  d: {ports: [{port: 80, protocol: http}]}
calls:
  - {from: a, to: [b, c, d]}
  - {from: b, to: [a, c, d]}
  - {from: c, to: [a, b, d]}
  - {from: d, to: [a, b, c]}
`,
	Bad: `policy a {
    path {a, b} -> * -> * -> * -> * -> * -> * -> * -> * -> * -> * -> * -> *
    deny()
}
`,
	Good: `policy a {
    path {a, b} -> d
    deny()
}
`,
}}
