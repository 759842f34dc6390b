package lang

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
)

// drawn reports whether a request belongs to the share of a sample. It is
// Envoy's runtime_fraction matcher with the fraction that is emitted: the hash of
// the request's id, seeded by a name, modulo the smallest denominator in which
// the share is exact.
func drawn(seed string, share float64, id string) bool {
	h := fnv.New64a()
	h.Write([]byte(seed))
	n, of := fraction(share)
	return xxHash64([]byte(id), h.Sum64())%of < n
}

func fraction(share float64) (n, of uint64) {
	for _, of := range []uint64{100, 10_000} {
		exact := share * float64(of)
		if n := math.Round(exact); math.Abs(exact-n) < 1e-9 {
			return uint64(n), of
		}
	}
	return uint64(math.Round(share * 1e6)), 1_000_000
}

const (
	xxPrime1 uint64 = 0x9E3779B185EBCA87
	xxPrime2 uint64 = 0xC2B2AE3D27D4EB4F
	xxPrime3 uint64 = 0x165667B19E3779F9
	xxPrime4 uint64 = 0x85EBCA77C2B2AE63
	xxPrime5 uint64 = 0x27D4EB2F165667C5
)

// xxHash64 is XXH64 (doc/xxhash_spec.md of xxHash), the hash that Envoy draws
// with.
func xxHash64(b []byte, seed uint64) uint64 {
	n := uint64(len(b))
	h := seed + xxPrime5
	if len(b) >= 32 {
		lanes := [4]uint64{seed + xxPrime1 + xxPrime2, seed + xxPrime2, seed, seed - xxPrime1}
		for ; len(b) >= 32; b = b[32:] {
			for i := range lanes {
				lanes[i] = xxRound(lanes[i], binary.LittleEndian.Uint64(b[8*i:]))
			}
		}
		h = bits.RotateLeft64(lanes[0], 1) + bits.RotateLeft64(lanes[1], 7) + bits.RotateLeft64(lanes[2], 12) + bits.RotateLeft64(lanes[3], 18)
		for _, l := range lanes {
			h = (h^xxRound(0, l))*xxPrime1 + xxPrime4
		}
	}
	h += n
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^xxRound(0, binary.LittleEndian.Uint64(b)), 27)*xxPrime1 + xxPrime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*xxPrime1, 23)*xxPrime2 + xxPrime3
		b = b[4:]
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c)*xxPrime5, 11) * xxPrime1
	}
	h = (h ^ h>>33) * xxPrime2
	h = (h ^ h>>29) * xxPrime3
	return h ^ h>>32
}

func xxRound(lane, input uint64) uint64 {
	return bits.RotateLeft64(lane+input*xxPrime2, 31) * xxPrime1
}
