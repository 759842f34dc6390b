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
}, {
	Code:    ForwardBaggage,
	Summary: "Only the request can tell whether its chain of calls matches a path, and applications have to pass that on. `//admc:ignore forward-baggage` says that they do.",
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: two-ways, namespace: n}
services:
  web:      {ports: [{port: 80, protocol: http}]}
  batch:    {ports: [{port: 80, protocol: http}]}
  checkout: {ports: [{port: 80, protocol: http}]}
  payment:  {ports: [{port: 80, protocol: http}]}
calls:
  - {from: web, to: checkout}
  - {from: batch, to: checkout}
  - {from: checkout, to: payment}
`,
	Bad: `policy a {
    path except web -> checkout -> payment
    deny()
}
`,
	Good: `policy a {
    path except * -> checkout -> payment
    path batch -> checkout
    access_log()
}
`,
}, {
	Code:    PathMixed,
	Summary: "Only the request can tell whether its chain of calls matches a path, and the policy can't ask it: it is @strict, or the call is a byte stream.",
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: two-ways, namespace: n}
services:
  web:      {ports: [{port: 80, protocol: http}]}
  batch:    {ports: [{port: 80, protocol: http}]}
  checkout: {ports: [{port: 80, protocol: http}]}
  payment:  {ports: [{port: 80, protocol: http}]}
calls:
  - {from: web, to: checkout}
  - {from: batch, to: checkout}
  - {from: checkout, to: payment}
`,
	Bad: `@strict
policy a {
    path except web -> checkout -> payment
    deny()
}
`,
	Good: `@strict
policy a {
    path * -> checkout -> payment
    deny()
}
`,
}, {
	Code:    PathLost,
	Summary: "What a request has to tell of its chain of calls would have to go over a byte stream, in which no ADM sees a message.",
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: two-ways, namespace: n}
services:
  web:      {ports: [{port: 80, protocol: http}]}
  batch:    {ports: [{port: 80, protocol: http}]}
  checkout: {ports: [{port: 80, protocol: tcp}]}
  payment:  {ports: [{port: 80, protocol: http}]}
calls:
  - {from: web, to: checkout}
  - {from: batch, to: checkout}
  - {from: checkout, to: payment}
`,
	Bad: `policy a {
    path except web -> checkout -> payment
    deny()
}
`,
	Good: `policy a {
    path web -> checkout
    deny()
}
`,
}}
