package lang

import "strings"

// normalPath gives the one spelling of a request's path that policies which
// look at it see, and the receiver gets: dot segments resolved, slashes merged.
// ok is false for an escaped slash, which is refused, because services differ on
// what it means. The query stays as it is.
func normalPath(target string) (path string, ok bool) {
	path, query, asked := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return target, true // OPTIONS *
	}
	for _, escaped := range []string{"%2f", "%5c"} {
		if strings.Contains(strings.ToLower(path), escaped) {
			return target, false
		}
	}
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/")[1:], "/")
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case ".":
			s = ""
		case "..":
			s = ""
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		}
		if s != "" || last {
			out = append(out, s)
		}
	}
	path = "/" + strings.Join(out, "/")
	if asked {
		path += "?" + query
	}
	return path, true
}

// readsPath: attributes that a request's path decides.
func readsPath(reads []string) bool {
	for _, r := range reads {
		switch r {
		case "request.path", "request.url_path", "grpc.service", "grpc.method":
			return true
		}
	}
	return false
}
