package lang

import (
	"fmt"
	"slices"
	"strings"

	"admc.dev/admc/graph"
)

// grpcCodes in the order of their numbers (google.rpc.Code).
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

const (
	grpcDeadlineExceeded = 4
	grpcUnavailable      = 14
)

// codeNumber of a gRPC code, written as in deny or as in retry.
func codeNumber(word string) int {
	return slices.Index(grpcCodes, strings.ToUpper(strings.ReplaceAll(word, "-", "_")))
}

// grpcOf is the code that stands for an HTTP status (grpc/doc/http-grpc-status-mapping.md).
func grpcOf(status int) int {
	word := "UNKNOWN"
	switch status {
	case 400:
		word = "INTERNAL"
	case 401:
		word = "UNAUTHENTICATED"
	case 403:
		word = "PERMISSION_DENIED"
	case 404:
		word = "UNIMPLEMENTED"
	case 429, 502, 503, 504:
		word = "UNAVAILABLE"
	}
	return codeNumber(word)
}

// statusText is "403", or "PERMISSION_DENIED (7)" of a grpc answer.
func statusText(plane graph.Plane, status int) string {
	if plane == graph.GRPC && status >= 0 && status < len(grpcCodes) {
		return fmt.Sprintf("%s (%d)", grpcCodes[status], status)
	}
	return fmt.Sprint(status)
}
