package conformance

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Level is how much a requirement binds, in the words of RFC 2119.
type Level string

// The levels.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
	May    Level = "MAY"
)

var levels = []Level{May, Should, Must}

// atLeast tells whether l binds as much as other, or more.
func (l Level) atLeast(other Level) bool {
	return slices.Index(levels, l) >= slices.Index(levels, other)
}

// ParseLevel reads a level in any letter case; empty text is no level.
func ParseLevel(text string) (Level, error) {
	l := Level(upper(text))
	if l != "" && !slices.Contains(levels, l) {
		return "", fmt.Errorf("%q is not a level; give must, should or may", text)
	}
	return l, nil
}

// Area is one file of checks.
type Area struct {
	// Name is what the report calls the area.
	Name string `yaml:"area"`
	// Prefix begins the number of each of its checks.
	Prefix string `yaml:"prefix"`
	// Needs are features without which no check of the area makes sense.
	Needs []string `yaml:"needs"`
	// Setup makes the resources that all checks of the area look at. They leave
	// them as they are.
	Setup  []Step  `yaml:"setup"`
	Checks []Check `yaml:"checks"`
}

// Check is one requirement, and how to see whether a server meets it.
type Check struct {
	// ID is the requirement number. It stays: a check that goes takes its number
	// with it.
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	// RFC is where the requirement stands, as in "RFC 7644 §3.4.2.2".
	RFC   string `yaml:"rfc"`
	Level Level  `yaml:"level"`
	// Needs are features that the server must advertise, or with a "!" before
	// them must not advertise, for the check to make sense.
	Needs []string `yaml:"needs"`
	Steps []Step   `yaml:"steps"`
	// Probe names a Go function that checks instead of steps.
	Probe string `yaml:"probe"`
}

// Step is one request and what must come of it. One of Do, User, Group and Find
// says what the request is; the rest adds to it, or is expected of the answer.
// Strings may hold ${…}: what earlier steps saved (expand.go).
type Step struct {
	Expect `yaml:",inline"` // of the answer

	// Wait is how long to wait first, for what a clock must see.
	Wait time.Duration `yaml:"wait"`
	// Do is a method and a path below the base URL: "GET /Users/${ada}".
	Do string `yaml:"do"`
	// User and Group create a resource with names of their own, and save the
	// answer under this name.
	User  string         `yaml:"user"`
	Group string         `yaml:"group"`
	With  map[string]any `yaml:"with"` // more members for the resource
	// Find is a filter; Are are the names of the resources that it must find, all
	// of them and no other, below the endpoint In (/Users).
	Find string   `yaml:"find"`
	In   string   `yaml:"in"`
	Are  []string `yaml:"are"`

	Query  map[string]any    `yaml:"query"`
	Header map[string]string `yaml:"header"` // an empty value leaves a header out
	Body   any               `yaml:"body"`   // sent as JSON
	Raw    *string           `yaml:"raw"`    // sent as it is
	Ops    []any             `yaml:"ops"`    // the operations of a PATCH, in their envelope

	// Save keeps values of the answer: a name, and a JSON pointer or "header NAME".
	Save map[string]string `yaml:"save"`
}

//go:embed checks/*.yaml
var files embed.FS

// Areas returns all checks, in the order of the report.
func Areas() ([]Area, error) {
	names, err := fs.Glob(files, "checks/*.yaml")
	if err != nil {
		return nil, err
	}
	var areas []Area
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		a, err := parseArea(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		areas = append(areas, a)
	}
	return areas, nil
}

// parseArea reads one file. A key that means nothing is an error: a check with a
// misspelt expectation would pass.
func parseArea(text []byte) (Area, error) {
	var a Area
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&a); err != nil {
		return Area{}, err
	}
	slices.SortStableFunc(a.Checks, func(x, y Check) int { return cmp.Compare(x.ID, y.ID) })
	return a, nil
}
