//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
)

var b64 = base64.RawURLEncoding.EncodeToString

// A tokenKey signs by one algorithm (RFC 7518) and stands in a key set.
type tokenKey struct {
	alg  string
	jwk  map[string]string
	sign func(text []byte) []byte
}

func digest(hash crypto.Hash, text []byte) []byte {
	h := hash.New()
	h.Write(text)
	return h.Sum(nil)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func tokenKeys() []tokenKey {
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	curves := map[string]elliptic.Curve{"256": elliptic.P256(), "384": elliptic.P384(), "512": elliptic.P521()}
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	var out []tokenKey
	for _, bits := range []string{"256", "384", "512"} {
		hash := hashes[bits]
		rsaJWK := map[string]string{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
		secret := []byte("a secret of thirty-two bytes, " + bits)
		ec := must(ecdsa.GenerateKey(curves[bits], rand.Reader))
		size := (curves[bits].Params().BitSize + 7) / 8
		point := must(ec.PublicKey.Bytes())
		out = append(out, tokenKey{"RS" + bits, rsaJWK, func(text []byte) []byte {
			return must(rsa.SignPKCS1v15(rand.Reader, key, hash, digest(hash, text)))
		}}, tokenKey{"PS" + bits, rsaJWK, func(text []byte) []byte {
			return must(rsa.SignPSS(rand.Reader, key, hash, digest(hash, text), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}}, tokenKey{"HS" + bits, map[string]string{"kty": "oct", "k": b64(secret)}, func(text []byte) []byte {
			m := hmac.New(hash.New, secret)
			m.Write(text)
			return m.Sum(nil)
		}}, tokenKey{"ES" + bits, map[string]string{"kty": "EC", "crv": curves[bits].Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}, func(text []byte) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, ec, digest(hash, text))
			must(0, err)
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}})
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	return append(out, tokenKey{"EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(public)}, func(text []byte) []byte {
		return ed25519.Sign(private, text)
	}})
}

func (k tokenKey) token(header, claims string) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	return text + "." + b64(k.sign([]byte(text)))
}

// tokenSet is the keys as a policy has them: each with an id, its algorithm's
// name.
func tokenSet(keys []tokenKey) string {
	var list []map[string]string
	for _, k := range keys {
		jwk := map[string]string{"kid": k.alg, "alg": k.alg}
		for name, v := range k.jwk {
			jwk[name] = v
		}
		list = append(list, jwk)
	}
	return string(must(json.Marshal(map[string]any{"keys": list})))
}

// tokenRequests are requests with tokens of every kind, by what is special about
// them.
func tokenRequests(keys []tokenKey, now int64) (what []string, out []testbed.Request) {
	add := func(name string, authorization ...string) {
		h := http.Header{}
		for _, v := range authorization {
			h.Add("Authorization", v)
		}
		what, out = append(what, name), append(out, testbed.Request{Method: "GET", URL: geo + "/", Header: h})
	}
	const good = `"iss": "https://me.example", "aud": "shop"`
	es := keys[slices.IndexFunc(keys, func(k tokenKey) bool { return k.alg == "ES256" })]
	head := `{"alg": "ES256", "kid": "ES256"}`
	signed := func(claims string) string { return es.token(head, "{"+claims+"}") }
	for _, k := range keys {
		t := k.token(fmt.Sprintf(`{"alg": %q, "kid": %q}`, k.alg, k.alg), "{"+good+"}")
		parts := strings.Split(t, ".")
		add(k.alg, "Bearer "+t)
		add(k.alg+" without an id", "Bearer "+k.token(fmt.Sprintf(`{"alg": %q}`, k.alg), "{"+good+"}"))
		add(k.alg+" of another key", "Bearer "+k.token(fmt.Sprintf(`{"alg": %q, "kid": "ES384x"}`, k.alg), "{"+good+"}"))
		add(k.alg+" with other claims", "Bearer "+parts[0]+"."+b64([]byte("{"+good+`, "role": "admin"}`))+"."+parts[2])
		add(k.alg+" cut", "Bearer "+t[:len(t)-8])
	}
	for _, claims := range []string{
		good, good + `, "role": "admin"`, good + `, "role": "Admin"`, good + `, "role": ["admin"]`, good + `, "role": 7`, good + `, "role": true`, good + `, "role": null`, good + `, "role": ""`,
		`"aud": "shop"`, `"iss": "https://me.example/", "aud": "shop"`, `"iss": "http://me.example", "aud": "shop"`, `"iss": "me.example", "aud": "shop"`, `"iss": "HTTPS://me.example", "aud": "shop"`, `"iss": 7, "aud": "shop"`, `"iss": null, "aud": "shop"`, `"iss": "", "aud": "shop"`,
		`"iss": "https://me.example"`, `"iss": "https://me.example", "aud": "other"`, `"iss": "https://me.example", "aud": ["other", "ops"]`, `"iss": "https://me.example", "aud": []`, `"iss": "https://me.example", "aud": ["other"]`,
		`"iss": "https://me.example", "aud": 7`, `"iss": "https://me.example", "aud": [7, "shop"]`, `"iss": "https://me.example", "aud": ["shop", 7]`, `"iss": "https://me.example", "aud": null`, `"iss": "https://me.example", "aud": "Shop"`, `"iss": "https://me.example", "aud": "shop/"`,
		`"iss": "https://me.example", "aud": "https://shop"`, `"iss": "https://me.example", "aud": "http://shop/"`, `"iss": "https://me.example", "aud": "api.example"`, `"iss": "https://me.example", "aud": "https://api.example/"`, `"iss": "https://me.example", "aud": "http://api.example"`, `"iss": "https://me.example", "aud": "shop,ops"`, `"iss": "https://me.example", "aud": {"a": "shop"}`,
		good + `, "sub": 7`, good + `, "sub": null`, good + `, "sub": "bob"`, good + `, "jti": 7`, good + `, "jti": "x"`, good + `, "iat": "now"`, good + fmt.Sprintf(`, "iat": %d`, now+3600), good + fmt.Sprintf(`, "iat": %d`, now),
	} {
		add(claims, "Bearer "+signed(claims))
	}
	for _, claim := range []string{"exp", "nbf"} {
		for _, v := range []string{fmt.Sprint(now - 3600), fmt.Sprint(now - 90), fmt.Sprint(now - 30), fmt.Sprint(now), fmt.Sprint(now + 30), fmt.Sprint(now + 90), fmt.Sprint(now + 3600), fmt.Sprintf("%d.5", now+3600), fmt.Sprintf("%d.5", now-3600),
			"0", "1", "-1", "-1.5", "1e3", "1e12", "1e30", "9223372036854775807", "18446744073709551615", "null", "true", `""`, `"x"`, fmt.Sprintf("%q", fmt.Sprint(now+3600)), fmt.Sprintf("%q", fmt.Sprint(now-3600)), "[]", "{}"} {
			add(claim+" "+v, "Bearer "+signed(good+fmt.Sprintf(`, %q: %s`, claim, v)))
		}
	}
	t := signed(good)
	parts := strings.Split(t, ".")
	add("no token")
	for _, v := range []string{"", "Bearer", "Bearer ", t, "bearer " + t, "BEARER " + t, "Bearer  " + t, "Bearer " + t + ",x", "Bearer " + t + "\tx", "Bearer \t" + t, "Bearer ," + t, "Bearer " + t + ";x", "Bearer =" + t, "Bearer  Bearer " + t, "Bearer x Bearer " + t, "Bearer " + t + " x", "Bearer " + t + "=", "Basic Bearer " + t, "xBearer " + t, "Bearer\t" + t,
		"Bearer " + t + ".", "Bearer ." + t, "Bearer a.b", "Bearer a.b.c.d", "Bearer " + parts[0] + "." + parts[1] + ".", "Bearer " + parts[0] + ".." + parts[2], "Bearer ." + parts[1] + "." + parts[2],
		"Bearer " + parts[0] + "==." + parts[1] + "." + parts[2], "Bearer " + strings.ReplaceAll(t, "-", "+"), "Basic Ym9iOnNlY3JldA=="} {
		add("header "+v, v)
	}
	add("two headers", "Bearer "+t, "Basic x")
	add("two headers, the second", "Basic x", "Bearer "+t)
	add("two tokens", "Bearer "+t, "Bearer "+t)
	add("two tokens, the second good", "Bearer a.b.c", "Bearer "+t)
	for _, h := range []string{`{"kid": "ES256"}`, `{"alg": "none"}`, `{"alg": "None"}`, `{"alg": ""}`, `{"alg": "es256"}`, `{"alg": "XS256"}`, `{"alg": 7}`, `{"alg": "ES256", "kid": 7}`, `{"alg": "ES256", "kid": ""}`, `{"alg": "ES256", "kid": null}`, `{"alg": "ES256", "typ": "at+jwt"}`, `{"alg": "ES256", "crit": ["x"], "x": 1}`, `{"alg": "HS256"}`, `{"alg": "RS256", "kid": "ES256"}`, `{"ALG": "ES256"}`, `[]`, `"x"`, `{`} {
		add("head "+h, "Bearer "+es.token(h, "{"+good+"}"))
	}
	// Envoy also overlooks a comma too many in the claims, which no issuer writes.
	for _, c := range []string{"", "{}", "[]", "null", "7", `"x"`, "{", "{" + good + "} ", " {" + good + "}", "{" + good + "}x", "{" + good + `, "iss": "other"}`, `{"iss": "other", ` + good + "}", "\xef\xbb\xbf{" + good + "}", "{" + good + ", \"n\": \"\xff\"}"} {
		add("claims "+c, "Bearer "+es.token(head, c))
	}
	return what, out
}

// TestTokensAsEnvoy: which tokens are good, what conditions see of them and what
// goes on, is the same in the interpreter and on the emitted proxy.
func TestTokensAsEnvoy(t *testing.T) {
	keys := tokenKeys()
	now := time.Now().Unix()
	what, requests := tokenRequests(keys, now)
	for side, forward := range map[string]string{"@ingress": "false", "@egress": "true"} {
		program := fmt.Sprintf(`
			@ingress policy tokens { on * -> geo  jwt("https://me.example", jwks: %q, audiences: ["shop", "ops", "https://api.example"], forward: %s) }
			@ingress policy admins { on * -> geo  when { jwt.claims["role"] == "admin" }  set_header("x-mark", "admin") }
			@ingress policy nobody { on * -> geo  when { !("role" in jwt.claims) }  append_header("x-trail", "nobody") }`, tokenSet(keys), forward)
		adms := []string{"geo"}
		if side == "@egress" {
			program, adms = strings.ReplaceAll(program, "@ingress", side), []string{"front", "other"}
		}
		want := interpreted(t, program, requests)
		w := newWorld(t, program, adms...)
		good := 0
		for i, r := range requests {
			got := met(w.front, r)
			if got != want[i] {
				t.Errorf("%s, %s\n got  %s\n want %s", side, what[i], got, want[i])
			}
			if strings.HasPrefix(got, "200") {
				good++
			}
		}
		if good < 20 || len(requests)-good < 50 {
			t.Errorf("%d of %d tokens are good", good, len(requests))
		}
	}
}
