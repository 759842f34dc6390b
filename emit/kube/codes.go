package kube

import "admc.dev/admc/lang/diag"

// Codes of the diagnostics of this package.
const (
	codeBaseUnreadable   diag.Code = "base-unreadable"
	codeBaseRemote       diag.Code = "base-remote"
	codeBasePlain        diag.Code = "base-not-kustomize"
	codeUnknownWorkload  diag.Code = "unknown-workload"
	codeNamespaceDiffers diag.Code = "namespace-differs"
	codeUnreachablePod   diag.Code = "unreachable-pod"
	codePortTaken        diag.Code = "port-taken"
	codeNameTaken        diag.Code = "name-taken"
	codePortMapped       diag.Code = "port-mapped"
	codeProbePoliced     diag.Code = "probe-policed"
	codePrivileged       diag.Code = "privileged-sender"
	codeUnknownVersion   diag.Code = "unknown-version"
	codeVersionsUnseen   diag.Code = "versions-unseen"
	codeConfigTooLarge   diag.Code = "config-too-large"
	codeWorldOpen        diag.Code = "world-open"
)
