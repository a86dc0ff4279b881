package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

func TestMembers_AddAndRemove(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		a := create(t, tenant, scim.User, `{"userName":"a","displayName":"A"}`)
		b := create(t, tenant, scim.User, `{"userName":"b"}`)
		g := create(t, tenant, scim.Group, `{"displayName":"G","members":[{"value":"%s"},{"value":"%s"}]}`, a, a)
		h := create(t, tenant, scim.Group, `{"displayName":"H"}`)
		steps := []struct {
			ops  string
			want []string
		}{
			{`[{"op":"add","path":"members","value":[{"value":"B"},{"value":"H"},{"value":"A"}]}]`, []string{a, b, h}},
			{`[{"op":"remove","path":"members[value eq \"A\"]"},{"op":"remove","path":"members","value":[{"value":"B"}]}]`, []string{h}},
			{`[{"op":"replace","path":"members","value":[{"value":"B"},{"value":"A"}]}]`, []string{a, b}},
			{`[{"op":"remove","path":"members[type eq \"Group\" or display eq \"a\"]"}]`, []string{b}},
			{`[{"op":"remove","path":"members"},{"op":"add","path":"members","value":[{"value":"H"}]}]`, []string{h}},
			{`[{"op":"remove","path":"members"}]`, nil},
		}
		for i, step := range steps {
			ops := strings.NewReplacer(`\"A\"`, `\"`+a+`\"`, `"A"`, `"`+a+`"`, `"B"`, `"`+b+`"`, `"H"`, `"`+h+`"`).Replace(step.ops)
			r := mustPatch(t, tenant, scim.Group, g, ops)
			if got := membersOf(t, tenant, g); !slices.Equal(got, step.want) {
				t.Errorf("step %d: members are %v, want %v", i, got, step.want)
			}
			if want := scim.FormatVersion(int64(i + 2)); r.GetMeta().GetVersion() != want {
				t.Errorf("step %d: version %s, want %s", i, r.GetMeta().GetVersion(), want)
			}
		}
	})
}

func TestMembers_MustExist(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		a := create(t, tenant, scim.User, `{"userName":"a"}`)
		g := create(t, tenant, scim.Group, `{"displayName":"G"}`)
		before := logged(t, tenant)
		_, err := patch(t, tenant, scim.Group, g, "", fmt.Sprintf(`[{"op":"replace","path":"displayName","value":"X"},{"op":"add","path":"members","value":[{"value":"%s"},{"value":"nobody"}]}]`, a))
		if scim.ReasonOf(err) != scim.InvalidValue || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("patch: %v", err)
		}
		_, err = tenant.Create(context.Background(), scim.Group, decode(t, scim.Group, `{"displayName":"X","members":["nobody"]}`), false)
		if scim.ReasonOf(err) != scim.InvalidValue {
			t.Errorf("create: %v", err)
		}
		if after := logged(t, tenant); !slices.Equal(before, after) || membersOf(t, tenant, g) != nil {
			t.Errorf("something of it stayed: %v", after)
		}
	})
}

func TestGroups_DirectAndIndirect(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		u := create(t, tenant, scim.User, `{"userName":"u"}`)
		alone := create(t, tenant, scim.User, `{"userName":"alone"}`)
		team := create(t, tenant, scim.Group, `{"displayName":"team","members":["%s"]}`, u)
		dept := create(t, tenant, scim.Group, `{"displayName":"dept","members":["%s"]}`, team)
		firm := create(t, tenant, scim.Group, `{"displayName":"firm","members":["%s","%s"]}`, dept, u)
		mustPatch(t, tenant, scim.Group, team, `[{"op":"add","path":"members","value":[{"value":"`+firm+`"}]}]`) // a circle
		var got []string
		for _, g := range mustGet(t, tenant, scim.User, u).(*musterv1.User).GetGroups() {
			got = append(got, g.GetDisplay()+" "+g.GetType()+" "+g.GetValue())
		}
		want := []string{"team direct " + team, "dept indirect " + dept, "firm direct " + firm}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		page, err := tenant.List(context.Background(), scim.User, Query{Count: 10, Links: true})
		if err != nil || len(page.Resources) != 2 {
			t.Fatal(page, err)
		}
		for _, r := range page.Resources {
			if n := len(r.(*musterv1.User).GetGroups()); r.GetId() == alone && n != 0 || r.GetId() == u && n != 3 {
				t.Errorf("in a list, %s has %d groups", r.GetId(), n)
			}
		}
	})
}

