//go:build linux

package envoy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The corpus of conditions: every operator of the language on every attribute,
// against constants and against each other. It is made from what the checker
// accepts (lang.Operators, lang.Attributes); what is new there and has no form
// here fails the test.

// An operand is a text of a condition that is of one kind.
type operand struct{ text, kind string }

// words are constants that are compared with: as CEL writes them, and as they
// are.
var words = []string{
	"", "a", "A", "b", "ab", "a,b", "a, b", "é", "e\u0301", "日本", "🙂", "%", "%61", "%)%", `"`, `\`, "\t", "\x00", "\n", "0", "-1", "true", "/", "/a", "shop", "GET",
	strings.Repeat("a", 300),
}

// integers are the same for whole integers.
var integers = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 2, 3, 4, 80, 200, 404, 503, 65535, 1 << 32, 1 << 53, math.MaxInt64}

var instants = []string{"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "2020-02-29T23:59:59.5+01:00", "9999-12-31T23:59:59.999999999Z"}

// patterns of `matches`, in RE2.
var patterns = []string{
	"", "^$", "a", "^a", "a$", "^.$", "^..$", "^...$", "[^a]", "é", "^\\x{e9}$", "(?i)A", "(?i)É", "a|b", "^(a|b)*$", "%", "\"", "\\\\", "\\.", "^[a-z]+$", "\\d", "\\s", "\\bA", "^\\W", "(?s)^.", "^\\C$", "^[[:alpha:]]",
}

// attributeReads gives, for an attribute that conditions can read, the texts that
// read it; nil for one that is not known here.
func attributeReads(name string) []operand {
	switch name {
	case "request.path", "request.url_path", "request.query", "request.host", "request.method", "request.scheme", "request.id",
		"grpc.service", "grpc.method", "connection.requested_server_name", "source.address", "destination.address",
		"source.service", "source.namespace", "destination.service", "destination.namespace":
		return []operand{{name, "string"}}
	case "request.headers":
		return []operand{{`request.headers["x-a"]`, "string"}, {`request.headers["X-B"]`, "string"}, {"request.headers.cookie", "string"}, {`request.headers["x-forwarded-proto"]`, "string"}}
	case "response.headers":
		return []operand{{`response.headers["x-a"]`, "string"}, {`response.headers["X-B"]`, "string"}}
	case "jwt.claims":
		return []operand{{`jwt.claims["sub"]`, "string"}, {`jwt.claims.Level`, "string"}, {`jwt.claims["https://shop.example/a"]`, "string"}}
	case "source.labels", "destination.labels":
		return []operand{{name + `["tier"]`, "string"}, {name + ".none", "string"}}
	case "response.code", "source.port", "destination.port":
		return []operand{{name, "int"}}
	case "connection.mtls":
		return []operand{{name, "bool"}}
	case "request.time":
		return []operand{{name, "time"}}
	}
	return nil
}

// few are the words and patterns for all reads but the first.
var few = []string{"", "a", "a,b", "/a", "é", "shop", "GET", "http", "^/?[a-z]*$"}

// applied gives the conditions that an operator makes of a read, and of two; false
// for an operator that is not known here. With wide every constant is tried.
func applied(op string, x, y operand, wide bool) (out []string, known bool) {
	words, patterns, integers := words, patterns, integers
	if !wide {
		words, patterns = few, few
		if x.kind == "string" { // of which it is the length
			integers = []int64{math.MinInt64, 0, 1, 4, math.MaxInt64}
		}
	}
	constants := func(kind string) []string {
		var out []string
		switch kind {
		case "string":
			for _, w := range words {
				out = append(out, celString(w))
			}
		case "int":
			for _, n := range integers {
				out = append(out, strconv.FormatInt(n, 10))
			}
		case "bool":
			return []string{"true", "false"}
		case "time":
			for _, w := range instants {
				out = append(out, "timestamp("+celString(w)+")")
			}
		}
		return out
	}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch op {
	case "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_":
		sign := strings.Trim(op, "_")
		if x.kind == "bool" && strings.ContainsAny(sign, "<>") {
			return nil, true
		}
		for _, c := range constants(x.kind) {
			add("%s %s %s", x.text, sign, c)
		}
		add("%s %s %s", constants(x.kind)[0], sign, x.text)
		if y.kind == x.kind {
			add("%s %s %s", x.text, sign, y.text)
		}
	case "@in":
		all := constants(x.kind)
		add("%s in [%s]", x.text, strings.Join(all, ", "))
		add("%s in [%s]", x.text, all[0])
		add("%s in [%s]", x.text, strings.Join(all[1:2], ", "))
		if i := strings.IndexByte(x.text, '['); i > 0 {
			add("%s in %s", strings.Trim(x.text[i:], "[]"), x.text[:i])
			add(`"nobody" in %s`, x.text[:i])
		}
	case "startsWith", "endsWith", "contains":
		if x.kind != "string" {
			return nil, true
		}
		for _, c := range constants("string") {
			add("%s.%s(%s)", x.text, op, c)
		}
		add("%s.%s(%s)", celString("a日本é"), op, x.text)
		if y.kind == "string" {
			add("%s.%s(%s)", x.text, op, y.text)
		}
	case "matches":
		if x.kind != "string" {
			return nil, true
		}
		for _, p := range patterns {
			add("%s.matches(%s)", x.text, celString(p))
		}
	case "size":
		if x.kind != "string" {
			return nil, true
		}
		for _, n := range integers {
			add("size(%s) == %d", x.text, n)
			add("%s.size() < %d", x.text, n)
		}
		if y.kind == "string" {
			add("size(%s) >= size(%s)", x.text, y.text)
		}
	case "!_":
		// every condition is tried with its negation
	case "_&&_", "_||_":
		if x.kind != y.kind || x.kind != "string" {
			return nil, true
		}
		sign := strings.Trim(op, "_")
		add(`%s == "a" %s %s == ""`, x.text, sign, y.text)
		add(`%s != "a" %s %s.startsWith(%s) %s %s == %s`, x.text, sign, x.text, y.text, sign, y.text, celString("é"))
	case "_?_:_":
		if x.kind != y.kind {
			return nil, true
		}
		add(`(%s == %s ? %s : %s) == %s`, x.text, constants(x.kind)[1], y.text, x.text, constants(x.kind)[0])
		add(`%s == %s ? %s != %s : %s == %s`, x.text, y.text, x.text, constants(x.kind)[1], y.text, constants(x.kind)[0])
	case "has":
		if i := strings.IndexByte(x.text, '['); i > 0 && strings.HasPrefix(x.text, "request") {
			add("has(%s.accept)", x.text[:i])
		}
	case "_[_]":
		// in the reads themselves
	case "timestamp":
		// in the constants
	default:
		most, known := timeRanges[op]
		if !known {
			return nil, false
		}
		if x.kind != "time" {
			return nil, true
		}
		// The bits of the part, each as a condition.
		for bit := int64(1); bit <= most; bit <<= 1 {
			var with []string
			for n := range most + 1 {
				if n&bit != 0 {
					with = append(with, fmt.Sprint(n))
				}
			}
			add("%s.%s() in [%s]", x.text, op, strings.Join(with, ", "))
		}
		add("%s.%s() > %d", x.text, op, most)
	}
	return out, true
}

// timeRanges are the largest values of the parts of a time.
var timeRanges = map[string]int64{
	"getFullYear": 2099, "getMonth": 11, "getDate": 31, "getDayOfMonth": 30, "getDayOfWeek": 6, "getDayOfYear": 365,
	"getHours": 23, "getMinutes": 59, "getSeconds": 59,
}
