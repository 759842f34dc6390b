package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/ir"
)

// A baggage header is a list of members, parted by commas, over any number of
// lines; a member is `key = value`, with properties after semicolons
// (W3C Baggage, section 3.3.1). What is no member is passed on as it is.

// restampLines gives the lines of a baggage header after a stamp. The member is
// taken out wherever it stands, also with a key that a library would unescape to
// it, and a new value put in front of the first line, where readers that look at
// one line only, or cut long ones, still find it. Everything else stays byte for
// byte; a line that held nothing else goes.
func restampLines(lines []string, member string, to func(value string) string) []string {
	value, found := "", false
	var kept []string
	for _, line := range lines {
		members := strings.Split(line, ",")
		rest := slices.DeleteFunc(slices.Clone(members), func(m string) bool {
			key, v := baggageMember(m)
			if key != member {
				return false
			}
			if !found {
				value, found = v, true
			}
			return true
		})
		switch {
		case len(rest) == len(members):
			kept = append(kept, line)
		case len(rest) > 0:
			kept = append(kept, strings.Join(rest, ","))
		}
	}
	now := to(value)
	switch {
	case now == "":
	case len(kept) == 0:
		kept = []string{member + "=" + now}
	default:
		kept[0] = member + "=" + now + "," + kept[0]
	}
	return kept
}

// baggageMember parts a list member; both are trimmed, and the key unescaped.
func baggageMember(m string) (key, value string) {
	key = m
	if i := strings.IndexAny(m, "=;"); i >= 0 {
		key = m[:i]
		if m[i] == '=' {
			value, _, _ = strings.Cut(m[i+1:], ";")
		}
	}
	return unescape(strings.Trim(key, " \t")), strings.Trim(value, " \t")
}

// unescape resolves %XX; what is none stays.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0 {
			b.WriteByte(byte(hexDigit(s[i+1])<<4 | hexDigit(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// stamped does to a header what a stamp says; false when that is nothing.
func stamped(h Headers, a *ir.Action) bool {
	to := restamp{}
	for _, e := range a.Args["to"].Map {
		to[e.Key] = e.Value.Str
	}
	now := restampLines(h[ir.PathHeader], a.Args["member"].Str, to.of)
	if slices.Equal(now, h[ir.PathHeader]) {
		return false
	}
	if h[ir.PathHeader] = now; len(now) == 0 {
		delete(h, ir.PathHeader)
	}
	return true
}

// stamps keeps the member by which a path is decided.
func stamps(a *attempt, c *act) {
	if stamped(a.msg.headers, c.Action) {
		a.note(c, memberPart(c.Args["member"].Str), "stamped baggage %q", a.msg.headers.Get(ir.PathHeader))
	}
}

// carry takes headers over the calls that come before a request's own, whose
// applications pass their baggage on. On them only stamps act. Nothing is carried
// over a byte stream.
func (in *Interp) carry(h Headers, before []*graph.Call) {
	for _, call := range before {
		if call.Protocol.Plane() == graph.TCP {
			delete(h, ir.PathHeader)
			continue
		}
		if on := in.calls[call]; on != nil {
			for _, c := range on.acts {
				if c.Name() == ir.StampAction {
					stamped(h, c.Action)
				}
			}
		}
	}
}
