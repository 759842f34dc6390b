package syntax

import (
	"bytes"
	"strings"
)

// celText takes the CEL expression that starts at off, up to the brace that
// closes it, which stays. Braces in CEL's strings and comments are not counted
// (CEL language definition, "Syntax": strings in one or three quotes of either
// kind, raw with an r before them, and comments from // to the end of the
// line). ok is false, and off where it was, when no brace closes it.
func (s *scanner) celText() (text string, issues []issue, ok bool) {
	start := *s
	depth := 0
	for s.off < len(s.src) {
		switch c := s.src[s.off]; {
		case c == '\n':
			s.off++
			s.newline()
		case c == '{':
			depth++
			s.off++
		case c == '}' && depth == 0:
			s.fresh = len(bytes.TrimSpace(s.src[s.lineStart:s.off])) == 0
			return string(s.src[start.off:s.off]), issues, true
		case c == '}':
			depth--
			s.off++
		case c == '/' && s.at(s.off+1) == '/':
			s.celComments = append(s.celComments, comment{start: s.off, end: s.lineEnd(s.off)})
			s.skipLine()
		case c == '"' || c == '\'':
			issues = append(issues, s.celString(s.off, false)...)
		case isNameStart(c):
			issues = append(issues, s.celName()...)
		default:
			s.off++
		}
	}
	comments := s.comments
	*s = start
	s.comments = comments
	return "", issues, false
}

func isNameStart(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// celName takes an identifier, and the string whose prefix it may be.
func (s *scanner) celName() []issue {
	start := s.off
	for s.off < len(s.src) && (isNameStart(s.src[s.off]) || isDigit(s.src[s.off])) {
		s.off++
	}
	if c := s.at(s.off); c == '"' || c == '\'' {
		switch strings.ToLower(string(s.src[start:s.off])) {
		case "r", "br", "rb":
			return s.celString(start, true)
		}
	}
	return nil
}

// celString takes the string whose quote is at off; start is where its prefix
// begins. A string in single quotes that no quote closes ends with its line.
func (s *scanner) celString(start int, raw bool) []issue {
	quote := s.src[s.off : s.off+1]
	triple := bytes.HasPrefix(s.src[s.off:], bytes.Repeat(quote, 3))
	if triple {
		quote = bytes.Repeat(quote, 3)
	}
	s.off += len(quote)
	for s.off < len(s.src) {
		switch c := s.src[s.off]; {
		case c == '\\' && !raw && s.at(s.off+1) != '\n':
			s.off += 2
		case c == '\n' && triple:
			s.off++
			s.newline()
		case c == '\n':
			end := s.lineEnd(start)
			if s.src[end-1] == '}' && end-1 > start {
				s.off = end - 1 // it is the condition's, more likely than the string's
			}
			return []issue{celUnterminated(start, end)}
		case bytes.HasPrefix(s.src[s.off:], quote):
			s.off += len(quote)
			return nil
		default:
			s.off++
		}
	}
	s.off = len(s.src)
	return []issue{celUnterminated(start, s.lineEnd(start))}
}

func celUnterminated(start, end int) issue {
	return issue{start: start, end: end, code: UnterminatedString, message: "a string of the condition is not closed"}
}
