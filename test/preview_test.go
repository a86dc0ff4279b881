package test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-scim/muster/simulate"
)

// A recorder stands between clients and a server, and writes down what they say. It
// has one address for all servers that it stands before, so that addresses in answers
// are the same.
type recorder struct {
	proxy *httptest.Server

	mu        sync.Mutex
	target    *url.URL
	instead   string // of token
	exchanges []string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(r.target)
			p.Out.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery // as they are, whatever they are
			if p.In.Header.Get("Authorization") == "Bearer "+token {
				p.Out.Header.Set("Authorization", "Bearer "+r.instead)
			}
		},
	}
	r.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		q.Body = io.NopCloser(bytes.NewReader(asked))
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, q)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		r.write(q, asked, answer)
	}))
	t.Cleanup(r.proxy.Close)
	return r
}

// before makes the recorder stand before a server, and turn to it with a token. What
// it returns is the server as its clients see it.
func (r *recorder) before(t *testing.T, p *program, token string) *program {
	t.Helper()
	target, err := url.Parse(strings.TrimSuffix(p.base, "/scim/v2"))
	if err != nil {
		t.Fatal(err)
	}
	r.target, r.instead, r.exchanges = target, token, nil
	seen := *p
	seen.base = r.proxy.URL + "/scim/v2"
	return &seen
}

// write keeps one exchange: what was asked, the status, the headers and the body.
func (r *recorder) write(q *http.Request, asked []byte, answer *httptest.ResponseRecorder) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%s\n%d\n", q.Method, q.URL, asked, answer.Code)
	header := answer.Header().Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Content-Length", "Muster-Mode"} {
		header.Del(name)
	}
	_ = header.Write(&b) // in the order of names
	b.Write(answer.Body.Bytes())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges = append(r.exchanges, b.String())
}

// What two runs of the same differ in.
var (
	anID     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	aTime    = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	aCursor  = regexp.MustCompile(`("nextCursor":"|"cursor":"|cursor=)[A-Za-z0-9_-]{20,}`)
	anOthers = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d(\.\d+)?Z`)
)

// normalized are the exchanges with ids replaced by the order in which they came, and
// without times.
func (r *recorder) normalized() []string {
	known := make(map[string]string)
	out := make([]string, len(r.exchanges))
	for i, text := range r.exchanges {
		text = aCursor.ReplaceAllString(text, "${1}CURSOR")
		text = anID.ReplaceAllStringFunc(text, func(id string) string {
			if known[id] == "" {
				known[id] = fmt.Sprintf("ID-%d", len(known)+1)
			}
			return known[id]
		})
		out[i] = anOthers.ReplaceAllString(aTime.ReplaceAllString(text, "TIME"), "TIME")
	}
	return out
}

// everything is what the database holds of resources, a line for each row.
func everything(t *testing.T, database string) string {
	t.Helper()
	driver, source := "pgx", database
	if path, ok := strings.CutPrefix(database, "sqlite://"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var lines []string
	for _, table := range []string{
		"* FROM tenants", "* FROM registrations", "* FROM resources", "* FROM attribute_values", "* FROM secrets", "* FROM memberships", "* FROM resource_counts",
		"position, tenant_id, resource_id, operation, version, detail FROM changes", // the rest is done later
	} {
		rows, err := db.Query("SELECT " + table)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, readLines(t, table, rows)...)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func readLines(t *testing.T, table string, rows *sql.Rows) (lines []string) {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if bytes, ok := v.([]byte); ok {
				values[i] = string(bytes)
			}
		}
		lines = append(lines, fmt.Sprint(table, " ", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// previewToken makes a preview credential.
func (p *program) previewToken(t *testing.T, name string) string {
	t.Helper()
	return strings.Fields(mustRun(t, command(p.database, "credential", "create", name, "--scope", "scim", "--mode", "preview")))[0]
}

// populate gives a server something to begin with, the same each time.
func populate(t *testing.T, p *program) {
	t.Helper()
	var members []string
	for i := range 60 {
		u := p.must(t, 201, http.MethodPost, "/Users", fmt.Sprintf(`{"userName":"seed.%02d@example.com","externalId":"s%d","displayName":"Seed %d","password":"correct horse %d",
			"emails":[{"value":"seed.%02d@example.com","primary":true}]}`, i, i, i%7, i%2, i))
		members = append(members, `{"value":"`+u["id"].(string)+`"}`)
	}
	p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Seeds","members":[`+strings.Join(members, ",")+`]}`)
}

