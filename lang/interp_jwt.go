package lang

import (
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// clockSkew is what Envoy's jwt_authn allows a token's times by default.
const clockSkew = 60 * time.Second

// authenticates is jwt: refuses what has no valid token, and takes the token out
// of what has one.
func authenticates(a *attempt, c *act) {
	claims, why := tokenClaims(a, c)
	if why != "" {
		status := 401
		if a.plane() == graph.GRPC {
			status = grpcOf(401)
		}
		a.end(c, status, "")
		a.acts(c, "", "refused it%s: %s", a.with(status), why)
		return
	}
	a.msg.claims = claims
	part := ""
	if !c.Args["forward"].Bool {
		delete(a.msg.headers, "authorization")
		part = `request.headers["authorization"]`
	}
	a.acts(c, part, "accepted the token of %v", claims["sub"])
}

// tokenClaims gives the claims of the request's token, or why it isn't valid.
// The signature is checked where the policy has the keys, and taken for good
// where they are behind an address; a token without one is refused. "Bearer " and
// a JSON object stand for a token with these claims and a good signature.
func tokenClaims(a *attempt, c *act) (claims map[string]any, why string) {
	token, bearer := tokenIn(a.msg.headers.Get("authorization"))
	if !bearer {
		return nil, "it has no token"
	}
	payload := []byte(token)
	if !strings.HasPrefix(token, "{") {
		if payload, why = tokenPayload(token, c.Args["jwks"].Str); why != "" {
			return nil, why
		}
	}
	if claims = jsonObject(payload); claims == nil {
		return nil, "the token's claims are no JSON object"
	}
	return claims, refusal(claims, c, Epoch.Add(a.at))
}

// tokenIn finds the token as Envoy's jwt_authn is seen to, in all values of the
// header together: behind the first "Bearer ", wherever that stands, from the
// first character that a token can begin with to the next space.
func tokenIn(authorization string) (token string, ok bool) {
	_, token, ok = strings.Cut(authorization, "Bearer ")
	if strings.HasPrefix(token, "{") {
		return token, ok
	}
	token = strings.TrimLeftFunc(token, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
	if end := strings.IndexAny(token, " \t"); end >= 0 {
		token = token[:end]
	}
	return token, ok
}

// jsonObject reads an object as protobuf does, into whose Struct Envoy reads
// header and claims: a key that comes twice is a mistake. nil for anything else.
func jsonObject(text []byte) map[string]any {
	s := &structpb.Struct{}
	if protojson.Unmarshal(text, s) != nil {
		return nil
	}
	return s.AsMap()
}

// refusal holds claims to the policy; "" when they are good. A registered claim
// (RFC 7519, section 4.1) of another type than it has is a mistake; a time of 0
// is none.
func refusal(claims map[string]any, c *act, now time.Time) string {
	for _, name := range []string{"iss", "sub", "jti"} {
		if v, there := claims[name]; there {
			if _, text := v.(string); !text {
				return "the token's " + name + " is no text"
			}
		}
	}
	times := map[string]float64{}
	for _, name := range []string{"iat", "nbf", "exp"} {
		if v, there := claims[name]; there {
			n, number := v.(float64)
			if !number || n < 0 || n >= 1<<64 {
				return "the token's " + name + " is no time"
			}
			times[name] = math.Trunc(n)
		}
	}
	audiences, ok := audiencesOf(claims)
	seconds, skew := float64(now.Unix()), clockSkew.Seconds()
	switch {
	case !ok:
		return "the token's aud is no text, and no list of texts"
	case claims["iss"] != c.Args["issuer"].Str:
		return "the token is of another issuer"
	case times["nbf"] > seconds+skew:
		return "the token is not valid yet"
	case times["exp"] != 0 && seconds > times["exp"]+skew:
		return "the token has expired"
	case !forAudience(audiences, c):
		return "the token is for another audience"
	}
	return ""
}

// tokenPayload takes a compact JWS apart (RFC 7515, section 7.1; Envoy overlooks
// empty sections) and holds it to the keys, "" for unknown ones.
func tokenPayload(token, keys string) (payload []byte, why string) {
	const unsigned = "the token is no signed JSON Web Token"
	parts := slices.DeleteFunc(strings.Split(token, "."), func(s string) bool { return s == "" })
	if len(parts) != 3 {
		return nil, unsigned
	}
	payload, signature, header := decoded(parts[1]), decoded(parts[2]), jsonObject(decoded(parts[0]))
	alg, _ := header["alg"].(string)
	kid, text := header["kid"].(string)
	if _, there := header["kid"]; there && !text {
		return nil, "the token's kid is no text"
	}
	if payload == nil || len(signature) == 0 || alg == "" || strings.EqualFold(alg, "none") {
		return nil, unsigned
	}
	if keys != "" && !signedBy(keys, alg, kid, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, "no key of the policy made the token's signature"
	}
	return payload, ""
}

// audiencesOf: aud is one string or several (RFC 7519, section 4.1.3).
func audiencesOf(claims map[string]any) (audiences []string, ok bool) {
	aud, there := claims["aud"]
	if one, text := aud.(string); text || !there {
		return []string{one}, true
	}
	list, ok := aud.([]any)
	for _, v := range list {
		one, text := v.(string)
		audiences, ok = append(audiences, one), ok && text
	}
	return audiences, ok
}

// forAudience compares as Envoy does, which overlooks a scheme of http or https
// and a slash at the end.
func forAudience(audiences []string, c *act) bool {
	wanted := c.Args["audiences"].List
	bare := func(s string) string {
		if rest, http := strings.CutPrefix(s, "http://"); http {
			s = rest
		} else {
			s = strings.TrimPrefix(s, "https://")
		}
		return strings.TrimSuffix(s, "/")
	}
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w ir.Value) bool {
		return slices.ContainsFunc(audiences, func(a string) bool { return bare(a) == bare(w.Str) })
	})
}
