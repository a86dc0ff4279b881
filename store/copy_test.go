package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/ent/migrate"
	"github.com/muster-scim/muster/scim"
)

func mustCopy(tb testing.TB, t Tenant) *Copy {
	tb.Helper()
	c, err := t.Copy(context.Background(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// held is all that a database holds of a tenant in the tables that are copied, and
// its change log: a line for each row.
func held(tb testing.TB, t Tenant) []string {
	tb.Helper()
	var lines []string
	changes := copiedTable{"changes", []string{"resource_type", "resource_id", "operation"}, []string{"tenant_id", "position", "version"}, "changes x WHERE x.tenant_id = "}
	for _, table := range append(slices.Clone(copiedTables), changes) {
		st := t.store.statement()
		st.add("SELECT "+table.columns("x.")+" FROM "+table.rows, arg{t.id})
		texts, numbers := make([]*string, len(table.texts)), make([]*int64, len(table.numbers))
		var dest []any
		for i := range texts {
			dest = append(dest, &texts[i])
		}
		for i := range numbers {
			dest = append(dest, &numbers[i])
		}
		err := t.store.read(context.Background(), st, func(scan scan) error {
			err := scan(dest...)
			line := table.name
			for _, text := range texts {
				line += fmt.Sprintf(" %q", known(text))
			}
			for _, number := range numbers {
				line += fmt.Sprintf(" %v", known(number))
			}
			lines = append(lines, line)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	slices.Sort(lines)
	return lines
}

func known[T any](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

// withoutTable are the lines that are not of a table.
func withoutTable(lines []string, table string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, table+" ") })
}

// idOf is the id of the one resource that matches.
func idOf(tb testing.TB, t Tenant, rt *scim.ResourceType, filter string) string {
	tb.Helper()
	f, err := rt.ParseFilter(filter)
	if err != nil {
		tb.Fatal(err)
	}
	page, err := t.List(context.Background(), rt, Query{Filter: f, Count: 2})
	if err != nil || len(page.Resources) != 1 {
		tb.Fatalf("%s: %d found, %v", filter, len(page.Resources), err)
	}
	return page.Resources[0].GetId()
}

// provisioned is a tenant with something in each table, and another tenant that has
// the same.
func provisioned(tb testing.TB, s *Store) Tenant {
	tb.Helper()
	tenant := newTenant(tb, s)
	mustPut(tb, tenant, true, `[`+thing(`{"name":"a","uniqueness":"server"}`)+`]`)
	mustPut(tb, tenant, false, `[`+badgeOf(`{"name":"n","type":"integer"},{"name":"s","mutability":"writeOnly"}`)+`,`+extending("User", false)+`]`)
	run(tb, s, "INSERT INTO tenants (id, name, profile, catalog_version, created_at, settings) VALUES (1000, 'second', 'strict', 1, 7, '{\"disableOnDelete\":true}')")
	second := asNow(tb, Tenant{store: s, id: 1000})
	tenant = asNow(tb, tenant)
	for _, t := range []Tenant{tenant, second} {
		var users []string
		for i := range 120 { // more than are written at once
			users = append(users, mustAdd(tb, t, "User", fmt.Sprintf(`{"userName":"User %d","externalId":"x%d","password":"a hash","emails":[{"value":"U%d@example.com"}]}`, i, i, i)))
		}
		inner := mustAdd(tb, t, "Group", fmt.Sprintf(`{"displayName":"Inner","members":[{"value":%q},{"value":%q}]}`, users[0], users[1]))
		mustAdd(tb, t, "Group", fmt.Sprintf(`{"displayName":"Outer","members":[{"value":%q}]}`, inner))
		mustAdd(tb, t, "Thing", `{"a":"1"}`)
	}
	mustAdd(tb, tenant, "User", `{"userName":"badged","urn:example:badge":{"n":12345678901234,"s":"hash"}}`)
	return tenant
}

// A copy holds what the tenant has, to the last column, and nothing else.
func TestCopy_HoldsWhatTheTenantHas(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := provisioned(t, s)
		c := mustCopy(t, tenant)
		if c.Resources != 124 {
			t.Errorf("%d resources were counted", c.Resources)
		}
		live, copied := withoutTable(held(t, tenant), "changes"), held(t, c.Tenant)
		if !slices.Equal(live, copied) {
			t.Errorf("the tenant has\n%s\nand the copy\n%s", strings.Join(live, "\n"), strings.Join(copied, "\n"))
		}
		if other := held(t, Tenant{store: c.Tenant.store, id: 1000}); len(withoutTable(other, "registrations")) > 0 { // some are of all
			t.Errorf("the copy has of another tenant %q", other)
		}
		if c.Tenant.ID() != tenant.ID() || c.Tenant.version != tenant.version || c.Tenant.Profile() != Tolerant {
			t.Errorf("the handle is %+v", c.Tenant)
		}
	})
}

// The handle on a copy has the profile and the settings of the tenant.
func TestCopy_SettingsAreThoseOfTheTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		provisioned(t, s)
		limits := scim.DefaultLimits()
		limits.PageSize = 7
		s.catalogs.contract = scim.Contract.Within(limits)
		second, err := s.Tenant(context.Background(), "second")
		if err != nil {
			t.Fatal(err)
		}
		c := mustCopy(t, second)
		if c.Tenant.Profile() != Strict || !c.Tenant.Settings().DisableOnDelete {
			t.Errorf("profile %s, settings %+v", c.Tenant.Profile(), c.Tenant.Settings())
		}
		if rt := c.Tenant.Catalog().ResourceType("Thing"); rt == nil {
			t.Error("the registered type is not there")
		}
		if c.Tenant.Catalog().Limits() != limits {
			t.Errorf("the limits are %+v", c.Tenant.Catalog().Limits())
		}
	})
}

