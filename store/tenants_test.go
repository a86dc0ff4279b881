package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"

	"github.com/muster-scim/muster/ent/migrate"
	"github.com/muster-scim/muster/scim"
)

// reasonIs tells whether an error has a reason.
func reasonIs(err error, reason scim.Reason) bool {
	e, ok := errors.AsType[*scim.Error](err)
	return ok && e.Reason == reason
}

func TestTenants_MadeAndChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		newTenant(t, s)
		rate, burst := 12.5, int32(3)
		made, err := s.CreateTenant(ctx, TenantInfo{Name: "acme", Profile: Strict, Settings: TenantSettings{RequestsPerSecond: &rate}})
		if err != nil || made.State != Active || made.Profile != Strict || *made.Settings.RequestsPerSecond != rate || time.Since(made.Created) > time.Minute {
			t.Fatalf("made %+v, %v", made, err)
		}
		acme, err := s.Tenant(ctx, "acme")
		if err != nil || acme.Profile() != Strict || acme.Catalog() == scim.Contract {
			t.Errorf("a strict tenant is %+v, %v", acme, err)
		}
		changed, err := s.UpdateTenant(ctx, "acme", func(info *TenantInfo) error {
			info.Profile, info.State = Tolerant, Suspended
			info.Settings = TenantSettings{DisableOnDelete: true, Burst: &burst}
			return nil
		})
		if err != nil || changed.State != Active {
			t.Errorf("changed to %+v, %v", changed, err)
		}
		found, err := s.TenantInfo(ctx, "acme")
		if err != nil || found.Profile != Tolerant || !found.Settings.DisableOnDelete || *found.Settings.Burst != 3 || found.Settings.RequestsPerSecond != nil {
			t.Errorf("found %+v, %v", found, err)
		}
		if later, err := s.Tenant(ctx, "acme"); err != nil || later.version == acme.version || later.Profile() != Tolerant || !later.Settings().DisableOnDelete {
			t.Errorf("the next request sees %+v, %v", later, err)
		}
		if _, err := s.UpdateTenant(ctx, "acme", func(info *TenantInfo) error { info.Settings = TenantSettings{}; return nil }); err != nil {
			t.Error(err)
		}
		all, err := s.Tenants(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "acme" || all[0].Settings.DisableOnDelete || all[1].Name != "default" {
			t.Errorf("the list is %+v, %v", all, err)
		}
		for name, want := range map[string]scim.Reason{"acme": scim.Uniqueness, "": scim.InvalidValue, "a b": scim.InvalidValue, "../a": scim.InvalidValue, strings.Repeat("a", 65): scim.InvalidValue} {
			if _, err := s.CreateTenant(ctx, TenantInfo{Name: name}); !reasonIs(err, want) {
				t.Errorf("a tenant named %q: %v", name, err)
			}
		}
		if _, err := s.CreateTenant(ctx, TenantInfo{Name: "b", Profile: "lenient"}); !reasonIs(err, scim.InvalidValue) {
			t.Errorf("a profile that is none: %v", err)
		}
		for _, err := range []error{
			onlyErr(s.TenantInfo(ctx, "nobody")), onlyErr(s.SuspendTenant(ctx, "nobody")), onlyErr(s.ResumeTenant(ctx, "nobody")),
			s.DeleteTenant(ctx, "nobody"), onlyErr(s.UpdateTenant(ctx, "nobody", func(*TenantInfo) error { return nil })),
		} {
			if !reasonIs(err, scim.NotFound) {
				t.Errorf("a tenant that is not there: %v", err)
			}
		}
	})
}

func onlyErr[T any](_ T, err error) error { return err }

// A tenant that is made after something was registered for all has it.
func TestCreateTenant_HasWhatIsForAll(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		first := newTenant(t, s)
		mustPut(t, first, true, "["+thing(`{"name":"a"}`)+"]")
		if _, err := s.CreateTenant(context.Background(), TenantInfo{Name: "acme"}); err != nil {
			t.Fatal(err)
		}
		acme, err := s.Tenant(context.Background(), "acme")
		if err != nil || acme.Catalog().ResourceType("Thing") == nil {
			t.Errorf("it has no Thing: %v", err)
		}
	})
}

