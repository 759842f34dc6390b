package kube

import "admc.dev/admc/lang/diag"

// Codes of the diagnostics of this package.
const (
	codeBaseUnreadable   diag.Code = "base-unreadable"
	codeBaseRemote       diag.Code = "base-remote"
	codeBasePartly       diag.Code = "base-partly-read"
	codeBasePlain        diag.Code = "base-not-kustomize"
	codeUnknownWorkload  diag.Code = "unknown-workload"
	codeNamespaceDiffers diag.Code = "namespace-differs"
	codeUnreachablePod   diag.Code = "unreachable-pod"
	codePortTaken        diag.Code = "port-taken"
	codeNameTaken        diag.Code = "name-taken"
	codePortMapped       diag.Code = "port-mapped"
	codeProbePoliced     diag.Code = "probe-policed"
	codePrivileged       diag.Code = "privileged-sender"
	codeUnknownVersion   diag.Code = "version-without-pods"
	codeVersionsUnseen   diag.Code = "versions-unseen"
	codeReplicasDiffer   diag.Code = "replicas-differ"
	codeConfigTooLarge   diag.Code = "config-too-large"
	codeOtherAccount     diag.Code = "other-account"
	codeWorldOpen        diag.Code = "world-open"
	codeClosedOpen       diag.Code = "closed-open"
	codeDrainTooLong     diag.Code = "drain-too-long"
)

// OpenCodes are those of warnings that something which should be closed is open.
var OpenCodes = []diag.Code{codeWorldOpen, codeClosedOpen}

