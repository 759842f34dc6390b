package dot

import (
	"fmt"
	"strings"
)

// text quotes plain text as a DOT string. Backslashes are doubled, because
// Graphviz gives `\N`, `\l` and the like a meaning of their own.
func text(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// html marks a label as one of Graphviz's HTML-like labels.
func html(s string) string { return "<" + s + ">" }

// escape makes plain text fit for an HTML-like label. What isn't ASCII is
// written by number: gographviz does not read it in such labels.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 128 && !strings.ContainsRune(`&<>"`, r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "&#%d;", r)
	}
	return b.String()
}

func bold(markup string) string { return "<B>" + markup + "</B>" }

func coloured(s, colour string) string {
	return fmt.Sprintf(`<FONT COLOR="%s">%s</FONT>`, colour, escape(s))
}

// small is remark-sized text.
func small(s, colour string) string {
	return fmt.Sprintf(`<FONT POINT-SIZE="9" COLOR="%s">%s</FONT>`, colour, escape(s))
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
