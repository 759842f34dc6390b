package syntax

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"admc.dev/admc/lang/diag"
)

// numberStart reports whether a word in the place of a value is a number, with
// or without a unit.
func numberStart(word string) bool {
	return isDigit(word[0]) || len(word) > 1 && (word[0] == '-' || word[0] == '.') && isDigit(word[1])
}

// Bytes of a size's unit; only the binary ones of IEC 80000-13, as in
// Kubernetes, so that nobody has to know which kilo is meant.
var sizeUnits = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

var rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

var rateCounts = map[string]int64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}

// What people write for units, and what it is here.
var (
	durationSlips = map[string]string{
		"sec": "s", "secs": "s", "second": "s", "seconds": "s", "S": "s",
		"min": "m", "mins": "m", "minute": "m", "minutes": "m",
		"hr": "h", "hrs": "h", "hour": "h", "hours": "h", "H": "h",
		"msec": "ms", "msecs": "ms", "millis": "ms", "milliseconds": "ms", "MS": "ms",
		"usec": "us", "micros": "us", "nsec": "ns",
	}
	sizeSlips = map[string]string{
		"b": "B", "byte": "B", "bytes": "B",
		"K": "KiB", "KB": "KiB", "Kb": "KiB", "kb": "KiB", "kB": "KiB", "Ki": "KiB", "kib": "KiB", "Kib": "KiB", "kiB": "KiB",
		"MB": "MiB", "Mb": "MiB", "mb": "MiB", "mB": "MiB", "Mi": "MiB", "mib": "MiB", "Mib": "MiB",
		"GB": "GiB", "Gb": "GiB", "gb": "GiB", "Gi": "GiB", "gib": "GiB", "Gib": "GiB", "TB": "TiB", "Ti": "TiB",
	}
	rateSlips = map[string]string{"rps": "/s", "qps": "/s", "RPS": "/s", "QPS": "/s", "rpm": "/m", "RPM": "/m"}
)

// A numberError says why a word is no number. at and n give the part that is
// wrong, in bytes of the word.
type numberError struct {
	code    diag.Code
	at, n   int
	message string
	hint    string
	fix     string // for the whole word; "" is none
}

func badNumber(word string, at int, format string, args ...any) *numberError {
	return &numberError{code: BadNumber, at: at, n: len(word) - at, message: fmt.Sprintf(format, args...)}
}

func outOfRange(word, format string, args ...any) *numberError {
	return &numberError{code: NumberRange, n: len(word), message: fmt.Sprintf(format, args...)}
}

// parseNumber reads the word as a number with its unit. The literal has no
// span yet.
func parseNumber(word string) (*Literal, *numberError) {
	n := mantissa(word)
	digits, unit := word[:n], word[n:]
	lit := &Literal{Raw: word}
	if err := checkDigits(word, digits); err != nil {
		return nil, err
	}
	switch {
	case unit == "":
		return lit, lit.setPlain(digits)
	case unit == "%":
		return lit, lit.setPercent(digits)
	case strings.Contains(unit, "/"):
		return lit, lit.setRate(digits, unit)
	case sizeUnits[unit] != 0:
		return lit, lit.setSize(digits, unit)
	case isDuration(unit):
		return lit, lit.setDuration()
	}
	return nil, unknownUnit(word, digits, unit)
}

// mantissa is the length of the sign, the digits and the fraction.
func mantissa(word string) int {
	i := 0
	for i < len(word) && (isDigit(word[i]) || word[i] == '.' || i == 0 && word[i] == '-') {
		i++
	}
	return i
}

func checkDigits(word, digits string) *numberError {
	whole, frac, dot := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	switch {
	case strings.Contains(frac, "."):
		return &numberError{code: BadNumber, n: len(word), message: fmt.Sprintf("%q is no number", word),
			hint: `versions and addresses are strings: "` + word + `"`}
	case whole == "" || dot && frac == "":
		return &numberError{code: BadNumber, n: len(word), message: fmt.Sprintf("%q needs digits on both sides of the point", word)}
	case len(whole) > 1 && whole[0] == '0':
		return &numberError{code: BadNumber, n: len(word), message: fmt.Sprintf("%q has a leading zero", word),
			hint: "numbers are decimal"}
	}
	return nil
}

func (l *Literal) setPlain(digits string) *numberError {
	if strings.Contains(digits, ".") {
		l.Kind = Float
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return outOfRange(l.Raw, "%s is too large", clip(l.Raw))
		}
		l.Float = f
		return nil
	}
	l.Kind = Int
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return outOfRange(l.Raw, "%s does not fit in 64 bits", clip(l.Raw))
	}
	l.Int = n
	return nil
}

