package lang

import (
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
	"strings"
	"testing"
)

var b64 = base64.RawURLEncoding.EncodeToString

// A signer is a key, as it stands in a key set, and what signs with it.
type signer struct {
	alg  string
	key  map[string]string
	sign func(digest, text []byte) []byte
}

func signers(t *testing.T) []signer {
	t.Helper()
	no := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var out []signer
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	no(err)
	rsaJWK := map[string]string{"kty": "RSA", "n": b64(rsaKey.N.Bytes()), "e": b64(big.NewInt(int64(rsaKey.E)).Bytes())}
	curves := map[string]elliptic.Curve{"256": elliptic.P256(), "384": elliptic.P384(), "512": elliptic.P521()}
	for _, bits := range []string{"256", "384", "512"} {
		hash := jwsHashes[bits]
		out = append(out, signer{"RS" + bits, rsaJWK, func(d, _ []byte) []byte {
			s, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, hash, d)
			no(err)
			return s
		}}, signer{"PS" + bits, rsaJWK, func(d, _ []byte) []byte {
			s, err := rsa.SignPSS(rand.Reader, rsaKey, hash, d, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			no(err)
			return s
		}})
		secret := []byte("secret " + bits)
		out = append(out, signer{"HS" + bits, map[string]string{"kty": "oct", "k": b64(secret)}, func(_, text []byte) []byte {
			m := hmac.New(hash.New, secret)
			m.Write(text)
			return m.Sum(nil)
		}})
		curve := curves[bits]
		ec, err := ecdsa.GenerateKey(curve, rand.Reader)
		no(err)
		size := (curve.Params().BitSize + 7) / 8
		point, err := ec.PublicKey.Bytes()
		no(err)
		out = append(out, signer{"ES" + bits, map[string]string{
			"kty": "EC", "crv": curve.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:]),
		}, func(d, _ []byte) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, ec, d)
			no(err)
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}})
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	no(err)
	return append(out, signer{"EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(public)}, func(_, text []byte) []byte {
		return ed25519.Sign(private, text)
	}})
}

// token signs claims.
func (s signer) token(header, claims string) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	var digest []byte
	if s.alg != "EdDSA" {
		h := jwsHashes[s.alg[2:]].New()
		h.Write([]byte(text))
		digest = h.Sum(nil)
	}
	return text + "." + b64(s.sign(digest, []byte(text)))
}

// TestSignatures: with keys in the policy only their tokens are good, by each
// algorithm.
func TestSignatures(t *testing.T) {
	all := signers(t)
	for i, s := range all {
		key := map[string]string{"kid": "one"}
		for k, v := range s.key {
			key[k] = v
		}
		set, _ := json.Marshal(map[string]any{"keys": []any{key}})
		in, requests := interpret(t, fmt.Sprintf(`policy p { on internet -> frontend  jwt("me", jwks: %q) }
test "t" { internet -> frontend GET "/"  expect pass }`, set))
		head := fmt.Sprintf(`{"alg": %q}`, s.alg)
		good := s.token(head, `{"iss": "me"}`)
		parts := strings.Split(good, ".")
		other := all[(i+4)%len(all)]
		for _, c := range []struct {
			what, token string
			want        int
		}{
			{"good", good, 200},
			{"its key's id", s.token(fmt.Sprintf(`{"alg": %q, "kid": "one"}`, s.alg), `{"iss": "me"}`), 200},
			{"another key's id", s.token(fmt.Sprintf(`{"alg": %q, "kid": "two"}`, s.alg), `{"iss": "me"}`), 401},
			{"other claims", parts[0] + "." + b64([]byte(`{"iss": "me", "sub": "root"}`)) + "." + parts[2], 401},
			{"another key", other.token(fmt.Sprintf(`{"alg": %q}`, other.alg), `{"iss": "me"}`), 401},
			{"cut", good[:len(good)-8], 401},
			{"no signature", parts[0] + "." + parts[1] + ".", 401},
			{"none", b64([]byte(`{"alg": "none"}`)) + "." + parts[1] + "." + parts[2], 401},
			{"another algorithm", b64([]byte(`{"alg": "XS256"}`)) + "." + parts[1] + "." + parts[2], 401},
		} {
			if other.key["n"] != "" && other.key["n"] == s.key["n"] && c.what == "another key" {
				continue // one RSA key signs by several algorithms
			}
			requests[0].Headers = Headers{"authorization": {"Bearer " + c.token}}
			if got := in.Run(requests...)[0]; got.Status != c.want {
				t.Errorf("%s, %s: got %d, want %d", s.alg, c.what, got.Status, c.want)
			}
		}
	}
}

// TestUsableKeys holds keys to what Envoy 1.40 was seen to take as the only ones of
// a set.
func TestUsableKeys(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	const x, y, o = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	for _, c := range []struct {
		key  jwk
		want bool
	}{
		{jwk{}, false},
		{jwk{Kty: "OCT", K: "c2VjcmV0"}, false},
		{jwk{Kty: "oct"}, false},
		{jwk{Kty: "oct", K: "c2VjcmV0"}, true},
		{jwk{Kty: "oct", K: "c2VjcmV0cw=="}, true},
		{jwk{Kty: "oct", K: "c2VjcmV0", Alg: "HS256"}, true},
		{jwk{Kty: "oct", K: "c2VjcmV0", Alg: "RS256"}, false},
		{jwk{Kty: "RSA", N: n, E: "AQAB"}, true},
		{jwk{Kty: "RSA", N: n, E: "AQAB="}, false},
		{jwk{Kty: "RSA", N: n, E: "AA"}, false},
		{jwk{Kty: "RSA", N: n}, false},
		{jwk{Kty: "RSA", N: "AQAB", E: "AQAB"}, false},
		{jwk{Kty: "RSA", N: n, E: "AQAB", Alg: "PS512"}, true},
		{jwk{Kty: "RSA", N: n, E: "AQAB", Alg: "HS256"}, false},
		{jwk{Kty: "EC", Crv: "P-256", X: x, Y: y}, true},
		{jwk{Kty: "EC", X: x, Y: y}, true},
		{jwk{Kty: "EC", Alg: "ES256", X: x, Y: y}, true},
		{jwk{Kty: "EC", Crv: "P-256", Alg: "ES384", X: x, Y: y}, false},
		{jwk{Kty: "EC", Crv: "P-256", X: x, Y: x}, false},
		{jwk{Kty: "EC", Crv: "secp256k1", X: x, Y: y}, false},
		{jwk{Kty: "OKP", Crv: "Ed25519", X: o}, true},
		{jwk{Kty: "OKP", Crv: "Ed448", X: o}, false},
		{jwk{Kty: "OKP", Crv: "Ed25519", X: "AQAB"}, false},
		{jwk{Kty: "OKP", Crv: "Ed25519", Alg: "ES256", X: o}, false},
	} {
		if got := c.key.usable(); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.key, got, c.want)
		}
	}
}
