package lsp

import (
	"bytes"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"admc.dev/admc/lang/diag"
)

// width is the number of UTF-16 code units of a rune.
func width(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// positionOf gives the position of a byte offset. A byte order mark has no
// width: editors keep it out of the text.
func positionOf(src *diag.Source, off int) position {
	line, _ := src.Position(int32(off))
	p := position{Line: line - 1}
	for _, r := range string(src.Text[min(src.LineStart(line), off):off]) {
		p.Character += width(r)
	}
	return p
}

func rangeOf(at diag.Span) span {
	return span{positionOf(at.Src, int(at.Start)), positionOf(at.Src, int(at.End))}
}

// offsetOf gives the byte offset of a position; what is behind the end of a line
// is its end, and what is behind the end of the text is that.
func offsetOf(src *diag.Source, p position) int {
	if p.Line >= src.Lines() {
		return len(src.Text)
	}
	start := src.LineStart(p.Line + 1)
	line := src.Text[start:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = bytes.TrimSuffix(line[:i], []byte("\r"))
	}
	off, units := 0, 0
	for off < len(line) && units < p.Character {
		r, n := utf8.DecodeRune(line[off:])
		units += width(r)
		off += n
	}
	return start + off
}

// pathOf gives the path of a file URI; "" for what is no file.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	path := u.Path
	if len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:] // file:///c:/x
	}
	return filepath.Clean(filepath.FromSlash(path))
}

func uriOf(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
