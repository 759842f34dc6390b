package lang

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// A valueRule is what the type of an argument can't say.
type valueRule struct {
	of []string // the arguments that it looks at; check is given no other
	// apart: it judges the elements or keys of a value one by one, so that those that
	// are known are enough, and one that is wrong says nothing of the others.
	apart bool
	// check reports nothing when the values are fine. Values that nobody wrote have no
	// place; at is then the call's name.
	check valueCheck
}

type valueCheck func(args map[string]ir.Value, at diag.Span, bag *diag.Bag)

// about is a rule that looks at whole arguments.
func about(check valueCheck, args ...string) valueRule { return valueRule{of: args, check: check} }

// within is a rule about what is in one argument.
func within(check valueCheck, arg string) valueRule {
	return valueRule{of: []string{arg}, apart: true, check: check}
}

// apply reports what is wrong with the arguments, if all that the rule looks at is
// known.
func (r valueRule) apply(args *arguments, at diag.Span, bag *diag.Bag) {
	of := make(map[string]ir.Value, len(r.of))
	for _, name := range r.of {
		v, known := args.known[name]
		if !known && r.apart {
			v, known = args.parts[name]
		}
		if !known {
			return
		}
		of[name] = v
	}
	before, _ := bag.Count()
	r.check(of, at, bag)
	if after, _ := bag.Count(); after > before {
		args.refused = append(args.refused, r.of...)
	}
}

// valueRules of each action, in the order in which they are looked at.
var valueRules = map[string][]valueRule{
	"deny":            {intBetween("status", 200, 599), about(bodyAllowed, "body", "status")},
	"jwt":             {notEmpty("issuer"), about(keySource, "jwks", "jwks_uri"), about(keySet, "jwks"), about(keyURL, "jwks_uri")},
	"rate_limit":      {ratePositive("rate"), intAtLeast("burst", 0), about(asked, "global", "address"), about(windowed, "global", "burst"), about(shared, "global", "scope"), about(countedHeader, "per")},
	"timeout":         {durationPositive("after")},
	"connect_timeout": {durationPositive("after")},
	"idle_timeout":    {durationPositive("after")},
	"retry":           {intAtLeast("attempts", 1), listNotEmpty("on")},
	"route":           {about(versionName, "version")},
	"split":           {within(sharedVersions, "weights"), about(shareSum, "weights")},
	"fault":           {about(abortStatus, "abort"), shareAboveZero("share"), about(delayOrAbort, "delay", "abort")},
	"set_header":      {about(changedHeader, "name"), about(addedDate, "name", "of"), shorter("name"), about(changedValue, "value")},
	"append_header":   {about(changedHeader, "name"), about(addedDate, "name", "of"), shorter("name"), about(changedValue, "value")},
	"remove_header":   {about(changedHeader, "name"), about(addedDate, "name", "of"), shorter("name")},

	"ext_authz":         {hostPort("address"), durationPositive("timeout")},
	"mtls":              {about(trustDomain, "trust_domain"), about(oneSource, "certificates", "sds"), about(socketPath, "sds"), about(directoryPath, "certificates", "sds")},
	"cors":              {listNotEmpty("origins"), within(originForms, "origins"), about(anyOrigin, "origins", "credentials"), tokens("methods"), tokens("headers")},
	"concurrency_limit": {intAtLeast("max", 1)},
	"bandwidth_limit":   {intAtLeast("limit", 1024)},
	"max_body":          {intAtLeast("size", 1)},
	"rewrite":           {oneGiven("rewrite", "prefix", "host"), about(prefixForm, "prefix", "with"), spelling("prefix"), spelling("with"), about(hostForm, "host")},
	"redirect":          {oneGiven("redirect", "host", "path"), about(redirectStatus, "status"), about(hostForm, "host"), about(locationPath, "path"), shorter("host"), shorter("path")},
	"respond":           {intBetween("status", 200, 599), about(bodyAllowed, "body", "status")},
	"compress":          {listNotEmpty("types"), within(mediaTypes, "types")},
	"mirror":            {about(versionName, "version"), shareAboveZero("share")},
	"lb":                {about(hashKey, "policy", "key")},
	"hedge":             {durationPositive("after")},
	"outlier_detection": {intAtLeast("errors", 1), durationPositive("interval"), durationPositive("eject")},
	"metric":            {about(metricName, "name"), within(labelNames, "labels")},
	"trace":             {shareAboveZero("share"), hostPort("collector")},
	"tag":               {notEmpty("name"), notEmpty("value")},
}