// A preview answers as the real thing does and keeps nothing: the same requests, all
// cases of all features, are sent to a server with a live credential and to another,
// which holds the same, with a preview credential. Each answer is the same but for ids
// and times, and the second server's database is afterwards what it was.
func TestPreview_AnswersAsLiveDoes(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		t.Run("contract", func(t *testing.T) {
			compareWithLive(t, database, 1000, populate, func(t *testing.T, p *program) {
				runCasesBy(t, "cases", restDoor{p, reasons(t)}, "cases")
				runTolerance(t, p)
				t.Run("conversation", func(t *testing.T) { converse(t, p) })
			})
		})
		t.Run("registered", func(t *testing.T) {
			register := func(t *testing.T, p *program) { p.register(t) }
			compareWithLive(t, another(t, database), 200, register, func(t *testing.T, p *program) {
				runCasesBy(t, "cases", restDoor{p, reasons(t)}, "registered")
			}, "--schemas", "../docs/examples/devices")
		})
	})
}

// another is another empty database of the same kind.
func another(t *testing.T, database string) string {
	t.Helper()
	if strings.HasPrefix(database, "sqlite://") {
		return sqliteURL(t)
	}
	return postgresURL(t)
}

// compareWithLive prepares two servers, sends both the same, the second one in a
// preview, and compares the exchanges, of which there must be a number.
func compareWithLive(t *testing.T, database string, least int, prepare, send func(*testing.T, *program), args ...string) {
	t.Helper()
	r := newRecorder(t)
	live := start(t, database, args...)
	prepare(t, live)
	send(t, r.before(t, live, token))
	want := r.normalized()
	live.kill()

	rehearsal := start(t, another(t, database), args...)
	prepare(t, rehearsal)
	before := everything(t, rehearsal.database)
	send(t, r.before(t, rehearsal, rehearsal.previewToken(t, "rehearsal")))
	got := r.normalized()

	differing := 0
	for i := range min(len(want), len(got)) {
		if want[i] == got[i] {
			continue
		}
		if differing++; differing <= 5 {
			t.Errorf("exchange %d: live\n%s\n\nin a preview\n%s", i, want[i], got[i])
		}
	}
	if len(want) != len(got) || len(got) < least || differing > 0 {
		t.Errorf("%d exchanges live and %d in a preview; %d differ", len(want), len(got), differing)
	}
	if after := everything(t, rehearsal.database); after != before {
		t.Errorf("the database holds\n%s\nand held\n%s", after, before)
	}
}

// converse is a provisioning run as a whole: what comes later refers to what came
// before.
func converse(t *testing.T, p *program) {
	t.Helper()
	text := func(v map[string]any, name string) string { return v[name].(string) }
	made := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"run@example.com","password":"correct horse battery"}`)
	user := "/Users/" + text(made, "id")
	p.must(t, 200, http.MethodGet, user, "")
	p.must(t, 409, http.MethodPost, "/Users", `{"userName":"RUN@example.com"}`)
	p.must(t, 409, http.MethodPost, "/Users", `{"userName":"seed.01@example.com"}`)
	p.must(t, 200, http.MethodPut, user, `{"userName":"run@example.com","password":"correct horse battery"}`) // the same password: no other version
	p.must(t, 200, http.MethodPatch, user, `{"Operations":[{"op":"replace","value":{"title":"Dr.","emails":[{"value":"run@example.com"}]}}]}`)
	p.rest(t, http.MethodGet, user, "", "If-None-Match", `W/"2"`)
	p.rest(t, http.MethodPatch, user, `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`, "If-Match", `W/"1"`)
	p.rest(t, http.MethodHead, user, "")
	seed := p.must(t, 200, http.MethodGet, `/Users?filter=userName+eq+"seed.02@example.com"`, "")["Resources"].([]any)[0].(map[string]any)
	p.must(t, 200, http.MethodPatch, "/Users/"+text(seed, "id"), `{"Operations":[{"op":"replace","path":"password","value":"correct horse 0"}]}`) // the one it has
	p.must(t, 200, http.MethodPatch, "/Users/"+text(seed, "id"), `{"Operations":[{"op":"replace","path":"active","value":false}]}`)
	group := p.must(t, 200, http.MethodGet, `/Groups?filter=displayName+eq+"Seeds"`, "")["Resources"].([]any)[0].(map[string]any)
	p.rest(t, http.MethodPatch, "/Groups/"+text(group, "id"), `{"Operations":[{"op":"add","path":"members","value":[{"value":"`+text(made, "id")+`"}]},
		{"op":"remove","path":"members[value eq \"`+text(seed, "id")+`\"]"}]}`)
	p.must(t, 200, http.MethodGet, "/Groups/"+text(group, "id"), "")
	p.must(t, 200, http.MethodGet, user, "") // has the group
	p.must(t, 200, http.MethodPost, "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
		{"method":"POST","path":"/Groups","bulkId":"a","data":{"displayName":"A","members":[{"value":"bulkId:b"}]}},
		{"method":"POST","path":"/Groups","bulkId":"b","data":{"displayName":"B","members":[{"value":"bulkId:a"}]}},
		{"method":"POST","path":"/Users","bulkId":"c","data":{"userName":"bulk@example.com","manager":{"value":"bulkId:c"}}},
		{"method":"POST","path":"/Users","bulkId":"d","data":{"userName":"bulk@example.com"}},
		{"method":"PATCH","path":"/Groups/bulkId:a","data":{"Operations":[{"op":"replace","path":"displayName","value":"AA"}]}},
		{"method":"PUT","path":"`+user+`","version":"W/\"1\"","data":{"userName":"run2@example.com"}},
		{"method":"DELETE","path":"/Users/`+text(seed, "id")+`"},
		{"method":"DELETE","path":"/Users/nobody"}]}`)
	pages(t, p, "/Users?count=7&cursor=", "/Users?count=7&sortBy=displayName&sortOrder=descending&cursor=", `/Users?count=20&filter=userName+sw+"s"&cursor=`)
	p.must(t, 200, http.MethodGet, "/Users?startIndex=50&count=5&sortBy=userName", "")
	p.must(t, 200, http.MethodPost, "/.search", `{"schemas":["`+searchURN+`"],"filter":"displayName sw \"S\"","count":10,"sortBy":"displayName"}`)
	p.must(t, 204, http.MethodDelete, user, "")
	p.must(t, 404, http.MethodGet, user, "")
	p.must(t, 404, http.MethodDelete, user, "")
	p.must(t, 204, http.MethodDelete, "/Groups/"+text(group, "id"), "")
	p.must(t, 200, http.MethodGet, "/Users?count=0", "")
	p.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")
}

