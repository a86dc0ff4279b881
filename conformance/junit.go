package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
)

// The elements of a JUnit report, as far as build servers read them.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Seconds float64       `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as build servers read it. JUnit knows no levels:
// a MUST that is not met is a failure, a SHOULD or MAY counts as skipped and its
// message says so.
func (r *Report) WriteJUnit(w io.Writer) error {
	var out junitSuites
	for _, x := range r.Results {
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != x.Area {
			out.Suites = append(out.Suites, junitSuite{Name: x.Area})
		}
		s := &out.Suites[len(out.Suites)-1]
		c := junitCase{Class: x.RFC, Name: x.ID + " " + x.Title, Seconds: x.Milliseconds / 1000}
		s.Tests++
		switch {
		case x.Outcome == Failed && x.Level == Must:
			s.Failures++
			c.Failure = &junitMessage{Message: x.Detail, Text: x.exchangeText()}
		case x.Outcome == Failed:
			s.Skipped++
			c.Skipped = &junitMessage{Message: fmt.Sprintf("%s not met: %s", x.Level, x.Detail), Text: x.exchangeText()}
		case x.Outcome == Skipped:
			s.Skipped++
			c.Skipped = &junitMessage{Message: x.Detail}
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Result) exchangeText() string {
	if r.Exchange == nil {
		return ""
	}
	return indent(r.Exchange.Sent, "> ") + "\n" + indent(r.Exchange.Received, "< ")
}
