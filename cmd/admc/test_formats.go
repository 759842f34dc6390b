package main

import (
	"encoding/json"
	"encoding/xml"
	stdio "io"
	"strings"

	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
)

// The JSON form of a report. Lines and columns count from 1, columns in runes.
type jsonReport struct {
	Suite    string        `json:"suite"`
	Passed   int           `json:"passed"`
	Failed   int           `json:"failed"`
	Skipped  int           `json:"skipped"` // by --run
	Tests    []jsonTest    `json:"tests"`
	Coverage *jsonCoverage `json:"coverage,omitempty"` // not after --run left out tests
}

type jsonPlace struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

type jsonTest struct {
	Name string `json:"name"`
	jsonPlace
	Passed   bool           `json:"passed"`
	Requests int            `json:"requests"`
	Policies map[string]int `json:"policies"` // in how many requests each acted
	Failures []jsonFailure  `json:"failures,omitempty"`
}

type jsonFailure struct {
	jsonPlace
	Expected string   `json:"expected"`
	Got      string   `json:"got"` // undecided: without what is not known
	Request  string   `json:"request"`
	Trace    []string `json:"trace"`
	// Undecided says why nobody can tell whether the expectation holds.
	Undecided string `json:"undecided,omitempty"`
}

type jsonCoverage struct {
	Policies  int          `json:"policies"`
	Untouched []jsonPolicy `json:"untouched"`
}

type jsonPolicy struct {
	Name string `json:"name"`
	jsonPlace
}

func placeOf(at diag.Span) jsonPlace {
	line, col := at.Src.Position(at.Start)
	return jsonPlace{File: fileOf(at), Line: line, Column: col}
}

func fileOf(at diag.Span) string {
	if at.Src.Shown != "" {
		return at.Src.Shown
	}
	return at.Src.Name
}

func writeTestJSON(w stdio.Writer, r *testReport) error {
	out := jsonReport{Suite: r.suite, Passed: len(r.results) - r.failed(), Failed: r.failed(), Skipped: r.skipped, Tests: []jsonTest{}}
	for _, t := range r.results {
		j := jsonTest{Name: t.Test.Title, jsonPlace: placeOf(t.Test.At), Passed: len(t.Failures) == 0, Requests: t.Requests, Policies: t.Hits}
		for _, f := range t.Failures {
			j.Failures = append(j.Failures, jsonFailure{
				jsonPlace: placeOf(f.Expect.At), Expected: f.Expected, Got: f.Got,
				Request: strings.TrimSuffix(requestText(f), ":"), Trace: traceOf(f), Undecided: f.Undecided,
			})
		}
		out.Tests = append(out.Tests, j)
	}
	if r.skipped == 0 {
		out.Coverage = &jsonCoverage{Policies: len(lang.Testable(r.program)), Untouched: []jsonPolicy{}}
		for _, p := range lang.Untouched(r.program, r.results) {
			out.Coverage.Untouched = append(out.Coverage.Untouched, jsonPolicy{p.Name, placeOf(p.At)})
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// The JUnit form, as CI systems read it: one suite, a case for each test, and a
// failure in it for each expectation that does not hold.
type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr,omitempty"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr,omitempty"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name     string         `xml:"name,attr"`
	Class    string         `xml:"classname,attr"`
	File     string         `xml:"file,attr"`
	Line     int            `xml:"line,attr"`
	Failures []junitFailure `xml:"failure"`
	Errors   []junitFailure `xml:"error"` // expectations that nobody can decide
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func writeTestJUnit(w stdio.Writer, r *testReport) error {
	out := junitSuites{Tests: len(r.results), Failures: r.failed()}
	out.Suite = junitSuite{Name: r.suite, Tests: len(r.results), Failures: r.failed()}
	for _, t := range r.results {
		if n := undecided(t); n > 0 && n == len(t.Failures) {
			out.Failures, out.Suite.Failures = out.Failures-1, out.Suite.Failures-1
			out.Errors, out.Suite.Errors = out.Errors+1, out.Suite.Errors+1
		}
		at := placeOf(t.Test.At)
		c := junitCase{Name: t.Test.Title, Class: strings.TrimSuffix(t.Test.At.Src.Name, ".adm"), File: at.File, Line: at.Line}
		for _, f := range t.Failures {
			if f.Undecided != "" {
				c.Errors = append(c.Errors, junitFailure{Message: "expected " + f.Expected + ": " + f.Undecided, Text: failureText(f)})
				continue
			}
			c.Failures = append(c.Failures, junitFailure{Message: "expected " + f.Expected + ", got " + f.Got, Text: failureText(f)})
		}
		out.Suite.Cases = append(out.Suite.Cases, c)
	}
	if _, err := stdio.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := stdio.WriteString(w, "\n")
	return err
}
