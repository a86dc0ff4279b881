package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/muster-scim/muster/conformance"
)

// tolerated is the one MUST that the tolerant client profile departs from.
const tolerated = "PATCH-080"

// Muster meets every other MUST that the suite knows, on both databases, and among
// data of others; what the suite made is gone afterwards.
func TestConformance(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		p.must(t, http.StatusCreated, "POST", "/Users", `{"userName":"was.here.before"}`)
		report := p.conformance(t, p.base)
		for _, r := range report.Results {
			if r.Outcome == conformance.Failed && r.Level == conformance.Must && r.ID != tolerated {
				t.Errorf("%s (%s) %s: %s", r.ID, r.RFC, r.Title, r.Detail)
			}
		}
		for endpoint, want := range map[string]float64{"/Users": 1, "/Groups": 0} {
			if got := p.must(t, http.StatusOK, "GET", endpoint+"?count=0", "")["totalResults"]; got != want {
				t.Errorf("%v are left at %s, want %v", got, endpoint, want)
			}
		}
	})
}

func (p *program) conformance(t *testing.T, base string, only ...string) *conformance.Report {
	t.Helper()
	report, err := conformance.Run(t.Context(), conformance.Options{URL: base, Token: token, Only: only})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// The command tells by its exit code.
func TestConformance_Command(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	for _, c := range []struct {
		want string // of the output, or nothing if the command must fail
		args []string
	}{
		{"PASSED: ", []string{"--only", "HTTP-00"}},
		{`"id": "HTTP-001"`, []string{"--only", "http-001", "--json"}},
		{"<testsuites>", []string{"--only", "HTTP-001", "--junit", "--level", "must"}},
		{"", []string{"--only", "HTTP-001", "--token", "wrong"}},
		{"left out by --except", []string{"--only", "HTTP-00", "--except", "HTTP-001"}},
		{"", []string{"--only", "NONE-001"}},
		{"", []string{"--except", "NONE-001"}},
		{"", []string{"--level", "perhaps"}},
	} {
		out, err := command(p.database, append([]string{"conformance", "--url", p.base, "--token", token}, c.args...)...).CombinedOutput()
		if (err == nil) != (c.want != "") || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	var exit *exec.ExitError
	if err := command(p.database, "conformance", "--url", gone.URL, "--token", "x", "--only", "READ").Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Error("a server that meets no MUST passes")
	}
}

// A mutant is Muster with one thing wrong, done by a proxy before it: the checks
// named must find it.
type mutant struct {
	found   []string
	request func(r *http.Request)
	answer  func(r *http.Response, body []byte) []byte
}

// drop leaves out a query parameter.
func drop(name string) func(*http.Request) {
	return func(r *http.Request) {
		q := r.URL.Query()
		q.Del(name)
		r.URL.RawQuery = q.Encode()
	}
}

// replace replaces text in answers.
func replace(old, with string) func(*http.Response, []byte) []byte {
	return func(_ *http.Response, body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(old), []byte(with))
	}
}

