package lang

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // registers what crypto.Hash needs
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
)

// A jwk is one key of a JSON Web Key Set (RFC 7517, RFC 7518 section 6), as far
// as verifying needs it.
type jwk struct {
	Kty, Kid, Alg, Crv, N, E, X, Y, K string
}

// signedBy reports whether a key of the set made the signature (RFC 7515). A key
// id in the header picks the keys of that id.
func signedBy(set, alg, kid string, signed, signature []byte) bool {
	var keys struct{ Keys []jwk }
	if json.Unmarshal([]byte(set), &keys) != nil {
		return false
	}
	for _, k := range keys.Keys {
		if (kid == "" || k.Kid == "" || k.Kid == kid) && (k.Alg == "" || k.Alg == alg) && k.verifies(alg, signed, signature) {
			return true
		}
	}
	return false
}

var jwsHashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// verifies holds a signature to the key by one of the algorithms of RFC 7518
// section 3.1, or EdDSA.
func (k jwk) verifies(alg string, signed, signature []byte) bool {
	if alg == "EdDSA" {
		key := decoded(k.X)
		return k.Kty == "OKP" && k.Crv == "Ed25519" && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed, signature)
	}
	if len(alg) != 5 || jwsHashes[alg[2:]] == 0 {
		return false
	}
	hash := jwsHashes[alg[2:]]
	h := hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch alg[:2] {
	case "HS":
		mac := hmac.New(hash.New, decoded(k.K))
		mac.Write(signed)
		return k.Kty == "oct" && k.K != "" && hmac.Equal(mac.Sum(nil), signature)
	case "RS", "PS":
		e := new(big.Int).SetBytes(decoded(k.E))
		if k.Kty != "RSA" || k.N == "" || !e.IsInt64() || e.Int64() > 1<<31-1 {
			return false
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(decoded(k.N)), E: int(e.Int64())}
		if alg[:2] == "PS" {
			return rsa.VerifyPSS(key, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case "ES":
		return k.Kty == "EC" && k.verifiesEC(alg, digest, signature)
	}
	return false
}

func (k jwk) verifiesEC(alg string, digest, signature []byte) bool {
	curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
	size := (curve.Params().BitSize + 7) / 8
	x, y := decoded(k.X), decoded(k.Y)
	if k.Crv != curve.Params().Name || len(signature) != 2*size || len(x) != size || len(y) != size {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	if err != nil {
		return false
	}
	return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
}

// decoded is base64url without padding; nil for anything else.
func decoded(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
