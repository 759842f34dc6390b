package lang

import (
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

func hostPort(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		_, port, err := net.SplitHostPort(args[name].Str)
		if err != nil || !isPort(port) || !hostText.MatchString(args[name].Str) {
			bag.Errorf(place(args[name], at), BadValue, "%s is not host:port", name).WithHint(`as in "policies.infra:9000"`)
		}
	}, name)
}

func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535
}

// domainForm is a trust domain's (SPIFFE ID, section 2.1).
var domainForm = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)

func trustDomain(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["trust_domain"]; !domainForm.MatchString(v.Str) {
		bag.Errorf(place(v, at), BadValue, "%q is not a trust domain", v.Str).
			WithHint(`as in "cluster.local": lower-case letters, digits, ., - and _, at most 255`)
	}
}

// longestSocket is what a Unix socket's address holds, its closing zero left out
// (unix(7), sun_path).
const longestSocket = 107

func oneSource(args map[string]ir.Value, _ diag.Span, bag *diag.Bag) {
	if directory, socket := args["certificates"], args["sds"]; socket.Str != "" && !directory.At.IsZero() {
		bag.Errorf(directory.At, BadValue, "mtls takes its certificates from a directory or from sds, not from both").
			WithNote(socket.At, "sds is here")
	}
}

// An ADM finds its certificates at an absolute path: it has no directory of its own
// that another could start from.

func socketPath(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if socket := args["sds"]; socket.Str != "" && (!isAbsolute(socket.Str) || len(socket.Str) > longestSocket) {
		bag.Errorf(place(socket, at), BadValue, "sds is not the path of a Unix socket").
			WithHint(`as in "/run/spire/agent.sock", with at most %d bytes`, longestSocket)
	}
}

func directoryPath(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if directory := args["certificates"]; args["sds"].Str == "" && !isAbsolute(directory.Str) {
		bag.Errorf(place(directory, at), BadValue, "certificates is not the path of a directory").
			WithHint(`as in "/var/run/secrets/admc.dev/tls"`)
	}
}

func isAbsolute(text string) bool {
	return path.IsAbs(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// asked: the service that counts has an address, and is there to count.
func asked(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	address := args["address"]
	switch {
	case args["global"].Bool:
		hostPort("address").check(args, at, bag)
	case !address.At.IsZero():
		bag.Errorf(address.At, BadValue, "no service is asked without `global: true`")
	}
}

func windowed(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if burst := args["burst"]; args["global"].Bool && burst.Int > 0 {
		bag.Errorf(place(burst, at), BadValue, "a rate-limit service counts in windows and knows no burst")
	}
}

func shared(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if scope := args["scope"]; args["global"].Bool && scope.Str == "pod" {
		bag.Errorf(place(scope, at), BadValue, "a budget for each pod is counted there, and nothing is left to share").
			WithHint("leave out `global: true`")
	}
}

// countedHeader: a header that a rate_limit counts by has one value on the way
// through all proxies, and the same for requests that are alike.
func countedHeader(args map[string]ir.Value, _ diag.Span, bag *diag.Bag) {
	v := args["per"]
	switch {
	case v.At.IsZero():
	case strings.ToLower(v.Str) == "x-request-id":
		bag.Errorf(v.At, BadValue, "every request has a %s of its own, so that none would ever be one too many", strings.ToLower(v.Str))
	default:
		headerName(v.Str, v.At, "counted by", func(lower string) string {
			for _, written := range []string{"x-envoy-", "x-admc-", "x-forwarded-"} {
				if strings.HasPrefix(lower, written) {
					return "a proxy writes it"
				}
			}
			return ""
		}, bag)
	}
}

// oneGiven: an action of which every argument may be left out does nothing when
// all are.
func oneGiven(action string, names ...string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		for _, n := range names {
			if args[n].Str != "" {
				return
			}
		}
		bag.Errorf(at, BadValue, "%s changes nothing without %s", action, strings.Join(names, " or "))
	}, names...)
}

func prefixForm(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	prefix, with := args["prefix"], args["with"]
	switch {
	case prefix.Str == "" && with.Str != "":
		bag.Errorf(with.At, BadValue, "rewrite puts this in the place of a prefix, and none is given")
	case prefix.Str != "" && !strings.HasPrefix(prefix.Str, "/"):
		bag.Errorf(place(prefix, at), BadValue, "a path begins with /, so no path has the prefix %q", prefix.Str)
	case prefix.Str != "" && !strings.HasPrefix(with.Str, "/"):
		bag.Errorf(place(with, at), BadValue, "a path begins with /, and rewrite would make it begin with %q", with.Str)
	case strings.HasSuffix(with.Str, "/") && prefix.Str != "" && !strings.HasSuffix(prefix.Str, "/"):
		// And what begins with the prefix and two dots, a dot segment.
		bag.Errorf(place(with, at), BadValue, "%[1]s/x would become %[2]s/x, which is no spelling that policies look for", prefix.Str, with.Str).
			WithHint("both end in a slash, or neither does: prefix: %q, with: %q", prefix.Str+"/", with.Str)
	}
}

