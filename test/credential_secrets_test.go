package test

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Secrets of credentials are where they are shown once, and nowhere else: in no log,
// no error, no row of any table.
func TestCredentials_SecretsAreNowhere(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		var secrets []string
		errorsSaid := ""
		secret := func(args ...string) string {
			found := regexp.MustCompile(`muster_[A-Za-z0-9_-]{20,}`).FindString(mustRun(t, command(p.database, append([]string{"credential"}, args...)...)))
			if found == "" {
				t.Fatalf("%v: no secret", args)
			}
			secrets = append(secrets, found)
			return found
		}
		use := func(kind, text string) {
			basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(kind+":"+text))
			for _, authorization := range []string{"Bearer " + text, basic, text, "SSWS " + text, text + " " + text + " x", "Bearer " + text + "x"} {
				errorsSaid += string(p.rest(t, http.MethodGet, "/Groups", "", "Authorization", authorization).body)
			}
		}
		for _, kind := range []string{"bearer", "basic", "direct", "oauth"} {
			first := secret("create", kind, "--kind", kind, "--scope", "scim")
			use(kind, first)
			second := secret("rotate", kind)
			use(kind, second)
			mustRun(t, command(p.database, "credential", "revoke", kind))
			use(kind, second)
		}
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		rows := dump(t, p.database)
		if !strings.Contains(rows, "bootstrap") {
			t.Error("the rows hold no credential: this test looks in the wrong place")
		}
		for _, s := range secrets {
			for place, text := range map[string]string{"log": p.out.String(), "errors": errorsSaid, "rows": rows} {
				if strings.Contains(text, s) {
					t.Errorf("a secret is in the %s", place)
				}
			}
			if path, ok := strings.CutPrefix(p.database, "sqlite://"); ok && holds(t, path, s) {
				t.Error("a secret is in the file")
			}
		}
	})
}

// dump is every row of every table, as text.
func dump(t *testing.T, database string) string {
	t.Helper()
	driver, source, tables := "pgx", database, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	if path, ok := strings.CutPrefix(database, "sqlite://"); ok {
		driver, source, tables = "sqlite", "file:"+path, "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := ""
	for _, table := range selectAll(t, db, tables) {
		all += strings.Join(selectAll(t, db, fmt.Sprintf("SELECT * FROM %q", table)), "\n") //nolint:unqueryvet // all that there is
	}
	return all
}

func selectAll(t *testing.T, db *sql.DB, query string) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		cells, at := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range cells {
			at[i] = &cells[i]
		}
		if err := rows.Scan(at...); err != nil {
			t.Fatal(err)
		}
		line := make([]string, len(cells))
		for i, c := range cells {
			line[i] = string(c)
		}
		lines = append(lines, strings.Join(line, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
