package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// bothTypes is a filter that wants everything of the contract.
var bothTypes = ChangeFilter{Types: []string{scim.User.Name, scim.Group.Name}}

// readChanges reads all changes after a position, some at a time.
func readChanges(tb testing.TB, t Tenant, after int64, f ChangeFilter, limit int) (all []*musterv1.Change, position int64) {
	tb.Helper()
	ctx := context.Background()
	if err := t.store.SequenceChanges(ctx); err != nil {
		tb.Fatal(err)
	}
	for {
		p, err := t.Changes(ctx, after, f, limit)
		if err != nil {
			tb.Fatal(err)
		}
		all, after = append(all, p.Changes...), p.Position
		if !p.More {
			return all, after
		}
	}
}

// Each change says what it changed, and how the resource is after it.
func TestChanges_Content(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		ada := create(t, tenant, scim.User, `{"userName":"ada","title":"Dr","password":"secret"}`)
		group := create(t, tenant, scim.Group, `{"displayName":"g","members":[{"value":"%s"}]}`, ada)
		change := func(rt *scim.ResourceType, id, ops string) {
			t.Helper()
			if _, err := tenant.Update(ctx, rt, id, scim.Match{}, compilePatch(t, rt, ops), false); err != nil {
				t.Fatal(err)
			}
		}
		change(scim.User, ada, `[{"op":"replace","path":"title","value":"Prof"},{"op":"add","path":"nickName","value":"a"}]`)
		change(scim.User, ada, `[{"op":"replace","path":"title","value":"Prof"}]`)
		change(scim.User, ada, `[{"op":"replace","path":"password","value":"other"}]`)
		if err := tenant.Delete(ctx, scim.User, ada, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		all, end := readChanges(t, tenant, 0, bothTypes, 2)
		if len(all) != 6 {
			t.Fatalf("%d changes: %v", len(all), all)
		}
		last := int64(0)
		for _, c := range all {
			if c.GetPosition() <= last || c.GetTime() == nil {
				t.Errorf("after %d comes %v", last, c)
			}
			last = c.GetPosition()
		}
		if end != last {
			t.Errorf("the end is %d, the last position %d", end, last)
		}
		if c := all[0]; c.GetOperation() != musterv1.Change_OPERATION_CREATE || c.GetUser().GetUserName() != "ada" ||
			c.GetVersion() != `W/"1"` || c.GetUser().GetMeta().GetVersion() != `W/"1"` || c.GetUser().GetId() != ada {
			t.Errorf("the create is %v", c)
		}
		if c := all[1]; !slices.Equal(c.GetAddedMembers(), []string{ada}) || c.GetGroup().GetDisplayName() != "g" || len(c.GetGroup().GetMembers()) > 0 {
			t.Errorf("the group is %v", c)
		}
		c := all[2]
		if a := c.GetAttributes(); len(a) != 2 || a["title"].GetBefore().GetStringValue() != "Dr" || a["title"].GetAfter().GetStringValue() != "Prof" ||
			a["nickName"].GetBefore() != nil || a["nickName"].GetAfter().GetStringValue() != "a" {
			t.Errorf("the update is %v", c)
		}
		if c.GetUser().GetTitle() != "Prof" || c.GetVersion() != `W/"2"` || !c.GetUser().GetMeta().GetCreated().AsTime().Equal(all[0].GetTime().AsTime()) {
			t.Errorf("the user after it is %v", c)
		}
		if a := all[3].GetAttributes(); len(a) != 1 || a["password"] == nil || a["password"].GetAfter() != nil {
			t.Errorf("the new password is %v", all[3])
		}
		if c := all[4]; c.GetResourceId() != group || !slices.Equal(c.GetRemovedMembers(), []string{ada}) || c.GetResource() != nil {
			t.Errorf("the group after its member is gone: %v", c)
		}
		if c := all[5]; c.GetOperation() != musterv1.Change_OPERATION_DELETE || c.GetUser().GetTitle() != "Prof" {
			t.Errorf("the delete is %v", c)
		}
	})
}

