package lang

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"admc.dev/admc/lang/ir"
)

// normalPath gives the one spelling of a request's path that policies which
// look at it see, and the receiver gets, as Envoy normalises it: what needs no
// escape is written without one, dot segments are resolved, then slashes merged.
// The query stays as it is. refused says why a path has no one spelling.
func normalPath(target string) (path, refused string) {
	path, query, asked := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return target, "" // which no proxy passes on
	}
	for _, escape := range []string{"%2f", "%5c", "%00"} {
		if strings.Contains(strings.ToLower(path), escape) {
			return target, "its path has the escape " + escape
		}
	}
	path = mergeSlashes(resolveDots(spell(path)))
	if dotsWithParameters.MatchString(path) {
		return target, "its path has a dot segment with parameters"
	}
	if asked {
		path += "?" + query
	}
	return path, ""
}

var dotsWithParameters = regexp.MustCompile(ir.DotsWithParameters)

// spell escapes what a path can't hold and nothing that is unreserved (RFC 3986,
// section 2.3). A backslash is a slash.
func spell(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%' && i+2 < len(path):
			n, err := strconv.ParseUint(path[i+1:i+3], 16, 8)
			if plain := byte(n); err == nil && (isAlphanumeric(plain) || strings.IndexByte("-._~", plain) >= 0) {
				b.WriteByte(plain)
				i += 2
				continue
			}
			b.WriteByte(c)
		case c == '\\':
			b.WriteByte('/')
		case strings.IndexByte("\"<>^`{|}", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isAlphanumeric(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// resolveDots removes the segments "." and "..", the second with the segment
// before it, be it empty.
func resolveDots(path string) string {
	segments := strings.Split(path[1:], "/")
	var out []string
	for i, s := range segments {
		if s != "." && s != ".." {
			out = append(out, s)
			continue
		}
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if i == len(segments)-1 {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// mergeSlashes leaves a path of slashes alone with two.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	var full []string
	for _, s := range strings.Split(path, "/") {
		if s != "" {
			full = append(full, s)
		}
	}
	merged := "/" + strings.Join(full, "/")
	if strings.HasSuffix(path, "/") {
		merged += "/"
	}
	return merged
}

// readsPath reports whether one of the attributes hangs on a request's path.
func readsPath(reads []string) bool {
	for _, r := range reads {
		switch r {
		case "request.path", "request.url_path", "grpc.service", "grpc.method":
			return true
		}
	}
	return false
}