// What is written to a copy is there, answers as the tenant's own would, and leaves
// the tenant as it was.
func TestCopy_WritesStayInTheCopy(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := provisioned(t, s)
		before := held(t, tenant)
		c := mustCopy(t, tenant)
		user := idOf(t, tenant, scim.User, `userName eq "user 1"`)
		if _, err := add(c.Tenant, "User", `{"userName":"USER 2"}`); scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("a userName that is taken: %v", err)
		}
		if _, err := add(c.Tenant, "Thing", `{"a":"1"}`); scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("a value that is taken: %v", err)
		}
		made := mustAdd(t, c.Tenant, "User", `{"userName":"new"}`)
		group := idOf(t, tenant, scim.Group, `displayName eq "Outer"`)
		mustPatch(t, c.Tenant, scim.Group, group, `[{"op":"add","path":"members","value":[{"value":"`+made+`"}]}]`)
		mustPatch(t, c.Tenant, scim.User, made, `[{"op":"replace","value":{"active":false,"password":"another hash"}}]`)
		if got := membersOf(t, c.Tenant, group); len(got) != 2 || !slices.Contains(got, made) {
			t.Errorf("the members are %v", got)
		}
		if err := c.Tenant.Delete(context.Background(), scim.User, user, scim.Match{}); err != nil {
			t.Error(err)
		}
		if page, err := c.Tenant.List(context.Background(), scim.User, Query{Count: 1}); err != nil || page.Total != 121 {
			t.Errorf("%d users, %v", page.Total, err)
		}
		if _, err := tenant.Get(context.Background(), scim.User, made, true); scim.ReasonOf(err) != scim.NotFound {
			t.Errorf("the tenant has what was written to the copy: %v", err)
		}
		if after := held(t, tenant); !slices.Equal(before, after) {
			t.Errorf("the tenant has\n%s\nand had\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	})
}

// A copy is of one moment, while others write: of what is written together it has
// all or nothing, and its number of resources is right.
func TestCopy_IsOfOneMoment(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		stop, stopped := make(chan struct{}), make(chan int)
		go func() {
			n := 0
			for ; ; n++ {
				select {
				case <-stop:
					stopped <- n
					return
				default:
				}
				ids := []string{mustID(t), mustID(t)}
				together := []*New{
					{Type: scim.User, ID: ids[0], Resource: decode(t, scim.User, `{"userName":"user %d"}`, n)},
					{Type: scim.Group, ID: ids[1], Resource: decode(t, scim.Group, `{"displayName":"G","members":[{"value":%q}]}`, ids[0])},
				}
				if _, err := tenant.CreateTogether(context.Background(), together); err != nil {
					t.Error(err)
				}
			}
		}()
		for range 5 {
			time.Sleep(20 * time.Millisecond)
			c := mustCopy(t, tenant)
			var users, groups, members, counted int
			st := c.Tenant.store.statement()
			st.add("SELECT (SELECT count(*) FROM resources WHERE type = 'User'), (SELECT count(*) FROM resources WHERE type = 'Group'),",
				" (SELECT count(*) FROM memberships), coalesce((SELECT sum(resources) FROM resource_counts), 0)")
			err := c.Tenant.store.read(context.Background(), st, func(scan scan) error { return scan(&users, &groups, &members, &counted) })
			if err != nil || users != groups || users != members || 2*users != counted || counted != c.Resources {
				t.Errorf("%d users, %d groups, %d members, %d counted, %d said, %v", users, groups, members, counted, c.Resources, err)
			}
		}
		close(stop)
		if n := <-stopped; n < 10 {
			t.Errorf("only %d writes while the tenant was copied", n)
		}
	})
}