func TestChanges_Filter(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, second, ctx := newTenant(t, s), secondTenant(t, s), context.Background()
		ada := create(t, tenant, scim.User, `{"userName":"ada"}`)
		create(t, second, scim.User, `{"userName":"other"}`)
		one := create(t, tenant, scim.Group, `{"displayName":"one"}`)
		create(t, tenant, scim.Group, `{"displayName":"two"}`)
		for rt, ops := range map[*scim.ResourceType]string{
			scim.User:  `[{"op":"replace","path":"active","value":false}]`,
			scim.Group: `[{"op":"add","path":"members","value":[{"value":"` + ada + `"}]}]`,
		} {
			id := ada
			if rt == scim.Group {
				id = one
			}
			if _, err := tenant.Update(ctx, rt, id, scim.Match{}, compilePatch(t, rt, ops), false); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			f    ChangeFilter
			want int
		}{
			{bothTypes, 5},
			{ChangeFilter{Types: []string{"User"}}, 2},
			{ChangeFilter{Types: []string{"Device"}}, 0},
			{ChangeFilter{Types: bothTypes.Types, Attributes: []string{"active"}}, 4},
			{ChangeFilter{Types: bothTypes.Types, Attributes: []string{"members"}}, 4},
			{ChangeFilter{Types: bothTypes.Types, Attributes: []string{"title"}}, 3},
			{ChangeFilter{Types: bothTypes.Types, Groups: []string{one}}, 2},
		} {
			for limit := range 4 {
				all, end := readChanges(t, tenant, 0, test.f, limit+1)
				if head, _ := s.Head(ctx); len(all) != test.want || end != head {
					t.Errorf("%v: %d changes up to %d", test.f, len(all), end)
				}
			}
		}
		if all, _ := readChanges(t, second, 0, bothTypes, 10); len(all) != 1 || all[0].GetUser().GetUserName() != "other" {
			t.Errorf("the other tenant reads %v", all)
		}
	})
}

// What is removed is told to those who would miss it, and to nobody else.
func TestRemoveChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, second, ctx := newTenant(t, s), secondTenant(t, s), context.Background()
		for i := range 10 {
			create(t, tenant, scim.User, `{"userName":"u%d"}`, i)
		}
		create(t, second, scim.User, `{"userName":"other"}`)
		all, end := readChanges(t, tenant, 0, bothTypes, 100)
		if n, err := s.RemoveChanges(ctx, Retention{Age: time.Hour}); err != nil || n != 0 {
			t.Errorf("removed %d that are young: %v", n, err)
		}
		if n, err := s.RemoveChanges(ctx, Retention{Count: 4}); err != nil || n != 6 {
			t.Errorf("removed %d, %v", n, err)
		}
		if left, _ := readChanges(t, tenant, 0, bothTypes, 100); len(left) != 4 || !proto.Equal(left[0], all[6]) {
			t.Errorf("left are %v", left)
		}
		for i, c := range all {
			_, err := tenant.Changes(ctx, c.GetPosition(), bothTypes, 100)
			if gone := scim.ReasonOf(err) == scim.PositionGone; gone != (i < 5) || err != nil && !gone {
				t.Errorf("after change %d: %v", i, err)
			}
		}
		if _, err := tenant.Changes(ctx, end+100, bothTypes, 1); scim.ReasonOf(err) != scim.PositionGone {
			t.Errorf("behind the end: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
		if n, err := s.RemoveChanges(ctx, Retention{Age: time.Millisecond}); err != nil || n != 5 {
			t.Errorf("removed %d, %v", n, err)
		}
		create(t, tenant, scim.User, `{"userName":"new"}`)
		if left, _ := readChanges(t, tenant, end, bothTypes, 100); len(left) != 1 {
			t.Errorf("left are %v", left)
		}
	})
}

