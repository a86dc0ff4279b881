package test

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
	_ "modernc.org/sqlite"             // database/sql driver "sqlite"
)

// The files in test/tolerance hold what clients are known to send differently
// from what the RFCs say, or from each other, as the bytes that travel: a step is
// one HTTP exchange. Each case names the client that it stands for.
//
//	send:    a method, and what stands after the base URL, percent-encoded
//	header:  of the request, beside the token and the media type; "" leaves one out
//	body:    as it is
//	status:  of the answer
//	headers: of the answer: null for what must not be there, "*" for what must
//
// and what must come of it, as type expectation has it.

// toleranceRows are the ways in which clients differ. Each has a file.
var toleranceRows = []string{
	"URLs", "Media types", "Envelope", "op", "Booleans", "Attribute names and operators", "Path-less operations",
	"Value filter on an absent element", "Members", "Member removal", "Complex shorthand", "Read-only", "Unassigned",
	"Primary", "Lookup", "Paging", "Projection", "Discovery", "Comparison", "Errors",
}

// toleranceRow is a file of test/tolerance.
type toleranceRow struct {
	Row   string          `yaml:"row"`
	Cases []toleranceCase `yaml:"cases"`
}

type toleranceCase struct {
	scenario `yaml:",inline"`

	Client string `yaml:"client"`
}

// An exchange is one request over HTTP and its answer.
type exchange struct {
	expectation

	Send    string            `json:"send"`
	Header  map[string]string `json:"header"`
	Body    string            `json:"body"`
	Status  int               `json:"status"`
	Headers map[string]any    `json:"headers"`
}

func TestTolerance(t *testing.T) {
	onBoth(t, runTolerance)
}

// runTolerance runs all cases, in the same way each time.
func runTolerance(t *testing.T, p *program) {
	t.Helper()
	files := load[toleranceRow](t, "tolerance")
	n := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, c := range files[name].Cases {
			n++
			sc := newScope(t, fmt.Sprintf("t%d.", n))
			t.Run(files[name].Row+"/"+c.Name, func(t *testing.T) { c.run(t, p, sc) })
		}
	}
}

// Each way to differ has a case, and each case a client.
func TestTolerance_HasEveryRow(t *testing.T) {
	var rows []string
	for name, f := range load[toleranceRow](t, "tolerance") {
		rows = append(rows, f.Row)
		if len(f.Cases) == 0 {
			t.Errorf("%s.yaml has no case", name)
		}
		for _, c := range f.Cases {
			if c.Name == "" || c.Client == "" || len(c.Steps) == 0 {
				t.Errorf("%s.yaml: a case without name, client or steps: %+v", name, c)
			}
		}
	}
	slices.Sort(rows)
	if want := slices.Sorted(slices.Values(toleranceRows)); !slices.Equal(rows, want) {
		t.Errorf("the files are about %q,\nwant %q", rows, want)
	}
}

func (c toleranceCase) run(t *testing.T, p *program, sc *scope) {
	sc.t = t
	sc.known["host"] = strings.TrimSuffix(p.base, "/scim/v2")
	for i, raw := range slices.Concat(c.Setup, c.Steps) {
		x := expanded[exchange](sc, raw)
		at := fmt.Sprintf("exchange %d, %s", i+1, x.Send)
		if x.exchange(sc, at, p); t.Failed() && i < len(c.Setup) {
			return // whatever comes after it means nothing
		}
	}
}

// exchange sends a request and compares the answer with what is expected.
func (x exchange) exchange(sc *scope, at string, p *program) {
	sc.t.Helper()
	method, path, _ := strings.Cut(x.Send, " ")
	var header []string
	for name, value := range x.Header {
		header = append(header, name, value)
	}
	r := p.rest(sc.t, method, path, x.Body, header...)
	if r.status != x.Status {
		sc.t.Fatalf("%s: the status is %d, want %d: %.500s", at, r.status, x.Status, r.body)
	}
	x.checkHeaders(sc.t, at, r.header)
	var got map[string]any
	if len(r.body) > 0 {
		got = r.json(sc.t)
		if _, said := x.Headers["Content-Type"]; !said {
			checkType(sc.t, r)
		}
	}
	if r.status >= 400 {
		checkError(sc.t, r)
		if word, _ := got["scimType"].(string); word != x.Fails {
			sc.t.Errorf("%s: the scimType is %q, want %q: %s", at, word, x.Fails, r.body)
		}
	}
	x.check(sc, at, got)
}

func (x exchange) checkHeaders(t *testing.T, at string, got http.Header) {
	t.Helper()
	values := make(map[string]any)
	for name := range x.Headers {
		if v := got.Get(name); v != "" {
			values[name] = v
		}
	}
	for _, wrong := range differences("", x.Headers, values, false) {
		t.Errorf("%s: the header %s", at, wrong[1:])
	}
}

// A fault of the server is a SCIM error too, which tells nothing of its cause.
func TestTolerance_InternalError(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		breakDatabase(t, p.database)
		r := p.rest(t, http.MethodGet, "/Users/0190a000-0000-7000-8000-000000000000", "", "X-Request-ID", "of-this-test")
		checkError(t, r)
		if r.status != http.StatusInternalServerError || !strings.Contains(string(r.body), "of-this-test") || strings.Contains(string(r.body), "resources") {
			t.Errorf("status %d: %s", r.status, r.body)
		}
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.out.String(), "resources") {
			t.Errorf("the log does not have the cause:\n%s", p.out)
		}
	})
}

// breakDatabase takes a table away from a running server.
func breakDatabase(t *testing.T, url string) {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, source = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ALTER TABLE resources RENAME TO resources_gone"); err != nil {
		t.Fatal(err)
	}
}
