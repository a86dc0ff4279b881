package store

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-scim/muster/scim"
)

// The filters that clients use are answered through an index, by the very
// statements that List runs, and nothing reads all resources of the tenant.
func TestList_UsesIndex(t *testing.T) {
	const (
		byName    = "resource_tenant_id_type_user_name"
		byDisplay = "resource_tenant_id_type_display_name_id"
		byValue   = "attributevalue_tenant_id_type_attr_value_resource_id"
		byMember  = "membership_member_id_group_id"
		byGroup   = "memberships_pkey"
	)
	cases := []struct {
		rt     *scim.ResourceType
		filter string
		index  string
	}{
		{scim.User, `id eq "user-1234"`, "resource"},
		{scim.User, `userName eq "user-1234"`, byName},
		{scim.User, `userName sw "user-123"`, byName},
		{scim.User, `externalId eq "x1234"`, "resource_tenant_id_type_external_id_id"},
		{scim.User, `externalId eq "x1234" and active eq true`, "resource_tenant_id_type_external_id_id"},
		{scim.User, `displayName eq "Person 1234"`, byDisplay},
		{scim.User, `displayName sw "Person 123"`, byDisplay},
		{scim.User, `meta.lastModified gt "2001-01-01T00:00:00Z"`, "resource_tenant_id_type_updated_at_id"},
		{scim.User, `emails.value eq "mail1234@example.com"`, byValue},
		{scim.User, `emails.value sw "mail1234@"`, byValue},
		{scim.User, `emails[type eq "work" and value eq "mail1234@example.com"]`, byValue},
		{scim.User, `userName eq "user-1234" or externalId eq "x1234"`, byName},
		{scim.User, `userName eq "user-1234" or emails.value eq "mail1234@example.com"`, byValue},
		{scim.User, `userName co "4" and emails.value eq "mail1234@example.com"`, byValue},
		{scim.Group, `displayName eq "Group 7"`, byDisplay},
		{scim.Group, `members.value eq "user-1234"`, byMember},
		{scim.Group, `members[value eq "user-1234" and type eq "User"]`, byMember},
		{scim.Group, `displayName eq "Group 7" and members.value eq "user-1234"`, byMember},
		{scim.User, `groups.value eq "group-7"`, byGroup},
		{scim.User, `groups.display eq "Group 7"`, byDisplay},
		{scim.User, `groups[value eq "group-7" and type eq "direct"]`, byGroup},
	}
	onTenants(t, func(t *testing.T, tenant Tenant) {
		s := tenant.store
		whole := regexp.MustCompile(`SCAN r\b|SEARCH r .*\(tenant_id=\? AND type=\?\)`)
		if s.dialect == postgres {
			whole = regexp.MustCompile(`Seq Scan on resources|Index Cond: \(\(tenant_id = \S+\) AND \(type = \S+\)\)`)
		}
		for _, c := range cases {
			t.Run(c.filter, func(t *testing.T) {
				f, err := c.rt.ParseFilter(c.filter)
				if err != nil {
					t.Fatal(err)
				}
				page, count := s.statement(), s.statement()
				l := listing{Query: Query{Count: 100}, tenant: tenant, parts: []Part{{Type: c.rt, Filter: f}}}
				l.add(page, all)
				count.add("SELECT count(*)")
				tenant.addFrom(count, c.rt, f)
				for _, st := range []*statement{page, count} {
					plan := explain(t, s, st)
					if !strings.Contains(plan, c.index) || whole.MatchString(plan) {
						t.Errorf("%s\nis answered without %s, or all of resources is read:\n%s", &st.text, c.index, plan)
					}
				}
			})
		}
	})
}