func TestDelete_LeavesGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		u := create(t, tenant, scim.User, `{"userName":"u","emails":["u@x"]}`)
		g := create(t, tenant, scim.Group, `{"displayName":"G","members":["%s"]}`, u)
		create(t, tenant, scim.Group, `{"displayName":"other"}`)
		n := len(logged(t, tenant))
		if err := tenant.Delete(context.Background(), scim.User, u, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		if r := mustGet(t, tenant, scim.Group, g); r.GetMeta().GetVersion() != `W/"2"` || membersOf(t, tenant, g) != nil {
			t.Errorf("the group is %v", r)
		}
		log := logged(t, tenant)[n:]
		if len(log) != 2 || !strings.HasPrefix(log[0], "Group update 2 ") || !strings.Contains(log[0], u) || !strings.HasPrefix(log[1], "User delete 2 ") || !strings.Contains(log[1], "u@x") {
			t.Errorf("the log says %q", log)
		}
		if again := create(t, tenant, scim.User, `{"userName":"u"}`); again == u {
			t.Error("the id came back")
		}
	})
}

// Nothing of twenty changes of one group at once is lost.
func TestMembers_Parallel(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		g := create(t, tenant, scim.Group, `{"displayName":"G"}`)
		var users []string
		for i := range 20 {
			users = append(users, create(t, tenant, scim.User, `{"userName":"u%d"}`, i))
		}
		var wg sync.WaitGroup
		for _, u := range users {
			wg.Go(func() {
				if _, err := patch(t, tenant, scim.Group, g, "", `[{"op":"add","path":"members","value":[{"value":"`+u+`"}]}]`); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(users)
		if got := membersOf(t, tenant, g); !slices.Equal(got, users) {
			t.Errorf("%d of 20 are members", len(got))
		}
		if v := mustGet(t, tenant, scim.Group, g).GetMeta().GetVersion(); v != `W/"21"` {
			t.Errorf("the version is %s", v)
		}
	})
}

// Deleting members while they are added to groups ends without deadlock, and
// with no member that does not exist.
func TestMembers_ParallelDelete(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		var groups, users []string
		for i := range 4 {
			groups = append(groups, create(t, tenant, scim.Group, `{"displayName":"G%d"}`, i))
		}
		for i := range 30 {
			users = append(users, create(t, tenant, scim.User, `{"userName":"u%d"}`, i))
		}
		var wg sync.WaitGroup
		for i, u := range users {
			for _, g := range groups {
				wg.Go(func() {
					_, err := patch(t, tenant, scim.Group, g, "", `[{"op":"add","path":"members","value":[{"value":"`+u+`"}]}]`)
					if err != nil && scim.ReasonOf(err) != scim.InvalidValue {
						t.Error(err)
					}
				})
			}
			if i%2 == 0 {
				wg.Go(func() {
					if err := tenant.Delete(context.Background(), scim.User, u, scim.Match{}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for _, g := range groups {
			if got := len(membersOf(t, tenant, g)); got != len(users)/2 {
				t.Errorf("%d members, want %d", got, len(users)/2)
			}
		}
	})
}

func TestGet_WithoutMembersReadsNone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		g := create(t, tenant, scim.Group, `{"displayName":"G"}`)
		run(t, s, "ALTER TABLE memberships RENAME TO elsewhere")
		if _, err := tenant.Get(context.Background(), scim.Group, g, false); err != nil {
			t.Error(err)
		}
		if _, err := tenant.Get(context.Background(), scim.Group, g, true); err == nil {
			t.Error("read members from a table that is not there")
		}
	})
}

// A page whose groups have very many members is cut between two groups, and the
// next page goes on there.
func TestList_CutsLargePages(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		var groups []string
		for i := range 3 {
			groups = append(groups, create(t, tenant, scim.Group, `{"displayName":"G%d"}`, i))
		}
		const many = 60_000
		fillGroups(t, tenant, groups, many)
		var sizes []int
		for offset := 0; offset < 3; {
			page, err := tenant.List(context.Background(), scim.Group, Query{Offset: offset, Count: 10, Links: true})
			if err != nil || page.Total != 3 || len(page.Resources) == 0 {
				t.Fatal(len(page.Resources), page.Total, err)
			}
			for _, r := range page.Resources {
				if n := len(r.(*musterv1.Group).GetMembers()); n != many {
					t.Errorf("%s has %d members", r.(*musterv1.Group).GetDisplayName(), n)
				}
			}
			sizes = append(sizes, len(page.Resources))
			offset += len(page.Resources)
		}
		if !slices.Equal(sizes, []int{1, 1, 1}) {
			t.Errorf("pages of %v groups", sizes)
		}
	})
}

// fillGroups makes n users and puts them all into each group, by SQL.
func fillGroups(tb testing.TB, t Tenant, groups []string, n int) {
	tb.Helper()
	numbers := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + fmt.Sprint(n) + ") "
	run(tb, t.store, "INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at, user_name, display, document) ",
		numbers, "SELECT 'user-' || i, ", arg{t.id}, ", 'User', 1, 0, 0, 'user-' || i, 'User ' || i, '{\"userName\":\"u\"}' FROM n")
	for _, g := range groups {
		run(tb, t.store, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type)"+
			" SELECT CAST(", arg{g}, " AS text), id, tenant_id, type FROM resources WHERE type = 'User'")
	}
}
