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

// escape makes plain text fit for an HTML-like label.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
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