// place is where a value is written, else the call.
func place(v ir.Value, call diag.Span) diag.Span {
	if v.At.IsZero() {
		return call
	}
	return v.At
}

func intBetween(name string, low, high int64) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if n := args[name].Int; n < low || n > high {
			bag.Errorf(place(args[name], at), BadValue, "%s is %d; it can be %d to %d", name, n, low, high)
		}
	}, name)
}

// bodiless are the statuses whose answers have no body (RFC 9110, sections 6.4.1 and
// 15.3.6): a client takes one for the beginning of the next answer, and Envoy sends
// it all the same.
var bodiless = []int64{204, 205, 304}

func bodyAllowed(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if body, status := args["body"], args["status"].Int; body.Str != "" && slices.Contains(bodiless, status) {
		bag.Errorf(place(body, at), BadValue, "an answer of status %d has no body (RFC 9110)", status).
			WithHint("leave the body out, or answer with a status that has one, such as 200")
	}
}

func intAtLeast(name string, low int64) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if n := args[name].Int; n < low || n > math.MaxUint32 {
			bag.Errorf(place(args[name], at), BadValue, "%s is %d; it can be %d to %d", name, n, low, int64(math.MaxUint32))
		}
	}, name)
}

func ratePositive(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if n := args[name].Int; n <= 0 || n > math.MaxUint32 {
			bag.Errorf(place(args[name], at), BadValue, "%s is %d in a period; it can be 1 to %d", name, n, int64(math.MaxUint32)).
				WithHint("to refuse every request use deny()")
		}
	}, name)
}

func durationPositive(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if args[name].Dur <= 0 {
			bag.Errorf(place(args[name], at), BadValue, "%s must be longer than nothing", name).
				WithHint("to have no limit leave the action out")
		}
	}, name)
}

func notEmpty(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if args[name].Str == "" {
			bag.Errorf(place(args[name], at), BadValue, "%s is empty", name)
		}
	}, name)
}

func listNotEmpty(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if len(args[name].List) == 0 {
			bag.Errorf(place(args[name], at), BadValue, "%s is empty, so the action would never act", name)
		}
	}, name)
}

func shareAboveZero(name string) valueRule {
	return about(func(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
		if f := args[name].Float; f <= 0 || f > 1 {
			bag.Errorf(place(args[name], at), BadValue, "%s is %s; it can be more than 0%% and up to 100%%", name, percent(f))
		}
	}, name)
}

func percent(f float64) string { return fmt.Sprintf("%g%%", math.Round(f*1e8)/1e6) }

func abortStatus(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	switch n := args["abort"].Int; {
	case n != 0 && (n < 200 || n > 599):
		bag.Errorf(place(args["abort"], at), BadValue, "abort is %d; it can be 200 to 599, or 0 for none", n)
	case slices.Contains(bodiless, n):
		bag.Errorf(place(args["abort"], at), BadValue, "abort is %d, an answer without a body (RFC 9110), and Envoy's fault has one", n).
			WithHint("respond(status: %d) answers without a body", n)
	}
}

func delayOrAbort(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if args["delay"].Dur == 0 && args["abort"].Int == 0 {
		bag.Errorf(at, BadValue, "fault does nothing without a delay or an abort").
			WithHint("fault(delay: 2s) or fault(abort: 503)")
	}
}