func mustID(tb testing.TB) string {
	tb.Helper()
	id, err := NewID()
	if err != nil {
		tb.Error(err)
	}
	return id
}

// Two write and read at once in a copy, as they can in the tenant.
func TestCopy_ServesManyAtOnce(t *testing.T) {
	tenant := newTenant(t, openMigrated(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db")))
	c := mustCopy(t, tenant)
	done := make(chan error, 8)
	for i := range cap(done) {
		go func() {
			for n := range 50 {
				if _, err := add(c.Tenant, "User", fmt.Sprintf(`{"userName":"user %d of %d"}`, n, i)); err != nil {
					done <- err
					return
				}
				if _, err := c.Tenant.List(context.Background(), scim.User, Query{Count: 100}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if page, err := c.Tenant.List(context.Background(), scim.User, Query{}); err != nil || page.Total != 400 {
		t.Errorf("%d users, %v", page.Total, err)
	}
}

// A copy has no file that others could see, from the beginning to the end, and what
// was opened when a program was killed is removed.
func TestCopy_LeavesNoFile(t *testing.T) {
	tenant := newTenant(t, openMigrated(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db")))
	folder := t.TempDir()
	left := func() (names []string) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	c, err := tenant.Copy(context.Background(), folder)
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, c.Tenant, "User", `{"userName":"a"}`)
	if names := left(); names != nil {
		t.Errorf("while it is open there are %v", names)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Tenant.Get(context.Background(), scim.User, "x", false); scim.ReasonOf(err) != scim.Unavailable {
		t.Errorf("a copy that is closed: %v", err)
	}
	old, fresh := filepath.Join(folder, "muster-preview-1.db"), filepath.Join(folder, "muster-preview-2.db")
	for _, path := range []string{old, fresh, filepath.Join(folder, "muster.db")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	if err := RemoveCopies(folder); err != nil {
		t.Error(err)
	}
	if names := left(); !slices.Equal(names, []string{"muster-preview-2.db", "muster.db"}) {
		t.Errorf("left are %v", names)
	}
}

// A copy that fails leaves nothing, and says what is wrong.
func TestCopy_Fails(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		if _, err := tenant.Copy(context.Background(), filepath.Join(t.TempDir(), "none")); err == nil {
			t.Error("there is no such folder")
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		folder := t.TempDir()
		if _, err := tenant.Copy(ended, folder); err == nil {
			t.Error("nobody waits for it")
		}
		run(t, s, "INSERT INTO resource_counts (tenant_id, type, part, resources) VALUES (", arg{tenant.id}, ", 'User', 0, ", arg{MaxCopied + 1}, ")")
		if _, err := tenant.Copy(context.Background(), folder); scim.ReasonOf(err) != scim.Forbidden || !strings.Contains(err.Error(), "1000001 resources") {
			t.Errorf("too many resources: %v", err)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
			t.Errorf("left are %v, %v", entries, err)
		}
	})
}

// Each table and column is copied, or is named here with the reason why not.
func TestCopy_KnowsAllTables(t *testing.T) {
	notCopied := map[string]string{
		"credentials": "no one is authenticated by a copy", "tokens": "the same", "server_keys": "cursors are sealed by the live one",
		"audit_events": "events are the live log's", "audit_chains": "the same", "recordings": "of requests, not of resources", "recorded_exchanges": "the same",
		"exchanges": "they are the live server's", "traffic": "the same", "watchers": "the same", "group_pushes": "a preview has no stale groups",
		"revoked_tokens": "no one is authenticated by a copy",
		"sessions":       "operators are the live server's", "login_links": "the same", "sign_in_providers": "the same", "spent_assertions": "the same",
		"changes": "a copy has no past", "change_logs": "the same",
		"subscriptions": "nobody is told of what a preview does", "dead_letters": "the same",
		"tenants.state": "one that is suspended is not served",
	}
	for _, table := range migrate.Tables {
		at := slices.IndexFunc(copiedTables, func(c copiedTable) bool { return c.name == table.Name })
		if at < 0 && notCopied[table.Name] == "" {
			t.Errorf("is the table %s copied?", table.Name)
		}
		if at < 0 {
			continue
		}
		known := slices.Concat(copiedTables[at].texts, copiedTables[at].numbers)
		for _, column := range table.Columns {
			if !slices.Contains(known, column.Name) && !column.Increment && notCopied[table.Name+"."+column.Name] == "" {
				t.Errorf("is the column %s of %s copied?", column.Name, table.Name)
			}
		}
	}
}

// BenchmarkCopy copies a tenant of 100,000 users and a group of them all.
func BenchmarkCopy(b *testing.B) {
	many := 100_000
	if testing.Short() {
		many = 2000
	}
	benchBoth(b, func(b *testing.B, t Tenant) {
		fillUsers(b, t, many)
		group := create(b, t, scim.Group, `{"displayName":"All"}`)
		run(b, t.store, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type) SELECT CAST(", arg{group}, " AS text), id, tenant_id, type FROM resources WHERE type = 'User'")
		run(b, t.store, "INSERT INTO attribute_values (tenant_id, type, attr, value, resource_id) SELECT tenant_id, type, 'emails.value', user_name, id FROM resources WHERE type = 'User'")
		for b.Loop() {
			c, err := t.Copy(context.Background(), b.TempDir())
			if err != nil || c.Resources != many+1 {
				b.Fatal(c, err)
			}
			var pages, size int
			for pragma, to := range map[string]*int{"page_count": &pages, "page_size": &size} {
				if err := c.Tenant.store.read(context.Background(), (&statement{}).add("PRAGMA "+pragma), func(scan scan) error { return scan(to) }); err != nil {
					b.Error(err)
				}
			}
			b.ReportMetric(float64(pages)*float64(size)/1e6, "MB")
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}

// The tenant itself is closed to the writes of a preview credential, whoever forgets
// about the copy.
func TestPreviewCredential_CannotWriteToItsTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		user := mustAdd(t, tenant, "User", `{"userName":"ada"}`)
		hash := sha256.Sum256([]byte("rehearsal"))
		if err := tenant.AddCredential(context.Background(), Credential{Name: "rehearsal", Kind: Bearer, Scopes: []string{"scim"}, Preview: true}, hash[:]); err != nil {
			t.Fatal(err)
		}
		p, err := s.Authenticate(context.Background(), hash)
		if err != nil {
			t.Fatal(err)
		}
		before := held(t, tenant)
		if _, err := add(p.Tenant, "User", `{"userName":"alan"}`); err == nil {
			t.Error("a user was made")
		}
		if _, err := patch(t, p.Tenant, scim.User, user, "", `[{"op":"add","path":"title","value":"Dr."}]`); err == nil {
			t.Error("a user was changed")
		}
		if err := p.Tenant.Delete(context.Background(), scim.User, user, scim.Match{}); err == nil {
			t.Error("a user was deleted")
		}
		if err := put(p.Tenant, false, `[`+thing(`{"name":"a"}`)+`]`); err == nil {
			t.Error("a type was registered")
		}
		if after := held(t, tenant); !slices.Equal(before, after) {
			t.Errorf("the tenant has %v, and had %v", after, before)
		}
		mustAdd(t, mustCopy(t, p.Tenant).Tenant, "User", `{"userName":"alan"}`)
	})
}
