package graph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// document reads the one YAML document of the source; nil after an error, and where
// there is nothing in it. what names the file in messages.
func (l *loader) document(what string) (root *yaml.Node, empty bool) {
	if !utf8.Valid(l.src.Text) {
		at := 0
		for r, n := utf8.DecodeRune(l.src.Text); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(l.src.Text[at:]) {
			at += n
		}
		l.bag.Errorf(l.src.Span(at, at+1), YAMLSyntax, "the file is not UTF-8 text")
		return nil, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(l.src.Text))
	doc, err := decode(dec)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		return nil, true
	}
	if err != nil {
		l.syntaxError(err)
		return nil, false
	}
	second, err := decode(dec)
	switch {
	case errors.Is(err, io.EOF):
		return doc.Content[0], false
	case err != nil:
		l.syntaxError(err)
	default:
		at := l.pos.offset(second.Line, second.Column)
		l.bag.Errorf(l.src.Span(at, at+len("---")), SeveralDocuments, "a second YAML document begins here").
			WithHint("%s is one document", what)
	}
	return nil, false
}

// decode reads one document. A panic of the YAML package is an error: its input
// is the user's.
func decode(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	doc = &yaml.Node{}
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// parserProblems are the messages of yaml.v3's parser. It counts their lines
// from 0, its scanner's from 1.
var parserProblems = []string{
	"did not find expected <stream-start>", "did not find expected <document start>", "did not find expected node content",
	"did not find expected key", "did not find expected '-' indicator", "did not find expected ',' or ']'",
	"did not find expected ',' or '}'", "found undefined tag handle", "found duplicate %", "found incompatible YAML document",
}

// syntaxError reports what the YAML package says at the line it names.
func (l *loader) syntaxError(err error) {
	text := err.Error()
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
		for _, p := range parserProblems {
			if strings.HasPrefix(text, p) {
				line++
				break
			}
		}
	}
	text = strings.TrimPrefix(text, "yaml: ")
	at := l.lineSpan(line)
	for line > 1 && at.Start == at.End { // the end of the file: the last line says more
		line--
		at = l.lineSpan(line)
	}
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		if i := bytes.Index(l.src.Text, []byte("*"+m[1])); i >= 0 {
			at = l.src.Span(i, i+1+len(m[1]))
		}
		text = fmt.Sprintf("there is no anchor &%s before this alias", m[1])
	}
	if tab := bytes.IndexByte(indentOf(l.src.Text[l.pos.offset(line, 1):]), '\t'); tab >= 0 {
		i := l.pos.offset(line, 1) + tab
		l.bag.Errorf(l.src.Span(i, i+1), YAMLSyntax, "YAML does not take a tab as indentation").
			WithHint("indent with spaces")
		return
	}
	l.bag.Errorf(at, YAMLSyntax, "%s", text)
}

func indentOf(line []byte) []byte {
	return line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
}

// lineSpan is a line without the blanks around it.
func (l *loader) lineSpan(line int) diag.Span {
	start := l.pos.offset(line, 1)
	rest := l.src.Text[start:]
	start += len(indentOf(rest))
	rest = l.src.Text[start:]
	if end := bytes.IndexAny(rest, "\r\n"); end >= 0 {
		rest = rest[:end]
	}
	return l.src.Span(start, start+len(bytes.TrimRight(rest, " \t")))
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}
