package simulate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Outcome is what became of one step.
type Outcome string

// The outcomes.
const (
	// Passed means that the server did what the step asks for.
	Passed Outcome = "passed"
	// Failed means that it did not; Step.Detail says what happened instead.
	Failed Outcome = "failed"
	// NotPlayed means that nothing was sent; Step.Detail says why.
	NotPlayed Outcome = "not played"
)

// Step is one thing the client does and what must come of it.
type Step struct {
	// Section is a letter and a title, as in "A Verify".
	Section string `json:"section"`
	// Name says what is done and expected.
	Name string `json:"name"`
	// Media is the media type of the replay; empty where nothing was played.
	Media   string  `json:"media,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Detail explains an outcome other than passed.
	Detail string `json:"detail,omitempty"`
	// Milliseconds is how long the step took, with all its requests.
	Milliseconds float64 `json:"milliseconds"`
}

// Report is what came of a script.
type Report struct {
	Script  string    `json:"script"`
	URL     string    `json:"url"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Steps   []Step    `json:"steps"`
}

// OK tells whether something was played and nothing failed.
func (r *Report) OK() bool { return r.Count(Failed) == 0 && r.Count(Passed) > 0 }

// Count tells how many steps had an outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for _, s := range r.Steps {
		if s.Outcome == o {
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

		OK        bool `json:"ok"`
		Passed    int  `json:"passed"`
		Failed    int  `json:"failed"`
		NotPlayed int  `json:"notPlayed"`
	}{r, r.OK(), r.Count(Passed), r.Count(Failed), r.Count(NotPlayed)})
}

// row is one line of the table: a step with its outcome in each media type.
type row struct {
	section, name string
	cells         map[string]Outcome
}

// rows joins the steps of the replays, in the order of first appearance.
func (r *Report) rows() (rows []row, medias []string) {
	at := map[string]int{}
	for _, s := range r.Steps {
		if s.Media != "" && !slices.Contains(medias, s.Media) {
			medias = append(medias, s.Media)
		}
		key := s.Section + "\x00" + s.Name
		i, seen := at[key]
		if !seen {
			i = len(rows)
			at[key] = i
			rows = append(rows, row{s.Section, s.Name, map[string]Outcome{}})
		}
		rows[i].cells[s.Media] = s.Outcome
	}
	return rows, medias
}

// WriteTable writes the report for people: one line for each step, a column for
// each media type, then what failed and why, then the totals.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	rows, medias := r.rows()
	width := 0
	for _, row := range rows {
		width = max(width, len(row.name))
	}
	fmt.Fprintf(&b, "%s against %s\n", r.Script, r.URL)
	section := ""
	for _, row := range rows {
		if row.section != section {
			section = row.section
			fmt.Fprintf(&b, "\n%-*s", width+4, section)
			for _, m := range medias {
				fmt.Fprintf(&b, "%-11s", m)
			}
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "  %-*s", width+2, row.name)
		for _, m := range medias {
			fmt.Fprintf(&b, "%-11s", cell(row, m))
		}
		b.WriteByte('\n')
	}
	r.explain(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(r row, media string) string {
	o, played := r.cells[media]
	switch {
	case !played:
		return "-"
	case o == Passed:
		return "ok"
	default:
		return "FAILED"
	}
}

// explain lists what failed, what was left out, and the totals.
func (r *Report) explain(b *strings.Builder) {
	for _, o := range []Outcome{Failed, NotPlayed} {
		if r.Count(o) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s:\n", strings.ToUpper(string(o)))
		for _, s := range r.Steps {
			if s.Outcome != o {
				continue
			}
			media := ""
			if s.Media != "" {
				media = " (" + s.Media + ")"
			}
			fmt.Fprintf(b, "  %s: %s%s\n      %s\n", s.Section, s.Name, media, s.Detail)
		}
	}
	verdict := "PASSED"
	if !r.OK() {
		verdict = "FAILED"
	}
	fmt.Fprintf(b, "\n%s: %d passed, %d failed, %d not played, %.1f s\n",
		verdict, r.Count(Passed), r.Count(Failed), r.Count(NotPlayed), r.Seconds)
}