// Codes documents them. An example is one manifest of a base, beside others
// that are in order, for a program with an ADM at geo: it polices geo's port
// 8083, knows its callers by mtls, sends geo's calls to rate to version v2, and refuses some of geo's
// calls to redis; @closed says that geo calls nothing else. A text with `resources:` is the base's kustomization.yaml.
var Codes = []diag.CodeDoc{
	{Code: codeBaseUnreadable,
		Summary: "The base can't be rendered: a file is missing or is not what kustomize takes.",
		Bad:     "resources: [geo.yaml, rates.yaml]\n",
		Good:    "resources: [geo.yaml, rate.yaml, redis.yaml]\n"},
	{Code: codeBaseRemote,
		Summary: "The base refers to something that is not on disk; admc compiles offline and fetches nothing.",
		Bad:     "resources: [geo.yaml, rate.yaml, redis.yaml, \"https://example.com/consul.yaml\"]\n",
		Good:    "resources: [geo.yaml, rate.yaml, redis.yaml]\n"},
	{Code: codeBasePartly,
		Summary: "The base uses a feature of kustomize that changes manifests and that admc does not follow; it checks the manifests without it.",
		Bad:     "resources: [geo.yaml, rate.yaml, redis.yaml]\nreplacements:\n  - source: {kind: Service, name: redis, fieldPath: metadata.name}\n    targets: []\n",
		Good:    "resources: [geo.yaml, rate.yaml, redis.yaml]\nnameSuffix: \"\"\n"},
	{Code: codeBasePlain,
		Summary: "The base has no kustomization.yaml, so no other kustomization can list it; the output is a Component instead.",
		Bad:     "",
		Good:    "resources: [geo.yaml, rate.yaml, redis.yaml]\n"},
	{Code: codeUnknownWorkload,
		Summary: "A service gets an ADM, and the base has no workload of the kind and name that the graph gives it.",
		Bad:     deployment("geodata", "", "containers: [{name: geo, image: geo}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo}]")},
	{Code: codeNamespaceDiffers,
		Summary: "A service gets an ADM, and its workload is in another namespace than the graph says.",
		Bad:     deployment("geo", "staging", "containers: [{name: geo, image: geo}]"),
		Good:    deployment("geo", "shop", "containers: [{name: geo, image: geo}]")},
	{Code: codeUnreachablePod,
		Summary: "The pods of a service that gets an ADM can't have their connections redirected: host network, sandboxed runtime, Windows.",
		Bad:     deployment("geo", "", "hostNetwork: true\n      containers: [{name: geo, image: geo}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo}]")},
	{Code: codePortTaken,
		Summary: "A container listens on a port that the ADM uses in the same pod.",
		Bad:     deployment("geo", "", "containers: [{name: geo, image: geo, ports: [{containerPort: 15090}]}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo, ports: [{containerPort: 9090}]}]")},
	{Code: codeNameTaken,
		Summary: "A pod of the base has a container or a volume with the ADM's name already.",
		Bad:     deployment("geo", "", "containers: [{name: geo, image: geo}, {name: admc-envoy, image: envoy}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo}, {name: envoy, image: envoy}]")},
	{Code: codePortMapped,
		Summary: "A Service maps a policed port to another port of the pods: callers and receiver would know it by two numbers, and the graph has one.",
		Bad:     "apiVersion: v1\nkind: Service\nmetadata: {name: geo}\nspec:\n  selector: {app: geo}\n  ports: [{port: 8083, targetPort: 9000}]\n",
		Good:    "apiVersion: v1\nkind: Service\nmetadata: {name: geo}\nspec:\n  selector: {app: geo}\n  ports: [{port: 8083}, {name: old, port: 80, targetPort: 9000}]\n"},
	{Code: codeProbePoliced,
		Summary: "The kubelet's probe of a container goes to a port that the pod's ADM polices, and meets the policies there.",
		Bad:     deployment("geo", "", "containers: [{name: geo, image: geo, readinessProbe: {tcpSocket: {port: 8083}}}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo, readinessProbe: {exec: {command: [/healthy]}}}]")},
	{Code: codePrivileged,
		Summary: "A container could walk round a policy that must not fail open and is enforced in its own pod.",
		Bad:     deployment("geo", "", "containers: [{name: geo, image: geo, securityContext: {privileged: true}}]"),
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo, securityContext: {privileged: false}}]")},
	{Code: codeUnknownVersion,
		Summary: "A policy sends requests to a version of which the base has no pods.",
		Bad:     versioned("rate", "v1"),
		Good:    versioned("rate", "v2")},
	{Code: codeVersionsUnseen,
		Summary: "A service with several versions has an ADM, and without a base only the graph's workload gets it."},
	{Code: codeReplicasDiffer,
		Summary: "The base runs more pods of a service than the graph says, and budgets are divided by the graph's number.",
		Bad:     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: geo}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: geo}}\n  template:\n    metadata: {labels: {app: geo}}\n    spec:\n      containers: [{name: geo, image: geo}]\n",
		Good:    deployment("geo", "", "containers: [{name: geo, image: geo}]")},
	{Code: codeOtherAccount,
		Summary: "mtls knows a service by its service account, and its pods run as another one than the graph says.",
		Bad:     deployment("geo", "", "serviceAccountName: search\n      containers: [{name: geo, image: geo}]"),
		Good:    deployment("geo", "", "serviceAccountName: default\n      containers: [{name: geo, image: geo}]")},
	{Code: codeDrainTooLong,
		Summary: "An ADM may drain (`drain` in admc.yaml, here 20s) for as long as its pods have to end, or longer: they would be killed before it is done.",
		Bad:     deployment("geo", "", "terminationGracePeriodSeconds: 15\n      containers: [{name: geo, image: geo}]"),
		Good:    deployment("geo", "", "terminationGracePeriodSeconds: 60\n      containers: [{name: geo, image: geo}]")},
	{Code: codeConfigTooLarge,
		Summary: "An ADM's configuration is larger than a ConfigMap may be."},
	{Code: codeWorldOpen,
		Summary: "A policy that must not fail open is enforced at the callers, and nothing keeps away a pod that has no ADM.",
		Bad:     "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: allow-same-namespace}\nspec:\n  podSelector: {}\n  ingress: [{from: [{podSelector: {}}]}]\n",
		Good:    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: allow-web}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  ingress: [{from: [{podSelector: {}}]}]\n"},
	{Code: codeClosedOpen,
		Summary: "A service with @closed can call more than the policy names, or anything: the network can't be told better, or the base opens it.",
		Bad:     "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out}\nspec:\n  podSelector: {matchLabels: {app: geo}}\n  egress: [{}]\n",
		Good:    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out}\nspec:\n  podSelector: {matchLabels: {app: geo}}\n  policyTypes: [Egress]\n  egress: [{to: [{podSelector: {matchLabels: {app: redis}}}], ports: [{port: 6379}]}]\n"},
}

// deployment is an example's manifest with a pod's spec.
func deployment(name, namespace, pod string) string {
	meta := "{name: " + name
	if namespace != "" {
		meta += ", namespace: " + namespace
	}
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: " + meta + "}\nspec:\n  selector: {matchLabels: {app: geo}}\n" +
		"  template:\n    metadata: {labels: {app: geo}}\n    spec:\n      " + pod + "\n"
}

// versioned is an example's manifest of one version of a service.
func versioned(name, version string) string {
	labels := "{app: " + name + ", version: " + version + "}"
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n  selector: {matchLabels: " + labels + "}\n" +
		"  template:\n    metadata: {labels: " + labels + "}\n    spec:\n      containers: [{name: " + name + ", image: " + name + "}]\n"
}
