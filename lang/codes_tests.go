package lang

import "admc.dev/admc/lang/diag"

var testCodes = []diag.CodeDoc{{
	Code:    NoExpectation,
	Summary: "A test expects nothing, so it can't fail.",
	Bad: `test "search works" { frontend -> recommendation GET "/" }
`,
	Good: `test "search works" {
    frontend -> recommendation GET "/"
    expect pass
}
`,
}, {
	Code:    UnknownCall,
	Summary: "A test sends a request over a call that the graph does not have.",
	Bad: `test "outside" {
    internet -> checkout GET "/"
    expect deny
}
`,
	Good: `test "outside" {
    internet -> frontend GET "/"
    expect pass
}
`,
}, {
	Code:    AmbiguousCall,
	Summary: "A test sends a request from one service to another on which it has several calls.",
	Bad: `test "either" {
    web -> api GET "/"
    expect pass
}
`,
	Good: `test "either" {
    web -> api : http GET "/"
    expect pass
}
`,
	BadGraph: `apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: pair}
services:
  web: {}
  api: {ports: [{name: http, port: 80, protocol: http}, {name: rpc, port: 81, protocol: grpc}]}
calls:
  - {from: web, to: api, port: http}
  - {from: web, to: api, port: rpc}
`,
}, {
	Code:    BadRequest,
	Summary: "A test sends what is no request.",
	Bad: `test "geo" {
    search -> geo GET "/geo.Geo/Nearby"
    expect pass
}
`,
	Good: `test "geo" {
    search -> geo POST "/geo.Geo/Nearby"
    expect pass
}
`,
}}