// A page of a list that is sorted by a column is a walk along its index, from the
// beginning or from a place, forwards and backwards, for one type and for all. The
// index of userName has no id at its end, since no two users share a name: what
// little there is to sort, one name at a time, does no harm.
func TestSort_UsesIndex(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		s := tenant.store
		sorts := regexp.MustCompile(`USE TEMP B-TREE FOR ORDER BY|SCAN r|(?m)(^|-> +)Sort  \(|Bitmap|Seq Scan`)
		for sortBy, index := range map[string]string{
			"": "_id", "userName": "_user_name", "externalId": "_external_id_id", "displayName": "_display_name_id",
			"meta.created": "_created_at_id", "meta.lastModified": "_updated_at_id",
		} {
			for _, types := range [][]*scim.ResourceType{{scim.User}, {scim.Group}, {scim.User, scim.Group}} {
				parts := make([]Part, len(types))
				for i, rt := range types {
					parts[i] = Part{Type: rt, Links: true}
					if a := rt.Attribute(sortBy); a != nil {
						parts[i].SortBy = a
					} else if sortBy != "" {
						parts[i].SortBy, _ = rt.ParseSort(sortBy)
					}
				}
				if sortBy != "" && parts[0].SortBy == nil {
					continue // groups have no userName
				}
				far := listing{Query: Query{Offset: farOff, Count: 100}, tenant: tenant, parts: parts}
				st := s.statement()
				far.add(st, all)
				if plan := explain(t, s, st); !strings.Contains(plan, index) || strings.Contains(plan, "SCAN m") || strings.Contains(plan, "SCAN r") || strings.Contains(plan, "Seq Scan") {
					t.Errorf("%s\nis answered without %s, or more is read than must be:\n%s", &st.text, index, plan)
				}
				for _, after := range []*scim.Place{nil, {ID: "user-1234", Assigned: sortBy != "", Text: "user-1234", Number: 978307200000}, {ID: "user-1234"}} {
					for _, descending := range []bool{false, true} {
						l := listing{Query: Query{After: after, Descending: descending, Count: 100}, tenant: tenant, parts: parts}
						for _, section := range l.sections() {
							st := s.statement()
							l.add(st, section)
							plan := explain(t, s, st)
							if section != unassigned && !strings.Contains(plan, index) || sorts.MatchString(plan) {
								t.Errorf("%s\nis answered without %s, or sorted:\n%s", &st.text, index, plan)
							}
						}
					}
				}
			}
		}
	})
}

// A membership is found by its whole key: the other members are not read.
func TestLinks_UseWholeKey(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		s := tenant.store
		const key = `(group_id|member_id)`
		whole := regexp.MustCompile(`\(` + key + `=\? AND ` + key + `=\?\)|Index Cond: \(\(` + key + ` = \S+\) AND \(` + key + ` = \S+\)\)`)
		more := regexp.MustCompile(`SCAN m\b|Seq Scan|\(` + key + `=\?\)|Index Cond: \(` + key + ` = \S+\)\n`)
		for _, ids := range [][]string{{"user-1"}, {"user-1", "user-2", "user-3"}} {
			check, present, drop := s.statement(), s.statement(), s.statement()
			tenant.addCheck(check, "group-7", ids)
			addPresent(present, "group-7", ids)
			addDrop(drop, "group-7", ids)
			for _, st := range []*statement{check, present, drop} {
				plan := explain(t, s, st)
				if !whole.MatchString(plan) || more.MatchString(plan) {
					t.Errorf("%s\nreads more than it names:\n%s", &st.text, plan)
				}
			}
		}
	})
}

// A page of members is a walk along the key of their group.
func TestMembers_WalkTheKey(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		walk := regexp.MustCompile(`memberships_pkey \(\(group_id,member_id\)>\(\?,\?\)|memberships_pkey on memberships .*\n +Index Cond: \(\(ROW\(group_id, member_id\) > ROW\([^)]*\)\) AND \(group_id <= \S+\)\)`)
		sorts := regexp.MustCompile(`USE TEMP B-TREE|Sort  \(|Bitmap|Seq Scan`)
		for _, behind := range []string{"", "user-1234"} {
			st := tenant.store.statement()
			tenant.addMembers(st, "group-7", behind, 50)
			plan := explain(t, tenant.store, st)
			if !walk.MatchString(plan) || sorts.MatchString(plan) {
				t.Errorf("%s\nreads more than a page:\n%s", &st.text, plan)
			}
		}
	})
}

