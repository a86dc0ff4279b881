package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Outcome is what became of one check.
type Outcome string

// The outcomes.
const (
	// Passed means that the server does what the requirement says.
	Passed Outcome = "passed"
	// Failed means that it does not; Result.Detail says what it does instead.
	Failed Outcome = "failed"
	// Skipped means that the check makes no sense here; Result.Detail says why.
	Skipped Outcome = "skipped"
)

// Result is what came of one check.
type Result struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Area    string  `json:"area"`
	RFC     string  `json:"rfc"`
	Level   Level   `json:"level"`
	Outcome Outcome `json:"outcome"`
	// Detail explains an outcome other than passed.
	Detail string `json:"detail,omitempty"`
	// Exchange is the request that failed, and its answer.
	Exchange *Exchange `json:"exchange,omitempty"`
	// Milliseconds is how long the check took, with all its requests.
	Milliseconds float64 `json:"milliseconds"`
}

// notApplicableError is what a probe returns where a check makes no sense.
type notApplicableError string

func (n notApplicableError) Error() string { return string(n) }

// judge sets the outcome of a check that ended with err.
func (r *Result) judge(err error, s *session) {
	var why notApplicableError
	switch {
	case err == nil:
		r.Outcome = Passed
	case errors.As(err, &why):
		r.Outcome, r.Detail = Skipped, string(why)
	default:
		r.fail(err, s)
	}
}

func (r *Result) fail(err error, s *session) {
	r.Outcome, r.Detail, r.Exchange = Failed, err.Error(), s.last
}

// Report is what came of a run.
type Report struct {
	URL     string    `json:"url"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Results []Result  `json:"results"`
}

// OK tells whether the server meets every MUST that was checked, and something
// was checked.
func (r *Report) OK() bool { return r.Count(Failed, Must) == 0 && r.Count(Passed, "") > 0 }

// Count tells how many checks of a level had an outcome; the empty level is any.
func (r *Report) Count(o Outcome, l Level) int {
	n := 0
	for _, x := range r.Results {
		if x.Outcome == o && (l == "" || x.Level == l) {
			n++
		}
	}
	return n
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		*Report

		OK      bool `json:"ok"`
		Passed  int  `json:"passed"`
		Failed  int  `json:"failed"`
		Skipped int  `json:"skipped"`
	}{r, r.OK(), r.Count(Passed, ""), r.Count(Failed, ""), r.Count(Skipped, "")})
}

// WriteTable writes the report for people: one line for each check, grouped by
// area, then each failure with what was sent and came back, then the totals.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Conformance of %s\n", r.URL)
	width := 0
	for _, x := range r.Results {
		width = max(width, len([]rune(x.Title)))
	}
	area := ""
	for _, x := range r.Results {
		if x.Area != area {
			area = x.Area
			fmt.Fprintf(&b, "\n%s\n", area)
		}
		fmt.Fprintf(&b, "  %-13s %-7s %-*s %-20s %s\n", x.ID, x.Level, width+1, x.Title, x.RFC, cell(x.Outcome))
	}
	r.explainFailures(&b)
	r.explainSkips(&b)
	r.total(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(o Outcome) string {
	switch o {
	case Passed:
		return "ok"
	case Skipped:
		return "-"
	case Failed:
	}
	return "FAILED"
}

func (r *Report) explainFailures(b *strings.Builder) {
	for _, x := range r.Results {
		if x.Outcome != Failed {
			continue
		}
		fmt.Fprintf(b, "\nFAILED %s (%s, %s): %s\n%s\n", x.ID, x.Level, x.RFC, x.Title, indent(x.Detail, "  "))
		if x.Exchange != nil {
			fmt.Fprintf(b, "%s\n%s\n", indent(x.Exchange.Sent, "  > "), indent(x.Exchange.Received, "  < "))
		}
	}
}

// explainSkips lists why checks were left out, and which.
func (r *Report) explainSkips(b *strings.Builder) {
	var reasons []string
	ids := map[string][]string{}
	for _, x := range r.Results {
		if x.Outcome != Skipped {
			continue
		}
		if ids[x.Detail] == nil {
			reasons = append(reasons, x.Detail)
		}
		ids[x.Detail] = append(ids[x.Detail], x.ID)
	}
	for _, why := range reasons {
		fmt.Fprintf(b, "\nNot checked, because %s:\n  %s\n", why, strings.Join(ids[why], " "))
	}
}

func (r *Report) total(b *strings.Builder) {
	verdict := "PASSED"
	if !r.OK() {
		verdict = "FAILED"
	}
	fmt.Fprintf(b, "\n%s: %d passed, %d failed (%d MUST, %d SHOULD, %d MAY), %d not checked, %.1f s\n", verdict, r.Count(Passed, ""),
		r.Count(Failed, ""), r.Count(Failed, Must), r.Count(Failed, Should), r.Count(Failed, May), r.Count(Skipped, ""), r.Seconds)
}

func indent(text, with string) string {
	return with + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+with)
}
