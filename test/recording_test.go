package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/simulate"
)

// runs runs a command on the program's database, and returns what it prints.
func (p *program) runs(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(p.database, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// record begins to record the first credential, and waits until the server does.
func (p *program) record(t *testing.T, args ...string) (id string) {
	t.Helper()
	var r struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(p.runs(t, append([]string{"recording", "start", "bootstrap", "--max", "10000", "--json"}, args...)...)), &r); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		p.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")
		if !strings.Contains(p.runs(t, "recording", "list", "--json"), `"exchanges":0`) {
			return r.ID
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is recorded")
		}
	}
}

// A whole run of a client is recorded, and plays against a server on the other
// database; neither the database nor the file has what is not to be kept.
func TestRecording_PlaysOnTheOtherDatabase(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database)
		id := p.record(t, "--redact", "userName,familyName,emails")
		const name, family, mail, password = "ada.lovelace@private.test", "Lovelace-Byron", "ada@home.test", "correct horse battery"
		u := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"`+name+`","name":{"familyName":"`+family+`"},"emails":[{"value":"`+mail+`"}],"password":"`+password+`"}`)
		at := "/Users/" + u["id"].(string)
		p.must(t, 409, http.MethodPost, "/Users", `{"userName":"`+name+`"}`)
		p.must(t, 200, http.MethodGet, `/Users?filter=userName+eq+%22`+strings.ToUpper(name)+`%22`, "")
		p.must(t, 200, http.MethodPatch, at, `{"Operations":[{"op":"replace","path":"password","value":"`+password+`!"},{"op":"replace","path":"name.familyName","value":"`+family+`2"}]}`, "If-Match", `W/"1"`)
		p.must(t, 412, http.MethodPatch, at, `{"Operations":[{"op":"replace","path":"active","value":false}]}`, "If-Match", `W/"1"`)
		p.must(t, 204, http.MethodDelete, at, "")
		report, err := simulate.CyberArk(t.Context(), simulate.Options{URL: p.base, Token: token})
		if err != nil || !report.OK() {
			t.Fatalf("%v, %+v", err, report)
		}
		p.runs(t, "recording", "stop", id)
		file := filepath.Join(t.TempDir(), "case.yaml")
		p.runs(t, "recording", "export", id, "--output", file)
		exported, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kept := string(exported) + p.recorded(t)
		for _, secret := range []string{name, strings.ToUpper(name), family, mail, password, token} {
			if strings.Contains(kept, secret) {
				t.Errorf("%q is kept", secret)
			}
		}
		other := sqliteURL(t)
		if strings.HasPrefix(database, "sqlite") {
			other = postgresURL(t)
		}
		fresh := start(t, other)
		out, err := command(other, "simulate", "replay", file, "--url", fresh.base, "--token", token).CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("PASSED")) || bytes.Contains(out, []byte(" 0 passed")) {
			text := string(out)
			t.Errorf("%v:\n%s", err, text[max(0, strings.Index(text, "FAILED:")):])
		}
		if !strings.Contains(string(exported), "/Users/") || strings.Count(string(exported), "method: POST") < 20 {
			t.Errorf("the file has too little: %.2000s", exported)
		}
	})
}

// recorded is all that the database has of recordings.
func (p *program) recorded(t *testing.T) string {
	t.Helper()
	tenant, err := openStore(t, p).Tenant(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	all, err := tenant.Recordings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range all {
		exchanges, err := tenant.RecordedExchanges(t.Context(), r.ID, 0, 100_000)
		if err != nil || len(exchanges) == 0 {
			t.Fatalf("%d exchanges, %v", len(exchanges), err)
		}
		for _, e := range exchanges {
			text.WriteString(e.Request + e.Answer)
		}
	}
	return text.String()
}

// A server that answers otherwise fails, and what is refused at the time of the
// recording is not played.
func TestReplay_Failures(t *testing.T) {
	p := start(t, sqliteURL(t))
	exchange := func(status int, body string) simulate.CaseExchange {
		return simulate.CaseExchange{Request: simulate.CaseRequest{Method: "GET", Path: "/Users?filter=userName+eq+%22ada%22"}, Answer: simulate.CaseAnswer{Status: status, Body: body}}
	}
	for what, test := range map[string]struct {
		e    simulate.CaseExchange
		want simulate.Outcome
	}{
		"the same":       {exchange(200, `{"totalResults":0}`), simulate.Passed},
		"another status": {exchange(404, ""), simulate.Failed},
		"another body":   {exchange(200, `{"totalResults":1}`), simulate.Failed},
		"more":           {exchange(200, `{"totalResults":0,"Resources":[{"id":"x"}]}`), simulate.Failed},
		"refused":        {exchange(401, ""), simulate.NotPlayed},
		"overloaded":     {exchange(429, ""), simulate.NotPlayed},
	} {
		report, err := simulate.Replay(t.Context(), &simulate.Case{Exchanges: []simulate.CaseExchange{test.e}}, simulate.Options{URL: p.base, Token: token})
		if err != nil || len(report.Steps) != 1 || report.Steps[0].Outcome != test.want {
			t.Errorf("%s: %+v, %v", what, report, err)
		}
	}
	if _, err := simulate.ReadCase(strings.NewReader("format: other")); err == nil {
		t.Error("a file of another format is read")
	}
}
