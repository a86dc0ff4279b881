package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The data: numbers are unique and of their area, each check names a section,
// and a misspelt word is found here and not by a server.
func TestChecks(t *testing.T) {
	areas, err := Areas()
	if err != nil {
		t.Fatal(err)
	}
	seen, used, total := map[string]bool{}, map[string]bool{}, 0
	section := regexp.MustCompile(`^RFC \d{4} §\d+(\.\d+)*$`)
	for _, a := range areas {
		checkSteps(t, a.Prefix, a.Setup)
		number := regexp.MustCompile(`^` + a.Prefix + `-\d{3}$`)
		for _, c := range a.Checks {
			total++
			switch {
			case seen[c.ID]:
				t.Errorf("%s is there twice", c.ID)
			case !number.MatchString(c.ID):
				t.Errorf("%s is not a number of the area %s", c.ID, a.Prefix)
			case c.Title == "":
				t.Errorf("%s has no title", c.ID)
			case !section.MatchString(c.RFC):
				t.Errorf("%s: %q does not name a section of an RFC", c.ID, c.RFC)
			case c.Level != Must && c.Level != Should && c.Level != May:
				t.Errorf("%s: %q is not a level", c.ID, c.Level)
			case (len(c.Steps) > 0) == (c.Probe != ""):
				t.Errorf("%s has steps and a probe, or neither", c.ID)
			case c.Probe != "" && probes[c.Probe] == nil:
				t.Errorf("%s: there is no probe %s", c.ID, c.Probe)
			}
			seen[c.ID], used[c.Probe] = true, true
			checkNeeds(t, c)
			checkSteps(t, c.ID, c.Steps)
		}
	}
	for name := range probes {
		if !used[name] {
			t.Errorf("no check uses the probe %s", name)
		}
	}
	if total < 300 {
		t.Errorf("there are %d checks, want 300 at least", total)
	}
}

var need = regexp.MustCompile(`^!?(patch|bulk|filter|sort|etag|changePassword|cursor|index|search|enterprise|(User|Group|enterprise)(\.[A-Za-z0-9]+)?)$`)

func checkNeeds(t *testing.T, c Check) {
	t.Helper()
	for _, n := range c.Needs {
		if !need.MatchString(n) {
			t.Errorf("%s needs %q, which no server can have", c.ID, n)
		}
	}
}

