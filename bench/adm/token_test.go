package adm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"
	"time"
)

const issuer = "https://login.example.com"

// A keyRing signs tokens as most issuers do: RS256 with 2,048 bits.
type keyRing struct {
	jwks, token string
}

func newKeyRing(t *testing.T) keyRing {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encode(text)
	}
	type claims map[string]any
	text := part(claims{"alg": "RS256", "kid": "1", "typ": "JWT"}) + "." +
		part(claims{"iss": issuer, "sub": "alice", "aud": "shop", "exp": time.Now().Add(24 * time.Hour).Unix(), "scope": "orders:read orders:write"})
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return keyRing{
		jwks: fmt.Sprintf(`{"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", "n": %q, "e": %q}]}`,
			encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())),
		token: text + "." + encode(signature),
	}
}
