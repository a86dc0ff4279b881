package scim

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// goldenLines plays a golden file whose cases are single lines, each followed by
// its result, which begins with "\t". Empty lines and comments stay as they are; a
// line "@User" changes the resource type.
func goldenLines(t *testing.T, file string, play func(rt *ResourceType, in string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rt := User
	lines := strings.Split(string(text), "\n")
	var out []string
	for i, in := range lines {
		switch {
		case strings.HasPrefix(in, "\t"):
			continue
		case in == "" || strings.HasPrefix(in, "#"):
		case in[0] == '@':
			rt = map[string]*ResourceType{"@User": User, "@Group": Group}[in]
		default:
			got, want := "\t"+play(rt, in), "(nothing)"
			if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
				want = lines[i+1]
			}
			if got != want && !*update {
				t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
			}
			out = append(out, in, got)
			continue
		}
		out = append(out, in)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParseFilter_Golden(t *testing.T) {
	goldenLines(t, "testdata/filter.txt", func(rt *ResourceType, in string) string {
		f, err := rt.ParseFilter(in)
		if err != nil {
			return err.Error()
		}
		return formatFilter(f)
	})
}

func TestParsePath_Golden(t *testing.T) {
	goldenLines(t, "testdata/path.txt", func(rt *ResourceType, in string) string {
		p, err := rt.ParsePath(in)
		if err != nil {
			return err.Error()
		}
		return formatPath(p)
	})
}

func TestParseFilter_Text(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "invalidFilter: expected the name of an attribute, not the end, at character 1",
		"  ":                          "invalidFilter: expected the name of an attribute, not the end, at character 3",
		"title eq \"a\x00\"":          "invalidFilter: a control character in a string, at character 12",
		"title eq \"a\nb\"":           "invalidFilter: a control character in a string, at character 12",
		"title eq \"\xff\"":           "invalidFilter: the filter is not UTF-8",
		"title\x00eq":                 "invalidFilter: expected an operator (eq ne co sw ew gt ge lt le pr), not \"\x00\", at character 6",
		"\u00a0title pr":              "invalidFilter: expected the name of an attribute, not \"\u00a0\", at character 1",
		strings.Repeat("x", 99):       `invalidFilter: "` + strings.Repeat("x", 80) + `…" is not an attribute of User, at character 1`,
		"userName pr and\r\ntitle pr": "",
	} {
		_, err := User.ParseFilter(in)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q:\ngot  %v\nwant %s", in, err, want)
		}
	}
}

// Each limit: what just fits, and what is one too many.
func TestParseFilter_Limits(t *testing.T) {
	length := func(n int) string {
		const frame = `title eq ""`
		return `title eq "` + strings.Repeat("x", n-len(frame)) + `"`
	}
	depth := func(n int) string { return strings.Repeat("(", n) + "title pr" + strings.Repeat(")", n) }
	negations := func(n int) string { return strings.Repeat("not (", n) + "title pr" + strings.Repeat(")", n) }
	brackets := func(n int) string {
		return strings.Repeat("(", n-1) + "emails[type pr]" + strings.Repeat(")", n-1)
	}
	terms := func(n int) string { return "title pr" + strings.Repeat(" or title pr", n-1) }
	for name, c := range map[string]struct {
		filter func(n int) string
		most   int
		detail string
	}{
		"length":    {length, MaxFilterLength, "the filter is longer than 8192 bytes"},
		"depth":     {depth, MaxFilterDepth, "the filter nests more than 32 deep, at character 34"},
		"negations": {negations, MaxFilterDepth, "the filter nests more than 32 deep, at character 166"},
		"brackets":  {brackets, MaxFilterDepth, "the filter nests more than 32 deep, at character 40"},
		"terms":     {terms, MaxFilterTerms, "the filter has more than 256 comparisons, at character 3079"},
	} {
		if _, err := User.ParseFilter(c.filter(c.most)); err != nil {
			t.Errorf("%s: %d: %v", name, c.most, err)
		}
		_, err := User.ParseFilter(c.filter(c.most + 1))
		var e *Error
		if !errors.As(err, &e) || e.Reason != InvalidFilter || e.Detail != c.detail {
			t.Errorf("%s: %d: got %v", name, c.most+1, err)
		}
	}
	if _, err := User.ParsePath(strings.Repeat("x", MaxFilterLength+1)); ReasonOf(err) != InvalidPath {
		t.Errorf("a long path: got %v", err)
	}
}

// What a comparison holds beside what formatFilter shows.
func TestParseFilter_Literal(t *testing.T) {
	day := time.Date(2026, 1, 31, 7, 0, 0, 5e8, time.UTC)
	for in, want := range map[string]Literal{
		`title eq "Ärzte"`:                                    {Text: "ärzte", Written: "Ärzte"},
		`externalId eq "Ärzte"`:                               {Text: "Ärzte", Written: "Ärzte"},
		`x509Certificates eq "AQI"`:                           {Text: "AQI=", Written: "AQI"},
		`active eq "TRUE"`:                                    {Bool: true},
		`title eq null`:                                       {Null: true},
		`meta.created lt "2026-01-31T08:00:00.5+01:00"`:       {Time: day},
		`urn:ietf:params:scim:schemas:core:2.0:User:title pr`: {},
	} {
		f, err := User.ParseFilter(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got := f.(Comparison).Value
		if !got.Time.Equal(want.Time) {
			t.Errorf("%s: got %v, want %v", in, got.Time, want.Time)
		}
		got.Time, want.Time = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", in, got, want)
		}
	}
}

func TestParseFilter_NamesTheAttributeAtFault(t *testing.T) {
	_, err := User.ParseFilter(`userName pr or password eq "x"`)
	var e *Error
	if !errors.As(err, &e) || e.Attribute != "password" {
		t.Errorf("got %#v", err)
	}
}

// Every attribute of every type can be named by its path, alone and below its
// parent in brackets.
func TestParsePath_EveryAttribute(t *testing.T) {
	for _, rt := range Contract.ResourceTypes() {
		for _, a := range rt.Attributes() {
			for _, b := range append([]*Attribute{a}, a.Sub...) {
				p, err := rt.ParsePath(strings.ToUpper(b.Path))
				if err != nil || p.Attr != b || p.Filter != nil || p.Sub != nil {
					t.Errorf("%s: got %v, %v", b.Path, p.Attr, err)
				}
			}
		}
	}
}

func BenchmarkParseFilter(b *testing.B) {
	for name, in := range map[string]string{
		"lookup": `userName eq "ada.l@example.com"`,
		"long": `(userName sw "ada" or name.familyName co "love") and ` +
			`emails[type eq "work" and value ew "@example.com"] and meta.lastModified gt "2026-01-31T08:00:00Z"`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := User.ParseFilter(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