func TestSuspendTenant_RefusesItsCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		newTenant(t, s)
		_, hash := inhabited(t, s, "acme")
		mustDo(t, onlyErr(s.SuspendTenant(ctx, "acme")))
		if _, err := s.Authenticate(ctx, hash); !reasonIs(err, scim.Forbidden) {
			t.Errorf("a suspended tenant: %v", err)
		}
		mustDo(t, onlyErr(s.ResumeTenant(ctx, "acme")))
		if _, err := s.Authenticate(ctx, hash); err != nil {
			t.Errorf("a resumed tenant: %v", err)
		}
		if _, err := s.SuspendTenant(ctx, "default"); !reasonIs(err, scim.Conflict) {
			t.Errorf("the first tenant: %v", err)
		}
	})
}

func mustDo(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// inhabited makes a tenant with rows in every table that has some for it, and
// returns the hash of a secret of its credential.
func inhabited(t *testing.T, s *Store, name string) (Tenant, [32]byte) {
	t.Helper()
	ctx := context.Background()
	mustDo(t, onlyErr(s.CreateTenant(ctx, TenantInfo{Name: name})))
	tenant, err := s.Tenant(ctx, name)
	mustDo(t, err)
	mustPut(t, tenant, false, "["+thing(`{"name":"a"}`)+"]")
	tenant, err = s.Tenant(ctx, name)
	mustDo(t, err)
	hash := sha256.Sum256([]byte(name))
	mustDo(t, tenant.AddCredential(ctx, Credential{Name: "c", Kind: Bearer, Scopes: []string{"scim"}}, hash[:]))
	user := create(t, tenant, scim.User, `{"userName":"a","emails":[{"value":"a@example.com"}]}`)
	group := create(t, tenant, scim.Group, `{"displayName":"g","members":[{"value":%q}]}`, user)
	mustDo(t, s.RecordPushes(ctx, map[string]time.Time{group: time.Now()}))
	run(t, s, "INSERT INTO secrets (resource_id, attr, hash) VALUES (", arg{user}, ", 'password', 'x')")
	of := arg{tenant.id}
	run(t, s, "INSERT INTO change_logs (tenant_id, assigned, removed) VALUES (", of, ", 0, 0)")
	run(t, s, "INSERT INTO audit_events (tenant_id, occurred_at, request_id, method, outcome, preview) VALUES (", of, ", 0, 'r', 'm', 'ok', FALSE)")
	run(t, s, "INSERT INTO audit_chains (tenant_id, sequence, hash, removed_sequence) VALUES (", of, ", 0, ", arg{[]byte("h")}, ", 0)")
	run(t, s, "INSERT INTO exchanges (tenant_id, occurred_at, took, server, door, kind, method, status, request_id, preview, writes, left_out)"+
		" VALUES (", of, ", 0, 0, 's', 'rest', 'users', 'GET', 200, 'r', FALSE, FALSE, 0)")
	run(t, s, "INSERT INTO traffic (tenant_id, minute, credential, door, server, requests, client_errors, server_errors, unauthenticated, rate_limited, "+
		"latency0, latency1, latency2, latency3, latency4, latency5, latency6, latency7, latency8, latency9, latency10, latency11, latency12, latency13, latency14)"+
		" VALUES (", of, ", 0, 'c', 'rest', 's', 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
	run(t, s, "INSERT INTO watchers (tenant_id, stream, server, credential, started_at, position, snapshot, updated_at) VALUES (", of, ", ", arg{name}, ", 's', 'c', 0, 0, FALSE, 0)")
	run(t, s, "INSERT INTO revoked_tokens (tenant_id, credential, hash, rotated, revoked_at) VALUES (", of, ", 'c', ", arg{[]byte(name)}, ", FALSE, 0)")
	link := sha256.Sum256([]byte("link of " + name))
	mustDo(t, tenant.AddLoginLink(ctx, LoginLink{Operator: "grace", Role: RoleViewer, Expires: time.Now().Add(time.Hour)}, link))
	provider, err := tenant.SetSignInProvider(ctx, SignInProvider{Name: "idp", Kind: OIDC}, 0)
	mustDo(t, err)
	_, err = tenant.SignIn(ctx, &provider, Assertion{ID: "1", Expires: time.Now().Add(time.Hour)}, Session{Operator: "grace", Role: RoleViewer, Expires: time.Now().Add(time.Hour)}, hash)
	mustDo(t, err)
	run(t, s, "INSERT INTO recordings (tenant_id, credential, started_at, ends_at, max_exchanges) VALUES (", of, ", 'c', 0, 0, 1)")
	run(t, s, "INSERT INTO recorded_exchanges (recording_id, occurred_at, request, answer) SELECT id, 0, '{}', '{}' FROM recordings WHERE tenant_id = ", of)
	sub, err := tenant.AddSubscription(ctx, Subscription{Name: "s"}, nil)
	mustDo(t, err)
	mustDo(t, tenant.SavePoll(ctx, &sub, &Checkpoint{Dead: []DeadLetter{{Position: 1, Event: "{}"}}}))
	return tenant, hash
}

// rowsOf counts the rows of each table that belong to a tenant, by its tenant_id or
// by a foreign key to a table that has one.
func rowsOf(t *testing.T, s *Store, tenant int64) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	of := func(table string) string { return "SELECT id FROM " + table + " WHERE tenant_id = " }
	for _, table := range migrate.Tables {
		where := ""
		switch {
		case slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == "tenant_id" }):
			where = "tenant_id = "
		case table.Name == "tenants":
			where = "id = "
		default:
			for _, key := range table.ForeignKeys {
				where = key.Columns[0].Name + " IN (" + of(key.RefTable.Name)
			}
		}
		if where == "" {
			continue
		}
		st := s.statement()
		st.add("SELECT count(*) FROM "+table.Name+" WHERE "+where, arg{tenant})
		if strings.Contains(where, "(") {
			st.add(")")
		}
		n := 0
		mustDo(t, s.read(context.Background(), st, func(scan scan) error { return scan(&n) }))
		counts[table.Name] = n
	}
	return counts
}

