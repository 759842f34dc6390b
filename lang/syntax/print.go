package syntax

import (
	"bytes"
	"errors"
	"io"
	"sort"
	"strings"
)

// ErrBroken is given for a file with errors: parts of it are not in the tree,
// and printing would lose them.
var ErrBroken = errors.New("the file has errors")

// Print writes a file that Parse gave in the one canonical layout: four spaces
// of indentation, a blank line between declarations, one clause a line. The
// author's choices that remain are single blank lines, whether a bracket's
// elements stand on lines of their own, which they do if the first one did, or
// if a comment is among them, and whether braces around a single clause stand on
// the line of the name. Every comment stays where it stood. CEL is printed as
// written, but for white space around it and line ends.
//
// Print(Parse(Print(f))) writes the same, and its tree is the same.
func Print(w io.Writer, f *File) error {
	if f.Broken {
		return ErrBroken
	}
	p := &printer{src: f.Src.Text, comments: f.Comments, newlines: 1}
	for i, b := range p.src {
		if b == '\n' {
			p.ends = append(p.ends, i)
		}
	}
	p.file(f)
	_, err := w.Write(p.out.Bytes())
	return err
}

// A printer walks the tree and gives each leaf to write, with its place in the
// source: the comments that stood in front of that place are written first. So
// none is lost and none is written twice, wherever it stood. White space is
// asked for before it is known what follows, and written with what follows.
type printer struct {
	src      []byte
	ends     []int // offsets of the line ends
	out      bytes.Buffer
	comments []Comment // not yet written

	indent   int
	newlines int  // asked for: 0 none, 1 a line end, 2 with a blank line
	keep     bool // a blank line of the author's counts
	margin   int  // the indentation after them
	space    bool // asked for, unless there are newlines
	current  int  // the indentation of the line being written

	line  int  // of the source: where what was written last ended
	fresh bool // nothing has been written since a bracket was opened

	commented bool // the last thing written was a comment
}

func (p *printer) lineOf(off int) int {
	return sort.SearchInts(p.ends, off)
}

// write writes the leaf that stands at the byte off of the source.
func (p *printer) write(off int32, text string) {
	p.flush(off)
	p.emit(p.lineOf(int(off)))
	p.out.WriteString(text)
}

// leaf writes a node as it stands in the source.
func (p *printer) leaf(n Node, text string) {
	p.write(n.Span().Start, text)
	p.line = p.lineOf(int(n.Span().End))
}

// glue writes punctuation that belongs to what was written last.
func (p *printer) glue(text string) { p.out.WriteString(text) }

// emit writes the white space in front of something that stands on a line of
// the source.
func (p *printer) emit(line int) {
	switch {
	case p.out.Len() == 0:
	case p.newlines > 0:
		n := p.newlines
		if n == 1 && p.keep && !p.fresh && line > p.line+1 {
			n = 2
		}
		p.out.WriteString(strings.Repeat("\n", n))
		p.out.WriteString(strings.Repeat("    ", p.margin))
		p.current = p.margin
	case p.space:
		p.out.WriteByte(' ')
	}
	p.newlines, p.space, p.fresh, p.commented = 0, false, false, false
	p.line = line
}

// newline asks for a new line at the current indentation.
func (p *printer) newline() { p.newlines, p.keep, p.margin = 1, true, p.indent }

// wrap asks for a line that continues the current one.
func (p *printer) wrap() { p.newlines, p.keep, p.margin = 1, false, p.indent+1 }

// flush writes the comments that stood before the byte off: on a line of their
// own, or behind what was written last, unless a comment is there already.
func (p *printer) flush(off int32) {
	for len(p.comments) > 0 && p.comments[0].At.Start < off {
		c := p.comments[0]
		p.comments = p.comments[1:]
		if p.newlines == 0 {
			p.wrap() // in the middle of a clause: the comment ends the line
		}
		line := p.lineOf(int(c.At.Start))
		if c.OwnLine || p.commented || p.out.Len() == 0 {
			p.emit(line)
			p.out.WriteString(c.Text)
			p.newlines, p.keep = 1, true
		} else {
			p.out.WriteString(" " + c.Text)
		}
		p.line, p.commented = line, true
	}
}

// commentBefore reports whether a comment not yet written stood before off.
func (p *printer) commentBefore(off int32) bool {
	return len(p.comments) > 0 && p.comments[0].At.Start < off
}

// list writes the elements of a bracket that has been opened, and close, which
// stands at the byte before end. after is where the source was left.
func (p *printer) list(after, end int32, pad, close string, n int, at func(int) Node, elem func(int)) {
	closing := end - int32(len(close))
	broken := p.commentBefore(closing) || n > 0 && p.lineOf(int(after)) < p.lineOf(int(at(0).Span().Start))
	if !broken {
		for i := range n {
			if p.glueIf(i == 0, pad, ","); i > 0 {
				p.space = true
			}
			elem(i)
		}
		p.glueIf(n > 0, pad, "")
		p.write(closing, close)
		return
	}
	outer := p.open()
	for i := range n {
		p.newline()
		elem(i)
		p.glue(",")
	}
	p.close(outer, closing, close)
}

func (p *printer) glueIf(yes bool, then, otherwise string) {
	if yes {
		p.glue(then)
	} else {
		p.glue(otherwise)
	}
}

// open starts a part that is indented by one more than the line it starts on,
// and gives the indentation to go back to.
func (p *printer) open() (outer int) {
	outer, p.indent, p.fresh = p.indent, p.current+1, true
	return outer
}

// close ends that part with its closing bracket.
func (p *printer) close(outer int, at int32, bracket string) {
	p.newline()
	p.flush(at)
	p.indent--
	p.newline()
	p.keep = false
	p.write(at, bracket)
	p.indent = outer
}

// block writes the braces and what is between them, a line each. A single item
// stays on the line that its author put it on.
func (p *printer) block(end int32, n int, item func(int)) {
	p.glue(" {")
	if n == 0 && !p.commentBefore(end-1) {
		p.glue("}")
		p.line = p.lineOf(int(end))
		return
	}
	if n == 1 && p.line == p.lineOf(int(end-1)) && !p.commentBefore(end-1) {
		p.space = true
		item(0)
		p.space = true
		p.write(end-1, "}")
		return
	}
	outer := p.open()
	for i := range n {
		p.newline()
		item(i)
	}
	p.close(outer, end-1, "}")
}
