package diag

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// WriteGitHub renders diagnostics as workflow commands, which a GitHub Actions
// runner shows beside the lines they are about:
//
//	::error file=shop.adm,line=3,col=27,endColumn=31,title=unknown-argument::rate_limit has no argument "brust"
//
// Hints and notes are further lines of the message. Columns, of which the last
// is inside, are given where the place is on one line: the runner refuses them
// elsewhere.
func WriteGitHub(w io.Writer, list []*Diagnostic, tool Tool) error {
	out := bufio.NewWriter(w)
	for _, d := range list {
		fmt.Fprintf(out, "::%s ", d.Severity)
		if s := d.At; !s.IsZero() {
			line, col := s.Src.Position(s.Start)
			endLine, endCol := s.Src.Position(s.End)
			fmt.Fprintf(out, "file=%s,line=%d,", githubProperty.Replace(filepath.ToSlash(tool.path(s.Src))), line)
			if endLine != line {
				fmt.Fprintf(out, "endLine=%d,", endLine)
			} else {
				fmt.Fprintf(out, "col=%d,endColumn=%d,", col, max(col, endCol-1))
			}
		}
		message := d.Message
		for _, h := range d.Hints {
			message += "\nhint: " + h
		}
		for _, n := range d.Notes {
			message += "\n"
			if !n.At.IsZero() {
				message += n.At.Show() + ": "
			}
			message += "note: " + n.Text
		}
		fmt.Fprintf(out, "title=%s::%s\n", githubProperty.Replace(string(d.Code)), githubData.Replace(message))
	}
	return out.Flush()
}

// The escapes of a workflow command's message and of its properties, as the
// runner undoes them (actions/toolkit, packages/core, command.ts). A comma ends
// a property and a colon all of them; a line end would end the command, and
// what follows it could be another one.
var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