func keySource(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	inline, uri := args["jwks"].Str != "", args["jwks_uri"].Str != ""
	if inline && uri {
		bag.Errorf(args["jwks"].At, BadValue, "jwt takes its keys from jwks or from jwks_uri, not from both").
			WithNote(args["jwks_uri"].At, "jwks_uri is here")
	}
	if !inline && !uri {
		bag.Errorf(at, BadValue, "jwt needs keys: jwks_uri or jwks").
			WithHint(`jwks_uri: "https://ISSUER/.well-known/jwks.json", or the key set itself in jwks`)
	}
}

func keySet(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	text := args["jwks"].Str
	if text == "" {
		return
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		bag.Errorf(args["jwks"].At, BadValue, "jwks is not JSON: %v", err)
	} else if len(set.Keys) == 0 {
		bag.Errorf(args["jwks"].At, BadValue, "jwks has no keys").WithHint(`a JSON Web Key Set is {"keys": [{"kty": …}]} (RFC 7517)`)
	} else if !slices.ContainsFunc(set.Keys, usableKey) {
		bag.Errorf(args["jwks"].At, BadValue, "jwks has no key that a token could be verified with").
			WithHint("kty is oct, RSA, EC (P-256, P-384, P-521) or OKP (Ed25519), the numbers are base64url, and alg, if there, fits (RFC 7518)")
	}
}

func usableKey(text json.RawMessage) bool {
	var k jwk
	return json.Unmarshal(text, &k) == nil && k.usable()
}

func keyURL(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	text := args["jwks_uri"].Str
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.Port() != "" && !isPort(u.Port()) || !isVisible(text) {
		bag.Errorf(args["jwks_uri"].At, BadValue, "jwks_uri is not an http or https URL").
			WithHint(`as in "https://issuer.example/.well-known/jwks.json"`)
	}
}

func versionName(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["version"]; !isVersion(v.Str) {
		bag.Errorf(place(v, at), BadValue, "%q can't be a version", v.Str).WithHint("%s", versionForm)
	}
}

func sharedVersions(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	weights := args["weights"]
	for _, e := range weights.Map {
		if !isVersion(e.Key) {
			bag.Errorf(place(weights, at), BadValue, "%q can't be a version", e.Key).WithHint("%s", versionForm)
		}
	}
}

func shareSum(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	weights, sum := args["weights"], 0.0
	for _, e := range weights.Map {
		sum += e.Value.Float
	}
	if math.Abs(sum-1) > 1e-9 {
		bag.Errorf(place(weights, at), BadValue, "the shares of split sum to %s, not to 100%%", percent(sum)).
			WithHint(`as in {"v1": 90%%, "v2": 10%%}`)
	}
}

const versionForm = "a version is the value of a pod label: letters, digits, -, _ and ., at most 63, beginning and ending with a letter or digit"

