package lang

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxProgramSize is Envoy's regex_max_program_size for CEL expressions
// (source/extensions/filters/common/expr/evaluator.cc).
const maxProgramSize = 100

// programSize bounds from above the size of the program that RE2 makes of a
// regular expression, as its ProgramSize reports it: RE2 compiles to bytes, so
// a class of runes beyond ASCII costs a tree of UTF-8 sequences.
func programSize(pattern string) (int, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return 0, fmt.Errorf("not a regular expression: %w", err)
	}
	re, err := syntax.Parse(markAlternatives(pattern), syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("not a regular expression: %w", err)
	}
	const unanchored = 4 // match, fail, and the loop that skips to the first byte
	return unanchored + regexSize(re), nil
}

const mark = "admc_alternative_"

// markAlternatives puts an empty group behind each |, so that Go's parser does
// not merge alternatives: RE2 merges some of them too, but not the same ones.
func markAlternatives(pattern string) string {
	var b strings.Builder
	class, quoted, n := false, false, 0
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		b.WriteByte(c)
		switch {
		case quoted:
			quoted = !strings.HasPrefix(pattern[i+1:], `\E`)
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
			quoted = pattern[i] == 'Q' && !class && !strings.HasPrefix(pattern[i+1:], `\E`)
		case class:
			if strings.HasPrefix(pattern[i:], "[:") {
				if end := strings.Index(pattern[i:], ":]"); end > 0 {
					b.WriteString(pattern[i+1 : i+end+2])
					i += end + 1
				}
			}
			class = c != ']'
		case c == '[':
			class = true
			for _, literal := range []string{"^", "]"} {
				if strings.HasPrefix(pattern[i+1:], literal) {
					b.WriteString(literal)
					i++
				}
			}
		case c == '|':
			n++
			fmt.Fprintf(&b, "(?P<%s%d>)", mark, n)
		}
	}
	return b.String()
}

func regexSize(re *syntax.Regexp) int {
	sum := 0
	for _, sub := range re.Sub {
		sum += regexSize(sub)
	}
	fold := re.Flags&syntax.FoldCase != 0
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			sum += utf8.RuneLen(r)
			if fold {
				sum += otherCases(r)
			}
		}
	case syntax.OpCharClass:
		sum += classSize(re.Rune)
	case syntax.OpAnyChar:
		sum += classSize([]rune{0, utf8.MaxRune})
	case syntax.OpAnyCharNotNL:
		sum += classSize([]rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune})
	case syntax.OpCapture:
		if strings.HasPrefix(re.Name, mark) {
			return 0
		}
		sum += 2
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		sum += 2
	case syntax.OpRepeat:
		// x{2,4} is x x (x (x)?)?, and x{2,} is x x+.
		more := re.Max - re.Min
		if re.Max < 0 {
			more = 1
		}
		sum = re.Min*sum + more*(sum+2)
	case syntax.OpAlternate:
		sum += len(re.Sub)
	default:
		sum++
	}
	return sum
}

// otherCases is what the runes cost that are r in another case. The two cases of
// an ASCII letter are one step; K and S have a third one beyond ASCII.
func otherCases(r rune) int {
	size := 0
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		if o >= utf8.RuneSelf {
			size += utf8.RuneLen(o) + 1
		} else if r >= utf8.RuneSelf {
			size++
		}
	}
	return size
}

// classSize counts the byte ranges of a class, with shared tails as RE2 shares
// them.
func classSize(ranges []rune) int {
	shared := map[string]bool{}
	size := 0
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo < utf8.RuneSelf {
			size++
			lo = utf8.RuneSelf
		}
		if lo > hi {
			continue
		}
		if lo == utf8.RuneSelf && hi == utf8.MaxRune {
			size += 6 // three lead bytes, three continuation bytes
			continue
		}
		for _, seq := range utf8Sequences(lo, hi) {
			for j := range seq {
				if tail := fmt.Sprint(seq[j:]); !shared[tail] {
					shared[tail] = true
					size++
				}
			}
		}
	}
	return size
}

// utf8Sequences splits a range of runes beyond ASCII into sequences of byte
// ranges.
func utf8Sequences(lo, hi rune) [][][2]byte {
	for _, edge := range []rune{0x7ff, 0xffff} {
		if lo <= edge && edge < hi {
			return append(utf8Sequences(lo, edge), utf8Sequences(edge+1, hi)...)
		}
	}
	// Split so that every continuation byte that varies runs through its whole
	// range.
	for bits := 6; bits < 6*utf8.RuneLen(max(lo, utf8.RuneSelf)); bits += 6 {
		m := rune(1)<<bits - 1
		if lo&^m == hi&^m {
			break
		}
		if lo&m != 0 {
			return append(utf8Sequences(lo, lo|m), utf8Sequences((lo|m)+1, hi)...)
		}
		if hi&m != m {
			return append(utf8Sequences(lo, hi&^m-1), utf8Sequences(hi&^m, hi)...)
		}
	}
	var a, b [utf8.UTFMax]byte
	n := encodeRune(a[:], lo)
	encodeRune(b[:], hi)
	seq := make([][2]byte, n)
	for i := range seq {
		seq[i] = [2]byte{a[i], b[i]}
	}
	return [][][2]byte{seq}
}

// encodeRune is utf8.EncodeRune that takes surrogates for what their bits say,
// as the ends of ranges do.
func encodeRune(p []byte, r rune) int {
	switch {
	case r < 0x800:
		p[0], p[1] = 0xc0|byte(r>>6), 0x80|byte(r&0x3f)
		return 2
	case r < 0x10000:
		p[0], p[1], p[2] = 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f)
		return 3
	}
	p[0], p[1], p[2], p[3] = 0xf0|byte(r>>18), 0x80|byte(r>>12&0x3f), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f)
	return 4
}