// Readers who follow while many write see each change once, in the order of each
// resource, and what they have in the end is what the database has. Two stores over
// one PostgreSQL stand for two servers.
func TestChanges_NoneIsMissed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		stores := []Tenant{tenant}
		if s.dialect == postgres {
			other := open(t, s.pool.Config().ConnString())
			again, err := other.Tenant(ctx, "default")
			if err != nil {
				t.Fatal(err)
			}
			stores = append(stores, again)
		}
		group := create(t, tenant, scim.Group, `{"displayName":"g"}`)
		done := make(chan struct{})
		var readers, writers sync.WaitGroup
		copies := make([]*replica, 4)
		for i := range copies {
			copies[i] = &replica{versions: make(map[string]string), members: make(map[string]bool)}
			readers.Go(func() { copies[i].follow(t, stores[i%len(stores)], done) })
		}
		for i := range 8 {
			writers.Go(func() { scribble(t, stores[i%len(stores)], group, i) })
		}
		writers.Wait()
		close(done)
		readers.Wait()
		want := &replica{versions: make(map[string]string), members: make(map[string]bool)}
		for _, rt := range []*scim.ResourceType{scim.User, scim.Group} {
			p, err := tenant.List(ctx, rt, Query{Count: 10000, Links: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Resources {
				want.versions[r.GetId()] = r.GetMeta().GetVersion()
				if g, ok := r.(*musterv1.Group); ok {
					for _, m := range g.GetMembers() {
						want.members[m.GetValue()] = true
					}
				}
			}
		}
		for i, c := range copies {
			if !maps.Equal(c.versions, want.versions) || !maps.Equal(c.members, want.members) {
				t.Errorf("copy %d has %d resources with %d members, the database %d with %d", i, len(c.versions), len(c.members), len(want.versions), len(want.members))
			}
		}
	})
}

// A replica is what a reader knows by the changes alone.
type replica struct {
	versions map[string]string
	members  map[string]bool
}

func (r *replica) follow(t *testing.T, tenant Tenant, done <-chan struct{}) {
	s, ctx := tenant.store, context.Background()
	defer s.FollowChanges()()
	var position int64
	for last := false; ; {
		grown := s.Grown()
		for more := true; more; {
			p, err := tenant.Changes(ctx, position, bothTypes, 1+rand.IntN(50))
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range p.Changes {
				if c.GetPosition() <= position {
					t.Errorf("position %d after %d", c.GetPosition(), position)
				}
				position = c.GetPosition()
				r.apply(t, c)
			}
			position, more = p.Position, p.More
		}
		if last {
			return
		}
		select {
		case <-grown:
		case <-done:
			last = true
			if err := s.SequenceChanges(ctx); err != nil {
				t.Error(err)
			}
		}
	}
}

func (r *replica) apply(t *testing.T, c *musterv1.Change) {
	id := c.GetResourceId()
	before := int64(0)
	if v := r.versions[id]; v != "" {
		_, _ = fmt.Sscanf(v, `W/"%d"`, &before)
	}
	if want := scim.FormatVersion(before + 1); c.GetVersion() != want {
		t.Errorf("%s goes from %q to %s", id, r.versions[id], c.GetVersion())
	}
	r.versions[id] = c.GetVersion()
	if c.GetOperation() == musterv1.Change_OPERATION_DELETE {
		delete(r.versions, id)
	}
	for _, m := range c.GetAddedMembers() {
		r.members[m] = true
	}
	for _, m := range c.GetRemovedMembers() {
		delete(r.members, m)
	}
}

// scribble makes users, changes them, puts them into the group, and deletes some.
func scribble(t *testing.T, tenant Tenant, group string, writer int) {
	ctx := context.Background()
	var ids []string
	for i := range 40 {
		var err error
		switch n := rand.IntN(4); {
		case len(ids) == 0 || n == 0:
			ids = append(ids, create(t, tenant, scim.User, `{"userName":"u%d-%d"}`, writer, i))
		case n == 1:
			_, err = tenant.Update(ctx, scim.User, ids[rand.IntN(len(ids))], scim.Match{}, compilePatch(t, scim.User, fmt.Sprintf(`[{"op":"replace","path":"title","value":"%d"}]`, i)), false)
		case n == 2:
			_, err = tenant.Update(ctx, scim.Group, group, scim.Match{}, compilePatch(t, scim.Group, `[{"op":"add","path":"members","value":[{"value":"`+ids[rand.IntN(len(ids))]+`"}]}]`), false)
		default:
			at := rand.IntN(len(ids))
			err = tenant.Delete(ctx, scim.User, ids[at], scim.Match{})
			ids = slices.Delete(ids, at, at+1)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
