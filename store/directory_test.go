package store

import (
	"context"
	"slices"
	"testing"

	"github.com/muster-scim/muster/scim"
)

// What services ask of users and groups: inner has ada, outer has inner and, in a
// circle, inner has outer.
func TestDirectory(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, second, ctx := newTenant(t, s), secondTenant(t, s), context.Background()
		ada, bob := create(t, tenant, scim.User, `{"userName":"ada"}`), create(t, tenant, scim.User, `{"userName":"bob","displayName":"Bob"}`)
		inner := create(t, tenant, scim.Group, `{"displayName":"inner","members":[{"value":"%s"},{"value":"%s"}]}`, ada, bob)
		outer := create(t, tenant, scim.Group, `{"displayName":"outer","members":[{"value":"%s"}]}`, inner)
		if _, err := patch(t, tenant, scim.Group, inner, "", `[{"op":"add","path":"members","value":[{"value":"`+outer+`"}]}]`); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			tenant        Tenant
			member, group string
			direct, want  bool
		}{
			{tenant, ada, inner, true, true},
			{tenant, ada, inner, false, true},
			{tenant, ada, outer, true, false},
			{tenant, ada, outer, false, true},
			{tenant, inner, inner, false, true}, // the circle
			{tenant, ada, bob, false, false},
			{tenant, "x", inner, false, false},
			{second, ada, inner, true, false},
			{second, ada, inner, false, false},
		} {
			if is, err := test.tenant.IsMember(ctx, test.member, test.group, test.direct); err != nil || is != test.want {
				t.Errorf("%s in %s (direct %t): %t, %v", test.member, test.group, test.direct, is, err)
			}
		}
		members, err := tenant.Members(ctx, inner, ada, 10)
		if err != nil || len(members) != 2 || members[0].GetValue() != bob || members[0].GetDisplay() != "Bob" || members[1].GetType() != "Group" {
			t.Errorf("got %v, %v", members, err)
		}
		if members, err := second.Members(ctx, inner, "", 10); err != nil || len(members) > 0 {
			t.Errorf("another tenant gets %v, %v", members, err)
		}
		groups, err := tenant.Memberships(ctx, ada, false, "", 10)
		if err != nil || len(groups) != 2 || groups[0].GetType() != "direct" || groups[1].GetType() != "indirect" || groups[1].GetDisplay() != "outer" {
			t.Errorf("got %v, %v", groups, err)
		}
		if groups, err := tenant.Memberships(ctx, ada, true, inner, 10); err != nil || len(groups) > 0 {
			t.Errorf("got %v, %v", groups, err)
		}
		many, err := tenant.GetMany(ctx, scim.Group, []string{outer, ada, "x", inner}, true)
		var ids []string
		for _, r := range many {
			ids = append(ids, r.GetId())
		}
		if err != nil || !slices.Equal(ids, []string{inner, outer}) {
			t.Errorf("got %v, %v", ids, err)
		}
		if many, err := second.GetMany(ctx, scim.User, []string{ada}, true); err != nil || len(many) > 0 {
			t.Errorf("another tenant gets %v, %v", many, err)
		}
	})
}