// A tenant is removed with the rows of all tables, and no other tenant loses one. A
// table that is added later fails here until there is a row of it above, and then
// until DeleteTenant removes it.
func TestDeleteTenant_RemovesAllItHas(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		newTenant(t, s)
		acme, hash := inhabited(t, s, "acme")
		other, otherHash := inhabited(t, s, "other")
		before := rowsOf(t, s, other.id)
		for table, n := range rowsOf(t, s, acme.id) {
			if n == 0 {
				t.Errorf("this test has no row of %s", table)
			}
		}
		if err := s.DeleteTenant(ctx, "acme"); !reasonIs(err, scim.Conflict) {
			t.Errorf("an active tenant: %v", err)
		}
		if err := s.DeleteTenant(ctx, "default"); !reasonIs(err, scim.Conflict) {
			t.Errorf("the first tenant: %v", err)
		}
		mustDo(t, onlyErr(s.SuspendTenant(ctx, "acme")))
		mustDo(t, s.DeleteTenant(ctx, "acme"))
		for table, n := range rowsOf(t, s, acme.id) {
			if n != 0 {
				t.Errorf("%s still has %d rows", table, n)
			}
		}
		if after := rowsOf(t, s, other.id); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the other tenant had %v and has %v", before, after)
		}
		if _, err := s.Authenticate(ctx, hash); !reasonIs(err, scim.Unauthenticated) {
			t.Errorf("its credential: %v", err)
		}
		if _, err := s.Authenticate(ctx, otherHash); err != nil {
			t.Errorf("the other's credential: %v", err)
		}
		mustDo(t, onlyErr(s.CreateTenant(ctx, TenantInfo{Name: "acme"})))
	})
}

