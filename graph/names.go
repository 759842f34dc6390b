package graph

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// isLabel reports whether s is a DNS label as Kubernetes takes it (RFC 1123):
// at most 63 of a-z, 0-9 and inner dashes.
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// isSubdomain reports whether s is a DNS subdomain (RFC 1123), the form of most
// object names: labels joined by dots, at most 253 bytes.
func isSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for {
		label, rest, more := strings.Cut(s, ".")
		if !isLabel(label) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

// isQualified reports whether s is the name part of a label key, or a label's
// value that isn't empty: at most 63 letters, digits and inner `-`, `_`, `.`.
func isQualified(s string) bool {
	if len(s) == 0 || len(s) > 63 || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAlphanumeric(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isLabelKey reports whether s is `name` or `prefix/name`, the prefix a DNS
// subdomain.
func isLabelKey(s string) bool {
	if prefix, name, ok := strings.Cut(s, "/"); ok {
		return isSubdomain(prefix) && isQualified(name)
	}
	return isQualified(s)
}

// isPortName reports whether s names a Service's port and can't be taken for a
// number.
func isPortName(s string) bool {
	return isLabel(s) && strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// badName reports a name that Kubernetes would refuse, and the nearest one that
// it would take.
func (l *loader) badName(at diag.Span, what, name, rule string, ok func(string) bool) {
	d := l.bag.Errorf(at, BadKubernetesName, "%q is no name for %s", name, what).WithHint("%s", rule)
	near := strings.Trim(strings.Map(func(r rune) rune {
		switch r {
		case '_', ' ':
			return '-'
		}
		return r
	}, strings.ToLower(name)), "-.")
	if near != name && ok(near) {
		d.WithHint("did you mean %q?", near).WithFix(at, near)
	}
}

const (
	subdomainRule = "Kubernetes takes lower-case letters, digits, dashes and dots, with a letter or a digit at both ends"
	labelRule     = "Kubernetes takes at most 63 lower-case letters, digits and inner dashes"
	portNameRule  = "Kubernetes takes at most 63 lower-case letters, digits and inner dashes; one is a letter, so that a name is not taken for a number"
)
