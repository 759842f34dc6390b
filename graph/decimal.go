package graph

import (
	"math"
	"strconv"
	"strings"
)

// maxScale bounds the digits behind the point, so that 10^Scale is an int64.
const maxScale = 18

// parseDecimal reads digits with at most one point between them. ok is false
// for every other form; exact is false when the number has more digits than an
// int64 keeps.
func parseDecimal(s string) (d Decimal, ok, exact bool) {
	whole, frac, point := strings.Cut(s, ".")
	if !isDigits(whole) || point && !isDigits(frac) {
		return Decimal{}, false, false
	}
	return scaled(strings.TrimLeft(whole+frac, "0"), len(frac))
}

// parseCPU reads a CPU quantity as Kubernetes writes it: a decimal number of
// cores, or whole thousandths (`50m`).
func parseCPU(s string) (d Decimal, ok, exact bool) {
	milli, isMilli := strings.CutSuffix(s, "m")
	if !isMilli {
		return parseDecimal(s)
	}
	if !isDigits(milli) {
		return Decimal{}, false, false
	}
	return scaled(strings.TrimLeft(milli, "0"), 3)
}

// scaled makes digits / 10^scale in lowest terms of ten.
func scaled(digits string, scale int) (d Decimal, ok, exact bool) {
	for scale > 0 && strings.HasSuffix(digits, "0") {
		digits, scale = digits[:len(digits)-1], scale-1
	}
	if digits == "" {
		return Decimal{Set: true}, true, true
	}
	units, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || units == math.MaxInt64 || scale > maxScale {
		return Decimal{}, true, false
	}
	return Decimal{Set: true, Units: units, Scale: scale}, true, true
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// String writes the number in full: 3, 0.05; "" when it is not set.
func (d Decimal) String() string {
	if !d.Set {
		return ""
	}
	s := strconv.FormatInt(d.Units, 10)
	if d.Scale == 0 {
		return s
	}
	if pad := d.Scale + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	return s[:len(s)-d.Scale] + "." + s[len(s)-d.Scale:]
}