var mutants = map[string]mutant{
	"ignores filters":            {found: []string{"FILTER-001", "FILTER-070", "COMPARE-023", "FILTER-084"}, request: drop("filter")},
	"ignores startIndex":         {found: []string{"PAGE-005", "PAGE-006", "PAGE-012"}, request: drop("startIndex")},
	"ignores count":              {found: []string{"PAGE-001", "PAGE-010"}, request: drop("count")},
	"ignores attributes":         {found: []string{"PROJ-001", "PROJ-005", "PROJ-018"}, request: drop("attributes")},
	"ignores excludedAttributes": {found: []string{"PROJ-011", "PROJ-025"}, request: drop("excludedAttributes")},
	"ignores If-Match": {
		found:   []string{"ETAG-021", "ETAG-023", "ETAG-025", "ETAG-034"},
		request: func(r *http.Request) { r.Header.Del("If-Match") },
	},
	"ignores If-None-Match": {found: []string{"ETAG-010", "ETAG-014"}, request: func(r *http.Request) { r.Header.Del("If-None-Match") }},
	"filters without regard to letter case": {found: []string{"COMPARE-002", "COMPARE-007"}, request: func(r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "-a%22", "-A%22")
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "-B%22", "-b%22")
	}},
	"takes gt of booleans for eq": {found: []string{"COMPARE-023"}, request: func(r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "active+gt+true", "active+eq+true")
	}},
	"takes replace for add": {found: []string{"PATCH-072", "PATCH-115"}, request: rewrite(`"op":"replace"`, `"op":"add"`)},
	"takes add for replace": {found: []string{"PATCH-023", "PATCH-110"}, request: rewrite(`"op":"add"`, `"op":"replace"`)},
	"takes and for or":      {found: []string{"FILTER-012", "FILTER-014"}, request: func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "+or+", "+and+") }},
	"answers only half of a list": {found: []string{"PAGE-016", "GROUP-016", "FILTER-012"}, answer: func(_ *http.Response, body []byte) []byte {
		return change(body, func(o map[string]any) {
			for _, list := range []string{"Resources", "groups"} {
				if l, _ := o[list].([]any); len(l) > 1 {
					o[list] = l[:len(l)/2]
				}
			}
		})
	}},
	"says no scimType":          {found: []string{"FILTER-070", "CREATE-010", "PATCH-058", "PATCH-059"}, answer: replace(`"scimType"`, `"kind"`)},
	"says status as a number":   {found: []string{"HTTP-031", "FILTER-070"}, answer: replace(`"status":"4`, `"status":4`)},
	"says another media type":   {found: []string{"HTTP-001"}, answer: header("Content-Type", "text/plain")},
	"sends no ETag":             {found: []string{"ETAG-001", "ETAG-002"}, answer: header("Etag", "")},
	"sends no Location":         {found: []string{"CREATE-004"}, answer: header("Location", "")},
	"sends no WWW-Authenticate": {found: []string{"HTTP-022"}, answer: header("Www-Authenticate", "")},
	"repeats passwords": {found: []string{"VALUE-030", "PROJ-017"}, answer: func(_ *http.Response, body []byte) []byte {
		return change(body, func(o map[string]any) {
			if o["userName"] != nil {
				o["password"] = "T0p-secret"
			}
		})
	}},
	"sorts by nothing":            {found: []string{"SORT-001", "SORT-009", "SORT-018"}, request: drop("sortBy")},
	"sorts ever ascending":        {found: []string{"SORT-003", "SORT-009"}, request: drop("sortOrder")},
	"never tells the next cursor": {found: []string{"CURSOR-001", "CURSOR-006", "CURSOR-028"}, answer: replace(`"nextCursor"`, `"next"`)},
	"takes every cursor for the first": {found: []string{"CURSOR-003", "CURSOR-006", "CURSOR-011"}, request: func(r *http.Request) {
		if q := r.URL.Query(); q.Get("cursor") != "" {
			q.Set("cursor", "")
			r.URL.RawQuery = q.Encode()
		}
	}},
	"ends bulk at the first error": {found: []string{"BULK-007", "BULK-012"}, request: rewrite(`"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]`, `"failOnErrors":1`)},
	"knows no failOnErrors":        {found: []string{"BULK-011", "BULK-012"}, request: rewrite(`"failOnErrors"`, `"ignored"`)},
	"knows no bulkIds":             {found: []string{"BULK-013", "BULK-014", "BULK-021"}, request: rewrite(`"bulkId:`, `"bulkID-`)},
	"says bulk statuses as numbers": {found: []string{"BULK-002", "BULK-006"}, answer: func(_ *http.Response, body []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`"status":"201"`), []byte(`"status":201`)), []byte(`"status":"204"`), []byte(`"status":204`))
	}},
}

// The checks that a mutant names are skipped where Muster lacks the feature, so
// it is enough that each one that is made fails, and one at least is made.
func TestConformance_FindsMutants(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	for i, name := range slices.Sorted(maps.Keys(mutants)) {
		if raceEnabled && i%4 > 0 {
			continue // they differ in what the proxy does: the detector sees no more of the server
		}
		m := mutants[name]
		t.Run(name, func(t *testing.T) {
			proxy := httptest.NewServer(m.proxy(t, p))
			defer proxy.Close()
			for _, r := range p.conformance(t, proxy.URL+"/scim/v2", m.found...).Results {
				if r.Outcome == conformance.Passed {
					t.Errorf("%s does not find it: %s", r.ID, r.Title)
				}
			}
		})
	}
}

// The mutants' checks pass where nothing is wrong: the proxy alone breaks nothing.
func TestConformance_ProxyIsNoMutant(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	proxy := httptest.NewServer(mutant{}.proxy(t, p))
	defer proxy.Close()
	var all []string
	for _, m := range mutants {
		all = append(all, m.found...)
	}
	slices.Sort(all)
	for _, r := range p.conformance(t, proxy.URL+"/scim/v2", slices.Compact(all)...).Results {
		if r.Outcome == conformance.Failed {
			t.Errorf("%s fails: %s", r.ID, r.Detail)
		}
	}
}

func (m mutant) proxy(t *testing.T, p *program) http.Handler {
	t.Helper()
	target, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
			if m.request != nil && !strings.Contains(r.Out.URL.Path, "ServiceProviderConfig") {
				m.request(r.Out)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if m.answer == nil {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			body = m.answer(r, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Del("Content-Length")
			return err
		},
	}
}

// rewrite replaces text in the bodies of requests.
func rewrite(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		if r.Body == nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		body = bytes.ReplaceAll(body, []byte(old), []byte(with))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
}

// header sets a header of answers, or leaves it out.
func header(name, value string) func(*http.Response, []byte) []byte {
	return func(r *http.Response, body []byte) []byte {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
		return body
	}
}

// change edits a JSON object.
func change(body []byte, edit func(map[string]any)) []byte {
	var o map[string]any
	if json.Unmarshal(body, &o) != nil {
		return body
	}
	edit(o)
	out, err := json.Marshal(o)
	if err != nil {
		return body
	}
	return out
}