// A resource is found by its id alone, in whichever tenant it is.
func TestGet_UsesKey(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		for _, lock := range []bool{false, true} {
			st := tenant.store.statement()
			tenant.addFind(st, scim.User, "user-1234", false, lock)
			plan := explain(t, tenant.store, st)
			if !regexp.MustCompile(`resources_pkey|sqlite_autoindex_resources_1 \(id=\?\)`).MatchString(plan) {
				t.Errorf("%s\nis not answered by the key:\n%s", &st.text, plan)
			}
		}
	})
}

// onTenants runs a test on both databases, each with two large tenants: one that
// the statistics of PostgreSQL know, and one that has come since they were made.
func onTenants(t *testing.T, test func(t *testing.T, tenant Tenant)) {
	t.Helper()
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		fillMany(t, tenant, "old-", 50)
		if s.dialect == postgres {
			run(t, s, "ANALYZE")
		}
		run(t, s, "INSERT INTO tenants (id, profile, catalog_version, name, created_at) VALUES (1000, 'tolerant', 0, 'new', 0)")
		unknown := Tenant{store: s, id: 1000, catalog: scim.Contract}
		fillMany(t, unknown, "", 500)
		t.Run("unknown", func(t *testing.T) { test(t, unknown) })
		if s.dialect == postgres {
			run(t, s, "ANALYZE")
		}
		t.Run("known", func(t *testing.T) { test(t, unknown) })
	})
}

// explain is how the database goes about a statement.
func explain(tb testing.TB, s *Store, st *statement) string {
	tb.Helper()
	how := s.statement()
	if s.dialect == postgres {
		how.add("EXPLAIN ")
	} else {
		how.add("EXPLAIN QUERY PLAN ")
	}
	how.add(st.text.String())
	how.args = st.args
	var plan strings.Builder
	err := s.read(context.Background(), how, func(scan scan) error {
		var line string
		if s.dialect == postgres {
			err := scan(&line)
			fmt.Fprintln(&plan, line)
			return err
		}
		var id, parent, unused int
		err := scan(&id, &parent, &unused, &line)
		// SQLite has names of its own for the indexes of primary keys.
		fmt.Fprintln(&plan, strings.ReplaceAll(line, "sqlite_autoindex_memberships_1", "memberships_pkey"))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return plan.String()
}

// fillMany makes some thousand users in groups, so that an index is worth its
// while, and puts all of them into the seventh. Their ids have the prefix.
func fillMany(tb testing.TB, tenant Tenant, prefix string, groups int) {
	tb.Helper()
	s := tenant.store
	numbers := func(n int) string {
		return fmt.Sprintf(" FROM (WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < %d) SELECT n FROM number) AS numbers", n)
	}
	user, group := "'"+prefix+"user-' || n", "'"+prefix+"group-' || "
	const columns = "INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at, external_id, user_name, display_name, display, document) "
	document := "CAST(" + `'{"emails":[{"value":"mail' || n || '@example.com","type":"work"}]}'` + " AS text)"
	if s.dialect == postgres {
		document = "CAST(" + document + " AS jsonb)"
	}
	run(tb, s, columns, "SELECT ", user, ", ", arg{tenant.id}, ", 'User', 1, n, 978307200000 - 5000 + 10 + n, 'x' || n, 'user-' || n, 'person ' || n, 'Person ' || n,",
		document, numbers(5000))
	run(tb, s, columns, "SELECT ", group, "n, ", arg{tenant.id}, ", 'Group', 1, n, n, NULL, NULL, 'group ' || n, 'Group ' || n, ", document, numbers(groups))
	run(tb, s, "INSERT INTO attribute_values (tenant_id, type, attr, value, resource_id)",
		" SELECT ", arg{tenant.id}, ", 'User', 'emails.value', 'mail' || n || '@example.com', ", user, numbers(5000))
	run(tb, s, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type)",
		" SELECT ", group, "(n % ", fmt.Sprint(groups), " + 1), ", user, ", ", arg{tenant.id}, ", 'User'", numbers(5000))
	run(tb, s, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type)",
		" SELECT ", group, "7, ", user, ", ", arg{tenant.id}, ", 'User'", numbers(5000), " WHERE n % ", fmt.Sprint(groups), " <> 6")
}