// A deletion that was interrupted anywhere is finished by calling it again, or by
// the next start; until then the tenant is neither used nor resumed.
func TestDeleteTenant_GoesOnAfterAnInterruption(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		first := newTenant(t, s)
		for _, name := range []string{"acme", "other"} {
			tenant, hash := inhabited(t, s, name)
			mustDo(t, onlyErr(s.SuspendTenant(ctx, name)))
			mustDo(t, onlyErr(s.changeTenant(ctx, name, func(info *TenantInfo) error { return info.become(Deleting) })))
			mustDo(t, s.removeResources(ctx, tenant.id))
			stopped, stop := context.WithCancel(ctx)
			stop()
			if err := s.removeTenant(stopped, tenant.id); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			for _, err := range []error{onlyErr(s.Tenant(ctx, name)), onlyErr(s.ResumeTenant(ctx, name)), onlyErr(s.SuspendTenant(ctx, name))} {
				if !reasonIs(err, scim.Conflict) {
					t.Errorf("half deleted: %v", err)
				}
			}
			if _, err := s.Authenticate(ctx, hash); !reasonIs(err, scim.Forbidden) {
				t.Errorf("half deleted: %v", err)
			}
			// It is in nobody's way.
			mustPut(t, asNow(t, first), true, "["+thing(`{"name":"b","required":true}`)+"]")
		}
		mustDo(t, s.DeleteTenant(ctx, "acme"))
		if names, err := s.FinishDeletions(ctx); err != nil || fmt.Sprint(names) != "[other]" {
			t.Errorf("finished %v, %v", names, err)
		}
		if names, err := s.FinishDeletions(ctx); err != nil || len(names) != 0 {
			t.Errorf("finished again %v, %v", names, err)
		}
		if all, err := s.Tenants(ctx); err != nil || len(all) != 1 {
			t.Errorf("left are %v, %v", all, err)
		}

		// Events that come late have nobody who could read them.
		mustDo(t, s.AddAuditEvents(ctx, []AuditEvent{{TenantID: 9999, Method: "late", Outcome: "unauthenticated"}, {TenantID: NoTenant, Method: "kept", Outcome: "unauthenticated"}}))
		mustDo(t, onlyErr(s.SealAudit(ctx)))
		mustDo(t, onlyErr(s.FinishDeletions(ctx)))
		var left []string
		mustDo(t, s.read(ctx, s.statement().add("SELECT method FROM audit_events UNION ALL SELECT CAST(tenant_id AS text) FROM audit_chains"), func(scan scan) error {
			var text string
			err := scan(&text)
			left = append(left, text)
			return err
		}))
		if fmt.Sprint(left) != "[kept 0]" {
			t.Errorf("left in the audit log is %v", left)
		}
	})
}

// A request that was let in before its tenant was suspended writes nothing into a
// tenant that is being deleted.
func TestDeleteTenant_WritesUnderWay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		newTenant(t, s)
		acme, _ := inhabited(t, s, "acme")
		mustDo(t, onlyErr(s.changeTenant(ctx, "acme", func(info *TenantInfo) error { return info.become(Deleting) })))
		if _, err := add(acme, "User", `{"userName":"late"}`); !reasonIs(err, scim.Unavailable) {
			t.Errorf("a late user: %v", err)
		}
		if err := put(acme, false, `[{"id":"urn:example:late","attributes":[{"name":"a"}]}]`); !reasonIs(err, scim.NotFound) {
			t.Errorf("a late registration: %v", err)
		}
		mustDo(t, s.DeleteTenant(ctx, "acme"))
		if _, err := add(acme, "User", `{"userName":"later"}`); err == nil {
			t.Error("a user of a tenant that is gone")
		}
		hash := sha256.Sum256([]byte("late"))
		if err := acme.AddCredential(ctx, Credential{Name: "late", Kind: Bearer}, hash[:]); err == nil {
			t.Error("a credential of a tenant that is gone")
		}
		for table, n := range rowsOf(t, s, acme.id) {
			if n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	})
}

// More than one step of everything.
func TestDeleteTenant_ManyRows(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		newTenant(t, s)
		acme, _ := inhabited(t, s, "acme")
		const series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
		text := "CAST(i AS text)"
		document := "'{}'"
		if s.dialect == postgres {
			document = "CAST('{}' AS jsonb)"
		}
		run(t, s, series+"INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at, document) SELECT 'u' || "+text+", ", arg{acme.id}, ", 'User', 1, 0, 0, "+document+" FROM n")
		run(t, s, series+"INSERT INTO memberships (group_id, member_id, tenant_id, member_type) SELECT (SELECT id FROM resources WHERE tenant_id = ", arg{acme.id},
			" AND type = 'Group'), 'u' || "+text+", ", arg{acme.id}, ", 'User' FROM n")
		run(t, s, series+"INSERT INTO changes (tenant_id, resource_type, resource_id, operation, version, occurred_at) SELECT ", arg{acme.id}, ", 'User', 'u', 'create', 1, 0 FROM n")
		mustDo(t, onlyErr(s.SuspendTenant(ctx, "acme")))
		mustDo(t, s.DeleteTenant(ctx, "acme"))
		for table, n := range rowsOf(t, s, acme.id) {
			if n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	})
}
