package store

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-scim/muster/scim"
)

// Members are found by the beginning of any of their names, in whatever letter case, and
// nobody else: not who is in the group through another one, nor what another tenant has.
// A small group, whose members are looked at one by one, and a large one agree.
func TestMembersNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, second, ctx := newTenant(t, s), secondTenant(t, s), context.Background()
		ada := create(t, tenant, scim.User, `{"userName":"Ada.L","displayName":"Ada Lovelace","name":{"familyName":"Lovelace","givenName":"Augusta"},"emails":[{"value":"countess@example.com"},{"value":"counts@example.com"}]}`)
		zoe := create(t, tenant, scim.User, `{"userName":"zoë","displayName":"Zoë"}`)
		bare := create(t, tenant, scim.User, `{"userName":"bare"}`)
		other := create(t, tenant, scim.User, `{"userName":"ada.other","displayName":"Ada Other"}`)
		deep := create(t, tenant, scim.Group, `{"displayName":"Admins","members":[{"value":"%s"}]}`, other)
		group := create(t, tenant, scim.Group, `{"displayName":"G","members":[{"value":"%s"},{"value":"%s"},{"value":"%s"},{"value":"%s"}]}`, ada, zoe, bare, deep)
		defer func(few, walked int) { fewMembers, maxWalked = few, walked }(fewMembers, maxWalked)
		for _, fewMembers = range []int{2000, 1} {
			for beginning, want := range map[string][]string{
				"ADA": {ada}, "ad": {ada, deep}, "a": {ada, deep}, "lovel": {ada}, "aug": {ada}, "count": {ada}, "ada lovelace": {ada}, "ZOË": {zoe}, "bare": {bare}, "bare ": nil, "other": nil, "%": nil, "_": nil, "'": nil, "\U0010FFFF": nil,
			} {
				found, more, err := tenant.MembersNamed(ctx, group, beginning, 10)
				var ids []string
				for _, m := range found {
					ids = append(ids, m.GetValue())
				}
				if err != nil || more || !slices.Equal(ids, want) {
					t.Errorf("%q in a group of more than %d: %v and not %v, %t, %v", beginning, fewMembers, found, want, more, err)
				}
			}
			found, more, err := tenant.MembersNamed(ctx, group, "ad", 1)
			if err != nil || !more || len(found) != 1 || found[0].GetDisplay() != "Ada Lovelace" || found[0].GetType() != "User" {
				t.Errorf("one of two: %v, %t, %v", found, more, err)
			}
			if found, more, err := second.MembersNamed(ctx, group, "a", 10); err != nil || more || len(found) > 0 {
				t.Errorf("another tenant gets %v, %t, %v", found, more, err)
			}
		}
		// Names that were not looked at may be those of members.
		for _, name := range []string{"zo1", "zo2", "zo3"} {
			create(t, tenant, scim.User, `{"userName":"%s"}`, name)
		}
		maxWalked = 2
		if found, more, err := tenant.MembersNamed(ctx, group, "zo", 10); err != nil || !more || len(found) > 1 {
			t.Errorf("with names beyond those that are looked at: %v, %t, %v", found, more, err)
		}
	})
}

// However large the group and the tenant are, and whatever the statistics say, indexes
// are walked, and each membership is looked for by its whole key.
func TestMembersNamed_Plans(t *testing.T) {
	onTenants(t, func(t *testing.T, tenant Tenant) {
		s := memberSearch{tenant: tenant, group: "group-7", prefix: "person", limit: 50}
		bad := regexp.MustCompile(`SCAN (r|x|v|memberships|resources)\b|Seq Scan|USE TEMP B-TREE|Sort  |Hash|Merge`)
		each := tenant.store.statement()
		s.addEach(each)
		statements := []*statement{each}
		for _, w := range s.walks() {
			st := tenant.store.statement()
			s.addWalk(st, w)
			statements = append(statements, st)
		}
		for _, st := range statements {
			plan := explain(t, tenant.store, st)
			if found := bad.FindString(plan); found != "" || !strings.Contains(plan, "memberships_pkey") && !strings.Contains(plan, "membership_member_id_group_id") {
				t.Errorf("%s\nis answered with %q, or without the key:\n%s", &st.text, found, plan)
			}
		}
	})
}
