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
	"strings"
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

// usable reports a key that a proxy can verify with. One that is of no use is
// passed over beside others; a set of only such keys Envoy refuses.
func (k jwk) usable() bool {
	switch k.Kty {
	case "oct":
		return len(decoded(k.K)) > 0 && (k.Alg == "" || strings.HasPrefix(k.Alg, "HS"))
	case "RSA":
		n, e := new(big.Int).SetBytes(decoded(k.N)), new(big.Int).SetBytes(decoded(k.E))
		return n.BitLen() >= 512 && n.Bit(0) == 1 && e.BitLen() > 1 && e.BitLen() <= 33 && e.Bit(0) == 1 &&
			(k.Alg == "" || strings.HasPrefix(k.Alg, "RS") || strings.HasPrefix(k.Alg, "PS"))
	case "EC":
		curve := k.curve()
		return curve != nil && (k.Alg == "" || curves[k.Alg] == curve) && k.point(curve) != nil
	case "OKP":
		return k.Crv == "Ed25519" && len(decoded(k.X)) == ed25519.PublicKeySize && (k.Alg == "" || k.Alg == "EdDSA")
	}
	return false
}

var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// curve of an EC key: as it says, else that of its algorithm, else P-256.
func (k jwk) curve() elliptic.Curve {
	switch {
	case k.Crv == "" && k.Alg == "":
		return elliptic.P256()
	case k.Crv == "":
		return curves[k.Alg]
	}
	for _, c := range curves {
		if c.Params().Name == k.Crv {
			return c
		}
	}
	return nil
}

// point is the key; nil if it is none of the curve.
func (k jwk) point(curve elliptic.Curve) *ecdsa.PublicKey {
	size := (curve.Params().BitSize + 7) / 8
	x, y := decoded(k.X), decoded(k.Y)
	if len(x) != size || len(y) != size {
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil
	}
	return key
}

func (k jwk) verifiesEC(alg string, digest, signature []byte) bool {
	curve := k.curve()
	if curve == nil || curve != curves[alg] {
		return false
	}
	size := (curve.Params().BitSize + 7) / 8
	key := k.point(curve)
	if key == nil || len(signature) != 2*size {
		return false
	}
	return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
}

// decoded is base64url, with its padding or without; nil for anything else.
func decoded(s string) []byte {
	encoding := base64.RawURLEncoding
	if len(s)%4 == 0 {
		encoding = base64.URLEncoding
	}
	b, err := encoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
