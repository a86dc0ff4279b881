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
		byDisplay = "resource_tenant_id_type_display_name"
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
		{scim.User, `externalId eq "x1234"`, "resource_tenant_id_type_external_id"},
		{scim.User, `externalId eq "x1234" and active eq true`, "resource_tenant_id_type_external_id"},
		{scim.User, `displayName eq "Person 1234"`, byDisplay},
		{scim.User, `displayName sw "Person 123"`, byDisplay},
		{scim.User, `meta.lastModified gt "2001-01-01T00:00:00Z"`, "resource_tenant_id_type_updated_at"},
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
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		fillMany(t, tenant)
		all := regexp.MustCompile(`SCAN r\b|SEARCH r .*\(tenant_id=\? AND type=\?\)`)
		if s.dialect == postgres {
			all = regexp.MustCompile(`Seq Scan on resources|Index Cond: \(\(tenant_id = \S+\) AND \(type = \S+\)\)`)
		}
		for _, c := range cases {
			t.Run(c.filter, func(t *testing.T) {
				f, err := c.rt.ParseFilter(c.filter)
				if err != nil {
					t.Fatal(err)
				}
				page, count := s.statement(), s.statement()
				tenant.addList(page, c.rt, Query{Filter: f, Count: 100})
				count.add("SELECT count(*)")
				tenant.addFrom(count, c.rt, f)
				for _, st := range []*statement{page, count} {
					plan := explain(t, s, st)
					if !strings.Contains(plan, c.index) || all.MatchString(plan) {
						t.Errorf("%s\nis answered without %s, or all of resources is read:\n%s", &st.text, c.index, plan)
					}
				}
			})
		}
	})
}

// A membership is found by its whole key: the other members are not read.
func TestLinks_UseWholeKey(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		fillMany(t, tenant)
		for _, ids := range [][]string{{"user-1"}, {"user-1", "user-2", "user-3"}} {
			present, drop := s.statement(), s.statement()
			addPresent(present, "group-7", ids)
			addDrop(drop, "group-7", ids)
			for _, st := range []*statement{present, drop} {
				plan := explain(t, s, st)
				whole := regexp.MustCompile(`\((group_id|member_id)=\? AND (group_id|member_id)=\?\)|\(group_id = \S+\) AND \(member_id = |\(member_id = \S+\) AND \(group_id = `)
				if !whole.MatchString(plan) {
					t.Errorf("%s\nreads more than it names:\n%s", &st.text, plan)
				}
			}
		}
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

// fillMany makes some thousand users in some hundred groups, so that an index is
// worth its while, and lets the database count them.
func fillMany(tb testing.TB, tenant Tenant) {
	tb.Helper()
	s := tenant.store
	numbers := func(n int) string {
		return fmt.Sprintf(" FROM (WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < %d) SELECT n FROM number) AS numbers", n)
	}
	const columns = "INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at, external_id, user_name, display_name, display, document) "
	document := "CAST(" + `'{"emails":[{"value":"mail' || n || '@example.com","type":"work"}]}'` + " AS text)"
	if s.dialect == postgres {
		document = "CAST(" + document + " AS jsonb)"
	}
	run(tb, s, columns, "SELECT 'user-' || n, ", arg{tenant.id}, ", 'User', 1, n, 978307200000 - 5000 + 10 + n, 'x' || n, 'user-' || n, 'person ' || n, 'Person ' || n,",
		document, numbers(5000))
	run(tb, s, columns, "SELECT 'group-' || n, ", arg{tenant.id}, ", 'Group', 1, n, n, NULL, NULL, 'group ' || n, 'Group ' || n, ", document, numbers(500))
	run(tb, s, "INSERT INTO attribute_values (tenant_id, type, attr, value, resource_id)",
		" SELECT ", arg{tenant.id}, ", 'User', 'emails.value', 'mail' || n || '@example.com', 'user-' || n", numbers(5000))
	run(tb, s, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type)",
		" SELECT 'group-' || (n % 500 + 1), 'user-' || n, ", arg{tenant.id}, ", 'User'", numbers(5000))
	if s.dialect == postgres {
		run(tb, s, "ANALYZE")
	}
}