func checkSteps(t *testing.T, id string, steps []Step) {
	t.Helper()
	line := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /\S*$`)
	problem := regexp.MustCompile(`^[45]\d\d(\|[45]\d\d)*( [a-zA-Z]+(\|[a-zA-Z]+)*\??)?$`)
	for i, s := range steps {
		kinds := 0
		for _, k := range []string{s.Do, s.User, s.Group, s.Find} {
			if k != "" {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s: step %d is %d of do, user, group and find, want one", id, i+1, kinds)
		}
		if s.Do != "" && !line.MatchString(reference.ReplaceAllString(s.Do, "x")) {
			t.Errorf("%s: step %d: %q is not a method and a path", id, i+1, s.Do)
		}
		if s.Error != "" && (!problem.MatchString(s.Error) || s.Status != nil) {
			t.Errorf("%s: step %d: error %q", id, i+1, s.Error)
		}
		for _, patterns := range []map[string]string{s.Headers, s.Matches} {
			for _, p := range patterns {
				if _, err := regexp.Compile(reference.ReplaceAllString(p, "x")); err != nil {
					t.Errorf("%s: step %d: %v", id, i+1, err)
				}
			}
		}
	}
}

// A file with a word that means nothing is not read: a check with a misspelt
// expectation would pass.
func TestParseArea_UnknownWord(t *testing.T) {
	if _, err := parseArea([]byte("area: A\nchecks:\n- {id: A-1, steps: [{do: GET /, matchs: {/id: x}}]}")); err == nil || !strings.Contains(err.Error(), "matchs") {
		t.Errorf("error %v", err)
	}
}

// Every kind of expectation reports an answer that is not as it says, and does
// not report one that is.
func TestExpect(t *testing.T) {
	const list = `{"list":[{"v":"b","n":1},{"v":"a","n":1}],"text":"Ada","none":null,"empty":[],"yes":true}`
	problem := func(status, keyword string) string {
		return `{"schemas":["` + urnError + `"],"status":"` + status + `","scimType":"` + keyword + `"}`
	}
	for _, c := range []struct {
		expect string // as in a check
		status int
		body   string
		want   string // part of the report, or nothing
	}{
		{"{}", 200, "{}", ""},
		{"{}", 201, "{}", "status is 201, want 200"},
		{"{status: 204}", 204, "", ""},
		{"{status: [200, 404]}", 404, "", ""},
		{"{status: [200, 404]}", 500, "", "status is 500, want 200 or 404"},
		{"{error: 400 invalidFilter}", 400, problem("400", "invalidFilter"), ""},
		{"{error: 400 invalidFilter}", 200, `{}`, "status is 200, want 400"},
		{"{error: 400 invalidFilter}", 400, problem("400", "invalidValue"), `scimType is "invalidValue", want invalidFilter`},
		{"{error: 400 invalidFilter}", 400, `{"schemas":["` + urnError + `"],"status":"400"}`, "scimType is missing"},
		{"{error: '400 invalidFilter?'}", 400, `{"schemas":["` + urnError + `"],"status":"400"}`, ""},
		{"{error: '400 invalidFilter?'}", 400, problem("400", "invalidValue"), "scimType"},
		{"{error: '400 invalidPath|noTarget'}", 400, problem("400", "noTarget"), ""},
		{"{error: 404|405}", 405, problem("405", ""), ""},
		{"{error: '404'}", 404, `{"error":"not found"}`, "not a SCIM error"},
		{"{error: '404'}", 404, `{"schemas":["` + urnError + `"],"status":404}`, `status in the body is 404, want the string "404"`},
		{"{error: '404'}", 404, `not found`, "not a SCIM error"},
		{"{headers: {X-Test: '^a'}}", 200, "", ""},
		{"{headers: {X-Test: '^b'}}", 200, "", "header X-Test"},
		{"{headers: {X-None: .}}", 200, "", "header X-None"},
		{"{headers: {X-Test: ''}}", 200, "", "want none"},
		{"{json: {text: Ada, none: null, list: [{v: a}, {v: b, n: 1}]}}", 200, list, ""},
		{"{json: {text: Bob}}", 200, list, `/text is "Ada", want "Bob"`},
		{"{json: {list: [{v: a}]}}", 200, list, "/list has"},
		{"{json: {list: [{v: a}, {v: c}]}}", 200, list, "/list is"},
		{"{json: {text: {x: 1}}}", 200, list, "want an object"},
		{"{json: {text: null}}", 200, list, "want missing"},
		{"{json: {text: Ada}}", 200, `not JSON`, "want an object"},
		{"{equals: {/text: Ada, /list/*/v: [b, a], /empty: []}}", 200, list, ""},
		{"{equals: {/list/*/v: [a, b]}}", 200, list, "/list/*/v is"},
		{"{equals: {/list/0/n: 2}}", 200, list, "/list/0/n is 1, want 2"},
		{"{equals: {/yes: 'true'}}", 200, list, "/yes is true"},
		{"{differs: {/text: Bob}}", 200, list, ""},
		{"{differs: {/text: Ada}}", 200, list, "want another value"},
		{"{matches: {/text: '^A'}}", 200, list, ""},
		{"{matches: {/text: '^B'}}", 200, list, "/text is"},
		{"{matches: {/none: .}}", 200, list, "/none is missing"},
		{"{matches: {/yes: .}}", 200, list, "/yes is true"},
		{"{present: [/text, /list/1]}", 200, list, ""},
		{"{present: [/none]}", 200, list, "/none is missing"},
		{"{present: [/list/2]}", 200, list, "/list/2 is missing"},
		{"{absent: [/none, /empty, /other]}", 200, list, ""},
		{"{absent: [/text]}", 200, list, "want nothing there"},
		{"{absent: ['']}", 200, list, "want nothing there"},
		{"{length: {/list: 2, /empty: 0, /list/*/v: 2}}", 200, list, ""},
		{"{length: {/list: 3}}", 200, list, "/list has 2 values, want 3"},
		{"{contains: {/list: {v: a}}}", 200, list, ""},
		{"{contains: {/list: {v: c}}}", 200, list, "/list has no element"},
		{"{lacks: {/list: {v: c}}}", 200, list, ""},
		{"{lacks: {/list: {v: a}}}", 200, list, "/list has an element"},
		{"{sorted: {/list/*/v: descending}}", 200, list, ""},
		{"{sorted: {/list/*/v: ascending}}", 200, list, "is not ascending"},
		{"{sorted: {/list/*/v: ascending}}", 200, `{"list":[{"v":"a"},{"v":"B"},{"v":"c"}]}`, ""},
		{"{sorted: {/list/*/v: ascending exact}}", 200, `{"list":[{"v":"a"},{"v":"B"}]}`, "is not ascending exact"},
		{"{unique: [/list/*/v]}", 200, list, ""},
		{"{unique: [/list/*/n]}", 200, list, "/list/*/n has 1 twice"},
	} {
		var e Expect
		if err := yaml.Unmarshal([]byte(c.expect), &e); err != nil {
			t.Fatalf("%s: %v", c.expect, err)
		}
		e, err := e.expand(vars{})
		if err != nil {
			t.Fatal(err)
		}
		a := &answer{status: c.status, header: http.Header{"X-Test": {"abc"}}, raw: []byte(c.body)}
		_ = json.Unmarshal(a.raw, &a.body)
		err = e.check(http.MethodGet, a)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s of %d %s: %v, want %q", c.expect, c.status, c.body, err, c.want)
		}
	}
}

// fake is a server that answers what a function says.
func fake(t *testing.T, handler http.HandlerFunc) *suite {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &suite{client: newClient(base, "secret-token", nil), server: everything(t), id: "r", report: &Report{}}
}

// everything is a server that advertises all there is.
func everything(t *testing.T) *server {
	t.Helper()
	s := &server{features: map[string]bool{}}
	for text, into := range map[string]*any{
		`{"bulk":{"maxOperations":3,"maxPayloadSize":100},"filter":{"maxResults":2},"pagination":{"cursor":"x","maxPageSize":2}}`:                       &s.config,
		`{"Resources":[{"endpoint":"/Users","schema":"x","schemaExtensions":[{"schema":"x"}]}]}`:                                                        &s.types,
		`{"Resources":[{"attributes":[{"name":"a b","type":"odd"},{"name":"c","type":"reference","mutability":"odd"},{"name":"d","type":"complex"}]}]}`: &s.schemas,
	} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaSCIM)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Each check must be able to fail: none passes against every one of some servers
// that do nothing right.
func TestChecks_CanFail(t *testing.T) {
	areas, err := Areas()
	if err != nil {
		t.Fatal(err)
	}
	caught := map[string]bool{}
	for _, wrong := range []http.HandlerFunc{
		answerWith(http.StatusTeapot, "I am a teapot"),
		answerWith(http.StatusOK, `{"Resources":[{"id":"x"},{"id":"x"}],"totalResults":"many","nextCursor":"x","groups":[{}],"status":"200","meta":{"version":"x"}}`),
		yesServer(),
	} {
		s := fake(t, wrong)
		for _, a := range areas {
			for _, c := range a.Checks {
				if caught[c.ID] {
					continue
				}
				check := s.session(strings.ToLower(c.ID), nil)
				var skipped notApplicableError
				if err := check.run(t.Context(), c); err != nil && !errors.As(err, &skipped) {
					caught[c.ID] = true
				}
			}
		}
	}
	for _, a := range areas {
		for _, c := range a.Checks {
			if !caught[c.ID] {
				t.Errorf("%s passes against servers that do nothing right", c.ID)
			}
		}
	}
}

// yesServer says that all went well, makes what it is asked to make under ever
// the same id, and finds everything.
func yesServer() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch {
		case r.Method == http.MethodPost && r.URL.Path != "/Bulk":
			answerWith(http.StatusCreated, `{"id":"x","password":"p","meta":{"version":"1"},"groups":[{"value":"x"}]}`)(w, r)
		case r.Method == http.MethodDelete:
			answerWith(http.StatusNoContent, "")(w, r)
		default:
			answerWith(http.StatusOK, `{"id":"x","previousCursor":"x","Resources":[{"id":"y"}],"Operations":[{"status":"201"}],"password":"p"}`)(w, r)
		}
	}
}

// memory is a server that keeps users in a map: enough of SCIM to try the suite
// itself on.
type memory struct {
	mu      sync.Mutex
	users   map[string]object
	refused int // answers 429 so often
	stray   bool
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused > 0 {
		m.refused--
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/Users/")
	switch {
	case r.Method == http.MethodPost:
		var body object
		_ = json.NewDecoder(r.Body).Decode(&body)
		body["id"] = fmt.Sprint("id", len(m.users))
		m.users[body["id"].(string)] = body
		w.WriteHeader(http.StatusCreated)
		write(w, body)
	case r.Method == http.MethodDelete:
		delete(m.users, id)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/Users":
		list := []any{}
		for _, u := range m.users {
			if strings.Contains(r.URL.Query().Get("filter"), u["userName"].(string)) {
				list = append(list, u)
			}
		}
		if m.stray {
			list = append(list, object{"id": "stray"})
		}
		write(w, object{"Resources": list})
	default:
		write(w, m.users[id])
	}
}

func write(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
}

func area(t *testing.T, text string) Area {
	t.Helper()
	a, err := parseArea([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const smallArea = `
area: Small
prefix: S
setup: [{user: ada, with: {nickName: 'of ${n}'}}]
checks:
- {id: S-001, title: one, rfc: RFC 7644 §3, level: MUST, steps: [{do: 'GET /Users/${ada}', equals: {/nickName: 'of ${shared}', /id: '${ada}', '': '${ada.}'}}]}
- {id: S-002, title: two, rfc: RFC 7644 §3, level: MUST, steps: [{user: bob, save: {name: /userName}}, {find: 'userName eq "${name}"', are: [bob]}]}
- {id: S-003, title: three, rfc: RFC 7644 §3, level: SHOULD, steps: [{find: 'userName eq "nobody"', are: [ada]}]}
- {id: S-004, title: four, rfc: RFC 7644 §3, level: MUST, needs: [sort], steps: [{do: GET /Users}]}
`

// What is made is deleted again, of the setup and of each check; a failure says
// what was sent; a need that is not met skips; the token is in no report.
func TestSuite(t *testing.T) {
	m := &memory{users: map[string]object{}, refused: 1}
	s := fake(t, m.ServeHTTP)
	s.area(t.Context(), area(t, smallArea))
	r := s.report
	if r.Count(Passed, "") != 2 || r.Count(Failed, Should) != 1 || r.Count(Skipped, "") != 1 || !r.OK() {
		t.Errorf("%+v", r.Results)
	}
	if len(m.users) != 0 {
		t.Errorf("left behind: %v", m.users)
	}
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "JSON": r.WriteJSON, "JUnit": r.WriteJUnit} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "secret-token") {
			t.Errorf("the %s shows the token", name)
		}
		for _, want := range []string{"S-003", "the filter does not find ada", "GET /Users?count=100&"} {
			if !strings.Contains(strings.ReplaceAll(b.String(), "&amp;", "&"), want) {
				t.Errorf("the %s does not tell %q:\n%s", name, want, b.String())
			}
		}
	}
}

// A filter that finds more than it should fails, and so does the run.
func TestSuite_FindsTooMuch(t *testing.T) {
	m := &memory{users: map[string]object{}, stray: true}
	s := fake(t, m.ServeHTTP)
	s.area(t.Context(), area(t, smallArea))
	if r := s.report.Results[1]; r.Outcome != Failed || !strings.Contains(r.Detail, "finds 1 other") || s.report.OK() {
		t.Errorf("%+v", r)
	}
}

// Where the setup fails, every check of the area does.
func TestSuite_SetupFails(t *testing.T) {
	s := fake(t, answerWith(http.StatusInternalServerError, "{}"))
	s.area(t.Context(), area(t, smallArea))
	if n := s.report.Count(Failed, ""); n != 3 {
		t.Errorf("%d checks failed, want 3", n)
	}
}

func TestRun_Options(t *testing.T) {
	refusing := httptest.NewServer(answerWith(http.StatusUnauthorized, "{}"))
	defer refusing.Close()
	for _, o := range []Options{
		{URL: "scim.example.com", Token: "x"}, {URL: refusing.URL}, {URL: refusing.URL, Token: "x"},
		{URL: refusing.URL, Token: "x", Only: []string{"NOSUCH"}}, {URL: "http://127.0.0.1:1", Token: "x"},
	} {
		if _, err := Run(context.Background(), o); err == nil {
			t.Errorf("%+v is usable", o)
		}
	}
	if _, err := ParseLevel("perhaps"); err == nil {
		t.Error("perhaps is a level")
	}
	areas, err := Areas()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range selectChecks(areas, Options{Only: []string{"patch-00"}, Level: Must}) {
		for _, c := range a.Checks {
			if !strings.HasPrefix(c.ID, "PATCH-00") || c.Level != Must {
				t.Errorf("%s (%s) is selected", c.ID, c.Level)
			}
		}
	}
}
