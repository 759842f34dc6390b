package diag

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// A Tool is what a report says it comes from.
type Tool struct {
	Version string
	Codes   []CodeDoc // the rules
	// Path gives the path under which the reader of the report knows a source;
	// nil means Source.Path.
	Path func(*Source) string
}

func (t Tool) path(s *Source) string {
	if t.Path != nil {
		return t.Path(s)
	}
	return s.Path()
}

// The parts of SARIF that are written; names and nesting are those of SARIF
// 2.1.0, chapter 3. Nothing that a diagnostic has is left out.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
		Help  sarifText `json:"help"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
		Fixes     []sarifFix      `json:"fixes,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
		ByteOffset  int `json:"byteOffset"`
		ByteLength  int `json:"byteLength"`
	}
	sarifFix struct {
		Description sarifText     `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact     sarifArtifact      `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted  sarifRegion `json:"deletedRegion"`
		Inserted struct {
			Text string `json:"text"`
		} `json:"insertedContent"`
	}
)

// WriteSARIF renders diagnostics as one run of SARIF 2.1.0, which code scanning
// services read. Every code of the tool is a rule with its documentation; notes
// with a place are related locations, hints and other notes lines of the
// message, and all fixes of one diagnostic are one fix. Columns count code
// points. A code that the tool doesn't document panics.
func WriteSARIF(w io.Writer, list []*Diagnostic, tool Tool) error {
	var run sarifRun
	run.Tool.Driver = sarifDriver{Name: "admc", Version: tool.Version, Rules: []sarifRule{}}
	run.ColumnKind = "unicodeCodePoints"
	run.Results = []sarifResult{}
	index := map[Code]int{}
	for i, c := range tool.Codes {
		index[c.Code] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule(c))
	}
	for _, d := range list {
		i, ok := index[d.Code]
		if !ok {
			panic("the code " + string(d.Code) + " is not documented")
		}
		run.Results = append(run.Results, tool.result(d, i))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// rule documents a code, with its examples as plain text and as Markdown.
func rule(c CodeDoc) sarifRule {
	help := sarifText{Text: c.Summary, Markdown: c.Summary}
	for _, ex := range []struct{ title, text string }{{"Gives it:", c.Bad}, {"Does not:", c.Good}} {
		if ex.text != "" {
			text := strings.TrimSuffix(ex.text, "\n")
			help.Text += "\n\n" + ex.title + "\n\n" + text
			help.Markdown += "\n\n" + ex.title + "\n\n```\n" + text + "\n```"
		}
	}
	return sarifRule{string(c.Code), sarifText{Text: c.Summary}, help}
}

func (t Tool) result(d *Diagnostic, index int) sarifResult {
	r := sarifResult{RuleID: string(d.Code), RuleIndex: index, Level: d.Severity.String()}
	message := d.Message
	for _, h := range d.Hints {
		message += "\nhint: " + h
	}
	for _, n := range d.Notes {
		if n.At.IsZero() {
			message += "\nnote: " + n.Text
		} else {
			r.Related = append(r.Related, sarifLocation{t.physical(n.At), &sarifText{Text: n.Text}})
		}
	}
	r.Message.Text = message
	if !d.At.IsZero() {
		r.Locations = []sarifLocation{{Physical: t.physical(d.At)}}
	}
	if len(d.Fixes) > 0 {
		fix := sarifFix{Description: sarifText{Text: strings.Join(d.Hints, "; ")}}
		if len(d.Hints) == 0 {
			fix.Description.Text = "the one obvious edit"
		}
		for _, f := range d.Fixes {
			rep := sarifReplacement{Deleted: region(f.At)}
			rep.Inserted.Text = f.Replace
			fix.Changes = append(fix.Changes, sarifChange{t.artifact(f.At.Src), []sarifReplacement{rep}})
		}
		r.Fixes = []sarifFix{fix}
	}
	return r
}

func (t Tool) physical(s Span) sarifPhysical { return sarifPhysical{t.artifact(s.Src), region(s)} }

// artifact names a source by a URI (RFC 3986): relative where the path is, and
// with the scheme admc where there is no file.
func (t Tool) artifact(s *Source) sarifArtifact {
	if s.Embedded {
		return sarifArtifact{(&url.URL{Scheme: "admc", OmitHost: true, Path: "/" + s.Name}).String()}
	}
	path := t.path(s)
	u := &url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		u.Scheme = "file"
		u.Path = "/" + strings.TrimPrefix(u.Path, "/") // C:/x is /C:/x in a URI
	}
	return sarifArtifact{u.String()}
}

func region(s Span) sarifRegion {
	line, col := s.Src.Position(s.Start)
	endLine, endCol := s.Src.Position(s.End)
	return sarifRegion{line, col, endLine, endCol, int(s.Start), int(s.End - s.Start)}
}