// isVersion holds a version to the form of a Kubernetes label value.
func isVersion(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	alnum := func(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' }
	for i := range len(s) {
		if !alnum(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return alnum(s[0]) && alnum(s[len(s)-1])
}

// actsOn says on which planes an argument, or a word in it, means anything.
// What is not here means something on every plane of its action.
var actsOn = map[string]map[string][]graph.Plane{
	"deny":       {"status": {graph.HTTP}, "body": {graph.HTTP, graph.GRPC}, "code": {graph.GRPC}},
	"rate_limit": {"per": {graph.HTTP, graph.GRPC}},
	"retry":      {"cancelled": {graph.GRPC}, "deadline-exceeded": {graph.GRPC}, "internal": {graph.GRPC}, "resource-exhausted": {graph.GRPC}},
}

// unusedArguments warns of what is written and means nothing on any edge.
func (c *checker) unusedArguments(p *policy, live []liveEdge) {
	planes, last := map[graph.Plane]bool{}, graph.Plane("")
	for _, e := range live {
		if plane := c.idx.planes[e.call]; plane != last {
			last = plane
			planes[plane] = true
		}
	}
	meant := func(on []graph.Plane) bool {
		return on == nil || slices.ContainsFunc(on, func(p graph.Plane) bool { return planes[p] })
	}
	for _, t := range p.calls {
		name := t.act.decl.Name
		for _, param := range t.act.params {
			v := t.ir.Args[param.name]
			if !v.At.IsZero() && !meant(actsOn[name][param.name]) {
				c.bag.Warnf(v.At, UnusedArgument, "the argument %q of %s means nothing here: no call of policy %s is %s",
					param.name, name, p.ir.Name, planeWords(actsOn[name][param.name]))
			}
			for _, w := range v.List {
				if !w.At.IsZero() && !meant(actsOn[name][w.Str]) {
					c.bag.Warnf(w.At, UnusedArgument, "%q of %s means nothing here: no call of policy %s is %s",
						w.Str, name, p.ir.Name, planeWords(actsOn[name][w.Str]))
				}
			}
		}
	}
}

func planeWords(planes []graph.Plane) string {
	words := make([]string, len(planes))
	for i, p := range planes {
		words[i] = string(p)
	}
	return strings.Join(words, " or ")
}

// heldByProxy are headers that frame a message or route it: changing one would
// break the connection or go round a policy (RFC 9110, section 7.6.1).
var heldByProxy = map[string]string{
	"host": "it names the receiver", "content-length": "it frames the message", "transfer-encoding": "it frames the message",
	"connection": "it belongs to one connection", "keep-alive": "it belongs to one connection",
	"proxy-connection": "it belongs to one connection", "te": "it belongs to one connection",
	"trailer": "it belongs to one connection", "upgrade": "it belongs to one connection",
}

func changedHeader(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	v := args["name"]
	where := place(v, at)
	switch {
	case strings.HasPrefix(v.Str, ":"):
		bag.Errorf(where, BadValue, "%q is a pseudo header, which is no header that an action can change", v.Str)
	default:
		headerName(v.Str, where, "changed", func(lower string) string {
			if strings.HasPrefix(lower, "x-envoy-") || strings.HasPrefix(lower, "x-admc-") {
				return "it steers the proxy itself"
			}
			return ""
		}, bag)
	}
}

func addedDate(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	if v := args["name"]; strings.ToLower(v.Str) == "date" && args["of"].Str == "response" {
		bag.Errorf(place(v, at), BadValue, "the response header %q can't be changed: the proxy adds one where it is missing", v.Str)
	}
}

// headerName: a header that an action does something with is one, in lower case, and
// none that the proxy holds, or that against says something against.
func headerName(name string, at diag.Span, done string, against func(lower string) string, bag *diag.Bag) {
	lower := strings.ToLower(name)
	why := cmp.Or(heldByProxy[lower], against(lower))
	switch {
	case !isToken(name):
		bag.Errorf(at, BadValue, "%q is not a header name", name).WithHint("letters, digits and !#$%%&'*+-.^_`|~ (RFC 9110)")
	case why != "":
		bag.Errorf(at, BadValue, "the header %q can't be %s: %s", name, done, why)
	case name != lower:
		bag.Errorf(at, BadValue, "the header name %q is not in lower case", name).
			WithHint("write %q; names are the same in any case", lower).WithFix(at, fmt.Sprintf("%q", lower))
	}
}

// isToken is RFC 9110's token.
func isToken(s string) bool {
	for i := range len(s) {
		b := s[i]
		if !(b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0) {
			return false
		}
	}
	return s != ""
}

func changedValue(args map[string]ir.Value, at diag.Span, bag *diag.Bag) {
	v := args["value"]
	for _, r := range v.Str {
		if r < ' ' && r != '\t' || r == 0x7f {
			bag.Errorf(place(v, at), BadValue, "a header's value can't hold the control character %q", r)
			return
		}
	}
	if len(v.Str)+strings.Count(v.Str, "%") > longestValue {
		bag.Errorf(place(v, at), BadValue, "a header's value can't be longer than %d bytes here, with each %% counted twice", longestValue)
	}
}

// longestValue is what Envoy takes in a configuration (core.v3.HeaderValue), where
// a %% stands for each %.
const longestValue = 16384