func (l *Literal) setPercent(digits string) *numberError {
	l.Kind = Percent
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || f > 100 || f < 0 {
		return outOfRange(l.Raw, "a share is between 0%% and 100%%, found %s", clip(l.Raw))
	}
	l.Float = f / 100
	return nil
}

func (l *Literal) setRate(digits, unit string) *numberError {
	l.Kind = Rate
	count, per, _ := strings.Cut(unit, "/")
	period, ok := rateUnits[per]
	mult, okCount := rateCounts[count]
	switch {
	case !okCount:
		return badNumber(l.Raw, len(digits), "a rate's count has no unit %q", clip(count)).withHint("1k/s is 1000/s, 1M/s is 1000000/s")
	case per == "":
		return badNumber(l.Raw, len(l.Raw)-1, "the rate has no period").withHint("a rate is written 500/s, 10/m or 1k/h")
	case !ok && durationSlips[per] != "" && rateUnits[durationSlips[per]] != 0:
		return badNumber(l.Raw, len(l.Raw)-len(per), "a rate's period is s, m or h, found %q", per).withFix(digits + count + "/" + durationSlips[per])
	case !ok:
		return badNumber(l.Raw, len(l.Raw)-len(per), "a rate's period is s, m or h, found %q", clip(per)).
			withHint("a rate is written 500/s, 10/m or 1k/h; anything else with a slash is a string, in double quotes")
	}
	n, err := scaled(digits, mult)
	switch {
	case err == errFraction:
		return outOfRange(l.Raw, "%s is no whole number of events", l.Raw).withHint("use a longer period: 0.5/s is 30/m")
	case err != nil || n < 0:
		return outOfRange(l.Raw, "the rate %s is out of range", clip(l.Raw))
	}
	l.Int, l.Dur = n, period
	return nil
}

func (l *Literal) setSize(digits, unit string) *numberError {
	l.Kind = Size
	n, err := scaled(digits, sizeUnits[unit])
	switch {
	case err == errFraction:
		return outOfRange(l.Raw, "%s is no whole number of bytes", l.Raw)
	case err != nil || n < 0:
		return outOfRange(l.Raw, "the size %s is out of range", clip(l.Raw))
	}
	l.Int = n
	return nil
}

func (l *Literal) setDuration() *numberError {
	l.Kind = Duration
	d, err := time.ParseDuration(l.Raw)
	if err != nil || d < 0 {
		return outOfRange(l.Raw, "the duration %s is out of range", clip(l.Raw))
	}
	l.Dur = d
	return nil
}

// isDuration reports whether what follows a number makes it a duration: ms, or
// m30s in 1m30s.
func isDuration(unit string) bool {
	_, err := time.ParseDuration("1" + unit)
	return err == nil
}

var (
	errFraction = fmt.Errorf("not whole")
	errRange    = fmt.Errorf("out of range")
)

// scaled is digits × unit, exactly.
func scaled(digits string, unit int64) (int64, error) {
	if len(digits) > 40 {
		return 0, errRange
	}
	r, ok := new(big.Rat).SetString(digits)
	if !ok {
		return 0, errRange
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	switch {
	case !r.IsInt():
		return 0, errFraction
	case !r.Num().IsInt64() || r.Num().Int64() == math.MinInt64:
		return 0, errRange
	}
	return r.Num().Int64(), nil
}

func unknownUnit(word, digits, unit string) *numberError {
	e := badNumber(word, len(digits), "the unit %q is unknown", clip(unit))
	switch {
	case rateCounts[unit] != 0:
		e.hint = fmt.Sprintf("write the number out, or give a rate its period: %s/s", word)
	case durationSlips[unit] != "":
		return e.withFix(digits + durationSlips[unit])
	case sizeSlips[unit] != "":
		return e.withFix(digits + sizeSlips[unit])
	case rateSlips[unit] != "":
		return e.withFix(digits + rateSlips[unit])
	case unit == "d" || unit == "days" || unit == "day":
		e.hint = "the longest unit of a duration is h: a day is 24h"
	case strings.HasPrefix(unit, "_"):
		return e.withFix(strings.ReplaceAll(word, "_", ""))
	default:
		e.hint = `durations: 250ms 2s 1m 1h; rates: 500/s 10/m; sizes: 64KiB 1MiB; shares: 10%; anything else is a string, in double quotes`
	}
	return e
}

func (e *numberError) withHint(h string) *numberError {
	e.hint = h
	return e
}

func (e *numberError) withFix(word string) *numberError {
	e.fix = word
	if e.hint == "" {
		e.hint = fmt.Sprintf("did you mean %s?", word)
	}
	return e
}
