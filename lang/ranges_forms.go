package lang

import (
	"net"
	"regexp"
	"strconv"
	"strings"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

func hostPort(name string) valueRule {
	return func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		host, port, err := net.SplitHostPort(args[name].Str)
		n, bad := strconv.Atoi(port)
		if err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
			bag.Errorf(place(args[name], at), BadValue, "%s is not host:port", name)
		}
	}
}

// oneGiven: an action of which every argument may be left out does nothing when
// all are.
func oneGiven(action string, names ...string) valueRule {
	return func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		for _, n := range names {
			if args[n].Str != "" {
				return
			}
		}
		bag.Errorf(at, BadValue, "%s changes nothing without %s", action, strings.Join(names, " or "))
	}
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
	}
}

func anyOrigin(args map[string]ir.Value, _ diag.Span, bag *diag.Bag) {
	for _, o := range args["origins"].List {
		switch {
		case o.Str == "*" && args["credentials"].Bool:
			bag.Errorf(o.At, BadValue, "browsers refuse any origin together with credentials")
		case o.Str != "*" && !originForm.MatchString(o.Str):
			bag.Errorf(o.At, BadValue, "%q is not an origin", o.Str).WithHint(`as in "https://shop.example.com", with a port where it is not the usual one, and no path`)
		}
	}
}

var originForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/?#]+$`)

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
	for _, e := range args["labels"].Map {
		switch {
		case e.Key == "status":
			bag.Errorf(place(args["labels"], at), BadValue, "status is the label that the proxy itself gives a metric, by the answer")
		case !metricForm.MatchString(e.Key):
			bag.Errorf(place(args["labels"], at), BadValue, "%q can't be the name of a label", e.Key).WithHint("letters, digits and _, not beginning with a digit")
		}
	}
}