// pages reads lists to their end.
func pages(t *testing.T, p *program, paths ...string) {
	t.Helper()
	for _, path := range paths {
		for cursor, n := "", 0; n < 50; n++ {
			next, more := p.must(t, 200, http.MethodGet, path+cursor, "")["nextCursor"].(string)
			if !more {
				break
			}
			cursor = next
		}
	}
}

// What plays CyberArk finds nothing wrong with a preview, again and again.
func TestPreview_CyberArk(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		rehearsal := p.previewToken(t, "rehearsal")
		before := everything(t, p.database)
		for range 2 {
			report, err := simulate.CyberArk(context.Background(), simulate.Options{URL: p.base, Token: rehearsal})
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if err := report.WriteTable(&table); err != nil || !report.OK() {
				t.Errorf("%v\n%s", err, table.String())
			}
		}
		if after := everything(t, p.database); after != before {
			t.Errorf("the database holds\n%s\nand held\n%s", after, before)
		}
		for _, line := range p.logLines(t) {
			if line["msg"] == "request" && line["credential"] == "rehearsal" && line["preview"] != true {
				t.Fatalf("a line of the log does not say that it is of a preview: %v", line)
			}
		}
	})
}

// Two previews and the tenant go their own ways at the same time, and the client is
// told which way it is on. A credential that is revoked is refused at once; one that
// is made live has nothing of its preview.
func TestPreview_GoesItsOwnWay(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		tokens := map[string]string{"live": token, "first": p.previewToken(t, "first"), "second": p.previewToken(t, "second")}
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"all"}`)
		users := func(who string) any {
			return p.must(t, 200, http.MethodGet, "/Users?count=0", "", "Authorization", "Bearer "+tokens[who])["totalResults"]
		}
		var all sync.WaitGroup
		for who, token := range tokens {
			all.Go(func() {
				for i := range 20 {
					r, err := p.tryREST(http.MethodPost, "/Users", fmt.Sprintf(`{"userName":"%s %d"}`, who, i), "Authorization", "Bearer "+token)
					if err != nil || r.status != 201 || (r.header.Get("Muster-Mode") == "preview") != (who != "live") {
						t.Errorf("%s: status %d, mode %q, %v: %s", who, r.status, r.header.Get("Muster-Mode"), err, r.body)
					}
				}
			})
		}
		all.Wait()
		if n := users("live"); n != 21.0 {
			t.Errorf("live there are %v users", n)
		}
		for _, who := range []string{"first", "second"} { // the copy was made while the tenant was written to
			if n := users(who).(float64); n < 21 || n > 41 {
				t.Errorf("%s has %v users", who, n)
			}
		}
		mustRun(t, command(p.database, "credential", "revoke", "first", "--database", p.database))
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer "+tokens["first"])
		mustRun(t, command(p.database, "credential", "set", "second", "--mode", "live", "--database", p.database))
		if n := users("second"); n != 21.0 {
			t.Errorf("of a preview that went live %v users are seen", n)
		}
	})
}

// Neither a copy that is in use nor one whose server was killed has a file.
func TestPreview_LeavesNoFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "previews")
	p := start(t, sqliteURL(t), "--preview-dir", folder)
	rehearsal := p.previewToken(t, "rehearsal")
	p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada"}`, "Authorization", "Bearer "+rehearsal)
	for _, when := range []string{"in use", "killed"} {
		for _, dir := range []string{folder, filepath.Dir(strings.TrimPrefix(p.database, "sqlite://"))} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), "muster.db") {
					t.Errorf("%s: there is %s", when, e.Name())
				}
			}
		}
		p.kill()
	}
}
