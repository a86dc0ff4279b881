package test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Whatever goes well or wrong, neither tokens nor passwords nor what a request
// says of people is in the log.
func TestLog_HoldsNoSecrets(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		const password, wrong, filter, title = "correct horse battery", "token-that-is-wrong", "somebody-searched-for", "a title in a body"
		u := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`","title":"`+title+`"}`)
		id := u["id"].(string)
		p.must(t, 200, http.MethodPatch, "/Users/"+id, `{"Operations":[{"op":"replace","path":"password","value":"`+password+`2"}]}`)
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer "+wrong)
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Basic "+wrong)
		p.must(t, 200, http.MethodGet, "/Users?filter=userName+eq+%22"+filter+"%22", "")
		p.must(t, 400, http.MethodGet, "/Users?filter="+filter, "")
		p.must(t, 400, http.MethodPost, "/Users", `{"userName":"x","password":["`+password+`"`)
		p.must(t, 409, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`)
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		log := p.out.String()
		for _, secret := range []string{password, wrong, token, filter, title} {
			if strings.Contains(log, secret) {
				t.Errorf("the log has %q:\n%s", secret, log)
			}
		}
	})
}

// A request makes one line, with all that an operator looks for.
func TestLog_OneLineForEachRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		p.must(t, 201, http.MethodPost, "/Groups?attributes=id", `{"displayName":"G"}`, "X-Request-Id", "of-this-test")
		p.must(t, 404, http.MethodGet, "/Groups/nobody", "", "X-Request-Id", "of-this-test-2")
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		var lines []map[string]any
		for _, line := range p.logLines(t) {
			if line["msg"] == "request" || line["msg"] == "call" {
				lines = append(lines, line)
			}
		}
		if len(lines) != 2 {
			t.Fatalf("%d lines: %v", len(lines), lines)
		}
		want := map[string]any{"method": "POST", "path": "/scim/v2/Groups", "status": 201.0, "tenant": "default", "credential": "bootstrap", "request_id": "of-this-test"}
		for key, value := range want {
			if lines[0][key] != value {
				t.Errorf("%s is %v, want %v", key, lines[0][key], value)
			}
		}
		if d, ok := lines[0]["duration_ms"].(float64); !ok || d <= 0 {
			t.Errorf("the duration is %v", lines[0]["duration_ms"])
		}
		if lines[1]["status"] != 404.0 || lines[1]["tenant"] != "default" {
			t.Errorf("the line of an error is %v", lines[1])
		}
	})
}

// The data at rest holds no secret as it was sent.
func TestDatabase_HoldsNoSecrets(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		const password = "correct horse battery"
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`)
		// What is refused is in the audit log; what it says of it must not quote it.
		p.rest(t, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`)
		p.rest(t, http.MethodPost, "/Users", `{"userName":"grace","password":["`+password+`"]}`)
		id := p.must(t, 200, http.MethodGet, "/Users?filter=userName+eq+%22ada%22", "")["Resources"].([]any)[0].(map[string]any)["id"].(string)
		for _, op := range []string{`"path":"password","value":["` + password + `"]`, `"value":{"password":{"x":"` + password + `"}}`, `"path":"password[value eq \"` + password + `\"]","value":"x"`} {
			p.rest(t, http.MethodPatch, "/Users/"+id, `{"Operations":[{"op":"replace",`+op+`}]}`)
			p.rest(t, http.MethodPost, "/Bulk", `{"Operations":[{"method":"PATCH","path":"/Users/`+id+`","data":{"Operations":[{"op":"replace",`+op+`}]}}]}`)
		}
		p.rest(t, http.MethodGet, "/Users", "", "Authorization", "Bearer "+token+"x")
		p.rest(t, http.MethodGet, "/Users", "", "Authorization", token+" "+token+" "+token)
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		rows := dump(t, p.database)
		path, file := strings.CutPrefix(p.database, "sqlite://")
		for _, secret := range []string{password, token} {
			if strings.Contains(rows, secret) || file && holds(t, path, secret) {
				t.Errorf("the database has %q", secret)
			}
		}
		if !strings.Contains(rows, `"password\":\"redacted-`) {
			t.Error("no exchange has a body: this test looks in the wrong place")
		}
		if !strings.Contains(rows, "$argon2id$") || file && !holds(t, path, "$argon2id$") {
			t.Error("the database has no hash: this test looks in the wrong place")
		}
	})
}

// holds tells whether a database file, or the log beside it, has the text.
func holds(t *testing.T, path, text string) bool {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}
