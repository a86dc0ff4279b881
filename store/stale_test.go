package store

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

// agedGroups makes groups of which each was changed a day after the one before, the
// first a hundred days ago, and returns their ids.
func agedGroups(t *testing.T, tenant Tenant, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id := create(t, tenant, scim.Group, `{"displayName":"G%d"}`, i)
		at := time.Now().AddDate(0, 0, i-100).UnixMilli()
		run(t, tenant.store, "UPDATE resources SET updated_at = ", arg{at}, " WHERE id = ", arg{id})
		ids = append(ids, id)
	}
	return ids
}

// Groups are stale by their last change or the last push, whichever came later, and
// are read page by page, the oldest first.
func TestStaleGroups_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx, tenant := context.Background(), newTenant(t, s)
		ids := agedGroups(t, tenant, 10)
		user := create(t, tenant, scim.User, `{"userName":"u"}`)
		create(t, tenant, scim.Group, `{"displayName":"fresh","members":[{"value":%q}]}`, user)
		run(t, s, "INSERT INTO memberships (group_id, member_id, tenant_id, member_type) VALUES (", arg{ids[0]}, ", ", arg{user}, ", ", arg{tenant.id}, ", 'User')")
		mustDo(t, s.RecordPushes(ctx, map[string]time.Time{ids[3]: time.Now(), ids[4]: time.Now().AddDate(0, 0, -95), user: time.Now(), "gone": time.Now()}))
		mustDo(t, s.RecordPushes(ctx, map[string]time.Time{ids[3]: time.Now().AddDate(0, 0, -99)})) // an earlier one that comes late
		before := time.Now().AddDate(0, 0, -94).Add(-time.Hour)
		var got []string
		var place *StalePlace
		for {
			page, err := tenant.StaleGroups(ctx, before, place, 2)
			mustDo(t, err)
			for _, g := range page {
				got = append(got, g.ID)
			}
			if len(page) < 2 {
				break
			}
			place = &StalePlace{page[1].Modified, page[1].ID}
		}
		if want := []string{ids[0], ids[1], ids[2], ids[4], ids[5]}; !slices.Equal(got, want) {
			t.Errorf("stale are %v, want %v", got, want)
		}
		if n, err := tenant.CountStaleGroups(ctx, before); err != nil || n != 5 {
			t.Errorf("%d are counted, %v", n, err)
		}
		some, err := tenant.StaleGroupsOf(ctx, before, []string{ids[4], ids[3], ids[9], "gone", ids[0]})
		mustDo(t, err)
		if len(some) != 2 || some[0].Members != 1 || some[0].DisplayName != "G0" || some[1].Pushed.IsZero() || !some[0].Pushed.IsZero() {
			t.Errorf("of some there are %+v", some)
		}
	})
}

// One that is changed between the look and the deletion stays.
func TestDeleteStaleGroup_ChangedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx, tenant := context.Background(), newTenant(t, s)
		agedGroups(t, tenant, 2)
		found, err := tenant.StaleGroups(ctx, time.Now().AddDate(0, 0, -1), nil, 10)
		mustDo(t, err)
		run(t, s, "UPDATE resources SET version = version + 1 WHERE id = ", arg{found[0].ID})
		if err := tenant.DeleteStaleGroup(ctx, &found[0]); !reasonIs(err, scim.VersionMismatch) {
			t.Errorf("one that was changed: %v", err)
		}
		mustDo(t, tenant.DeleteStaleGroup(ctx, &found[1]))
		if err := tenant.DeleteStaleGroup(ctx, &found[1]); !reasonIs(err, scim.NotFound) {
			t.Errorf("one that is gone: %v", err)
		}
	})
}

// A page is a walk along the index of the last change.
func TestStaleGroups_UseIndex(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		sorts := regexp.MustCompile(`USE TEMP B-TREE|SCAN r|(?m)(^|-> +)Sort  \(|Seq Scan`)
		for _, behind := range []string{"", " AND (r.updated_at, r.id) > (100, 'group-7')"} {
			st := tenant.selectStale(time.UnixMilli(400))
			st.add(behind, " ORDER BY r.updated_at, r.id LIMIT 100")
			if plan := explain(t, tenant.store, st); !strings.Contains(plan, "_updated_at_id") || sorts.MatchString(plan) {
				t.Errorf("%s\nis answered without the index, or sorted:\n%s", &st.text, plan)
			}
		}
	})
}
