package store

import (
	"context"
	"testing"

	testpostgres "github.com/muster-scim/muster/test/postgres"
)

// What a table has grown to is known soon after, and not looked at again before it has
// grown again.
func TestAnalyzeGrown(t *testing.T) {
	url := testpostgres.URL(t)
	filling := openMigrated(t, url)
	fillMany(t, newTenant(t, filling), "", 50)
	if err := filling.Close(); err != nil { // then PostgreSQL knows what was written
		t.Fatal(err)
	}
	s := open(t, url)
	known := func() (rows, times int) {
		t.Helper()
		st := s.statement()
		st.add("SELECT c.reltuples, u.analyze_count FROM pg_class c JOIN pg_stat_user_tables u ON u.relid = c.oid WHERE c.relname = 'resources'")
		if err := s.read(context.Background(), st, func(scan scan) error { return scan(&rows, &times) }); err != nil {
			t.Fatal(err)
		}
		return rows, times
	}
	for range 2 {
		if err := s.AnalyzeGrown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if rows, times := known(); rows != 5050 || times > 1 {
		t.Errorf("it is known to have %d rows, looked at %d times", rows, times)
	}
}
