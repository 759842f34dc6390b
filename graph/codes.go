package graph

import "admc.dev/admc/lang/diag"

// The codes of this package.
const (
	YAMLSyntax         diag.Code = "yaml-syntax"
	BadMerge           diag.Code = "bad-merge"
	SeveralDocuments   diag.Code = "several-documents"
	EmptyGraph         diag.Code = "empty-graph"
	NotAGraph          diag.Code = "not-a-graph"
	WrongType          diag.Code = "wrong-type"
	UnknownKey         diag.Code = "unknown-key"
	DuplicateKey       diag.Code = "duplicate-key"
	MissingKey         diag.Code = "missing-key"
	UnknownChoice      diag.Code = "unknown-choice"
	DuplicateItem      diag.Code = "duplicate-item"
	OutOfRange         diag.Code = "out-of-range"
	BadDecimal         diag.Code = "bad-decimal"
	BadKubernetesName  diag.Code = "bad-kubernetes-name"
	BadLabel           diag.Code = "bad-label"
	BadWorkload        diag.Code = "bad-workload"
	BadAddress         diag.Code = "bad-address"
	BadHost            diag.Code = "bad-host"
	DuplicateService   diag.Code = "duplicate-service"
	SharedWorkload     diag.Code = "shared-workload"
	UndeclaredService  diag.Code = "undeclared-service"
	DuplicatePort      diag.Code = "duplicate-port"
	NoPort             diag.Code = "no-port"
	AmbiguousPort      diag.Code = "ambiguous-port"
	UnknownPort        diag.Code = "unknown-port"
	ProtocolMismatch   diag.Code = "protocol-mismatch"
	DuplicateCall      diag.Code = "duplicate-call"
	ExternalNoHost     diag.Code = "external-without-host"
	ExternalToExternal diag.Code = "external-to-external"
	SameAddress        diag.Code = "same-address"
	SharedAddress      diag.Code = "shared-address"
)

const header = "apiVersion: admc.dev/v1alpha1\nkind: ServiceGraph\n"

