package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	testpostgres "github.com/muster-scim/muster/test/postgres"
)

// onBoth runs a test on an empty SQLite database and on an empty PostgreSQL one.
func onBoth(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		test(t, openMigrated(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db")))
	})
	t.Run("PostgreSQL", func(t *testing.T) { test(t, open(t, migratedPostgres(t))) })
}

// onBothUnmigrated runs a test on a database of each kind that has no tables yet.
func onBothUnmigrated(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { test(t, open(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, open(t, testpostgres.URL(t))) })
}

// migratedPostgres is the URL of a PostgreSQL database that has the tables and nothing in them.
func migratedPostgres(tb testing.TB) string {
	tb.Helper()
	return testpostgres.Filled(tb, func(url string) error {
		s, err := Open(context.Background(), url)
		if err != nil {
			return err
		}
		_, err = s.Migrate(context.Background())
		return errors.Join(err, s.Close())
	})
}

func open(tb testing.TB, url string) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func migrated(tb testing.TB, s *Store) *Store {
	tb.Helper()
	if _, err := s.Migrate(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return s
}

func openMigrated(tb testing.TB, url string) *Store {
	tb.Helper()
	return migrated(tb, open(tb, url))
}

// newTenant makes the tenant that most tests are about.
func newTenant(tb testing.TB, s *Store) Tenant {
	tb.Helper()
	hash := sha256.Sum256([]byte(tb.Name()))
	if _, err := s.Bootstrap(context.Background(), "default", "test", hash); err != nil {
		tb.Fatal(err)
	}
	p, err := s.Authenticate(context.Background(), hash)
	if err != nil {
		tb.Fatal(err)
	}
	return p.Tenant
}

// decode reads a resource as a client sends it.
func decode(tb testing.TB, rt *scim.ResourceType, format string, args ...any) scim.Resource {
	tb.Helper()
	r, err := rt.DecodeJSON(fmt.Appendf(nil, format, args...))
	if err == nil {
		err = rt.Prepare(r)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// create keeps a resource and returns its id.
func create(tb testing.TB, t Tenant, rt *scim.ResourceType, format string, args ...any) string {
	tb.Helper()
	r, err := t.Create(context.Background(), rt, decode(tb, rt, format, args...), false)
	if err != nil {
		tb.Fatal(err)
	}
	return r.GetId()
}

// named gives a user another userName.
func named(r scim.Resource, userName string) scim.Resource {
	r.(*musterv1.User).UserName = userName
	return r
}

// compilePatch compiles the operations of a patch.
func compilePatch(tb testing.TB, rt *scim.ResourceType, operations string) scim.Change {
	tb.Helper()
	ops, err := scim.DecodePatch([]byte(`{"Operations":` + operations + `}`))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := rt.CompilePatch(ops)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// patch applies a patch.
func patch(tb testing.TB, t Tenant, rt *scim.ResourceType, id, match, operations string) (scim.Resource, error) {
	tb.Helper()
	c := compilePatch(tb, rt, operations)
	m, err := scim.ParseMatch(match, "")
	if err != nil {
		return nil, err
	}
	return t.Update(context.Background(), rt, id, m, c, true)
}

func mustPatch(tb testing.TB, t Tenant, rt *scim.ResourceType, id, operations string) scim.Resource {
	tb.Helper()
	r, err := patch(tb, t, rt, id, "", operations)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustGet(tb testing.TB, t Tenant, rt *scim.ResourceType, id string) scim.Resource {
	tb.Helper()
	r, err := t.Get(context.Background(), rt, id, true)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func membersOf(tb testing.TB, t Tenant, group string) []string {
	tb.Helper()
	var ids []string
	for _, m := range mustGet(tb, t, scim.Group, group).(*musterv1.Group).GetMembers() {
		ids = append(ids, m.GetValue())
	}
	return ids
}

// logged is the change log as text: "Group update 2 {…}", in order.
func logged(tb testing.TB, t Tenant) []string {
	tb.Helper()
	st := t.store.statement()
	st.add("SELECT resource_type, operation, version, coalesce(CAST(detail AS text), '') FROM changes WHERE tenant_id = ", arg{t.id}, " ORDER BY position")
	var lines []string
	err := t.store.read(context.Background(), st, func(scan scan) error {
		var rt, op, detail string
		var version int64
		err := scan(&rt, &op, &version, &detail)
		lines = append(lines, fmt.Sprint(rt, " ", op, " ", version, " ", detail))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return lines
}

// run executes SQL behind the store's back.
func run(tb testing.TB, s *Store, parts ...any) {
	tb.Helper()
	err := s.write(context.Background(), func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add(parts...))
	})
	if err != nil {
		tb.Fatal(err)
	}
}
