package console

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// lookBackTime is how long a page looks further and further back where what it wants is
// rare, before it leaves it to the reader to go on.
const lookBackTime = 30 * time.Millisecond

// maxTerm is how many bytes one condition of a search may have.
const maxTerm = 300

// terms are what the address of a page asks for: conditions by name, of those that the
// page knows.
type terms struct {
	Path   string
	names  []string
	values map[string]string
}

// Terms of time, which many pages know, and of the place in a list.
const (
	termSince = "since" // one of periods
	termFrom  = "from"  // a moment, in UTC, as an input of type datetime-local has it
	termTo    = "to"
	termAfter = "after" // the page_token
)

// termsOf reads the address, or the form, of a visit.
func termsOf(v *visit, path string, names ...string) terms {
	t := terms{Path: path, names: names, values: make(map[string]string)}
	for _, name := range slices.Concat(names, []string{termAfter}) {
		value := strings.TrimSpace(v.FormValue(name))
		if len(value) > maxTerm {
			value = strings.ToValidUTF8(value[:maxTerm], "")
		}
		if value != "" {
			t.values[name] = value
		}
	}
	return t
}

// Get is the value of a term; empty: it asks for nothing.
func (t terms) Get(name string) string { return t.values[name] }

// Has tells whether a term asks for something.
func (t terms) Has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return t.values[name] != "" })
}

// Narrowed tells whether anything is asked for.
func (t terms) Narrowed() bool { return t.Has(t.names...) }

// Query is all that is asked for, to be asked of another page: with the question mark.
func (t terms) Query() string { return t.query("") }

func (t terms) query(after string) string {
	q := url.Values{}
	for _, name := range t.names {
		if value := t.values[name]; value != "" {
			q.Set(name, value)
		}
	}
	if after != "" {
		q.Set(termAfter, after)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// With is the address of the page with another value of a term.
func (t terms) With(name, value string) string {
	of := terms{Path: t.Path, names: t.names, values: make(map[string]string)}
	maps.Copy(of.values, t.values)
	of.values[name] = value
	return t.Path + of.query("")
}

// pager leads from page to page of what the terms ask for.
func (t terms) pager(text, next string) pager {
	p := pager{Text: text}
	if t.Has(termAfter) {
		p.First = t.Path + t.query("")
	}
	if next != "" {
		p.Next = t.Path + t.query(next)
	}
	return p
}

// An option is a value to choose.
type option struct{ Value, Text string }

// A choice is a field whose values are listed.
type choice struct {
	Name, Label, Value string
	Options            []option
}

// choice is the field of a term.
func (t terms) choice(name, label string, options ...option) choice {
	return choice{Name: name, Label: label, Value: t.Get(name), Options: options}
}

// An entry is a field that takes any text; some may be suggested.
type entry struct {
	Name, Label, Value string
	Hint               string
	Type               string // empty: text
	Suggested          []string
}

// entry is the field of a term.
func (t terms) entry(name, label, hint string, suggested ...string) entry {
	return entry{Name: name, Label: label, Value: t.Get(name), Hint: hint, Suggested: suggested}
}

// moment is the field of a term that is a moment.
func (t terms) moment(name, label string) entry {
	return entry{Name: name, Label: label, Value: t.Get(name), Type: "datetime-local"}
}

// periods are how far pages look back.
var periods = []struct {
	option

	length time.Duration
}{
	{option{"1h", "Last hour"}, time.Hour},
	{option{"24h", "Last 24 hours"}, 24 * time.Hour},
	{option{"7d", "Last 7 days"}, 7 * 24 * time.Hour},
	{option{"30d", "Last 30 days"}, 30 * 24 * time.Hour},
}

func periodOptions() []option {
	options := []option{{"", "Any time"}}
	for _, p := range periods {
		options = append(options, p.option)
	}
	return options
}

// between are the first moment that is asked for, and the first no more; nil: none.
func (t terms) between() (from, to *timestamppb.Timestamp) {
	for _, p := range periods {
		if t.Get(termSince) == p.Value {
			from = timestamppb.New(time.Now().Add(-p.length))
		}
	}
	if at, ok := momentOf(t.Get(termFrom)); ok {
		from = timestamppb.New(at)
	}
	if at, ok := momentOf(t.Get(termTo)); ok {
		to = timestamppb.New(at)
	}
	return from, to
}

// momentOf reads what an input of type datetime-local sends.
func momentOf(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