// spelling: what is put into a path, or looked for in one, is in the one spelling
// that every path gets first.
func spelling(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		v := args[name]
		if v.Str == "" {
			return
		}
		if one, refused := normalPath(v.Str); refused != "" || one != v.Str || !isPath(v.Str) {
			d := bag.Errorf(place(v, at), BadValue, "%q is no spelling of a path that any request has here", v.Str)
			if refused == "" && isPath(one) {
				d.WithHint("every path is spelled in one way first: this one would be %q", one)
			}
		}
	}, name)
}

// shorter: what becomes a header, or part of one, fits into one that Envoy takes
// (longestValue), escapes and what stands beside it included.
func shorter(name string) valueRule {
	const most = longestValue / 4
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if v := args[name]; len(v.Str) > most {
			bag.Errorf(place(v, at), BadValue, "%s can't be longer than %d bytes", name, most)
		}
	}, name)
}

// isVisible reports ASCII without spaces and controls.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// isPath reports whether text can stand in a request's path, query included.
func isPath(text string) bool {
	return isVisible(text) && !strings.Contains(text, "#")
}

var hostText = regexp.MustCompile(`^([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$`)

// hostForm: a host, with a port or without.
func hostForm(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["host"]; v.Str != "" && !hostText.MatchString(v.Str) {
		bag.Errorf(place(v, at), BadValue, "%q is not a host", v.Str).WithHint(`as in "shop.example.com" or "shop.example.com:8443"`)
	}
}

func locationPath(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["path"]; v.Str != "" && (!strings.HasPrefix(v.Str, "/") || !isVisible(v.Str)) {
		bag.Errorf(place(v, at), BadValue, "%q is not a path", v.Str).WithHint("a path begins with / and has %%-escapes for what is not plain ASCII")
	}
}

func tokens(name string) valueRule {
	return within(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		for _, v := range args[name].List {
			if !isToken(v.Str) {
				bag.Errorf(place(v, at), BadValue, "%q can't be one of the %s", v.Str, name).WithHint("letters, digits and !#$%%&'*+-.^_`|~ (RFC 9110)")
			}
		}
	}, name)
}

var mediaForm = regexp.MustCompile(`^[a-zA-Z0-9.+_-]+/[a-zA-Z0-9.+_-]+$`)

func mediaTypes(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	for _, v := range args["types"].List {
		if !mediaForm.MatchString(v.Str) {
			bag.Errorf(place(v, at), BadValue, "%q is not a media type", v.Str).WithHint(`as in "text/html", without parameters`)
		}
	}
}

func anyOrigin(args map[string]ir.Value, _ diag.Span, bag *diag.Bag) {
	for _, o := range args["origins"].List {
		if o.Str == "*" && args["credentials"].Bool {
			bag.Errorf(o.At, BadValue, "browsers refuse any origin together with credentials")
		}
	}
}

func originForms(args map[string]ir.Value, _ diag.Span, bag *diag.Bag) {
	for _, o := range args["origins"].List {
		if o.Str != "*" && !originForm.MatchString(o.Str) {
			bag.Errorf(o.At, BadValue, "%q is not an origin", o.Str).WithHint(`as in "https://shop.example.com", with a port where it is not the usual one, and no path`)
		}
	}
}

var originForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/?#*\s]+$`)

func redirectStatus(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	switch v := args["status"]; v.Int {
	case 301, 302, 303, 307, 308:
	default:
		bag.Errorf(place(v, at), BadValue, "status is %d; a redirect is 301, 302, 303, 307 or 308", v.Int)
	}
}

// hashKey: what ring_hash hashes, and nothing else does.
func hashKey(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	key, ring := args["key"], args["policy"].Str == "ring_hash"
	kind, name, named := strings.Cut(key.Str, ":")
	switch {
	case ring && key.Str == "":
		bag.Errorf(at, BadValue, "ring_hash needs a key").WithHint(`key: "header:x-user", "cookie:session" or "source"`)
	case !ring && key.Str != "":
		bag.Errorf(key.At, BadValue, "%s has no use for a key; ring_hash has", args["policy"].Str)
	case ring && key.Str != "source" && (!named || kind != "header" && kind != "cookie" || !isToken(name)):
		bag.Errorf(key.At, BadValue, "%q is no key", key.Str).WithHint(`key: "header:x-user", "cookie:session" or "source"`)
	}
}

var metricForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func metricName(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["name"]; !metricForm.MatchString(v.Str) {
		bag.Errorf(place(v, at), BadValue, "%q can't be the name of a metric", v.Str).WithHint("letters, digits and _, not beginning with a digit")
	}
}

func labelNames(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	for _, e := range args["labels"].Map {
		switch {
		case e.Key == "status":
			bag.Errorf(place(args["labels"], at), BadValue, "status is the label that the proxy itself gives a metric, by the answer")
		case !metricForm.MatchString(e.Key):
			bag.Errorf(place(args["labels"], at), BadValue, "%q can't be the name of a label", e.Key).WithHint("letters, digits and _, not beginning with a digit")
		}
	}
}