// Codes documents them. Every example is a whole graph file.
var Codes = []diag.CodeDoc{{
	Code:    YAMLSyntax,
	Summary: "The file is not YAML, or not UTF-8 text.",
	Bad:     header + "services:\n  web: {}\n\tdb: {}\n",
	Good:    header + "services:\n  web: {}\n  db: {}\n",
}, {
	Code:    BadMerge,
	Summary: "A merge key (`<<`) takes a mapping, or a list of mappings, that does not hold itself.",
	Bad:     header + "services:\n  web: {<<: Deployment/web}\n",
	Good:    header + "services:\n  web: &plain {replicas: 2}\n  db: {<<: *plain, adm: never}\n",
}, {
	Code:    SeveralDocuments,
	Summary: "A graph file is one YAML document; a second one would be ignored.",
	Bad:     header + "services: {web: {}}\n---\n" + header + "services: {db: {}}\n",
	Good:    header + "services: {web: {}, db: {}}\n",
}, {
	Code:    EmptyGraph,
	Summary: "The file holds nothing, or comments only.",
	Bad:     "# services to come\n",
	Good:    header + "services: {web: {}}\n",
}, {
	Code:    NotAGraph,
	Summary: "The file has another `apiVersion` or `kind` than a service graph of this version.",
	Bad:     "apiVersion: v1\nkind: ServiceGraph\nservices: {web: {}}\n",
	Good:    header + "services: {web: {}}\n",
}, {
	Code:    WrongType,
	Summary: "A value is of another type than its key takes; text and numbers are told apart.",
	Bad:     header + "services: {web: {replicas: \"2\"}}\n",
	Good:    header + "services: {web: {replicas: 2}}\n",
}, {
	Code:    UnknownKey,
	Summary: "A mapping has a key that means nothing there.",
	Bad:     header + "services: {web: {replica: 2}}\n",
	Good:    header + "services: {web: {replicas: 2}}\n",
}, {
	Code:    DuplicateKey,
	Summary: "A mapping has the same key twice.",
	Bad:     header + "services: {web: {replicas: 2, replicas: 3}}\n",
	Good:    header + "services: {web: {replicas: 3}}\n",
}, {
	Code:    MissingKey,
	Summary: "A mapping lacks a key that it must have.",
	Bad:     header + "services: {web: {ports: [{port: 80}]}}\n",
	Good:    header + "services: {web: {ports: [{port: 80, protocol: http}]}}\n",
}, {
	Code:    UnknownChoice,
	Summary: "A value is none of the words that its key takes.",
	Bad:     header + "services: {web: {ports: [{port: 80, protocol: htp}]}}\n",
	Good:    header + "services: {web: {ports: [{port: 80, protocol: http}]}}\n",
}, {
	Code:    DuplicateItem,
	Summary: "A list has the same item twice.",
	Bad:     header + "services: {web: {versions: [v1, v1]}}\n",
	Good:    header + "services: {web: {versions: [v1, v2]}}\n",
}, {
	Code:    OutOfRange,
	Summary: "A whole number is outside what its key allows, or not written in plain digits.",
	Bad:     header + "services: {web: {ports: [{port: 65536, protocol: http}]}}\n",
	Good:    header + "services: {web: {ports: [{port: 65535, protocol: http}]}}\n",
}, {
	Code:    BadDecimal,
	Summary: "A decimal is not written as digits with at most one point, is negative, or has too many digits to be kept exactly.",
	Bad:     header + "services: {web: {cost: 1e3}}\n",
	Good:    header + "services: {web: {cost: 1000, capacity: 50m}}\n",
}, {
	Code:    BadKubernetesName,
	Summary: "A name is none that Kubernetes takes for such an object.",
	Bad:     header + "services: {Web_Shop: {}}\n",
	Good:    header + "services: {web-shop: {}}\n",
}, {
	Code:    BadLabel,
	Summary: "A label's key or value is none that Kubernetes takes.",
	Bad:     header + "services: {web: {labels: {tier: web tier}}}\n",
	Good:    header + "services: {web: {labels: {tier: web-tier}}}\n",
}, {
	Code:    BadWorkload,
	Summary: "A workload is written Kind/name; the kind is Deployment, StatefulSet or DaemonSet.",
	Bad:     header + "services: {web: {workload: web}}\n",
	Good:    header + "services: {web: {workload: Deployment/web}}\n",
}, {
	Code:    BadAddress,
	Summary: "An address is not a prefix in CIDR notation, has bits set behind its prefix, or is an IPv4 one written as IPv6.",
	Bad:     header + "services: {web: {addresses: [10.2.0.7/24]}}\n",
	Good:    header + "services: {web: {addresses: [10.2.0.0/24, \"fd00::7/128\"]}}\n",
}, {
	Code:    BadHost,
	Summary: "An external's host is a DNS name or an IP address and nothing else.",
	Bad:     header + "services: {web: {}}\nexternals: {stripe: {host: \"https://api.stripe.com\", port: 443, protocol: tls}}\n",
	Good:    header + "services: {web: {}}\nexternals: {stripe: {host: api.stripe.com, port: 443, protocol: tls}}\n",
}, {
	Code:    DuplicateService,
	Summary: "Two services or externals have one name.",
	Bad:     header + "services: {web: {}}\nexternals: {web: {}}\n",
	Good:    header + "services: {web: {}}\nexternals: {internet: {}}\n",
}, {
	Code:    SharedWorkload,
	Summary: "Two services are run by the same pods; an ADM serves one service, so they are declared as one with several ports.",
	Bad:     header + "services: {web: {}, admin: {workload: Deployment/web}}\n",
	Good:    header + "services: {web: {ports: [{name: main, port: 80, protocol: http}, {name: admin, port: 81, protocol: http}]}}\n",
}, {
	Code:    UndeclaredService,
	Summary: "A call or a topic names what is neither a service nor an external of the file.",
	Bad:     header + "services: {web: {}, db: {ports: [{port: 6379, protocol: redis}]}}\ncalls: [{from: web, to: bd}]\n",
	Good:    header + "services: {web: {}, db: {ports: [{port: 6379, protocol: redis}]}}\ncalls: [{from: web, to: db}]\n",
}, {
	Code:    DuplicatePort,
	Summary: "Two ports of a service have one number or one name.",
	Bad:     header + "services: {web: {ports: [{port: 80, protocol: http}, {port: 80, protocol: grpc}]}}\n",
	Good:    header + "services: {web: {ports: [{port: 80, protocol: http}, {port: 81, protocol: grpc}]}}\n",
}, {
	Code:    NoPort,
	Summary: "A call goes to a service that declares no ports, and does not give number and protocol itself.",
	Bad:     header + "services: {web: {}, db: {}}\ncalls: [{from: web, to: db}]\n",
	Good:    header + "services: {web: {}, db: {}}\ncalls: [{from: web, to: db, port: 6379, protocol: redis}]\n",
}, {
	Code:    AmbiguousPort,
	Summary: "A call goes to a service with several ports and does not say which.",
	Bad:     header + "services: {web: {}, geo: {ports: [{name: rpc, port: 80, protocol: grpc}, {port: 81, protocol: http}]}}\ncalls: [{from: web, to: geo}]\n",
	Good:    header + "services: {web: {}, geo: {ports: [{name: rpc, port: 80, protocol: grpc}, {port: 81, protocol: http}]}}\ncalls: [{from: web, to: geo, port: rpc}]\n",
}, {
	Code:    UnknownPort,
	Summary: "A call names a port that its callee does not have.",
	Bad:     header + "services: {web: {}, geo: {ports: [{name: rpc, port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, port: rcp}]\n",
	Good:    header + "services: {web: {}, geo: {ports: [{name: rpc, port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, port: 80}]\n",
}, {
	Code:    ProtocolMismatch,
	Summary: "A call gives another protocol than the port it goes to.",
	Bad:     header + "services: {web: {}, geo: {ports: [{port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, protocol: http}]\n",
	Good:    header + "services: {web: {}, geo: {ports: [{port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, protocol: grpc}]\n",
}, {
	Code:    DuplicateCall,
	Summary: "A call from one service to one port of another is written twice.",
	Bad:     header + "services: {web: {}, geo: {ports: [{port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, rps: 3}, {from: web, to: geo, rps: 4}]\n",
	Good:    header + "services: {web: {}, geo: {ports: [{port: 80, protocol: grpc}]}}\ncalls: [{from: web, to: geo, rps: 7}]\n",
}, {
	Code:    ExternalNoHost,
	Summary: "A call goes to an external that gives no host.",
	Bad:     header + "services: {web: {}}\nexternals: {stripe: {}}\ncalls: [{from: web, to: stripe}]\n",
	Good:    header + "services: {web: {}}\nexternals: {stripe: {host: api.stripe.com, port: 443, protocol: tls}}\ncalls: [{from: web, to: stripe}]\n",
}, {
	Code:    ExternalToExternal,
	Summary: "A call has no end in the mesh, so that nothing could be enforced on it.",
	Bad:     header + "services: {web: {}}\nexternals: {internet: {}, stripe: {host: api.stripe.com, port: 443, protocol: tls}}\ncalls: [{from: internet, to: stripe}]\n",
	Good:    header + "services: {web: {}}\nexternals: {internet: {}, stripe: {host: api.stripe.com, port: 443, protocol: tls}}\ncalls: [{from: web, to: stripe}]\n",
}, {
	Code:    SameAddress,
	Summary: "An external has the host and port of another external or of a service, so that a policy on calls to one would hit the other.",
	Bad:     header + "services: {web: {}}\nexternals: {pay: {host: api.stripe.com, port: 443, protocol: tls}, refund: {host: api.stripe.com, port: 443, protocol: tls}}\n",
	Good:    header + "services: {web: {}}\nexternals: {pay: {host: api.stripe.com, port: 443, protocol: tls}, refund: {host: api.stripe.com, port: 8443, protocol: tls}}\n",
}, {
	Code:    SharedAddress,
	Summary: "An address in `addresses` belongs to the pods of one service: it is how a receiver tells who calls.",
	Bad:     header + "services:\n  web: {addresses: [10.2.0.0/24]}\n  db: {addresses: [10.2.0.7/32]}\n",
	Good:    header + "services:\n  web: {addresses: [10.2.0.0/24]}\n  db: {addresses: [10.2.1.7/32]}\n",
}}
