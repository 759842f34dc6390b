package lang

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"admc.dev/admc/graph"
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
	token, bearer := strings.CutPrefix(a.msg.headers.Get("authorization"), "Bearer ")
	if !bearer {
		return nil, "it has no token"
	}
	payload := []byte(token)
	if !strings.HasPrefix(token, "{") {
		if payload, why = tokenPayload(token, c.Args["jwks"].Str); why != "" {
			return nil, why
		}
	}
	if json.Unmarshal(payload, &claims) != nil || claims == nil {
		return nil, "the token's claims are no JSON object"
	}
	if claims["iss"] != c.Args["issuer"].Str {
		return nil, "the token is of another issuer"
	}
	now := Epoch.Add(a.at)
	if exp, ok := claims["exp"].(float64); ok && now.After(time.Unix(int64(exp), 0).Add(clockSkew)) {
		return nil, "the token has expired"
	}
	if nbf, ok := claims["nbf"].(float64); ok && now.Before(time.Unix(int64(nbf), 0).Add(-clockSkew)) {
		return nil, "the token is not valid yet"
	}
	if !forAudience(claims["aud"], c) {
		return nil, "the token is for another audience"
	}
	return claims, ""
}

// tokenPayload takes a compact JWS apart (RFC 7515, section 7.1) and holds it to
// the keys, "" for unknown ones.
func tokenPayload(token, keys string) (payload []byte, why string) {
	const unsigned = "the token is no signed JSON Web Token"
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, unsigned
	}
	payload, signature := decoded(parts[1]), decoded(parts[2])
	var header struct{ Alg, Kid string }
	if payload == nil || len(signature) == 0 || json.Unmarshal(decoded(parts[0]), &header) != nil || header.Alg == "" || strings.EqualFold(header.Alg, "none") {
		return nil, unsigned
	}
	if keys != "" && !signedBy(keys, header.Alg, header.Kid, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, "no key of the policy made the token's signature"
	}
	return payload, ""
}

// forAudience: aud is one string or several (RFC 7519, section 4.1.3).
func forAudience(aud any, c *act) bool {
	wanted := c.Args["audiences"].List
	if len(wanted) == 0 {
		return true
	}
	has := func(one any) bool {
		for _, w := range wanted {
			if w.Str == one {
				return true
			}
		}
		return false
	}
	if list, ok := aud.([]any); ok {
		return slices.ContainsFunc(list, has)
	}
	return has(aud)
}
